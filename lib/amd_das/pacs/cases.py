"""The head CTs of a PACS as cases to train on: fetched one by one when their turn comes, kept as slices only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amd_das.datasets import CaseFiles
from amd_das.datasets.volumes import read_image
from amd_das.errors import InputError, NotFoundError, NotHeadCtError
from amd_das.output.dicom import read_segmentation
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.dicomweb import DicomWeb
from amd_das.pacs.series import SeriesInfo, StoredResult
from amd_das.reading import write_mask
from amd_das.reading.dicom_files import series_case_id


@dataclass(frozen=True, kw_only=True)
class PacsSeries:
    """A :class:`amd_das.datasets.Remote`."""

    config: PacsConfig
    series: SeriesInfo
    labels: tuple[StoredResult, ...] = ()
    """SEGs that refer to it and that somebody drew or corrected, newest first."""

    @property
    def stamp(self) -> str:
        """The series and how many instances it has, and its newest label."""
        newest = [series_case_id(one.series.series_uid) for one in self.labels[:1]]
        return "-".join([self.series.case_id, str(self.series.instances), *newest])

    def fetch(self, folder: Path) -> Sequence[Path]:
        """Raises PacsError as :meth:`DicomWeb.fetch` does."""
        return DicomWeb(self.config).fetch(self.series, folder)

    def fetch_mask(self, series: Sequence[Path], path: Path) -> Path:
        """The newest label that can be read as a mask of the series.

        Raises:
            PacsError: as :meth:`DicomWeb.read` does.
            InputError, NotFoundError: none can; why the newest cannot.
        """
        files = CaseFiles(case=self.series.case_id, patient="", image=series[0].parent, series=tuple(series))
        volume, web, first = read_image(files), DicomWeb(self.config), None
        for one in self.labels:
            try:
                return write_mask(read_segmentation(web.read(one.series)[0], volume), volume, path)
            except (InputError, NotFoundError) as error:
                first = first or error
        raise first or NotFoundError(f"{self.series.case_id} has no label in the PACS")


def pacs_cts(config: PacsConfig) -> list[CaseFiles]:
    """Every CT series of a PACS, in the order of their names; nothing is fetched yet.

    Raises:
        PacsError: the PACS does not answer, or not as it should.
        NotHeadCtError: it holds no CT.
    """
    return _cases(config, DicomWeb(config), {})


def labelled_cts(config: PacsConfig) -> list[CaseFiles]:
    """Those of them that have a SEG which somebody drew or corrected; our own untouched answers do not count.

    Raises:
        PacsError: the PACS does not answer, or not as it should.
        NotHeadCtError: it holds no CT.
    """
    web = DicomWeb(config)
    by_hand = [one for one in web.segmentations() if not one.is_automatic]
    newest_first = sorted(by_hand, key=lambda one: one.when, reverse=True)
    labels: dict[str, list[StoredResult]] = {}
    for one in newest_first:
        for uid in one.references:
            labels.setdefault(uid, []).append(one)
    return [files for files in _cases(config, web, labels) if files.mask]


def _cases(config: PacsConfig, web: DicomWeb, labels: Mapping[str, Sequence[StoredResult]]) -> list[CaseFiles]:
    found = sorted(web.ct_series(), key=lambda series: series.case_id)
    if not found:
        raise NotHeadCtError(f"the PACS at {config.shown} holds no CT series; send it some head CTs")
    first: dict[str, str] = {}  # patients are called by the first of their cases: a number can be guessed back
    return [
        CaseFiles(
            case=one.case_id,
            patient=first.setdefault(one.patient_id or one.case_id, one.case_id),
            image=Path(one.case_id),
            mask=Path(f"{one.case_id}-seg") if one.series_uid in labels else None,
            remote=PacsSeries(config=config, series=one, labels=tuple(labels.get(one.series_uid, ()))),
        )
        for one in found
    ]
