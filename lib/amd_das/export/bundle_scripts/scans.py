"""Head CTs from disk, and masks back to it, as transforms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from amd_das.errors import NotFoundError
from amd_das.reading import find_inputs, read_volume, write_mask
from amd_das.volume import Volume

CASE, SPACING_KNOWN = "case", "spacing_known"
"""Names in a tensor's meta data."""


def find_scans(place: str) -> list[dict[str, Any]]:
    """Every NIfTI or NRRD file and DICOM series in a folder, or the one file named; masks are passed over.

    A place that is not there has none, so that configs can be looked at without scans; see :func:`check_scans`.

    Raises:
        UnreadableError, NotHeadCtError: there are files, and no scan among them.
    """
    return [{"image": found} for found in find_inputs([Path(place)])] if Path(place).exists() else []


def check_scans(scans: Sequence[Any], place: str) -> None:
    """Before anything is run.

    Raises:
        NotFoundError: there are none.
    """
    if not scans:
        raise NotFoundError(f"{place} does not exist; expected head CTs, as in --dataset_dir SCANS")


class ReadHeadCtd(MapTransform):
    """A path, or what :func:`find_scans` found → (1, I, J, K) float32 MetaTensor in HU, axes as they are stored.

    Raises:
        InputError: it cannot be read, or is no CT.
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys)

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        read = dict(data)
        for key in self.key_iterator(read):
            volume = read_volume(read[key])
            meta = {CASE: volume.case_id, SPACING_KNOWN: volume.spacing_known}
            read[key] = MetaTensor(volume.array[None], affine=torch.from_numpy(volume.affine), meta=meta)
        return read


class WriteMaskd(MapTransform):
    """(1, I, J, K) mask → ``<output_dir>/<case>_seg.nii.gz`` on exactly the grid of the scan; the file is whole or not
    there, and one of an earlier run is replaced."""

    def __init__(self, keys: KeysCollection, output_dir: str) -> None:
        super().__init__(keys)
        self.folder = Path(output_dir)

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in self.key_iterator(dict(data)):
            mask: MetaTensor = data[key]
            array = mask.as_tensor()[0].cpu().numpy().astype(np.uint8)
            grid = Volume(array=array, affine=mask.affine.cpu().numpy(), case_id=str(mask.meta[CASE]))
            write_mask(array, grid, self.folder / f"{grid.case_id}_seg.nii.gz")
        return dict(data)
