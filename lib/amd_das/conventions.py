"""Names, colours and sentences that every output shares: the one place where they are defined."""

from typing import Final

LABEL_NAME: Final = "hemorrhage"
"""The label as MONAI Label, 3D Slicer and OHIF show it."""

LABELS: Final[dict[str, int]] = {LABEL_NAME: 1}
"""Label name to voxel value in a mask; background is 0."""

SEGMENT_LABEL: Final = "Intraparenchymal hemorrhage"
"""The label in words, for reports and DICOM SegmentLabel."""

COLOUR_RGB: Final = (188, 65, 28)
"""The colour 3D Slicer, OHIF and MONAI Label use for "bleeding" (0-255 each)."""

LINE_RGB: Final = tuple(round(part * 255 / max(COLOUR_RGB)) for part in COLOUR_RGB)
"""The same at full brightness, for thin lines on grey."""

OWN_PREFIX: Final = "AMD-DAS "
"""What the SeriesDescription of every DICOM series of ours begins with."""

BY_HAND: Final = " by hand"
"""What it ends with where somebody corrected or drew the outline."""

RESEARCH_NOTICE: Final = "Research use only. Not a medical device: not for diagnosis or treatment."
"""Said wherever a user sees a result."""

PRESETS: Final = ("shipped", "adapt", "renew", "smoke", "paper")
"""Of the pipeline, as every command and list offers them; the first is the usual one."""

DICOM_FORMATS: Final = ("seg", "sr", "sc")
"""What a result can be in DICOM: segmentation, structured report, pictures (secondary capture)."""
