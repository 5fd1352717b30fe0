"""What all our DICOM objects share: identity, patient and study, who made them."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from highdicom import ContentQualificationValues
from pydicom.dataset import Dataset
from pydicom.uid import UID

from amd_das import __version__
from amd_das.models import ModelInfo
from amd_das.output.dicom.codes import MADE_BY, MANUFACTURER, SERIES_DESCRIPTIONS, SERIES_NUMBERS
from amd_das.output.dicom.source import Source

ALGORITHM_TYPES: Final = ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL")

DEVICE_UID: Final = "2.25.168040726013190352306308373923724941522"
"""This software as the observer of a report, the same in every version (a UUID)."""

_NAMESPACE: Final = uuid.UUID("9f4b6f3e-2f0d-4a8c-8a55-6b1b0f6f7a11")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Which result an object tells of; equal results have equal UIDs, so that one sent twice is one instance."""

    series_uid: str
    mask_digest: str
    model: ModelInfo | None
    algorithm_type: str
    attempt: int

    @classmethod
    def of(
        cls, source: Source, mask: np.ndarray, *, model: ModelInfo | None, algorithm_type: str, attempt: int
    ) -> "Result":
        """The result of one mask, (I, J, K), lesion where not 0."""
        digest = hashlib.sha256(repr(mask.shape).encode())
        digest.update(np.packbits(mask != 0).tobytes())
        return cls(
            series_uid=source.series_uid,
            mask_digest=digest.hexdigest(),
            model=model,
            algorithm_type=algorithm_type,
            attempt=attempt,
        )

    @property
    def algorithm_version(self) -> str:
        """Of the model, or of the software where no model was at work."""
        return self.model.version if self.model else __version__

    def uid(self, *role: object) -> str:
        """The UID of a part of this result."""
        checksum = self.model.checksum if self.model else ""
        return derived_uid(
            __version__, self.series_uid, checksum, self.mask_digest, self.algorithm_type, self.attempt, *role
        )

    def instance(self, kind: str, number: int = 1, *more: object) -> dict[str, Any]:
        """Arguments every highdicom object takes; ``more`` is what else its content depends on."""
        return {
            "series_instance_uid": self.uid(kind, "series", *more),
            "series_number": SERIES_NUMBERS[kind],
            "sop_instance_uid": self.uid(kind, number, *more),
            "instance_number": number,
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": "AMD-DAS",
            "device_serial_number": self.algorithm_version,
            "software_versions": f"amd-das {__version__}",
            "series_description": SERIES_DESCRIPTIONS[kind] + MADE_BY[self.algorithm_type],
            "content_qualification": ContentQualificationValues.RESEARCH,
        }


def derived_uid(*parts: object) -> str:
    """A UID that depends on nothing but its parts (a name-based UUID, DICOM PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, repr(parts)).int}"


def finished(built: Dataset, source: Source, result: Result) -> Dataset:
    """A highdicom object as a plain dataset, with patient and study of the CT, in UTF-8.

    highdicom is given no patient: it would write names it finds odd to the log.
    """
    dataset = Dataset()
    dataset.update(built)
    dataset.update(source.header)
    if result.model:
        dataset.SoftwareVersions = [dataset.SoftwareVersions, f"model {result.model.version}"]
    now = datetime.now()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    dataset.SeriesDate, dataset.SeriesTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    if len(dataset.get("PixelData", b"")) % 2:
        dataset.PixelData += b"\0"
    dataset.file_meta, dataset.preamble = built.file_meta, built.preamble
    dataset.is_little_endian, dataset.is_implicit_VR = built.is_little_endian, built.is_implicit_VR
    return dataset


def replaced_uids(dataset: Dataset, replacements: Mapping[str, str]) -> None:
    """Exchange UIDs everywhere in a dataset."""
    for element in dataset.iterall():
        if element.VR == "UI" and isinstance(element.value, str) and element.value in replacements:
            element.value = UID(replacements[element.value])
