"""What a PACS tells about its series, from DICOM JSON."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.datadict import tag_for_keyword

from amd_das.conventions import BY_HAND, OWN_PREFIX
from amd_das.reading.dicom_files import CT_CLASSES, series_case_id

Json = Mapping[str, Any]

SERIES_FIELDS: Final = (
    "SeriesDescription", "NumberOfSeriesRelatedInstances", "StudyDate", "StudyTime", "SeriesDate", "SeriesTime",
    "PatientID", "ImageType", "SOPClassUID",
)  # fmt: skip
"""Asked for with every series, besides what comes anyway; a PACS may leave out what it does not know."""

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_SCOUT: Final = re.compile(r"\b(scout|localizer|localiser|topogram|surview|scanogram|dose (report|info))\b", re.I)


@dataclass(frozen=True, kw_only=True)
class SeriesInfo:
    """One series in the PACS."""

    study_uid: str
    series_uid: str
    modality: str = ""
    description: str = ""
    """SeriesDescription."""

    instances: int = 0
    """How many the PACS has; 0 where it does not tell."""

    study_date: str = ""
    """YYYYMMDD."""

    study_time: str = ""
    """HHMMSS, possibly with a fraction."""

    series_date: str = ""
    series_time: str = ""
    patient_id: str = field(default="", repr=False)
    image_type: str = ""
    """ImageType of one instance, its values joined by a backslash; empty where the PACS does not tell."""

    sop_class: str = ""
    """SOPClassUID of one instance; empty where the PACS does not tell."""

    @property
    def case_id(self) -> str:
        """A name for logs and results that tells nothing about the patient."""
        return series_case_id(self.series_uid)


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """A SEG or SR series in the PACS, and what it is about."""

    series: SeriesInfo
    references: frozenset[str]
    """SeriesInstanceUIDs that it refers to."""

    @property
    def is_ours(self) -> bool:
        """Whether this software, in any version, made it."""
        return self.series.description.startswith(OWN_PREFIX)

    @property
    def is_automatic(self) -> bool:
        """Whether this software made it and nobody has corrected it."""
        return self.is_ours and not self.series.description.endswith(BY_HAND)

    @property
    def when(self) -> tuple[str, str]:
        """(date, time) of the series, to put results in order."""
        return self.series.series_date or self.series.study_date, self.series.series_time


def is_uid(text: str) -> bool:
    """Whether a text can be a DICOM UID."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def value(item: Json, keyword: str) -> str:
    """A tag's value as text, several joined by a backslash, empty where absent."""
    return "\\".join(str(one) for one in _values(item, keyword) if not isinstance(one, Mapping)).strip()


def _values(item: Json, keyword: str) -> Sequence[Any]:
    return (item.get(f"{tag_for_keyword(keyword):08X}") or {}).get("Value") or []


def series_info(item: Json, study_uid: str = "") -> SeriesInfo | None:
    """One entry of a QIDO answer about series; None without UIDs. ``study_uid`` where the answer leaves it out."""
    study, series = value(item, "StudyInstanceUID") or study_uid, value(item, "SeriesInstanceUID")
    if not (is_uid(study) and is_uid(series)):
        return None
    count = value(item, "NumberOfSeriesRelatedInstances")
    return SeriesInfo(
        study_uid=study,
        series_uid=series,
        modality=value(item, "Modality").upper(),
        description=value(item, "SeriesDescription"),
        instances=int(count) if count.isdigit() else 0,
        study_date=value(item, "StudyDate"),
        study_time=value(item, "StudyTime"),
        series_date=value(item, "SeriesDate"),
        series_time=value(item, "SeriesTime"),
        patient_id=value(item, "PatientID"),
        image_type=value(item, "ImageType"),
        sop_class=value(item, "SOPClassUID"),
    )


FEW_INSTANCES: Final = 3
"""A series of so few may be a localizer or a screenshot, and each of its instances is looked at (ours)."""


def looks_like_no_stack(series: SeriesInfo) -> bool:
    """Whether what is known of a series leaves it open that it holds no axial slices, only localizers and the like."""
    return series.instances <= FEW_INSTANCES or not _is_slice(series.image_type, series.sop_class)


def holds_slices(series: SeriesInfo, instances: Sequence[Json]) -> bool:
    """Whether any of a series' instances, as QIDO lists them, is a slice; what QIDO does not tell counts as one."""
    if _SCOUT.search(series.description.replace("_", " ")) and series.instances <= FEW_INSTANCES:
        return False
    return not instances or any(_is_slice(value(one, "ImageType"), value(one, "SOPClassUID")) for one in instances)


def _is_slice(image_type: str, sop_class: str) -> bool:
    return "LOCALIZER" not in image_type.upper() and (not sop_class or sop_class in CT_CLASSES)


def references(metadata: Json) -> Iterator[str]:
    """SeriesInstanceUIDs that a SEG or SR refers to."""
    evidence = [
        one
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for one in _values(metadata, keyword)
    ]
    for level in (metadata, *evidence):
        for item in _values(level, "ReferencedSeriesSequence"):
            if uid := value(item, "SeriesInstanceUID"):
                yield uid
