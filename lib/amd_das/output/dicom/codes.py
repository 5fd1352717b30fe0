"""The words of our DICOM objects: standard codes where there are any, our own scheme for the rest."""

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.coding import Code

from amd_das.conventions import BY_HAND, COLOUR_RGB, OWN_PREFIX

MANUFACTURER: Final = "AMD-DAS"
"""Says which objects are ours, in every one of them."""

ALGORITHM_NAME: Final = "AMD-DAS"

SERIES_DESCRIPTIONS: Final = {
    "seg": f"{OWN_PREFIX}segmentation",
    "sr": f"{OWN_PREFIX}report",
    "sc": f"{OWN_PREFIX}overlay",
}
MADE_BY: Final = {"AUTOMATIC": "", "SEMIAUTOMATIC": f", corrected{BY_HAND}", "MANUAL": f", drawn{BY_HAND}"}
"""What follows the description, by algorithm type."""

SERIES_NUMBERS: Final = {"seg": 9701, "sr": 9702, "sc": 9703}
"""High, so that viewers list results after the scans (ours)."""

ABNORMALITY: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
HEMORRHAGE: Final = Code("50960005", "SCT", "Hemorrhage")
BRAIN: Final = Code("12738006", "SCT", "Brain")
ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")

VOLUME: Final = Code("118565006", "SCT", "Volume")
SUM_OF_VOXELS: Final = Code("126030", "DCM", "Sum of segmented voxel volumes")
NUMBER_OF_LESIONS: Final = Code("246206008", "SCT", "Number of lesions")
LONG_AXIS: Final = Code("103339001", "SCT", "Long axis")
SHORT_AXIS: Final = Code("103340004", "SCT", "Short axis")
ATTENUATION: Final = Code("112031", "DCM", "Attenuation Coefficient")
MEAN: Final = Code("373098007", "SCT", "Mean")
PRESENT: Final = Code("52101004", "SCT", "Present")
ABSENT: Final = Code("2667000", "SCT", "Absent")
YES: Final = Code("373066001", "SCT", "Yes")
NO: Final = Code("373067005", "SCT", "No")
SIDES: Final = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}
COMMENT: Final = Code("121106", "DCM", "Comment")
SUMMARY: Final = Code("121111", "DCM", "Summary")
DEVICE: Final = Code("121007", "DCM", "Device")
CT_OF_HEAD: Final = Code("303653007", "SCT", "Computed tomography of head")
SERIES_UID: Final = Code("112002", "DCM", "Series Instance UID")
ACQUISITION_DATE: Final = Code("126201", "DCM", "Acquisition Date")
ACQUISITION_TIME: Final = Code("126202", "DCM", "Acquisition Time")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")

MILLILITRE: Final = Code("mL", "UCUM", "mL")
MILLIMETRE: Final = Code("mm", "UCUM", "mm")
HOUNSFIELD: Final = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT: Final = Code("%", "UCUM", "Percent")
COUNT: Final = Code("1", "UCUM", "no units")

PRIVATE_SCHEME: Final = "99AMDDAS"
ABC2: Final = Code("ABC2", PRIVATE_SCHEME, "Volume by ABC/2")
ABC2_METHOD: Final = Code("KOTHARI1996", PRIVATE_SCHEME, "ABC/2 (Kothari et al. 1996)")
ABC2_C: Final = Code("ABC2-C", PRIVATE_SCHEME, "Height C of ABC/2")
PRIOR_VOLUME: Final = Code("PRIOR-VOLUME", PRIVATE_SCHEME, "Volume in prior study")
CHANGE: Final = Code("CHANGE", PRIVATE_SCHEME, "Change of volume since prior study")
EXPANSION: Final = Code("EXPANSION", PRIVATE_SCHEME, "Expansion since prior study (> 6 mL or > 33 %)")
PRIOR_STUDY: Final = Code("PRIOR-STUDY", PRIVATE_SCHEME, "Prior study")
PRIOR_SERIES: Final = Code("PRIOR-SERIES", PRIVATE_SCHEME, "CT series of prior study")
PRIOR_DATE: Final = Code("PRIOR-DATE", PRIVATE_SCHEME, "Acquisition date of prior study")


def coding_schemes() -> list[CodingSchemeIdentificationItem]:
    """What a reader is told of our own codes."""
    return [
        CodingSchemeIdentificationItem(
            designator=PRIVATE_SCHEME, name="AMD-DAS private codes", responsible_organization=MANUFACTURER
        )
    ]


def recommended_cielab() -> tuple[int, int, int]:
    """The colour of the label as RecommendedDisplayCIELabValue has it: 16 bits each (DICOM PS3.3 C.10.7.1.1).

    Relative to D65 and not D50, as DCMTK, dcmqi, 3D Slicer and OHIF convert it back: they then show the colour itself.
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in COLOUR_RGB)
    ]
    x, y, z = (
        ratio ** (1 / 3) if ratio > 216 / 24389 else (24389 / 27 * ratio + 16) / 116
        for ratio in (
            sum(a * b for a, b in zip(row, linear, strict=True)) / sum(row) for row in _LINEAR_RGB_TO_XYZ
        )  # white is where all three are 1
    )
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    return round(lightness * 65535 / 100), round((a + 128) * 65535 / 255), round((b + 128) * 65535 / 255)


_LINEAR_RGB_TO_XYZ: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""sRGB, IEC 61966-2-1."""
