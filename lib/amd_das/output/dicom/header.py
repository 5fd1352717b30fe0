"""What our DICOM objects take over from the CT about patient and study, and when it was acquired."""

import re
from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from amd_das.errors import InputError
from amd_das.reading.dicom_files import text, value

REQUIRED_KEYWORDS: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
"""Of the patient and the study; present in every object, if need be empty (type 2)."""

COPIED_KEYWORDS: Final = (
    *REQUIRED_KEYWORDS,
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
"""What is taken over from the CT where it has it."""


def patient_and_study(first: Dataset) -> Dataset:
    """The tags that can be taken over; what is impossible (a sex of "X", a date of "unknown") becomes empty."""
    checks: dict[str, Callable[[str], object]] = {
        "PatientBirthDate": _date,
        "StudyDate": _date,
        "StudyTime": _time,
        "PatientSex": lambda sex: sex if sex in ("M", "F", "O") else "",
        "PatientAge": lambda age: age if re.fullmatch(r"\d{3}[DWMY]", age) else "",
        "PatientIdentityRemoved": lambda flag: flag if flag in ("YES", "NO") else "",
    }
    header = Dataset()
    for keyword in COPIED_KEYWORDS:
        try:
            found = value(first, keyword, "")
            content: Any = found if found is None or isinstance(found, int | float) else text(first, keyword, "")
            if keyword in checks and content is not None:
                content = checks[keyword](str(content))
        except InputError:
            content = None
        if content or keyword in REQUIRED_KEYWORDS:
            setattr(header, keyword, content or None)
    return header


def acquired(first: Dataset) -> tuple[str, str]:
    """(YYYYMMDD, HHMMSS) of the scan, each empty if unknown."""
    for kind in ("Acquisition", "Content", "Series", "Study"):
        try:
            date = _date(text(first, f"{kind}Date", ""))
            time = _time(text(first, f"{kind}Time", ""))
        except InputError:
            continue
        if date:
            return date, time.partition(".")[0]
    return "", ""


def _date(found: str) -> str:
    try:
        return found if re.fullmatch(r"\d{8}", found) and DA(found) else ""
    except ValueError:
        return ""


def _time(found: str) -> str:
    try:
        return found if re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", found) and TM(found) else ""
    except ValueError:
        return ""
