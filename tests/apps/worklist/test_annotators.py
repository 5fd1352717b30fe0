"""Annotators are told apart: by log-in, by the name they send, else by their machine."""

import pytest
from starlette.requests import HTTPConnection

from amd_das.accounts import User
from amd_das_app.worklist.annotators import annotator_of


def request(user: User | None = None) -> HTTPConnection:
    scope = {"type": "http", "client": ("10.0.0.7", 4000), "headers": []}
    return HTTPConnection(scope | ({"amd_das.user": user} if user else {}))


def test_the_log_in_counts_whatever_is_sent() -> None:
    assert annotator_of(request(User(name="ann", roles=("annotator",))), "bob") == "ann"


def test_without_log_in_the_name_that_is_sent() -> None:
    assert annotator_of(request(), " reader 2 ") == "reader 2"


@pytest.mark.parametrize(("sent", "name"), [("", "somebody@10.0.0.7"), ("user-xyz", "user-xyz@10.0.0.7")])
def test_the_nameless_are_told_apart_by_machine(sent: str, name: str) -> None:
    assert annotator_of(request(), sent) == name


def test_a_name_is_short_and_can_be_stored() -> None:
    assert annotator_of(request(), "a\x00\ud800\n" + "b" * 500) == "a" + "b" * 63
