"""NRRD as pynrrd, ITK and 3D Slicer write it, and every way it can be broken."""

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from amd_das.errors import GeometryError, InputError, NotHeadCtError, TooLargeError, UnreadableError
from amd_das.reading import read_volume

TO_LPS = np.diag([-1.0, -1.0, 1.0])
SPACE: dict[str, Any] = {
    "space": "left-posterior-superior",
    "space directions": np.diag([0.5, 0.5, 5.0]),
    "space origin": np.array([1.0, 2.0, 3.0]),
}


def saved(path: Path, array: np.ndarray, **header: Any) -> Path:
    """With ``_`` for the blanks in field names; None removes a field of SPACE."""
    fields = SPACE | {name.replace("_", " "): content for name, content in header.items()}
    nrrd.write(str(path), array, {name: content for name, content in fields.items() if content is not None})
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_voxels_and_affine_come_back(tmp_path: Path, hu: np.ndarray, affine: np.ndarray, encoding: str) -> None:
    path = saved(
        tmp_path / "ct.nrrd",
        hu,
        space_directions=(TO_LPS @ affine[:3, :3]).T,
        space_origin=TO_LPS @ affine[:3, 3],
        encoding=encoding,
    )
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-12)
    assert (volume.case_id, volume.source, volume.spacing_known, volume.warnings) == ("ct", "nrrd", True, ())


@pytest.mark.parametrize(("space", "signs"), [("RAS", (1, 1)), ("left-anterior-superior", (-1, 1)), ("LPS", (-1, -1))])
def test_spaces(tmp_path: Path, hu: np.ndarray, space: str, signs: tuple[int, int]) -> None:
    volume = read_volume(saved(tmp_path / "ct.nrrd", hu, space=space))
    expected = np.array([[0.5, 0, 0, 1], [0, 0.5, 0, 2], [0, 0, 5, 3], [0, 0, 0, 1]])
    np.testing.assert_array_equal(volume.affine, np.diag([*signs, 1, 1]) @ expected)
    assert volume.warnings == ()


def test_without_space_lps_is_assumed_and_said(tmp_path: Path, hu: np.ndarray) -> None:
    spacings = read_volume(
        saved(tmp_path / "a.nrrd", hu, space=None, space_directions=None, space_origin=None, spacings=[0.5, 0.6, 5])
    )
    np.testing.assert_allclose(spacings.affine, np.diag([-0.5, -0.6, 5, 1]))
    assert spacings.spacing_known and "left and right" in spacings.warnings[0]
    nothing = read_volume(saved(tmp_path / "b.nrrd", hu, space=None, space_directions=None, space_origin=None))
    assert not nothing.spacing_known and "mL cannot be trusted" in nothing.warnings[0]


@pytest.mark.parametrize("compress", [True, False])
def test_files_of_itk(tmp_path: Path, hu: np.ndarray, compress: bool) -> None:
    image = sitk.GetImageFromArray(hu.T)
    image.SetSpacing((0.5, 0.6, 5.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"), compress)
    volume = read_volume(tmp_path / "ct.nrrd")
    np.testing.assert_array_equal(volume.array, hu)
    for index in [(0, 0, 0), (8, 0, 5), (3, 7, 2)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], expected)


@pytest.mark.parametrize("dtype", ["i1", "u1", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f8"])
def test_number_types(tmp_path: Path, dtype: str) -> None:
    array = np.arange(60).reshape(5, 4, 3).astype(dtype)
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "ct.nrrd", array)).array, array)


def test_slices(tmp_path: Path, hu: np.ndarray) -> None:
    assert read_volume(saved(tmp_path / "deep.nrrd", hu[:, :, :1])).shape == (9, 8, 1)
    flat = saved(
        tmp_path / "flat.nrrd",
        hu[:, :, 0],
        space_directions=np.array([[0.5, 0, 0], [0, 0.5, 0]]),
        thicknesses=[np.nan, 5.0],
    )
    placed = read_volume(flat)
    assert placed.shape == (9, 8, 1)
    np.testing.assert_allclose(placed.affine, [[-0.5, 0, 0, -1], [0, -0.5, 0, -2], [0, 0, 5, 3], [0, 0, 0, 1]])


def test_a_list_of_one_is_no_further_axis(tmp_path: Path, hu: np.ndarray) -> None:
    path = saved(
        tmp_path / "ct.nrrd",
        hu[None],
        space_directions=np.vstack([np.full(3, np.nan), np.diag([0.5, 0.5, 5.0])]),
        kinds=["list", "domain", "domain", "domain"],
    )
    np.testing.assert_array_equal(read_volume(path).array, hu)


VECTOR_DIRECTIONS = np.vstack([np.full(3, np.nan), np.diag([0.5, 0.5, 5.0])])


@pytest.mark.parametrize(
    ("array", "header", "error", "message"),
    [
        (
            np.zeros((3, 5, 4, 3), np.uint8),
            {"space_directions": VECTOR_DIRECTIONS, "kinds": ["RGB-color", "domain", "domain", "domain"]},
            NotHeadCtError,
            "3 numbers per voxel .an axis of kind 'RGB-color'",
        ),
        (
            np.zeros((5, 4, 3, 2), np.int16),
            {"space": None, "space_directions": None, "space_origin": None},
            GeometryError,
            "has 4 axes",
        ),
        (
            np.zeros((5, 4), np.int16),
            {"space": None, "space_directions": None, "space_origin": None},
            GeometryError,
            "flat picture",
        ),
        (
            np.zeros((5, 4), np.int16),
            {"space": None, "space_dimension": 2, "space_directions": np.eye(2), "space_origin": np.zeros(2)},
            GeometryError,
            "flat picture",
        ),
        (
            np.zeros((5, 4), np.int16),
            {"space_directions": np.eye(3)[:2]},
            GeometryError,
            "without thickness",
        ),
        (np.zeros((5, 4, 3), np.int16), {"space_directions": np.diag([0.5, 0, 5])}, GeometryError, "0.5 × 0 × 5 mm"),
        (np.zeros((5, 4, 3), np.int16), {"space_directions": np.ones((3, 3))}, GeometryError, "singular"),
        (np.zeros((5, 4, 3), np.int16), {"space_origin": np.full(3, np.inf)}, GeometryError, "NaN or infinity"),
        (np.zeros((5, 4, 3), np.int16), {"space_units": ["cm"] * 3}, GeometryError, "lengths are in 'cm'"),
        (np.full((5, 4, 3), np.nan), {}, NotHeadCtError, "60 of 60 voxels are NaN"),
    ],
    ids=["colour", "4-D", "2-D", "2-D space", "no thickness", "zero", "singular", "infinite", "unit", "NaN"],
)
def test_images_of_another_kind_are_refused(
    tmp_path: Path, array: np.ndarray, header: dict[str, Any], error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_volume(saved(tmp_path / "bad.nrrd", array, **header))


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (b"sizes: 9 8 6", b"sizes: 20000 20000 1000", TooLargeError, "= 400000000000 voxels"),
        (b"sizes: 9 8 6", b"sizes: -9 8 6", GeometryError, "impossible shape -9 × 8 × 6"),
        (b"sizes: 9 8 6", b"sizes: 9 8", UnreadableError, "header is damaged"),
        (b"sizes: 9 8 6", b"sizes: nine", UnreadableError, "header is damaged"),
        (b"sizes: 9 8 6", b"sizes: 9 8 600", UnreadableError, "promises 86400 bytes of voxels, 864 are there"),
        (b"type: int16", b"type: block", NotHeadCtError, "voxels of type 'block'"),
        (b"endian: little", b"endian: middle", UnreadableError, "endian is 'middle'"),
        (b"encoding: raw", b"encoding: hex", UnreadableError, "encoding 'hex' is not supported"),
        (b"encoding: raw", b"encoding: gzip", UnreadableError, "damaged"),
        (b"encoding: raw", b"encoding: raw\ndata file: /etc/passwd", UnreadableError, "another file"),
        (b"encoding: raw", b"encoding: raw\nbyte skip: -1", UnreadableError, "bytes or lines to skip"),
        (b"space origin: (1,2,3)", b"space origin: (1,2)", GeometryError, "not a point in space"),
        (b"space origin: (1,2,3)", b"space origin:", UnreadableError, "header is damaged"),
        (b"dimension: 3", b"dimension 3", UnreadableError, "header is damaged"),
        (b"NRRD", b"DRRN", UnreadableError, "not an NRRD image"),
    ],
)
def test_broken_headers_are_refused(
    tmp_path: Path, hu: np.ndarray, old: bytes, new: bytes, error: type[InputError], message: str
) -> None:
    path = saved(tmp_path / "ct.nrrd", hu, encoding="raw", space_origin=np.array([1, 2, 3]))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(error, match=message):
        read_volume(path)


def test_files_that_break_off_are_refused(tmp_path: Path, hu: np.ndarray) -> None:
    path = saved(tmp_path / "ct.nrrd", hu)
    whole = path.read_bytes()
    for content, message in [
        (b"", "is empty"),
        (np.random.default_rng(0).bytes(2000), "not an NRRD image"),
        (whole[:60], "no blank line ends its header"),
        (whole[:-200], "breaks off or is damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match=message):
            read_volume(path)


def test_a_decompression_bomb_is_refused_without_being_unpacked(tmp_path: Path, hu: np.ndarray) -> None:
    import gzip
    import tracemalloc

    path = saved(tmp_path / "bomb.nrrd", hu)
    header = path.read_bytes().split(b"\n\n")[0] + b"\n\n"
    path.write_bytes(header + gzip.compress(bytes(2**24)) * 64)
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="more data follows"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
