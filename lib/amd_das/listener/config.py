"""What a listener is told."""

from dataclasses import dataclass
from pathlib import Path

from amd_das.errors import ConfigError
from amd_das.listener.sending import Node, check_ae_title
from amd_das.output.dicom import DICOM_FORMATS
from amd_das.pacs.config import PacsConfig


@dataclass(frozen=True, kw_only=True)
class ListenConfig:
    """Of :class:`amd_das.listener.listener.Listener`. Defaults are ours."""

    destination: Node
    """Where results go."""

    allow: tuple[str, ...]
    """AE titles that may send."""

    spool: Path
    """Folder for what is under way."""

    aet: str = "AMDDAS"
    """Our own AE title; senders have to call it."""

    host: str = "127.0.0.1"
    port: int = 11112
    """TCP port; 0 takes a free one."""

    quiet_s: float = 5.0
    """See :class:`amd_das.listener.arrivals.Arrivals`, as for the next."""

    broken_quiet_s: float = 120.0
    max_gb: float = 20.0
    """Everything in the spool together."""

    max_waiting: int = 200
    """Series that may be under way or wait; further ones are turned away until there is room."""

    keep_hours: float = 6.0
    """How long a series is kept after its result was made, for slices that come late."""

    refused_days: float = 7.0
    """How long series that could not be segmented are kept."""

    formats: tuple[str, ...] = DICOM_FORMATS
    """Of the results."""

    pacs: PacsConfig | None = None
    """Where earlier results of a patient are looked up for the report; None for reports without a comparison."""

    def __post_init__(self) -> None:
        for title in (self.aet, *self.allow):
            check_ae_title(title)
        if not self.allow:
            raise ConfigError("no AE title is allowed to send; name one or more with --allow")
        if unknown := sorted(set(self.formats) - set(DICOM_FORMATS)) or not self.formats:
            raise ConfigError(f"formats {unknown}: expected some of {', '.join(DICOM_FORMATS)}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port {self.port}: expected 0 to 65535")
        if not (0.1 <= self.quiet_s <= self.broken_quiet_s):
            raise ConfigError(
                f"quiet {self.quiet_s:g} s, after a broken connection {self.broken_quiet_s:g} s: expected 0.1 or more, "
                "and the second no less than the first"
            )
        if self.max_gb <= 0 or self.max_waiting < 1 or self.keep_hours < 0 or self.refused_days < 0:
            raise ConfigError("max_gb and max_waiting must be above 0, keep_hours and refused_days not below")
