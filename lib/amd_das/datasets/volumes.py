"""One case read: its image, and its mask on the same grid."""

import hashlib
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from amd_das.datasets.folders import CaseFiles
from amd_das.errors import GeometryError, InputError, UnreadableError
from amd_das.reading import Input, ReadingConfig, read_volume
from amd_das.reading.checks import check_affine, check_file_size, check_number_type, check_shape, check_values
from amd_das.reading.inputs import NIFTI_SUFFIXES
from amd_das.volume import Volume

_CHUNK_BYTES = 2**20
_SAME_PLACE = 0.1  # of a voxel's shortest edge


def read_image(files: CaseFiles, config: ReadingConfig | None = None) -> Volume:
    """The image; of a NIfTI file with several channels the case's one, and nothing more of it is read.

    Raises:
        InputError: see :func:`amd_das.reading.read_volume`; the channel is not there.
    """
    if files.load_image is not None:
        return files.load_image(files, config or ReadingConfig())
    if files.series:
        series = Input(
            path=files.image, files=files.series, kind="dicom", case_id=files.case, description="DICOM series"
        )
        with made_up_uids():
            return read_volume(series, config)
    if files.image.name.lower().endswith(NIFTI_SUFFIXES):
        channel = _channel(files, config or ReadingConfig())
        if channel is not None:
            return channel
    return read_volume(files.image, config)


@contextmanager
def made_up_uids() -> Iterator[None]:
    """Without pydicom's warning for each UID that is none: de-identified sets are full of them (RSNA's ID_…)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value for VR UI")
        yield


def read_mask(files: CaseFiles, like: Volume, config: ReadingConfig | None = None) -> np.ndarray:
    """The mask, on the grid of its image: (I, J, K) bool, where the case's lesion is.

    Raises:
        UnreadableError: there is no mask, or it is damaged.
        GeometryError: it is on another grid.
    """
    if files.mask is None:
        raise UnreadableError(f"{files.case} has no mask; expected one beside the others, named like the image")
    mask, place = _mask(files, config or ReadingConfig())
    if mask.shape != like.shape:
        raise GeometryError(
            f"the mask {files.mask.name} has shape {mask.shape}, its image {like.shape}; expected the same grid. "
            "Resample the mask to its image."
        )
    if place is not None and (furthest := place.apart_mm(like)) > _SAME_PLACE * like.spacing.min():
        raise GeometryError(
            f"the mask {files.mask.name} lies up to {furthest:.1f} mm aside of its image; expected the same grid. "
            "Resample the mask to its image."
        )
    return mask


def has_lesion(files: CaseFiles, config: ReadingConfig | None = None) -> bool:
    """Whether the mask is there, readable, and shows the case's lesion anywhere."""
    try:
        return files.mask is not None and bool(_mask(files, config or ReadingConfig())[0].any())
    except InputError:
        return False


def _mask(files: CaseFiles, config: ReadingConfig) -> tuple[np.ndarray, Volume | None]:
    """(I, J, K) bool, and where it lies in space if its file says so."""
    assert files.mask is not None
    place = read_volume(files.mask, config) if files.load_mask is None else None
    values = place.array if place is not None else files.load_mask(files, config)  # type: ignore[misc]
    mask = np.isin(values, files.mask_values) if files.mask_values else values > 0
    if files.mask_slices is not None:
        mask[:, :, [number for number in range(mask.shape[2]) if number not in files.mask_slices]] = False
    return mask, place


def sha256(files: CaseFiles) -> str:
    """Hex digest of the image's bytes; of a DICOM series that of its files' digests, sorted."""
    digests = []
    for path in files.series or (files.image,):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        digests.append(digest.hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _channel(files: CaseFiles, config: ReadingConfig) -> Volume | None:
    """One channel of a four-dimensional NIfTI file; None for any other, which `read_volume` reads or refuses."""
    name = files.image.name
    check_file_size([files.image], name, config)
    try:
        image: Any = nibabel.load(files.image)
        count = image.shape[3] if len(image.shape) == 4 else 1
        if files.channel >= count:
            raise GeometryError(
                f"{name} holds {count} channel(s); expected FLAIR as number {files.channel}, counted from 0. Give the "
                "images as they are distributed."
            )
        if count < 2:
            return None
        check_number_type(image.get_data_dtype(), name)
        check_shape(image.shape[:3], name, config)
        affine = check_affine(image.affine, name)
        array = np.asarray(image.dataobj[..., files.channel], np.float32)
    except (ImageFileError, HeaderDataError, EOFError, OSError, ValueError, zlib.error) as error:
        raise UnreadableError(f"{name} is damaged ({error}); copy or export it again") from error
    placed = image.header["sform_code"] > 0 or image.header["qform_code"] > 0
    return Volume(
        array=check_values(array, name), affine=affine, case_id=files.case, source="nifti", spacing_known=bool(placed)
    )
