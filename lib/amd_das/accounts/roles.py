"""Roles, each of which may do what those before it may."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from amd_das.errors import ConfigError

ROLES: Final = ("user", "annotator", "reviewer", "admin")
"""From least to most: reads results; segments and saves labels; removes labels, labels many scans at once and takes
the set of labels away; trains, publishes and removes."""


@dataclass(frozen=True, kw_only=True)
class User:
    """Who asks."""

    name: str
    roles: tuple[str, ...]
    """Some of ROLES, in their order; empty for somebody a realm knows and this server has no role for."""

    def may(self, role: str) -> bool:
        """Whether one of the user's roles is ``role`` or a higher one."""
        return any(ROLES.index(own) >= ROLES.index(role) for own in self.roles)


def parse_roles(names: Iterable[str]) -> tuple[str, ...]:
    """Roles in their order, each once; raises ConfigError for an unknown one, or for none."""
    given = {part.strip() for name in names for part in name.split(",") if part.strip()}
    if unknown := sorted(given - set(ROLES)):
        raise ConfigError(f"unknown role {', '.join(map(repr, unknown))}; expected some of {', '.join(ROLES)}")
    if not given:
        raise ConfigError(f"no role came; expected some of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in given)
