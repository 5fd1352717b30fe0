"""Users of an OpenID Connect realm, such as Keycloak: its tokens are checked here, its passwords by the realm."""

import ipaddress
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests

from amd_das.accounts import ROLES, User
from amd_das.errors import AmdDasError, ConfigError
from amd_das_app.access.tokens import InvalidTokenError

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
DISCOVERY_S: Final = 3600.0
"""Seconds for which the realm's description holds (ours)."""

KEYS_S: Final = 300.0
"""Seconds for which its keys hold; an unknown key is asked for at most every 30 s (PyJWT's defaults)."""

LEEWAY_S: Final = 10
"""Seconds that the two clocks may differ (ours)."""

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key; never one with a shared secret, and never none."""


class RealmError(AmdDasError):
    """The realm does not answer, or not as a realm does; nobody can be let in meanwhile."""

    status = 503
    code = "realm"


@dataclass(frozen=True, kw_only=True)
class RealmConfig:
    """How to reach a realm, and what its tokens mean here."""

    issuer: str
    """Exactly as in its tokens: ``https://sso.example/realms/clinic``."""

    client: str = "amd-das"
    """This server's client id there: an audience of its tokens, or the party they were issued to."""

    roles_claim: str = "realm_access#roles"
    """Where a token lists roles; # between the steps. Keycloak's place, and MONAI Label's way to write it."""

    role_prefix: str = "amd-das-"
    """Before the names of our roles there: "admin" alone may mean the realm's own admins."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"AMD_DAS_REALM is {self.issuer!r}; expected an address as https://sso.example/realms/x")
        if "@" in parts.netloc:
            raise ConfigError("AMD_DAS_REALM holds a user name; give the address alone")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ConfigError(f"AMD_DAS_REALM is {self.issuer!r}: passwords would travel in clear; use https")
        if not self.client or not self.roles_claim.strip("#"):
            raise ConfigError("AMD_DAS_REALM_CLIENT and AMD_DAS_REALM_ROLES may not be empty")


class Realm:
    """Checks a realm's tokens, and asks it for one on behalf of who logs in here. Methods block; safe in threads."""

    def __init__(self, config: RealmConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._found: Mapping[str, Any] = {}
        self._found_at = float("-inf")
        self._keys: jwt.PyJWKClient | None = None

    def read(self, token: str) -> User:
        """The user of a token.

        Raises:
            InvalidTokenError: it is not the realm's, not for this server, or has ended.
            RealmError: the realm's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _ALGORITHMS:
                raise InvalidTokenError(f"the token is not signed with a public key ({', '.join(_ALGORITHMS)})")
            key = self._jwks().get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                issuer=self.config.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise RealmError(f"{self._shown} does not give its keys; check that it runs") from error
        except jwt.ExpiredSignatureError as error:
            raise InvalidTokenError("the token has expired; log in again") from error
        except (jwt.InvalidTokenError, jwt.PyJWKClientError, jwt.PyJWKSetError, jwt.PyJWKError) as error:
            raise InvalidTokenError("this is no token of this server's realm; log in for one") from error
        audience = claims.get("aud") or []
        if self.config.client not in ([audience] if isinstance(audience, str) else audience) + [claims.get("azp")]:
            raise InvalidTokenError(f"the token is not for {self.config.client}; log in here")
        return User(name=str(claims.get("preferred_username") or claims["sub"]), roles=self._roles(claims))

    def log_in(self, name: str, password: str) -> tuple[User, str, int] | None:
        """User, token and the seconds it holds, or None if the realm refuses name and password; raises RealmError."""
        endpoint = self._discovered().get("token_endpoint")
        form = {"grant_type": "password", "client_id": self.config.client, "username": name, "password": password}
        try:
            answer = requests.post(
                self._trusted(endpoint), data=form | {"scope": "openid"}, timeout=TIMEOUT_S, allow_redirects=False
            )
            body = answer.json()
        except requests.RequestException as error:
            raise RealmError(f"{self._shown} does not answer; nobody can log in until it does") from error
        if answer.status_code in (400, 401) and body.get("error") == "invalid_grant":
            return None
        if answer.status_code == 401:  # Keycloak's answer to a wrong password, before version 18
            return None
        token = body.get("access_token")
        if answer.status_code != 200 or not isinstance(token, str):
            raise RealmError(
                f"{self._shown} answers {answer.status_code} {str(body.get('error'))[:40]} to a log-in by password; "
                f"its client {self.config.client} has to allow that (in Keycloak: direct access grants)"
            )
        try:
            seconds = jwt.decode(token, options={"verify_signature": False})["exp"] - time.time()
            return self.read(token), token, max(1, int(seconds))
        except (InvalidTokenError, jwt.InvalidTokenError, KeyError, TypeError) as error:
            raise RealmError(f"{self._shown} gave a token that does not hold here: {error}") from error

    @property
    def _shown(self) -> str:
        return f"the realm {self.config.issuer}"

    def _roles(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        found: Any = claims
        for step in self.config.roles_claim.split("#"):
            found = found.get(step) if isinstance(found, Mapping) else None
        names = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
        return tuple(role for role in ROLES if self.config.role_prefix + role in names)

    def _jwks(self) -> jwt.PyJWKClient:
        address = self._trusted(self._discovered().get("jwks_uri"))
        with self._lock:
            if self._keys is None or self._keys.uri != address:
                self._keys = jwt.PyJWKClient(address, lifespan=KEYS_S, timeout=TIMEOUT_S)
            return self._keys

    def _discovered(self) -> Mapping[str, Any]:
        """The realm's description of itself; an old one holds while the realm is down."""
        with self._lock:
            if time.monotonic() - self._found_at < DISCOVERY_S:
                return self._found
            try:
                answer = requests.get(
                    f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration", timeout=TIMEOUT_S
                )
                answer.raise_for_status()
                found = answer.json()
            except requests.RequestException as error:
                if self._found:
                    logger.warning("%s does not answer; what it said before holds", self._shown)
                    return self._found
                raise RealmError(f"{self._shown} does not answer; check AMD_DAS_REALM, and that it runs") from error
            if not isinstance(found, dict) or found.get("issuer") != self.config.issuer:
                raise RealmError(f"{self._shown} calls itself otherwise; AMD_DAS_REALM has to be exactly its issuer")
            self._found, self._found_at = found, time.monotonic()
            return found

    def _trusted(self, address: Any) -> str:
        """Raises RealmError unless the address is as safe as the realm's own."""
        parts = urlsplit(address if isinstance(address, str) else "")
        if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
            return str(address)
        raise RealmError(f"{self._shown} names no https address for its keys or tokens; nobody can log in")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
