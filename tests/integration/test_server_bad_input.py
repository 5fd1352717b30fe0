"""Whatever is sent instead of a head CT: a 4xx with its reason, nothing left behind, and the server stays up."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.heads import AFFINE, make_head
from helpers.running_server import RunningServer
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

pytestmark = pytest.mark.integration

HEAD, _ = make_head()
RANDOM = np.random.default_rng(0)


def nifti(array: np.ndarray, affine: np.ndarray = AFFINE) -> bytes:
    return nibabel.Nifti1Image(array, affine).to_bytes()


def with_shape(*shape: int) -> bytes:
    """A header that claims this shape, and few voxels."""
    content = bytearray(nifti(HEAD[:4, :4, :4]))
    content[40:56] = struct.pack("<8h", len(shape), *shape, *[1] * (7 - len(shape)))
    return bytes(content)


def bomb() -> bytes:
    """A header of 100 million voxels, then zeros: 200 kB that become 200 MB."""
    header = with_shape(1000, 1000, 100)[:352]
    return gzip.compress(header + bytes(200_000_000), 9)


def colour() -> bytes:
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nifti(np.zeros(HEAD.shape, dtype))


FILES: dict[str, tuple[str, Callable[[], bytes], int, str]] = {
    "empty": ("x.nii.gz", lambda: b"", 422, "empty"),
    "text": ("x.nii.gz", lambda: b"this is no image", 422, "not a NIfTI"),
    "random bytes": ("x.nii", lambda: RANDOM.bytes(4000), 422, "not a NIfTI"),
    "text as NRRD": ("x.nrrd", lambda: b"this is no image", 422, "NRRD"),
    "text as DICOM": ("x.dcm", lambda: b"this is no image", 422, ""),
    "other kind of file": ("x.png", lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), 422, ""),
    "no suffix": ("scan", lambda: b"this is no image", 422, ""),
    "truncated": ("x.nii.gz", lambda: gzip.compress(nifti(HEAD))[:-5000], 422, ""),
    "damaged": ("x.nii.gz", lambda: gzip.compress(nifti(HEAD))[:2000] + bytes(2000), 422, ""),
    "bomb": ("x.nii.gz", bomb, 413, "max_voxels"),
    "absurd header": ("x.nii", lambda: with_shape(30000, 30000, 30000), 413, "max_voxels"),
    "negative shape": ("x.nii", lambda: with_shape(-3, 4, 4), 422, "shape"),
    "two axes": ("x.nii", lambda: nifti(HEAD[:, :, 5], np.eye(4)), 422, "flat picture"),
    "four axes": ("x.nii", lambda: nifti(np.stack([HEAD, HEAD], 3)), 422, "4 axes"),
    "colour": ("x.nii", colour, 422, "colour"),
    "not a number": ("x.nii", lambda: nifti(np.where(HEAD > 500, np.nan, HEAD)), 422, "NaN"),
    "infinite": ("x.nii", lambda: nifti(np.where(HEAD > 500, np.inf, HEAD)), 422, "infinite"),
    "MR": ("x.nii", lambda: nifti((np.clip(HEAD, 0, 100) * 17).astype(np.int16)), 422, "HU"),
    "windowed export": ("x.nii", lambda: nifti((np.clip(HEAD, 0, 80) * 255 / 80).astype(np.uint8)), 422, "HU"),
    "constant": ("x.nii", lambda: nifti(np.full(HEAD.shape, 35, np.int16)), 422, "every voxel"),
    "no brain": ("x.nii", lambda: nifti(np.where(HEAD > 0, 1000, -1000).astype(np.int16)), 422, "brain"),
    "singular affine": ("x.nii", lambda: nifti(HEAD, np.diag([2.0, 2, 1e-9, 1])), 422, "voxel"),
}


def is_refused(server: RunningServer, name: str, content: bytes, status: int, says: str) -> None:
    answer = server.infer(files={"file": (name, content)})
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error", "detail"}
    assert says in body["detail"]
    assert str(server.folder) not in answer.text
    assert server.leftovers() == []


@pytest.mark.parametrize("kind", FILES)
def test_bad_files_are_refused_with_their_reason(server: RunningServer, kind: str) -> None:
    name, content, status, says = FILES[kind]
    is_refused(server, name, content(), status, says)


def lacking_slice(index: int, dataset: Dataset) -> None:
    if index >= 4:
        dataset.ImagePositionPatient[2] += 8


def twice(index: int, dataset: Dataset) -> None:
    if index == 4:
        dataset.ImagePositionPatient[2] -= 8


def uneven(index: int, dataset: Dataset) -> None:
    dataset.ImagePositionPatient[2] += [0, 2][index % 2]


def two_series(index: int, dataset: Dataset) -> None:
    dataset.SeriesInstanceUID = OTHER_SERIES if index % 2 else dataset.SeriesInstanceUID


def no_position(index: int, dataset: Dataset) -> None:
    del dataset.ImagePositionPatient


def cut_pixels(index: int, dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:1000]


def mr(index: int, dataset: Dataset) -> None:
    dataset.Modality = "MR"


OTHER_SERIES = generate_uid()


@pytest.mark.parametrize("change", [lacking_slice, twice, uneven, two_series, no_position, cut_pixels, mr])
def test_bad_dicom_series_are_refused(
    server: RunningServer, tmp_path: Path, change: Callable[[int, Dataset], None]
) -> None:
    head, _ = make_head((192, 220, 8))
    folder = write_series(tmp_path / "series", head, step=(0, 0, 8), change=change)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    is_refused(server, "series.zip", buffer.getvalue(), 422, "")


def test_a_bad_scan_in_the_studies_is_refused_by_id(server: RunningServer) -> None:
    bad = server.studies / "bad.nii.gz"
    bad.write_bytes(b"no image")
    try:
        for _ in range(100):
            answer = server.infer(image="bad")
            if answer.status_code != 404:  # the studies folder is watched, not read at every request
                break
        assert (answer.status_code, answer.json()["error"]) in [(422, "unreadable"), (404, "not_found")]
    finally:
        bad.unlink()
    assert server.infer(image="right").status_code == 200


def test_after_all_that_the_server_segments(server: RunningServer) -> None:
    assert server.process.poll() is None
    assert server.infer(image="right").json()["volume_ml"] > 0
    assert "Traceback" not in server.log
