"""The head CTs of a PACS as cases to train on: fetched one by one when their turn comes, kept as slices only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amd_das.datasets import CaseFiles
from amd_das.errors import NotHeadCtError
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.dicomweb import DicomWeb
from amd_das.pacs.series import SeriesInfo


@dataclass(frozen=True, kw_only=True)
class PacsSeries:
    """A :class:`amd_das.datasets.Remote`."""

    config: PacsConfig
    series: SeriesInfo

    @property
    def stamp(self) -> str:
        """The series and how many instances it has."""
        return f"{self.series.case_id}-{self.series.instances}"

    def fetch(self, folder: Path) -> Sequence[Path]:
        """Raises PacsError as :meth:`DicomWeb.fetch` does."""
        return DicomWeb(self.config).fetch(self.series, folder)


def pacs_cts(config: PacsConfig) -> list[CaseFiles]:
    """Every CT series of a PACS, in the order of their names; nothing is fetched yet.

    Raises:
        PacsError: the PACS does not answer, or not as it should.
        NotHeadCtError: it holds no CT.
    """
    found = sorted(DicomWeb(config).ct_series(), key=lambda series: series.case_id)
    if not found:
        raise NotHeadCtError(f"the PACS at {config.shown} holds no CT series; send it some head CTs")
    first: dict[str, str] = {}  # patients are called by the first of their cases: a number can be guessed back
    return [
        CaseFiles(
            case=one.case_id,
            patient=first.setdefault(one.patient_id or one.case_id, one.case_id),
            image=Path(one.case_id),
            remote=PacsSeries(config=config, series=one),
        )
        for one in found
    ]
