"""Settings come from the environment, in one place, and nonsense is refused with what would be right."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from amd_das.errors import ConfigError
from amd_das.models import MODEL_DIR_VARIABLE
from amd_das_app.settings import PREFIX, ServerSettings, from_environment

README = Path(__file__).parents[2] / "README.md"


def test_defaults_are_loopback_and_nothing_allowed() -> None:
    settings = from_environment({"PATH": "/bin", "AMD_DAS_MODEL_DIR": "elsewhere"})
    assert settings == ServerSettings()
    assert settings.on_loopback
    assert settings.allow == ()
    assert settings.cors_origins == ()


def test_values_take_the_type_of_their_field() -> None:
    settings = from_environment(
        {"AMD_DAS_PORT": "0", "AMD_DAS_ALLOW": "images, sessions", "AMD_DAS_HOST": "0.0.0.0", "AMD_DAS_MAX_QUEUE": ""}
    )
    assert (settings.port, settings.allow, settings.max_queue) == (0, ("images", "sessions"), 32)
    assert not settings.on_loopback


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("AMD_DAS_PORT", "http", "whole number"),
        ("AMD_DAS_PORT", "70000", "0 to 65535"),
        ("AMD_DAS_ALLOW", "everything", "allowed: images, logs, models, sessions"),
        ("AMD_DAS_MAX_QUEUE", "0", "above 0"),
        ("AMD_DAS_COLOUR", "red", "AMD_DAS_HOST, AMD_DAS_PORT"),
    ],
)
def test_impossible_values_are_refused(variable: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=variable) as caught:
        from_environment({variable: text})
    assert expected in str(caught.value)


def test_host_names_hold_loopback_the_address_and_what_was_added() -> None:
    assert ServerSettings(host="0.0.0.0").host_names == {"127.0.0.1", "localhost", "::1"}
    assert "10.0.0.5" in ServerSettings(host="10.0.0.5").host_names
    assert "ct.example" in ServerSettings(allowed_hosts=("ct.example",)).host_names


def test_the_readme_names_variables_that_there_are() -> None:
    named = set(re.findall(PREFIX + r"\w+", README.read_text(encoding="utf-8")))
    assert len(named) > 20, "there is a table of them"
    assert named <= {MODEL_DIR_VARIABLE} | {PREFIX + item.name.upper() for item in fields(ServerSettings)}
