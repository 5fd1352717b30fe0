"""DICOM series: geometry from the slices' positions, values from their own tags, and every way they can be broken."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.dicom_series import CT_IMAGE, SECONDARY_CAPTURE, ct_slice, save, write_series
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_pixel_data_frame
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from amd_das.errors import GeometryError, InputError, NotHeadCtError, TooLargeError, UnreadableError
from amd_das.reading import ReadingConfig, read_volume

AFFINE = np.array([[-0.5, 0, 0, 50], [0, -0.5, 0, 60], [0, 0, 5, 10], [0, 0, 0, 1.0]])
Change = Callable[[int, Dataset], None]


def setting(only: int | None = None, /, **tags: object) -> Change:
    """Set tags of every slice, or of one."""

    def change(index: int, dataset: Dataset) -> None:
        if only in (None, index):
            for keyword, content in tags.items():
                setattr(dataset, keyword, content)

    return change


def lacking(*keywords: str) -> Change:
    def change(index: int, dataset: Dataset) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def stored(array: np.ndarray, dtype: str = "<i2") -> Change:
    """Other pixels: (I, J, K) as they shall be stored."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelData = np.ascontiguousarray(array[:, :, index].T).astype(dtype).tobytes()

    return change


# Geometry


def test_a_series_in_any_order_of_files(tmp_path: Path, hu: np.ndarray) -> None:
    volume = read_volume(write_series(tmp_path / "ct", hu))
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert (volume.source, volume.spacing_known, volume.warnings) == ("dicom", True, ())


def test_the_name_of_a_case_comes_from_the_series_and_not_from_the_patient(tmp_path: Path, hu: np.ndarray) -> None:
    names = [
        read_volume(write_series(tmp_path / f"Doe_Jane_{index}", hu, series_uid=uid)).case_id
        for index, uid in enumerate(["1.2.3", "1.2.3", "1.2.4"])
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("series-") and len(names[0]) == 19


def test_the_same_geometry_as_itk(tmp_path: Path, hu: np.ndarray) -> None:
    oblique = [0.96, 0.28, 0, -0.28 * 0.8, 0.96 * 0.8, 0.6]
    normal = np.cross(oblique[:3], oblique[3:])
    change = setting(ImageOrientationPatient=oblique, PixelSpacing=[0.4, 0.7])
    folder = write_series(tmp_path / "ct", hu, step=3.0 * normal, change=change)
    volume = read_volume(folder)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image).T)
    for index in [(0, 0, 0), (8, 1, 5), (2, 7, 3)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], expected, atol=1e-4)


def test_gantry_tilt_gives_a_sheared_grid(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu, step=(0.0, -1.6, 4.7), change=setting(GantryDetectorTilt=18.8))
    volume = read_volume(folder)
    np.testing.assert_allclose(volume.affine[:3, 2], (0, 1.6, 4.7))
    assert volume.voxel_ml == pytest.approx(0.5 * 0.5 * 4.7 / 1000)


def test_slices_from_the_top_down_are_stacked_along_the_normal(tmp_path: Path, hu: np.ndarray) -> None:
    volume = read_volume(write_series(tmp_path / "ct", hu, step=(0, 0, -5)))
    np.testing.assert_array_equal(volume.array, hu[:, :, ::-1])
    np.testing.assert_allclose(volume.affine[:3, 2:], [[0, 50], [0, 60], [5, -15]])


def test_positions_with_one_decimal_are_even_enough(tmp_path: Path, hu: np.ndarray) -> None:
    def rounded(index: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [-50, -60, round(0.625 * index, 1)]

    assert read_volume(write_series(tmp_path / "ct", hu, change=rounded)).spacing[2] == pytest.approx(0.62)


def test_thin_slices_far_apart_are_said(tmp_path: Path, hu: np.ndarray) -> None:
    volume = read_volume(write_series(tmp_path / "ct", hu, change=setting(SliceThickness=1.25)))
    assert volume.warnings == ("slices lie 5.00 mm apart but are 1.25 mm thick: what lies between is estimated",)


def at(positions: list[float]) -> Change:
    return lambda index, dataset: setattr(dataset, "ImagePositionPatient", [-50, -60, positions[index]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            at([0, 5, 10, 20, 25, 30]),
            r"lacks slices: 1 seem\(s\) to be missing, 10.00 mm between slices 3 and 4 \(at 10.00 and 20.00 mm\)",
        ),
        (at([0, 5, 20, 25, 30, 35]), r"lacks slices: 2 seem"),
        (at([0, 5, 10, 10, 15, 20]), r"duplicate slices: 1 share .* IM014.dcm and IM021.dcm at 10.00 mm"),
        (at([0, 0, 5, 5, 10, 10]), r"duplicate slices: 3 share"),
        (at([0, 2.5, 5, 7.5, 12, 16.5]), r"unevenly spaced: 4.50 mm between slices 4 and 5 .*2 of 5 steps"),
        (at([0, 5, 10, 15, 20, 26]), r"unevenly spaced: 6.00 mm between slices 5 and 6"),
        (
            lambda i, d: setattr(d, "ImagePositionPatient", [-50, -60 + (4 if i == 3 else 0), 5 * i]),
            "do not lie on one line, one is 4.00 mm off",
        ),
        (setting(2, ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6]), "different orientation"),
        (setting(2, PixelSpacing=[0.6, 0.6]), "mixes slices of"),
        (
            lambda i, d: i == 2 and d.update(ct_slice(np.zeros((4, 4)), series_uid=d.SeriesInstanceUID)),
            r"mixes slices of 8 × 9 pixels .* and 4 × 4 pixels",
        ),
        (setting(2, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "not two perpendicular unit vectors"),
        (setting(2, ImageOrientationPatient=[0] * 6), "not two perpendicular unit vectors"),
        (lacking("ImagePositionPatient"), "ImagePositionPatient or ImageOrientationPatient is missing"),
        (setting(PixelSpacing=[0, 0]), "expected positive numbers"),
        (setting(PixelSpacing=[900, 900]), "is not possible"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_slices_that_make_no_grid_are_refused(tmp_path: Path, hu: np.ndarray, change: Change, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        read_volume(write_series(tmp_path / "ct", hu, change=change))


def test_a_head_of_32_slices_is_read_in_two_seconds(tmp_path: Path) -> None:
    array = np.random.default_rng(4).integers(-1000, 2000, (512, 512, 32)).astype(np.int16)
    folder = write_series(tmp_path / "ct", array)
    start = time.perf_counter()
    volume = read_volume(folder)
    assert time.perf_counter() - start < 2.0
    np.testing.assert_array_equal(volume.array, array)


# A lone slice


def test_a_lone_slice_is_a_volume_of_depth_one(tmp_path: Path, hu: np.ndarray) -> None:
    path = save(ct_slice(hu[:, :, 0].T, series_uid="1.2.3"), tmp_path / "slice.dcm")
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, hu[:, :, :1])
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert volume.warnings == ()


def test_a_lone_slice_may_lack_place_and_thickness(tmp_path: Path, hu: np.ndarray) -> None:
    dataset = ct_slice(hu[:, :, 0].T, series_uid="1.2.3")
    lacking("SOPClassUID", "ImageType", "SliceThickness", "SeriesInstanceUID")(0, dataset)
    lacking("ImagePositionPatient", "ImageOrientationPatient")(0, dataset)
    dataset.file_meta.MediaStorageSOPClassUID = CT_IMAGE
    volume = read_volume(save(dataset, tmp_path / "ID_0001.dcm"))
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -0.5, 5, 1]))
    assert "upright axial slice is assumed" in volume.warnings[0]
    assert "5 mm are assumed" in volume.warnings[1]
    assert volume.case_id == "ID_0001"


# Values


@pytest.mark.parametrize(
    ("dtype", "bits"), [("<i2", (16, 16, 15, 1)), ("<u2", (16, 12, 11, 0)), ("<i4", (32, 32, 31, 1))]
)
def test_pixel_formats(tmp_path: Path, dtype: str, bits: tuple[int, ...]) -> None:
    array = np.random.default_rng(3).integers(0, 4096, (9, 8, 4))
    tags = dict(zip(("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"), bits, strict=True))

    def change(index: int, dataset: Dataset) -> None:
        setting(**tags)(index, dataset)
        stored(array, dtype)(index, dataset)

    np.testing.assert_array_equal(
        read_volume(write_series(tmp_path / "ct", hu_of(array), change=change)).array, hu_of(array)
    )


def hu_of(stored_values: np.ndarray) -> np.ndarray:
    return (stored_values - 1024).astype(np.int16)


def test_bits_that_are_not_stored_do_not_count(tmp_path: Path) -> None:
    """Twelve signed bits with an overlay in the upper four."""
    array = np.random.default_rng(3).integers(-1024, 2048, (9, 8, 4))
    overlaid = (array & 0x0FFF) | 0xA000

    def change(index: int, dataset: Dataset) -> None:
        setting(BitsStored=12, HighBit=11, RescaleIntercept=0)(index, dataset)
        stored(overlaid, "<u2")(index, dataset)

    volume = read_volume(write_series(tmp_path / "ct", array.astype(np.int16), change=change))
    np.testing.assert_array_equal(volume.array, array)


def test_each_slice_has_its_own_rescale(tmp_path: Path, hu: np.ndarray) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + index, 10 * index

    volume = read_volume(write_series(tmp_path / "ct", hu, change=change))
    factors = np.arange(6)
    np.testing.assert_allclose(volume.array, np.maximum((hu + 1024.0) * (1 + factors) + 10 * factors, -1024))


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_becomes_air(tmp_path: Path, hu: np.ndarray, padding: int) -> None:
    """-2000 as a signed tag, and as the same bits in an unsigned one."""
    array = (hu + 1024).astype(np.int32)
    array[0, 0] = -2000

    def change(index: int, dataset: Dataset) -> None:
        dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
        stored(array)(index, dataset)

    volume = read_volume(write_series(tmp_path / "ct", hu, change=change))
    assert (volume.array[0, 0] == -1024).all()
    np.testing.assert_array_equal(volume.array[1:], hu[1:])


def test_padding_far_below_the_scale_is_known_by_its_tag_only(tmp_path: Path, hu: np.ndarray) -> None:
    array = (hu + 1024).astype(np.int32)
    array[0, 0] = -32768

    def change(index: int, dataset: Dataset) -> None:
        dataset.add_new("PixelPaddingValue", "SS", -32768)
        stored(array)(index, dataset)

    assert (read_volume(write_series(tmp_path / "tag", hu, change=change)).array[0, 0] == -1024).all()
    untagged = read_volume(write_series(tmp_path / "none", hu, change=stored(array)))
    assert (untagged.array[0, 0] == -32768 - 1024).all()


def test_a_padding_value_inside_the_ct_scale_is_ignored(tmp_path: Path, hu: np.ndarray) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.add_new("PixelPaddingValue", "SS", 1024)

    hu[0, 0] = 0
    np.testing.assert_array_equal(read_volume(write_series(tmp_path / "ct", hu, change=change)).array, hu)


# Transfer syntaxes


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_uncompressed_syntaxes(tmp_path: Path, hu: np.ndarray, syntax: str) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.is_little_endian = syntax != ExplicitVRBigEndian
        dataset.is_implicit_VR = syntax == ImplicitVRLittleEndian
        stored(hu + 1024, "<i2" if dataset.is_little_endian else ">i2")(index, dataset)

    np.testing.assert_array_equal(read_volume(write_series(tmp_path / "ct", hu, change=change)).array, hu)


def test_rle(tmp_path: Path, hu: np.ndarray) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.compress(RLELossless, dataset.pixel_array)

    np.testing.assert_array_equal(read_volume(write_series(tmp_path / "ct", hu, change=change)).array, hu)


def compress(folder: Path, codec: str, claimed: bytes = b"") -> None:
    """Turn the pixels of a series into codestreams of ITK, perhaps with another size than the tags."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(codec)
    writer.SetFileName(str(folder.parent / "compressed.dcm"))
    for path in sorted(folder.iterdir()):
        dataset = dcmread(path)
        writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
        compressed = dcmread(folder.parent / "compressed.dcm")
        stream = bytearray(next(generate_pixel_data_frame(compressed.PixelData)))
        if claimed:
            at = stream.index(b"\xff\x51") + 6 if codec == "JPEG2000" else stream.index(b"\xff\xc3") + 5
            stream[at : at + len(claimed)] = claimed
        dataset.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)


@pytest.mark.parametrize("codec", ["JPEG2000", "JPEG"])
def test_lossless_jpeg_and_nothing_left_behind(
    tmp_path: Path, hu: np.ndarray, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    folder = write_series(tmp_path / "ct", hu)
    compress(folder, codec)
    np.testing.assert_array_equal(read_volume(folder).array, hu)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("codec", "claimed"), [("JPEG2000", struct.pack(">II", 60000, 60000)), ("JPEG", struct.pack(">HH", 60000, 60000))]
)
def test_a_codestream_that_claims_more_than_the_tags_is_refused(
    tmp_path: Path, hu: np.ndarray, codec: str, claimed: bytes
) -> None:
    folder = write_series(tmp_path / "ct", hu)
    compress(folder, codec, claimed)
    with pytest.raises(UnreadableError, match="damaged or of a kind that cannot be decoded") as caught:
        read_volume(folder)
    assert "expected 1 of (8, 9)" in str(caught.value.__cause__)


def test_broken_compressed_pixels_are_refused(tmp_path: Path, hu: np.ndarray) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(100)])
        dataset["PixelData"].is_undefined_length = True

    with pytest.raises(UnreadableError, match=r"\(JPEG 2000 .*\) is damaged or of a kind .* uncompressed"):
        read_volume(write_series(tmp_path / "ct", hu, change=change))


@pytest.mark.parametrize("syntax", [b"1.2.840.10008.1.2.9\0", b"1.2.3.4.5.6.7.8.9.0\0", b"1.2.840.10008.1.2\\1 "])
def test_unknown_transfer_syntaxes_are_refused(tmp_path: Path, hu: np.ndarray, syntax: bytes) -> None:
    path = save(ct_slice(hu[:, :, 0].T, series_uid="1.2.3"), tmp_path / "slice.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", syntax))
    with pytest.raises(UnreadableError, match=r"transfer syntax .* is not supported"):
        read_volume(path)


def test_a_deflated_file_is_refused_unread(tmp_path: Path, hu: np.ndarray) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    with pytest.raises(UnreadableError, match="deflated as a whole"):
        read_volume(write_series(tmp_path / "ct", hu, change=change))


# Enhanced CT


def enhanced(hu: np.ndarray) -> Dataset:
    """All slices in one file: pixel measures shared, positions per frame, the frames from the top down."""
    dataset = ct_slice(hu[:, :, 0].T, series_uid="1.2.3")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    lacking("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient")(0, dataset)
    lacking("RescaleSlope", "RescaleIntercept")(0, dataset)
    dataset.NumberOfFrames = hu.shape[2]
    dataset.PixelData = (hu[:, :, ::-1].T + 1024).astype("<i2").tobytes()

    def one(**tags: object) -> Sequence:
        item = Dataset()
        for keyword, content in tags.items():
            setattr(item, keyword, content)
        return Sequence([item])

    dataset.SharedFunctionalGroupsSequence = one(
        PixelMeasuresSequence=one(PixelSpacing=[0.5, 0.5], SliceThickness=5),
        PlaneOrientationSequence=one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelValueTransformationSequence=one(RescaleSlope=1, RescaleIntercept=-1024),
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        one(PlanePositionSequence=one(ImagePositionPatient=[-50, -60, 10 + 5 * index]))[0]
        for index in reversed(range(hu.shape[2]))
    )
    return dataset


def test_enhanced_ct(tmp_path: Path, hu: np.ndarray) -> None:
    volume = read_volume(save(enhanced(hu), tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_allclose(volume.affine, AFFINE)


def test_frames_without_positions_are_refused(tmp_path: Path, hu: np.ndarray) -> None:
    dataset = enhanced(hu)
    dataset.PerFrameFunctionalGroupsSequence.pop()
    with pytest.raises(UnreadableError, match="6 frames but the positions of 5"):
        read_volume(save(dataset, tmp_path / "short.dcm"))
    del dataset.PerFrameFunctionalGroupsSequence
    with pytest.raises(UnreadableError, match="6 frames without a position for each"):
        read_volume(save(dataset, tmp_path / "none.dcm"))


# What is no CT slice, and broken tags


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (setting(Modality="MR"), NotHeadCtError, "has modality 'MR', expected CT"),
        (setting(Modality=""), None, ""),
        (setting(Modality="", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), NotHeadCtError, "has modality 'unknown'"),
        (setting(SOPClassUID=SECONDARY_CAPTURE), NotHeadCtError, r"no CT slices, only 6 secondary capture\(s\)"),
        (setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), NotHeadCtError, r"only 6 localizer\(s\)"),
        (lacking("Rows"), UnreadableError, "breaks off before the size of its image"),
        (setting(SamplesPerPixel=3, PhotometricInterpretation="RGB"), NotHeadCtError, "colour image .RGB, 3 samples"),
        (setting(PhotometricInterpretation="PALETTE COLOR"), NotHeadCtError, "colour image .PALETTE COLOR, 1 samples"),
        (lacking("PixelSpacing"), UnreadableError, "PixelSpacing is missing"),
        (setting(PixelSpacing=[0.5]), UnreadableError, r"PixelSpacing is \[0.5\], expected 2 number"),
        (setting(PixelSpacing=[0.5, float("nan")]), UnreadableError, "expected 2 number"),
        (lacking("RescaleSlope"), UnreadableError, "RescaleSlope is None and RescaleIntercept -1024.0"),
        (lacking("RescaleIntercept"), UnreadableError, "RescaleSlope is 1.0 and RescaleIntercept None"),
        (setting(RescaleSlope=0), UnreadableError, "RescaleSlope is 0.0"),
        (lacking("PixelData"), UnreadableError, "has no pixel data"),
        (lambda i, d: setattr(d, "PixelData", d.PixelData[:-2]), UnreadableError, "142 bytes where 8 × 9 .* 144"),
        (setting(Rows=0), UnreadableError, "1 frame.s. of 0 × 9 pixels"),
        (setting(Rows=60000, Columns=60000), TooLargeError, "= 3600000000 voxels"),
        (setting(NumberOfFrames=10**8), TooLargeError, "voxels, the limit is"),
        (setting(NumberOfFrames=0), UnreadableError, "0 frame"),
        (
            lambda i, d: (setattr(d["PixelData"], "VR", "OW"), delattr(d, "BitsAllocated")),
            UnreadableError,
            "BitsAllocated is missing",
        ),
        (setting(BitsAllocated=1), UnreadableError, "BitsAllocated is 1"),
        (setting(BitsStored=20), UnreadableError, "impossible pixel format"),
        (setting(HighBit=3), UnreadableError, "impossible pixel format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_ct_and_broken_tags(
    tmp_path: Path, hu: np.ndarray, change: Change, error: type[InputError] | None, message: str
) -> None:
    folder = write_series(tmp_path / "ct", hu, change=change)
    if error is None:
        np.testing.assert_array_equal(read_volume(folder).array, hu)
        return
    with pytest.raises(error, match=message):
        read_volume(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"0.5\\0.5 ", b"half\\ish"), (b"0.5\\0.5 ", b"\xff\xfe\x00\x00....")],
)
def test_numbers_that_are_none(tmp_path: Path, hu: np.ndarray, old: bytes, new: bytes) -> None:
    path = save(ct_slice(hu[:, :, 0].T, series_uid="1.2.3"), tmp_path / "slice.dcm")
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(UnreadableError, match="PixelSpacing"):
        read_volume(path)


def test_a_broken_file_beside_a_series_is_not_passed_over(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu)
    broken = folder / "IM500.dcm"
    for content, message in [
        (b"", "IM500.dcm is empty"),
        (np.random.default_rng(0).bytes(3000), "IM500.dcm is not a"),
        ((folder / "IM000.dcm").read_bytes()[:200], "IM500.dcm"),
        (b"\x02\x00" + bytes(400), "IM500.dcm is DICOM without its preamble"),
    ]:
        broken.write_bytes(content)
        with pytest.raises(UnreadableError, match=message):
            read_volume(folder)


@pytest.mark.parametrize("keep", range(140, 900, 37))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, hu: np.ndarray, keep: int) -> None:
    path = save(ct_slice(hu[:, :, 0].T, series_uid="1.2.3"), tmp_path / "slice.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[: min(keep, len(whole) - 2)])
    with pytest.raises(InputError, match=r"slice\.dcm"):
        read_volume(path)


def test_limits_count_all_slices(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu)
    with pytest.raises(TooLargeError, match=r"the limit is 5000 \(max_file_bytes\)"):
        read_volume(folder, ReadingConfig(max_file_bytes=5000))
    with pytest.raises(TooLargeError, match=r"the limit is 300 \(max_voxels\)"):
        read_volume(folder, ReadingConfig(max_voxels=300))


def test_a_file_without_preamble_is_read(tmp_path: Path, hu: np.ndarray) -> None:
    dataset = ct_slice(hu[:, :, 0].T, series_uid="1.2.3")
    del dataset.file_meta
    dataset.is_implicit_VR = True
    dataset.save_as(tmp_path / "old.dcm", write_like_original=True)
    np.testing.assert_array_equal(read_volume(tmp_path / "old.dcm").array, hu[:, :, :1])


def test_each_slice_knows_its_file(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_series(tmp_path / "ct", hu, step=(0.0, 0.0, -5.0))
    volume = read_volume(folder)
    assert len(volume.slice_sources) == volume.shape[2]
    for index, source in enumerate(volume.slice_sources):
        stored = dcmread(source.path).pixel_array.T.astype(np.float32) - 1024
        np.testing.assert_array_equal(stored, volume.array[:, :, index])
        assert source.frame == 0


def test_each_slice_of_an_enhanced_ct_knows_its_frame(tmp_path: Path, hu: np.ndarray) -> None:
    path = save(enhanced(hu), tmp_path / "enhanced.dcm")
    assert [source.frame for source in read_volume(path).slice_sources] == [5, 4, 3, 2, 1, 0]
    assert {source.path for source in read_volume(path).slice_sources} == {path}


@pytest.mark.parametrize(("share", "wrapped"), [(0.3, True), (0.01, False)])
def test_air_that_wrapped_around_twelve_bits_is_air_again_and_metal_is_not(
    share: float, wrapped: bool, tmp_path: Path
) -> None:
    pixels = np.full((20, 20), 35, np.int16)
    pixels.reshape(-1)[: int(share * 400)] = 3096

    def unsigned(index: int, dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 12, 11, 0, 0
        dataset.PixelData = pixels.T.astype("<u2").tobytes()

    volume = read_volume(write_series(tmp_path / "s", np.zeros((20, 20, 2), np.int16), change=unsigned))
    assert sorted(set(volume.array.ravel().tolist())) == ([-1000.0, 35.0] if wrapped else [35.0, 3096.0])
