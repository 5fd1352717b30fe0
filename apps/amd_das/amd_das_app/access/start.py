"""Before a server starts: it does not listen to other machines unless it knows who may ask."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from amd_das.errors import ConfigError
from amd_das_app.access.control import AccessControl
from amd_das_app.access.realm import RealmConfig
from amd_das_app.settings import ServerSettings, is_loopback

_LAUNCHERS: Final = {"monailabel": "0.0.0.0", "uvicorn": "127.0.0.1"}
"""Programs that take the address by ``--host`` → where they listen without it."""


def make_access_control(settings: ServerSettings) -> AccessControl:
    """As the settings say; raises ConfigError for a realm or a file of users that cannot be used."""
    realm = None
    if settings.realm:
        realm = RealmConfig(
            issuer=settings.realm,
            client=settings.realm_client,
            roles_claim=settings.realm_roles,
            role_prefix=settings.realm_prefix,
        )
    return AccessControl(
        settings.accounts_folder,
        realm=realm,
        token_seconds=settings.token_hours * 3600,
        off=settings.auth == "off",
    )


def refuse_other_control(is_on: bool) -> None:
    """Raises ConfigError where MONAI Label's own access control is switched on."""
    if is_on:
        raise ConfigError(
            "MONAI_LABEL_AUTH_ENABLE is on, and MONAI Label's own check refuses every token; leave it out, and name "
            "the realm with AMD_DAS_REALM, or add users with `amd-das users add NAME ROLE`"
        )


def refuse_other_server(settings: ServerSettings) -> None:
    """Raises ConfigError where MONAI Label's own server, which checks nothing, would serve others or despite users."""
    if "monailabel.app" not in sys.modules:
        return
    control = make_access_control(settings)
    check_exposure(control, launch_host(settings))
    if control.enabled:
        raise ConfigError(
            "there are users, and MONAI Label's own server does not ask who somebody is: add --uvicorn_app server:app, "
            "with apps/amd_das on PYTHONPATH, or say python apps/amd_das/serve.py"
        )


def check_exposure(control: AccessControl, host: str) -> None:
    """Raises ConfigError if other machines could ask and nobody was named who may, or the users cannot be read."""
    try:
        enabled = control.enabled
    except OSError as error:
        raise ConfigError(f"the users in {control.folder} cannot be read: {error.strerror}") from error
    if is_loopback(host) or enabled or control.off:
        return
    raise ConfigError(
        f"{host} can be reached from other machines, and nobody may log in yet: there are no users in {control.folder} "
        "and no realm is set. Add an admin with `amd-das users add NAME admin`, name a realm with AMD_DAS_REALM, or "
        "listen on 127.0.0.1. With --no-auth (AMD_DAS_AUTH=off) everybody who reaches this address could read all "
        "scans, change labels, and start and stop trainings"
    )


def launch_host(settings: ServerSettings, command: Sequence[str] | None = None) -> str:
    """Where this process will listen, as far as its settings and its command line tell."""
    arguments = list(sys.orig_argv if command is None else command)
    program = next((_LAUNCHERS[name] for part in arguments[:4] for name in _LAUNCHERS if _is(part, name)), None)
    if program is None:
        return settings.host
    for option, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if option in ("--host", "-i"):
            return following
        if option.startswith("--host="):
            return option.partition("=")[2]
    return program


def _is(part: str, name: str) -> bool:
    """Whether a piece of a command line is this program: ``uvicorn``, ``bin/uvicorn``, ``monailabel.main``."""
    path = Path(part)
    return path.name == name or path.name.split(".")[0] == name or path.parent.name == name
