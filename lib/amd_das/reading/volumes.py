"""One image, whatever its format."""

from dataclasses import replace
from pathlib import Path

from amd_das.errors import GeometryError, UnreadableError
from amd_das.reading.config import ReadingConfig
from amd_das.reading.dicom import read_dicom
from amd_das.reading.inputs import Input, find_inputs
from amd_das.reading.nifti import read_nifti
from amd_das.reading.nrrd import read_nrrd
from amd_das.volume import Volume


def read_volume(source: Path | str | Input, config: ReadingConfig | None = None) -> Volume:
    """Read one image in HU with its geometry.

    Args:
        source: a NIfTI, NRRD or DICOM file, a folder with one DICOM series or one file, or what ``find_inputs`` found.
        config: limits; the defaults fit any head CT.

    Returns:
        (I, J, K) float32; a single slice has depth 1. Values between -4096 and -1024 are padding and become -1024.

    Raises:
        NotFoundError: the path does not exist.
        UnreadableError: no image, truncated, empty, broken tags.
        GeometryError: not three axes, an impossible affine, slices missing, duplicate or uneven, several series.
        NotHeadCtError: colour, complex, not finite, another modality than CT.
        TooLargeError: more bytes or voxels than ``config`` allows.
    """
    config = config or ReadingConfig()
    if not isinstance(source, Input):
        found = find_inputs([Path(source)])
        if len(found) > 1:
            listed = "; ".join(one.description for one in found)
            raise GeometryError(
                f"{Path(source).name} holds {len(found)} images, expected one: {listed}. "
                "Put each in a folder of its own, or name one file."
            )
        source = found[0]
    try:
        if source.kind == "dicom":
            volume = read_dicom(source.files, config)
        else:
            volume = {"nifti": read_nifti, "nrrd": read_nrrd}[source.kind](source.path, config)
    except OSError as error:
        raise UnreadableError(f"{source.path.name} cannot be opened: {error}; check its permissions") from error
    return replace(volume, case_id=source.case_id)
