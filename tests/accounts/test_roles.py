"""Roles build on each other, and unknown ones are refused."""

import pytest

from amd_das.accounts import ROLES, User, parse_roles
from amd_das.errors import ConfigError


@pytest.mark.parametrize("own", range(len(ROLES)))
@pytest.mark.parametrize("asked", range(len(ROLES)))
def test_a_role_may_what_those_before_it_may(own: int, asked: int) -> None:
    assert User(name="x", roles=(ROLES[own],)).may(ROLES[asked]) == (own >= asked)


def test_the_highest_of_several_counts_and_none_may_nothing() -> None:
    assert User(name="x", roles=("user", "reviewer")).may("annotator")
    assert not any(User(name="x", roles=()).may(role) for role in ROLES)


def test_roles_are_parsed_in_their_order_once() -> None:
    assert parse_roles(["reviewer,user", " user "]) == ("user", "reviewer")


@pytest.mark.parametrize(
    ("given", "said"), [(["king"], "'king'; expected some of user"), ([], "no role"), ([","], "no")]
)
def test_others_are_refused(given: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_roles(given)
