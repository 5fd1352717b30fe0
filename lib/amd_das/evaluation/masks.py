"""Masks in a folder, by the case they belong to."""

from pathlib import Path
from typing import Final

import numpy as np

from amd_das.errors import GeometryError, InputError, NotFoundError, UnreadableError
from amd_das.reading import read_volume
from amd_das.reading.checks import file_case_id
from amd_das.reading.inputs import MASK_ENDINGS, NIFTI_SUFFIXES, NRRD_SUFFIXES
from amd_das.volume import Volume

OWN_ENDING: Final = "-iph"
"""What a mask of the lesion in question may end with, beside masks of others."""

OTHER_ENDINGS: Final = ("-edh", "-ivh", "-sah", "-sdh")
"""Masks that end so are passed over where the same case has one that ends in ``-iph``."""

_SAME_PLACE = 0.1  # of a voxel's shortest edge


def find_masks(folder: Path) -> dict[str, Path]:
    """Case id → mask: ``NAME.nii.gz``, ``.nii`` or ``.nrrd``, also as ``NAME-iph``, ``NAME_mask``, ``NAME-seg``, ….

    Raises:
        NotFoundError: no such folder.
        UnreadableError: no mask in it, or two for one case.
    """
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is no folder; expected masks in it, as NAME.nii.gz or NAME.nrrd")
    suffixes = (*NIFTI_SUFFIXES, *NRRD_SUFFIXES)
    names = {path: file_case_id(path) for path in sorted(folder.iterdir()) if path.name.lower().endswith(suffixes)}
    known = set(names.values())
    masks: dict[str, Path] = {}
    for path, name in names.items():
        if any(name.endswith(end) and name.removesuffix(end) + OWN_ENDING in known for end in OTHER_ENDINGS):
            continue
        case = next((name[: -len(end)] for end in (OWN_ENDING, *MASK_ENDINGS) if name.lower().endswith(end)), name)
        if case in masks:
            raise UnreadableError(f"{folder} has two masks of {case}: {masks[case].name} and {path.name}; keep one")
        masks[case] = path
    if not masks:
        raise UnreadableError(f"{folder} holds no mask; expected NAME.nii.gz, NAME.nii or NAME.nrrd, one for each case")
    return masks


def read_masks(ref: Path, preds: dict[str, Path]) -> tuple[Volume, dict[str, np.ndarray]]:
    """A reference, and the predictions for the same case on its grid.

    Returns:
        The reference with 0 and 1 in its array, and (I, J, K) bool for each name in ``preds``.

    Raises:
        InputError: one cannot be read, is not binary, or lies on another grid than the reference.
    """
    reference = _binary(ref)
    masks = {}
    for name, path in preds.items():
        pred = _binary(path)
        expected = f"{path} does not lie on the grid of its reference {ref.name}"
        if pred.shape != reference.shape:
            raise GeometryError(
                f"{expected}: shape {pred.shape}, expected {reference.shape}. Resample one to the other's grid."
            )
        if (apart := pred.apart_mm(reference)) > _SAME_PLACE * reference.spacing.min():
            raise GeometryError(f"{expected}: up to {apart:.1f} mm aside of it. Resample one to the other's grid.")
        masks[name] = pred.array > 0
    return reference, masks


def _binary(path: Path) -> Volume:
    try:
        mask = read_volume(path)
    except InputError as error:
        raise type(error)(f"mask {path}: {error}") from error
    others = np.unique(mask.array[mask.array != 0])
    if len(others) > 1 or (others < 0).any():
        listed = ", ".join(f"{value:g}" for value in others[:4]) + (", …" if len(others) > 4 else "")
        raise UnreadableError(
            f"{path} is not binary: it holds {listed} beside 0; expected 0 and one label. Write one label to a mask "
            "of its own (amd-das datasets export does so for known data sets)."
        )
    return mask
