"""Which PACS, and how long it may take."""

import os
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from amd_das.errors import ConfigError

_CREDENTIALS: Final = ("USERNAME", "PASSWORD", "TOKEN")


@dataclass(frozen=True, kw_only=True)
class PacsConfig:
    """One DICOMweb service. Credentials are in no ``repr`` and in no message."""

    url: str
    """Root of the service, as in http://127.0.0.1:8042/dicom-web; without user name and password."""

    username: str = field(default="", repr=False)
    """For HTTP basic authentication, together with ``password``."""

    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """Bearer token, instead of user name and password."""

    timeout_s: float = 20.0
    """Seconds without an answer, or without a further byte of it, after which the PACS counts as unreachable (ours)."""

    fetch_timeout_s: float = 900.0
    """Seconds one series may take to arrive (ours)."""

    max_series_bytes: int = 2**30
    """Bytes one series may have (ours: as :class:`amd_das.reading.ReadingConfig`)."""

    max_series_files: int = 5000
    """Instances one series may have (ours)."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            raise ConfigError("the PACS address holds a user name or password; give them as settings of their own")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"the PACS address is {self.url!r}; expected one such as http://host:8042/dicom-web")
        if bool(self.username) != bool(self.password):
            raise ConfigError("the PACS needs a user name and a password, but only one of them is set")
        if self.token and self.username:
            raise ConfigError("both a token and a user name are set for the PACS; set one of them")
        if not 0 < self.timeout_s <= 3600 or self.fetch_timeout_s <= 0 or self.max_series_bytes < 1:
            raise ConfigError(
                f"PACS timeouts are {self.timeout_s} s and {self.fetch_timeout_s} s, at most {self.max_series_bytes} "
                "bytes a series; expected numbers above 0, the first at most 3600"
            )

    @classmethod
    def from_environment(cls, url: str) -> "PacsConfig":
        """With the credentials in ``AMD_DAS_PACS_USERNAME`` and ``_PASSWORD``, or ``_TOKEN``; raises ConfigError."""
        username, password, token = (os.environ.get(f"AMD_DAS_PACS_{name}", "") for name in _CREDENTIALS)
        return cls(url=url, username=username, password=password, token=token)

    @property
    def root(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def shown(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc
