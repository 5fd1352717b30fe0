"""Everything about the server that can be set, read from the environment in one place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from amd_das.errors import ConfigError
from amd_das.models import MODEL_DIR_VARIABLE
from amd_das.pacs.cache import default_cache_dir

PREFIX = "AMD_DAS_"
WRITES = ("images", "logs", "models", "sessions")
"""What ``AMD_DAS_ALLOW`` may name; saving and deleting labels needs no permission."""

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
"""Names under which a browser on this machine reaches the server."""

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Field ``max_queue`` is set by the environment variable ``AMD_DAS_MAX_QUEUE``, and so on. Defaults are ours."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback there have to be users or a realm."""

    port: int = 8000
    """TCP port; 0 takes a free one."""

    allow: tuple[str, ...] = ()
    """What is off unless asked for, comma separated: "images" (add and remove scans), "sessions" (segment a client's
    own scan under a session id), "models" (replace weights), "logs" (read them over a network)."""

    cors_origins: tuple[str, ...] = ()
    """Origins of other web pages that may call this server, comma separated; never with credentials."""

    allowed_hosts: tuple[str, ...] = ()
    """Further names clients may use for this server (the Host header), comma separated; "*" for any."""

    max_upload_bytes: int = 512 * MIB
    """Largest request body that carries a file, in bytes."""

    max_body_bytes: int = 1 * MIB
    """Largest request body elsewhere, in bytes."""

    max_voxels: int = 512 * 512 * 1024
    """Most voxels of an image or a label once decompressed."""

    max_archive_files: int = 5000
    """Most files in an archive or a session."""

    max_archive_bytes: int = 2048 * MIB
    """Most bytes an archive may unpack to."""

    max_queue: int = 32
    """Most inferences that may wait for one device."""

    score_after: int = 10
    """Seconds without an inference after which scans are scored in the background for the worklist."""

    score_series: int = 100
    """Of a PACS, so many series are fetched and scored, those of the newest studies; of a folder, every scan is."""

    lease_minutes: int = 30
    """Minutes after which a scan that was handed to an annotator, and neither submitted nor segmented again, may be
    handed to another."""

    max_sessions: int = 32
    """Most sessions kept at a time."""

    runs_dir: str = ""
    """Folder for what trainings make and remember, in a folder for each studies folder; empty for ``runs/`` of this
    checkout."""

    auth: str = "auto"
    """"auto": who asks has to log in once there are users or a realm. "off": everybody may do everything."""

    accounts_dir: str = ""
    """Folder for users, the key of their tokens, and the audit log; empty for ``accounts`` in the runs' folder."""

    token_hours: int = 8
    """Hours after which somebody has to log in again; a realm's tokens end when the realm says."""

    realm: str = ""
    """Issuer of an OpenID Connect realm, in place of users of our own."""

    realm_client: str = "amd-das"
    """This server's client id in the realm."""

    realm_roles: str = "realm_access#roles"
    """Claim with the roles in the realm's tokens, # between the steps."""

    realm_prefix: str = "amd-das-"
    """Before the names of our roles in the realm."""

    tls_cert: str = ""
    """PEM file of the certificate with its chain, for https."""

    tls_key: str = ""
    """PEM file of its private key."""

    stop_seconds: int = 20
    """Seconds a training has to keep what it has done once it is stopped; then it is killed."""

    pacs_username: str = field(default="", repr=False)
    """For HTTP basic authentication at the PACS that ``STUDIES=http://…`` names."""

    pacs_password: str = field(default="", repr=False)
    """Goes with the user name."""

    pacs_token: str = field(default="", repr=False)
    """Bearer token for the PACS, instead of user name and password."""

    pacs_timeout: int = 20
    """Seconds without an answer after which the PACS counts as unreachable."""

    cache_dir: str = ""
    """Folder for series fetched from the PACS; empty for ``amd-das/series`` in the user's cache folder."""

    cache_bytes: int = 10240 * MIB
    """Bytes these series may take."""

    cache_hours: int = 24
    """Hours after its last use at which such a series is removed."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"{PREFIX}PORT is {self.port}; expected a TCP port, 0 to 65535")
        if bool(self.pacs_username) != bool(self.pacs_password) or (self.pacs_username and self.pacs_token):
            raise ConfigError(f"set {PREFIX}PACS_USERNAME and {PREFIX}PACS_PASSWORD, or {PREFIX}PACS_TOKEN alone")
        if unknown := sorted(set(self.allow) - set(WRITES)):
            raise ConfigError(f"{PREFIX}ALLOW names {', '.join(unknown)}; allowed: {', '.join(WRITES)}")
        if self.auth not in ("auto", "off"):
            raise ConfigError(f"{PREFIX}AUTH is {self.auth!r}; expected auto or off")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError(f"set both {PREFIX}TLS_CERT and {PREFIX}TLS_KEY, or neither")
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int) and one.name != "port" and value < 1:
                raise ConfigError(f"{PREFIX}{one.name.upper()} is {value}; expected a number above 0")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def runs_folder(self) -> Path:
        """Folder for what trainings make and remember."""
        checkout = Path(__file__).resolve().parents[3]
        return Path(self.runs_dir).expanduser().resolve() if self.runs_dir else checkout / "runs"

    @property
    def accounts_folder(self) -> Path:
        """Folder for users, the key of their tokens, and the audit log; ``amd-das users`` finds it likewise."""
        chosen = self.accounts_dir
        return Path(chosen).expanduser().resolve() if chosen else self.runs_folder / "accounts"

    @property
    def cache_folder(self) -> Path:
        """Folder for series fetched from the PACS."""
        return Path(self.cache_dir).expanduser().resolve() if self.cache_dir else default_cache_dir()

    @property
    def host_names(self) -> frozenset[str]:
        """Values of the Host header that are answered; "*" stands for any."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset((*LOOPBACK_NAMES, *own, *self.allowed_hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host in LOOPBACK_NAMES or host.startswith("127.")


def parse(name: str, text: str, default: Any) -> Any:
    """One environment variable's text as the type of the field's default."""
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{name} is {text!r}; expected a whole number") from None
    return text.strip()


def from_environment(environment: Mapping[str, str]) -> ServerSettings:
    """Settings from ``AMD_DAS_*`` variables; raises ConfigError for an unknown one or an impossible value."""
    known = {PREFIX + one.name.upper(): one for one in fields(ServerSettings)}
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX) and name != MODEL_DIR_VARIABLE}
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigError(f"unknown setting {', '.join(unknown)}; known: {', '.join([*known, MODEL_DIR_VARIABLE])}")
    return ServerSettings(
        **{known[name].name: parse(name, text, known[name].default) for name, text in given.items() if text}
    )


@cache
def server_settings() -> ServerSettings:
    """The settings of this process."""
    return from_environment(os.environ)
