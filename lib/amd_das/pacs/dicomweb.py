"""A PACS over DICOMweb: what is there (QIDO-RS), fetch it (WADO-RS), store results (STOW-RS)."""

import logging
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.conventions import OWN_PREFIX
from amd_das.errors import ConfigError, NotFoundError, PacsCredentialsError, PacsError, PacsUnreachableError
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.connection import in_our_words, open_session
from amd_das.pacs.fetching import fetch_series
from amd_das.pacs.series import (
    SERIES_FIELDS,
    Json,
    SeriesInfo,
    StoredResult,
    holds_slices,
    is_uid,
    looks_like_no_stack,
    references,
    series_info,
    value,
)
from amd_das.pacs.storing import as_file, failures, stored_count

__all__ = ["DicomWeb", "PacsConfig", "SeriesInfo", "StoredResult"]

logger = logging.getLogger(__name__)

PAGE: Final = 200
"""Entries asked for at a time (ours)."""

MAX_ENTRIES: Final = 100_000
"""Entries after which a list is cut (ours)."""

MAX_PRIOR_STUDIES: Final = 20
"""Of a patient's earlier studies, so many of the latest are looked into (ours)."""

_MAX_REMEMBERED: Final = 50_000


class DicomWeb:
    """One PACS. Safe across threads; nothing is asked of it before a method is called.

    Every method raises PacsUnreachableError, PacsCredentialsError or PacsError when the PACS does not do its part.
    """

    def __init__(self, config: PacsConfig) -> None:
        self.config = config
        self._session = open_session(config)
        logging.getLogger("dicomweb_client").setLevel(logging.WARNING)  # it logs the UIDs of studies
        try:
            self._client = DICOMwebClient(config.root, session=self._session, permissive_uid=True)
        except ValueError as error:
            raise ConfigError(f"the PACS address {config.url!r} cannot be used: {error}") from None
        self._client.set_http_retry_params(retry=False)  # it would repeat what stores; the session repeats reads
        self._lock = threading.Lock()
        self._is_stack: dict[tuple[str, int], bool] = {}
        self._references: dict[tuple[str, int], frozenset[str]] = {}

    def ct_series(self, study_uid: str | None = None) -> list[SeriesInfo]:
        """Every CT series, or those of one study, without localizers, screenshots and dose reports."""
        return [series for series in self._series({"Modality": "CT"}, study_uid) if self._is_ct_stack(series)]

    def find_series(self, series_uid: str, study_uid: str | None = None) -> SeriesInfo:
        """One series of any modality as it is now, its instances counted; raises NotFoundError."""
        found = self._series({"SeriesInstanceUID": series_uid}, study_uid) if is_uid(series_uid) else []
        series = next((one for one in found if one.series_uid == series_uid), None)
        if series is None:
            raise NotFoundError(f"no series {series_uid[:64]!r} in the PACS at {self.config.shown}")
        if not series.instances:
            series = replace(series, instances=len(self._instances(series)))
        return series

    def fetch(self, series: SeriesInfo, folder: Path) -> list[Path]:
        """Every instance as a file of its own in ``folder`` (made, mode 0700; files 0600), as the PACS stores it.

        Whole or not at all: the files are as many as ``series.instances``, and all of this series.

        Raises:
            TooLargeError: more bytes or instances than the configuration allows.
            PacsError: it broke off, or the count differs; a series that is still growing needs a fresh SeriesInfo.
        """
        return fetch_series(self._session, self.config, series, folder)

    def store(self, datasets: Sequence[Dataset]) -> None:
        """STOW-RS; storing an instance again is no error. Raises PacsError saying what was not stored, and why."""
        if not datasets:
            return
        what = f"storing {len(datasets)} object(s)"
        with in_our_words(self.config, what):
            try:
                answer = self._client.store_instances([as_file(dataset) for dataset in datasets])
            except requests.HTTPError as error:
                if not (failed := failures(error.response)):
                    raise
            else:
                failed = failures(answer)
                if not failed and stored_count(answer) not in (None, len(datasets)):
                    failed = [f"only {stored_count(answer)} of {len(datasets)} were confirmed"]
        if failed:
            raise PacsError(f"the PACS at {self.config.shown} did not store everything: {'; '.join(failed[:5])}")
        logger.info("stored %d object(s) in the PACS", len(datasets))

    def segmentations(self, study_uid: str | None = None) -> list[StoredResult]:
        """Every SEG series, whoever made it, or those of one study, with what each refers to."""
        return [self._result(series) for series in self._series({"Modality": "SEG"}, study_uid)]

    def results_for(self, series: SeriesInfo) -> list[StoredResult]:
        """Our SEG and SR series that refer to this one, newest first."""
        found = [
            self._result(one)
            for modality in ("SEG", "SR")
            for one in self._series({"Modality": modality}, series.study_uid)
        ]
        ours = [one for one in found if one.is_ours and series.series_uid in one.references]
        return sorted(ours, key=lambda one: one.when, reverse=True)

    def read(self, series: SeriesInfo) -> list[Dataset]:
        """The objects of a small series, such as a SEG or SR, in memory."""
        with tempfile.TemporaryDirectory(prefix="amd-das-") as folder:
            files = self.fetch(self.find_series(series.series_uid, series.study_uid), Path(folder) / "series")
            with in_our_words(self.config, "an object"):
                return [dcmread(file) for file in files]

    def prior_reports(self, series: SeriesInfo) -> list[Dataset]:
        """Our SRs in the patient's earlier studies, latest study first; none where patient or date are unknown.

        Both are as the PACS has them, or as ``series`` says where the PACS does not have that study (yet).
        """
        study = self._study(series)
        patient = value(study, "PatientID") or series.patient_id
        now = (
            (value(study, "StudyDate"), value(study, "StudyTime")) if study else (series.study_date, series.study_time)
        )
        if not patient or not now[0] or any(sign in patient for sign in "*?\\"):  # would match other patients
            return []
        earlier = sorted(
            (
                ((value(one, "StudyDate"), value(one, "StudyTime")), value(one, "StudyInstanceUID"))
                for one in self._search("studies", {"PatientID": patient}, fields=("StudyDate", "StudyTime"))
                if value(one, "PatientID") == patient
            ),
            reverse=True,
        )
        uids = [uid for when, uid in earlier if when[0] and when < now and uid != series.study_uid]
        return [
            dataset
            for uid in uids[:MAX_PRIOR_STUDIES]
            for one in self._series({"Modality": "SR"}, uid)
            if one.description.startswith(OWN_PREFIX)
            for dataset in self.read(one)
        ]

    def _study(self, series: SeriesInfo) -> Json:
        fields = ("PatientID", "StudyDate", "StudyTime")
        found = self._search("studies", {"StudyInstanceUID": series.study_uid}, fields=fields)
        return next((one for one in found if value(one, "StudyInstanceUID") == series.study_uid), {})

    def _series(self, filters: Mapping[str, str], study_uid: str | None = None) -> list[SeriesInfo]:
        """Series that match; checked again here, because a PACS may ignore what it cannot filter by."""
        found = self._search("series", filters, study_uid, fields=SERIES_FIELDS)
        listed = [info for item in found if (info := series_info(item, study_uid or ""))]
        modality = filters.get("Modality")
        return [
            one
            for one in listed
            if (modality is None or one.modality == modality) and (study_uid is None or one.study_uid == study_uid)
        ]

    def _instances(self, series: SeriesInfo) -> list[Json]:
        fields = ("ImageType", "SOPClassUID")
        try:
            return self._search("instances", {}, series.study_uid, series.series_uid, fields=fields)
        except NotFoundError:  # removed since it was listed
            return []

    def _search(
        self, kind: str, filters: Mapping[str, str], *levels: str | None, fields: Sequence[str] = ()
    ) -> list[Json]:
        """A whole QIDO answer, page by page; entries that come twice are dropped."""
        search: Any = getattr(self._client, f"search_for_{kind}")
        key = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}[kind]
        found: dict[str, Json] = {}
        asked = 0
        with in_our_words(self.config, f"its {kind}"):
            while asked < MAX_ENTRIES:
                page = search(*levels, search_filters=dict(filters), fields=list(fields), limit=PAGE, offset=asked)
                before = len(found)
                found |= {uid: item for item in page if (uid := value(item, key))}
                asked += len(page)
                if len(found) == before:  # the end, or a PACS that pays no heed to the offset
                    break
        return list(found.values())

    def _is_ct_stack(self, series: SeriesInfo) -> bool:
        if not looks_like_no_stack(series):
            return True
        key = (series.series_uid, series.instances)
        if key not in self._is_stack:
            answer = holds_slices(series, self._instances(series))
            self._remember(self._is_stack, key, answer)
        return self._is_stack[key]

    def _result(self, series: SeriesInfo) -> StoredResult:
        key = (series.series_uid, series.instances)
        if key not in self._references:
            try:
                with in_our_words(self.config, "the metadata of a result"):
                    metadata = self._client.retrieve_series_metadata(series.study_uid, series.series_uid)
                    found = frozenset(uid for one in metadata for uid in references(one))
            except (PacsUnreachableError, PacsCredentialsError):
                raise
            except (PacsError, NotFoundError) as error:  # one odd object must not hide all others
                logger.warning("%s, a %s: what it refers to is unknown: %s", series.case_id, series.modality, error)
                found = frozenset()
            self._remember(self._references, key, found)
        return StoredResult(series=series, references=self._references[key])

    def _remember(self, memory: dict, key: tuple[str, int], answer: object) -> None:
        with self._lock:
            if len(memory) >= _MAX_REMEMBERED:
                memory.pop(next(iter(memory)))
            memory[key] = answer
