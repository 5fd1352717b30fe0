"""Tokens hold for a while, here only, and as long as the password does."""

import base64
import json
import time
from pathlib import Path

import jwt
import pytest

from amd_das.accounts import UserStore
from amd_das.errors import ConfigError
from amd_das_app.access.tokens import InvalidTokenError, LocalTokens, read_key

NAME = "one-annotator"


@pytest.fixture
def tokens(store: UserStore, folder: Path) -> LocalTokens:
    return LocalTokens(store, read_key(folder), 600)


def token_of(tokens: LocalTokens, store: UserStore) -> str:
    found = store.find(NAME)
    assert found is not None
    return tokens.make(*found)


def test_a_token_stands_for_its_user_after_a_restart_too(tokens: LocalTokens, store: UserStore, folder: Path) -> None:
    token = token_of(tokens, store)
    again = LocalTokens(UserStore(folder), read_key(folder), 600)
    assert again.read(token).name == NAME
    assert again.read(token).roles == ("annotator",)


def test_the_key_is_private_and_stays(folder: Path) -> None:
    key = read_key(folder)
    assert len(key) == 32
    assert read_key(folder) == key
    assert (folder / "token.key").stat().st_mode & 0o777 == 0o600
    (folder / "token.key").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(folder)
    (folder / "token.key").chmod(0o600)
    (folder / "token.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes, expected 32"):
        read_key(folder)


def test_it_ends(store: UserStore, folder: Path) -> None:
    past = LocalTokens(store, read_key(folder), -1)
    with pytest.raises(InvalidTokenError, match="expired; log in again"):
        past.read(token_of(past, store))


def forged(folder: Path, **changes: object) -> str:
    claims = {
        "iss": "amd-das",
        "aud": "amd-das",
        "sub": NAME,
        "serial": UserStore(folder).accounts()[NAME].serial,
        "iat": int(time.time()),
        "exp": int(time.time()) + 600,
    } | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, read_key(folder))


def test_whatever_is_not_right_is_refused(tokens: LocalTokens, store: UserStore, folder: Path) -> None:
    assert tokens.read(forged(folder)).name == NAME
    head, body, mark = token_of(tokens, store).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    unsigned = jwt.encode(claims, None, algorithm="none")
    admin = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "one-admin"}).encode()).decode().rstrip("=")
    wrong = [
        "",
        "x",
        f"{head}.{body}",
        f"{head}.{admin}.{mark}",
        unsigned,
        jwt.encode(claims, b"0" * 32),
        forged(folder, aud="other"),
        forged(folder, iss="other"),
        forged(folder, exp=None),
        forged(folder, sub=None),
        forged(folder, sub="one-admin"),
        forged(folder, sub="nobody"),
        forged(folder, serial=None),
        forged(folder, serial=7),
        forged(folder, iat=int(time.time()) + 1000),
    ]
    for token in wrong:
        with pytest.raises(InvalidTokenError, match="log in"):
            tokens.read(token)
