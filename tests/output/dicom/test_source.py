"""What a CT must tell for an answer in DICOM, what may be missing, and that nothing about the patient leaks."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.dicom_results import MODEL, Change, classic, complaints, lesions, saved, tags
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.errors import ConfigError, GeometryError, InputError, UnreadableError
from amd_das.measurement import Measurement, measure
from amd_das.output.dicom import Prior, dicom_objects, load_source, write_dicom
from amd_das.volume import Volume

NOTHING = Measurement(volume_ml=0.0, lesions=())


def objects(volume: Volume, **options: object) -> dict[str, list[Dataset]]:
    mask = lesions(volume)
    options = {"model": MODEL, **options}
    return dicom_objects(volume, mask, measure(mask, volume), **options)  # type: ignore[arg-type]


def flat(found: dict[str, list[Dataset]]) -> list[Dataset]:
    return [one for kind in found.values() for one in kind]


def lacking(*keywords: str) -> Change:
    return tags(**dict.fromkeys(keywords))


def test_the_headers_are_in_the_order_of_the_slices(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct", step=(0.0, 0.0, -5.0))
    source = load_source(volume)
    assert [image.position[2] for image in source.images] == [-15, -10, -5, 0, 5, 10]
    assert source.slice_spacing_mm == 5
    assert (source.ct_date, source.ct_time) == ("20261120", "101530")


def test_empty_tags_are_supplied(tmp_path: Path) -> None:
    change = lacking("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "PatientSex", "StudyID")
    for index, one in enumerate(flat(objects(classic(tmp_path / "ct", change=change)))):
        assert one["PatientName"].value in ("", None)
        assert "StudyDate" in one
        assert complaints(saved(one, tmp_path / f"{index}.dcm")) == []


def test_impossible_values_become_empty(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        with warnings.catch_warnings(action="ignore"):
            tags(PatientSex="X", PatientBirthDate="unknown", StudyDate="2026-11", PatientAge="old")(index, dataset)

    for index, one in enumerate(flat(objects(classic(tmp_path / "ct", change=change)))):
        assert not one.PatientSex
        assert not one.PatientBirthDate
        assert not one.StudyDate
        assert "PatientAge" not in one
        assert complaints(saved(one, tmp_path / f"{index}.dcm")) == []


def test_loss_in_the_ct_is_passed_on(tmp_path: Path) -> None:
    change = tags(
        LossyImageCompression="01",
        LossyImageCompressionRatio=["10", "4"],
        LossyImageCompressionMethod=["ISO_10918_1", "ISO_15444_1"],
        NumberOfFrames=1,
    )
    for index, one in enumerate(flat(objects(classic(tmp_path / "ct", change=change)))):
        path = saved(one, tmp_path / f"{index}.dcm")
        assert complaints(path) == []
        if one.Modality != "SR":
            assert dcmread(path).LossyImageCompressionRatio == [10, 4]
            assert "ReferencedFrameNumber" not in one.SourceImageSequence[0]


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 192", "王^小東"),
    ],
)
def test_names_in_any_alphabet_survive(tmp_path: Path, charset: object, name: str) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = charset
        tags(PatientName=name)(index, dataset)

    for index, one in enumerate(flat(objects(classic(tmp_path / "ct", change=change)))):
        path = saved(one, tmp_path / f"{index}.dcm")
        assert str(dcmread(path).PatientName) == name
        assert complaints(path) == []


def test_no_name_in_logs_or_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    volume = classic(tmp_path / "ct", change=tags(PatientName="Rumpelstiltskin", PatientID="9" * 70))
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        objects(volume)
    said = caplog.text + "".join(str(one.message) for one in told)
    assert "Rumpelstiltskin" not in said
    assert "99999" not in said


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lacking("FrameOfReferenceUID"), UnreadableError, "FrameOfReferenceUID is missing"),
        (lacking("StudyInstanceUID"), UnreadableError, "StudyInstanceUID is missing"),
        (tags(SOPInstanceUID="1.2.3.4"), UnreadableError, "same SOPInstanceUID"),
        (tags(SOPInstanceUID="none"), UnreadableError, "SOPInstanceUID is not a UID"),
    ],
)
def test_what_cannot_be_supplied_is_said(tmp_path: Path, change: Change, error: type[InputError], message: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        volume = classic(tmp_path / "ct", change=change)
    with pytest.raises(error, match=message) as raised:
        objects(volume)
    assert "Doe" not in str(raised.value)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_slices_of_two_patients_are_refused(tmp_path: Path, keyword: str) -> None:
    volume = classic(tmp_path / "ct", change=lambda index, ds: tags(**{keyword: f"1.2.{index == 2:d}"})(index, ds))
    with pytest.raises(GeometryError, match=f"differ in {keyword}") as raised:
        objects(volume)
    assert "1.2.1" not in str(raised.value)


def test_other_sources_and_lost_files_are_refused(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    with pytest.raises(InputError, match="is not from DICOM"):
        objects(replace(volume, slice_sources=(), source="nifti"))
    volume.slice_sources[1].path.unlink()
    with pytest.raises(UnreadableError, match="cannot be read again"):
        objects(volume)


@pytest.mark.parametrize("changed", [{"ImagePositionPatient": [-50, -60, 99]}, {"Rows": 12}])
def test_a_file_that_is_another_by_now_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    volume = classic(tmp_path / "ct")
    path = volume.slice_sources[2].path
    dataset = dcmread(path)
    for keyword, content in changed.items():
        setattr(dataset, keyword, content)
    saved(dataset, path)
    with pytest.raises(UnreadableError, match="has changed since it was read"):
        objects(volume)


def test_formats_types_and_shapes_are_checked(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")
    with pytest.raises(ConfigError, match="expected one of seg, sr, sc"):
        objects(volume, formats=["png"])
    with pytest.raises(ConfigError, match="expected one of AUTOMATIC"):
        objects(volume, algorithm_type="magic")
    with pytest.raises(GeometryError, match="belongs to its own image"):
        dicom_objects(volume, np.zeros((2, 2, 2), np.uint8), NOTHING, model=MODEL)
    assert objects(volume, formats=[]) == {}


def test_the_same_result_has_the_same_uids(tmp_path: Path) -> None:
    volume = classic(tmp_path / "ct")

    def uids(**options: object) -> list[str]:
        return [str(one.SOPInstanceUID) for one in flat(objects(volume, **options))]

    first = uids()
    assert first == uids()
    assert len(set(first)) == len(first)
    prior = Prior(volume_ml=1.0, ct_date="", ct_time="", study_uid="1.2", series_uid="1.3")
    others = [
        uids(attempt=1),
        uids(model=replace(MODEL, checksum="f" * 64)),
        uids(model=None, algorithm_type="MANUAL"),
    ]
    for other in others:
        assert not set(first) & set(other)
    assert sum(one != other for one, other in zip(first, uids(prior=prior), strict=True)) == 1  # the report alone
    segs = [objects(volume, formats=["seg"])["seg"][0] for _ in range(2)]
    assert segs[0].DimensionOrganizationSequence == segs[1].DimensionOrganizationSequence
    assert segs[0].PixelData == segs[1].PixelData


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    found = objects(classic(tmp_path / "ct"))
    out = tmp_path / "out"
    out.mkdir()
    assert write_dicom(found, out, "case") == write_dicom({**found, "sc": found["sc"][:2]}, out, "case")
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert names == ["case-sc", "case-sc/0001.dcm", "case-sc/0002.dcm", "case-seg.dcm", "case-sr.dcm"]


def test_a_folder_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    found = objects(classic(tmp_path / "ct"), formats=["sc"])
    write_dicom(found, tmp_path, "case")
    broken = [found["sc"][0], Dataset()]
    with pytest.raises(Exception):  # noqa: B017  whatever pydicom says
        write_dicom({"sc": broken}, tmp_path, "case")
    assert len(list((tmp_path / "case-sc").iterdir())) == 6
    assert not list(tmp_path.glob(".new-*"))
