"""What MONAI Label must be told before it starts, in one place."""

import os
import sys
from typing import Final

FILE_EXTENSIONS: Final = (".nii.gz", ".nii", ".nrrd")
"""Files in the studies folder that count as scans, longest first."""

_VALUES: Final[dict[str, bool | str | list[str]]] = {
    # its default tracking address is one that MONAI refuses
    "MONAI_LABEL_TRACKING_ENABLED": False,
    # would start a subprocess at start-up and after every sample; scans are scored by worklist/scorer.py
    "MONAI_LABEL_AUTO_UPDATE_SCORING": False,
    "MONAI_LABEL_DATASTORE_FILE_EXT": [f"*{extension}" for extension in FILE_EXTENSIONS],
    "MONAI_LABEL_PROJECT_NAME": "AMD-DAS",
}


def prepare_monai_label() -> None:
    """Set MONAI Label's options for this process and its children, whether or not MONAI Label is imported yet."""
    for name, value in _VALUES.items():
        text = "[" + ",".join(f'"{item}"' for item in value) + "]" if isinstance(value, list) else str(value)
        os.environ[name] = text
    if config := sys.modules.get("monailabel.config"):
        for name, value in _VALUES.items():
            setattr(config.settings, name, value)
