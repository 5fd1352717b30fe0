"""``amd-das users``: the file of users, from a terminal."""

import getpass
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from amd_das.accounts.audit import AuditLog
from amd_das.accounts.passwords import check_new_password
from amd_das.accounts.roles import parse_roles
from amd_das.accounts.store import UserStore, accounts_folder, check_name
from amd_das.errors import ConfigError

ACTIONS: Final = ("list", "add", "password", "roles", "remove")


def users_in_terminal(
    action: str, name: str | None, roles: Sequence[str], folder: Path | None, say: Callable[[str], None]
) -> None:
    """Do one of ACTIONS and tell about it.

    Raises:
        ConfigError, NotFoundError: see :class:`UserStore`; or the arguments do not fit the action.
    """
    folder = folder or accounts_folder()
    store = UserStore(folder)
    if action == "list":
        if name:
            raise ConfigError(f"list takes no name, and {name!r} came; leave it out")
        _list(store, say)
        return
    if not name:
        raise ConfigError(f"{action} needs a user's name, as in amd-das users {action} anna")
    if roles and action not in ("add", "roles"):
        raise ConfigError(f"{action} takes a name and nothing else; passwords are asked for, or read from stdin")
    check_name(name)
    if action == "add":
        chosen = parse_roles(roles)
        if name in store.accounts():
            raise ConfigError(f"user {name!r} exists; change it with amd-das users password or roles")
        store.add(name, ask_password(name), chosen)
        say(f"added {name}: {', '.join(chosen)}, in {store.path}")
        if not any("admin" in account.roles for account in store.accounts().values()):
            say("nobody is admin yet, so nobody can train or publish: amd-das users add NAME admin")
    elif action == "password":
        store.require(name)
        store.set_password(name, ask_password(name))
        say(f"{name} has another password, and is logged out everywhere")
    elif action == "roles":
        chosen = parse_roles(roles)
        store.set_roles(name, chosen)
        say(f"{name}: {', '.join(chosen)}, from the next request on")
    else:
        store.remove(name)
        say(f"removed {name}, who is logged out everywhere")
        if not store.accounts():
            say("nobody is left: at its next start a server lets everybody on this machine in, and nobody else")
    AuditLog(folder).write(
        f"user {action}", who=f"shell:{_login()}", outcome="ok", user=name, roles=",".join(roles) or None
    )


def ask_password(name: str) -> str:
    """Twice from the terminal, unseen; or the first line of stdin where that is no terminal."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line.strip():
            raise ConfigError("no password came; type it at a terminal, or send it as the first line of stdin")
        return line.rstrip("\r\n")
    password = getpass.getpass(f"password for {name}: ")
    check_new_password(password, name)
    if getpass.getpass("once more: ") != password:
        raise ConfigError("the two passwords differ; nothing was changed, try again")
    return password


def _list(store: UserStore, say: Callable[[str], None]) -> None:
    accounts = store.accounts()
    if not accounts:
        say(f"no users in {store.path}; amd-das users add NAME ROLE makes one")
    width = max(map(len, accounts), default=0)
    for name, account in accounts.items():
        say(f"{name:{width}}  {', '.join(account.roles)}  password of {account.changed[:10]}")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"
