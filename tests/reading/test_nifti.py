"""NIfTI: the geometry it carries, and every way it can be broken."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from amd_das.errors import GeometryError, InputError, NotHeadCtError, TooLargeError, UnreadableError
from amd_das.reading import ReadingConfig, read_volume

AFFINE = np.diag([-0.5, -0.5, 5.0, 1.0])


def saved(path: Path, array: np.ndarray, affine: np.ndarray | None = AFFINE) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def patched(path: Path, offset: int, content: bytes) -> Path:
    """Overwrite bytes of the header of an uncompressed file."""
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "CT.NII.GZ"])
def test_voxels_and_affine_come_back(tmp_path: Path, hu: np.ndarray, affine: np.ndarray, name: str) -> None:
    volume = read_volume(saved(tmp_path / name.lower(), hu, affine).rename(tmp_path / name))
    np.testing.assert_array_equal(volume.array, hu)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.affine, affine, rtol=1e-6, atol=1e-6)
    assert (volume.case_id.lower(), volume.source, volume.spacing_known, volume.warnings) == ("ct", "nifti", True, ())


def test_nifti_2_and_big_endian(tmp_path: Path, hu: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti2Image(hu, AFFINE), tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "two.nii.gz").array, hu)
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.save(nibabel.Nifti1Image(hu.astype(">i2"), AFFINE, header), tmp_path / "big.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "big.nii").array, hu)


def test_integers_are_scaled_by_slope_and_intercept(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.uint8).reshape(5, 4, 3), AFFINE)
    image.header.set_slope_inter(2.0, -30.0)
    image.header.set_data_dtype(np.uint8)
    path = tmp_path / "scaled.nii"
    path.write_bytes(image.to_bytes())
    stored = np.frombuffer(path.read_bytes()[352:], np.uint8).reshape((5, 4, 3), order="F")
    patched(path, 112, struct.pack("<ff", 2.0, -30.0))
    np.testing.assert_allclose(read_volume(path).array, stored * 2.0 - 30.0)


def test_sform_is_preferred_to_qform(tmp_path: Path, hu: np.ndarray) -> None:
    image = nibabel.Nifti1Image(hu, AFFINE)
    image.set_qform(np.diag([1.0, 1, 1, 1]), code=1)
    image.set_sform(AFFINE, code=2)
    nibabel.save(image, tmp_path / "both.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "both.nii.gz").affine, AFFINE)


def test_qform_alone_counts(tmp_path: Path, hu: np.ndarray) -> None:
    image = nibabel.Nifti1Image(hu, None)
    image.set_qform(AFFINE, code=1)
    image.set_sform(None, code=0)
    nibabel.save(image, tmp_path / "q.nii.gz")
    volume = read_volume(tmp_path / "q.nii.gz")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    assert volume.spacing_known


def test_without_orientation_the_voxel_size_is_kept_with_a_warning(tmp_path: Path, hu: np.ndarray) -> None:
    image = nibabel.Nifti1Image(hu, None)
    image.header.set_zooms((0.5, 0.5, 5.0))
    nibabel.save(image, tmp_path / "zooms.nii.gz")
    volume = read_volume(tmp_path / "zooms.nii.gz")
    np.testing.assert_allclose(volume.spacing, (0.5, 0.5, 5.0))
    assert volume.spacing_known and "left and right" in volume.warnings[0]


def test_without_voxel_size_the_spacing_is_unknown(tmp_path: Path, hu: np.ndarray) -> None:
    volume = read_volume(saved(tmp_path / "none.nii.gz", hu, None))
    assert not volume.spacing_known
    assert "mL cannot be trusted" in volume.warnings[0]
    np.testing.assert_allclose(volume.affine, nibabel.load(tmp_path / "none.nii.gz").affine)


def test_a_slice_is_a_volume_of_depth_one(tmp_path: Path, hu: np.ndarray) -> None:
    assert read_volume(saved(tmp_path / "slice.nii.gz", hu[:, :, :1])).shape == (9, 8, 1)
    placed = read_volume(saved(tmp_path / "flat.nii.gz", hu[:, :, 0]))
    assert placed.shape == (9, 8, 1)
    np.testing.assert_allclose(placed.spacing, (0.5, 0.5, 5.0))


def test_further_axes_of_length_one_are_dropped(tmp_path: Path, hu: np.ndarray) -> None:
    assert read_volume(saved(tmp_path / "four.nii.gz", hu[..., None])).shape == hu.shape


def test_padding_becomes_air_but_no_other_value_does(tmp_path: Path) -> None:
    values = np.array([-30000, -3024, -2048, -1025, -1024, 0, 3071, 50], dtype=np.float32).reshape(2, 2, 2)
    expected = np.array([-30000, -1024, -1024, -1024, -1024, 0, 3071, 50], dtype=np.float32).reshape(2, 2, 2)
    np.testing.assert_array_equal(read_volume(saved(tmp_path / "pad.nii.gz", values)).array, expected)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((9, 8), np.int16), GeometryError, "flat picture of 9 × 8 pixels"),
        (np.zeros((9, 8, 6, 3), np.int16), GeometryError, r"has 4 axes \(9 × 8 × 6 × 3\)"),
        (np.zeros((9, 8, 6, 1, 3), np.int16), GeometryError, "has 5 axes"),
        (np.zeros((9,), np.int16), GeometryError, "has 1 axes"),
        (np.zeros((9, 1, 1), np.int16), GeometryError, "impossible shape 9 × 1 × 1"),
        (np.zeros((9, 8, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")]), NotHeadCtError, "holds colour"),
        (np.zeros((9, 8, 6), np.complex64), NotHeadCtError, "holds complex numbers"),
        (np.full((2, 2, 2), np.nan, np.float32), NotHeadCtError, "8 of 8 voxels are NaN or infinite"),
        (np.array([0, np.inf] * 4, np.float32).reshape(2, 2, 2), NotHeadCtError, "4 of 8 voxels are NaN or infinite"),
        (np.full((2, 2, 2), 1e300), NotHeadCtError, "8 of 8 voxels"),
    ],
    ids=["2-D", "4-D", "vectors", "1-D", "line", "RGB", "complex", "NaN", "infinite", "too large for float32"],
)
def test_images_of_another_kind_are_refused(
    tmp_path: Path, array: np.ndarray, error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_volume(saved(tmp_path / "bad.nii.gz", array, np.eye(4)))


def test_a_flat_picture_without_geometry_is_refused(tmp_path: Path, hu: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="without a place in space"):
        read_volume(saved(tmp_path / "picture.nii.gz", hu[:, :, 0], None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.__setitem__((0, 0), np.nan), "NaN or infinity"),
        (lambda a: a.__setitem__((slice(None), 1), a[:, 0]), "singular"),
        (lambda a: a.__setitem__((slice(None), 2), 0), "a voxel of 0.5 × 0.5 × 0 mm"),
        (lambda a: a.__setitem__((2, 2), 5000.0), "a voxel of 0.5 × 0.5 × 5000 mm"),
    ],
    ids=["NaN", "singular", "zero", "metres"],
)
def test_impossible_affines_are_refused(tmp_path: Path, hu: np.ndarray, change, message: str) -> None:
    affine = AFFINE.copy()
    change(affine)
    path = saved(tmp_path / "ct.nii", hu)
    patched(path, 280, affine[:3].astype("<f4").tobytes())
    with pytest.raises(GeometryError, match=message):
        read_volume(path)


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ((3, 20000, 20000, 1000), TooLargeError, "claims 20000 × 20000 × 1000 = 400000000000 voxels"),
        ((3, -512, 512, 32), GeometryError, "impossible shape -512 × 512 × 32"),
        ((3, 0, 512, 32), GeometryError, "impossible shape 0 × 512 × 32"),
        ((3, 512, 512, 32), UnreadableError, "promises 16777216 bytes of voxels, 864 are there"),
        ((9, 512, 512, 32), UnreadableError, "header"),
    ],
    ids=["800 GB", "negative", "zero", "more than is there", "nine axes"],
)
def test_absurd_headers_are_refused(
    tmp_path: Path, hu: np.ndarray, dims: tuple[int, ...], error: type[InputError], message: str
) -> None:
    path = patched(saved(tmp_path / "ct.nii", hu), 40, struct.pack("<4h", *dims))
    with pytest.raises(error, match=message):
        read_volume(path)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(error, match=message):
        read_volume(tmp_path / "ct.nii.gz")


def test_what_is_no_nifti_is_refused(tmp_path: Path, hu: np.ndarray) -> None:
    noise = np.random.default_rng(0).bytes(5000)
    for content, message in [
        (b"", "is empty"),
        (b"ab", "not a NIfTI image"),
        (noise, "not a NIfTI image"),
        (b"\x1f\x8b" + noise, "damaged"),
        (gzip.compress(noise), "not a NIfTI image"),
        (struct.pack("<i", 348) + bytes(50), "54 of the 348 bytes"),
        (struct.pack("<i", 348) + noise[:1000], "header"),
    ]:
        path = tmp_path / "x.nii.gz"
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match=message):
            read_volume(path)


def test_truncated_and_overlong_files_are_refused(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(-1000, 1000, (40, 40, 20)).astype(np.int16)
    whole = saved(tmp_path / "ct.nii.gz", array).read_bytes()
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableError, match="breaks off or is damaged"):
        read_volume(cut)
    cut.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(UnreadableError, match="CRC"):
        read_volume(cut)
    plain = gzip.decompress(whole)
    cut.write_bytes(gzip.compress(plain[:-100]))
    with pytest.raises(UnreadableError, match="is truncated: its header promises 64000 bytes"):
        read_volume(cut)
    cut.write_bytes(gzip.compress(plain + bytes(10**6)))
    with pytest.raises(UnreadableError, match="more data follows"):
        read_volume(cut)


def test_a_decompression_bomb_is_refused_without_being_unpacked(tmp_path: Path, hu: np.ndarray) -> None:
    """A gigabyte of zeros in a megabyte, with an honest small header and with one that claims them."""
    import tracemalloc

    small = gzip.decompress(saved(tmp_path / "ct.nii.gz", hu).read_bytes())
    claiming = bytearray(small)
    claiming[40:48] = struct.pack("<4h", 3, 1024, 1024, 512)
    zeros = gzip.compress(bytes(2**24)) * 64
    for header, error in ((small, UnreadableError), (claiming, TooLargeError), (b"", UnreadableError)):
        (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(header)) + zeros)
        tracemalloc.start()
        with pytest.raises(error):
            read_volume(tmp_path / "bomb.nii.gz")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**24


def test_limits_are_named(tmp_path: Path, hu: np.ndarray) -> None:
    path = saved(tmp_path / "ct.nii.gz", hu)
    with pytest.raises(TooLargeError, match=r"the limit is 100 \(max_file_bytes\)"):
        read_volume(path, ReadingConfig(max_file_bytes=100))
    with pytest.raises(TooLargeError, match=r"9 × 8 × 6 = 432 voxels, the limit is 431 \(max_voxels\)"):
        read_volume(path, ReadingConfig(max_voxels=431))


@pytest.mark.parametrize("offset", [float("nan"), -1.0, 0.0, 1e20])
def test_voxels_that_start_nowhere_are_refused(tmp_path: Path, hu: np.ndarray, offset: float) -> None:
    path = patched(saved(tmp_path / "ct.nii", hu), 108, struct.pack("<f", offset))
    with pytest.raises(UnreadableError, match=r"cannot start at byte|header is damaged"):
        read_volume(path)


def test_a_header_of_a_pair_of_files_is_refused(tmp_path: Path, hu: np.ndarray) -> None:
    path = patched(saved(tmp_path / "ct.nii", hu), 344, b"ni1\0")
    with pytest.raises(UnreadableError, match="another file"):
        read_volume(path)
