"""The DICOMweb client against a real Orthanc."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.dicom_series import SECONDARY_CAPTURE
from helpers.heads import make_head
from helpers.running_orthanc import Orthanc, changed, head_series, orthanc_on, start_orthanc, web
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_pixel_data_frame
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless, generate_uid

from amd_das.errors import NotFoundError, PacsCredentialsError, PacsError, PacsUnreachableError, TooLargeError
from amd_das.measurement import measure
from amd_das.output.dicom import dicom_objects
from amd_das.reading import read_volume

pytestmark = pytest.mark.integration


def compressed(dataset: Dataset, syntax: str, folder: Path) -> Dataset:
    """The same slice in another transfer syntax, by ITK's encoder or pydicom's."""
    if syntax == RLELossless:
        dataset.compress(RLELossless, dataset.pixel_array)
        return dataset
    packed = folder / "packed.dcm"
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor({JPEG2000Lossless: "JPEG2000", JPEGLosslessSV1: "JPEG"}[syntax])
    writer.SetFileName(str(packed))
    writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
    stream = next(generate_pixel_data_frame(dcmread(packed).PixelData))
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def test_only_ct_stacks_are_listed(orthanc: Orthanc) -> None:
    pacs = web(orthanc)
    head = head_series()
    study = head[0].StudyInstanceUID
    scout = changed(head_series(study_uid=study)[:2], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    named = changed(head_series(study_uid=study)[:1], SeriesDescription="Topogram 0.6")
    dose = changed(head_series(study_uid=study)[:1], SOPClassUID=SECONDARY_CAPTURE)
    mr = changed(head_series(study_uid=study)[:4], Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    single = changed(head_series(study_uid=study)[:1])
    for datasets in (head, scout, named, dose, mr, single):
        pacs.store(datasets)
    listed = {one.series_uid: one for one in pacs.ct_series(study)}
    assert set(listed) == {head[0].SeriesInstanceUID, single[0].SeriesInstanceUID}
    found = listed[head[0].SeriesInstanceUID]
    assert (found.instances, found.description, found.study_date, found.study_uid) == (10, "Head", "20250102", study)
    assert "PAT-4711" not in repr(found)
    assert set(listed) <= {one.series_uid for one in pacs.ct_series()}
    assert pacs.find_series(scout[0].SeriesInstanceUID).instances == 2
    for unknown in ("1.2.3.4", "*", "", "../studies"):
        with pytest.raises(NotFoundError):
            pacs.find_series(unknown)


def test_many_series_come_page_by_page(orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> None:
    pacs = web(orthanc)
    study = generate_uid()
    uids = set()
    for _ in range(7):
        datasets = changed(head_series(study_uid=study)[:4])
        pacs.store(datasets)
        uids.add(datasets[0].SeriesInstanceUID)
    monkeypatch.setattr("amd_das.pacs.dicomweb.PAGE", 3)
    assert {one.series_uid for one in pacs.ct_series(study)} == uids


def test_a_series_is_fetched_as_it_was_stored(orthanc: Orthanc, tmp_path: Path) -> None:
    pacs = web(orthanc)
    head = head_series()
    pacs.store(head)
    series = pacs.find_series(head[0].SeriesInstanceUID)
    files = pacs.fetch(series, tmp_path / "series")
    assert len(files) == 10
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "series", *files))
    volume = read_volume(tmp_path / "series")
    np.testing.assert_array_equal(volume.array, make_head()[0])
    assert volume.case_id == series.case_id


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLosslessSV1])
def test_compressed_series_come_through_compressed(orthanc: Orthanc, tmp_path: Path, syntax: str) -> None:
    pacs = web(orthanc)
    head = [compressed(dataset, syntax, tmp_path) for dataset in head_series()]
    pacs.store(head)
    files = pacs.fetch(pacs.find_series(head[0].SeriesInstanceUID), tmp_path / "series")
    assert {dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID for file in files} == {syntax}
    np.testing.assert_array_equal(read_volume(tmp_path / "series").array, make_head()[0])


def test_a_series_that_grows_is_not_taken_for_whole(orthanc: Orthanc, tmp_path: Path) -> None:
    pacs = web(orthanc)
    head = head_series()
    pacs.store(head[:6])
    series = pacs.find_series(head[0].SeriesInstanceUID)
    pacs.store(head[6:])
    with pytest.raises(PacsError, match="10 of the 6 instances"):
        pacs.fetch(series, tmp_path / "series")
    assert not (tmp_path / "series").exists()
    assert len(pacs.fetch(pacs.find_series(series.series_uid), tmp_path / "series")) == 10


def test_limits_on_what_is_fetched(orthanc: Orthanc, tmp_path: Path) -> None:
    head = head_series()
    web(orthanc).store(head)
    for options, says in (
        ({"max_series_bytes": 100_000}, "larger than 0 MiB"),
        ({"max_series_files": 9}, "more than 9"),
    ):
        pacs = web(orthanc, **options)
        with pytest.raises(TooLargeError, match=says):
            pacs.fetch(pacs.find_series(head[0].SeriesInstanceUID), tmp_path / "series")
        assert not (tmp_path / "series").exists()


def test_storing_twice_is_no_error_and_nonsense_is_said(orthanc: Orthanc) -> None:
    pacs = web(orthanc)
    head = head_series()[:2]
    pacs.store(head)
    pacs.store(head)
    broken = head_series()[:1]
    del broken[0].StudyInstanceUID
    with pytest.raises(PacsError, match=r"did not store|HTTP"):
        pacs.store(broken)


def test_wrong_credentials_say_so_and_right_ones_work(tmp_path: Path, orthanc: Orthanc) -> None:
    locked = start_orthanc(tmp_path / "locked", users={"amd": "right-password"})
    try:
        for options in ({}, {"username": "amd", "password": "wrong-password"}, {"token": "wrong-token"}):
            with pytest.raises(PacsCredentialsError, match="AMD_DAS_PACS_USERNAME") as caught:
                web(locked, **options).ct_series()
            assert not any(secret in str(caught.value) for secret in ("wrong-password", "wrong-token"))
        pacs = web(locked, username="amd", password="right-password")
        assert pacs.ct_series() == []
        head = head_series()
        pacs.store(head)
        assert len(pacs.fetch(pacs.find_series(head[0].SeriesInstanceUID), tmp_path / "series")) == 10
        assert "password" not in repr(pacs.config)
    finally:
        locked.kill()


def test_a_pacs_that_is_down_is_said_and_comes_back(tmp_path: Path, orthanc: Orthanc) -> None:
    other = start_orthanc(tmp_path / "pacs")
    pacs = web(other)
    head = head_series()
    pacs.store(head)
    other.kill()
    with pytest.raises(PacsUnreachableError, match="unreachable"):
        pacs.ct_series()
    again = orthanc_on(other.config)
    try:
        assert [one.series_uid for one in pacs.ct_series()] == [head[0].SeriesInstanceUID]
    finally:
        again.kill()


def report(datasets: list[Dataset], folder: Path) -> list[Dataset]:
    """SEG and SR of a series, as a result of this software."""
    folder.mkdir()
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.dcm", write_like_original=False)
    volume = read_volume(folder)
    mask = ((volume.array > 50) & (volume.array < 100)).astype(np.uint8)
    made = dicom_objects(volume, mask, measure(mask, volume), model=None, formats=("seg", "sr"))
    return [*made["seg"], *made["sr"]]


def test_results_are_found_by_what_they_refer_to(orthanc: Orthanc, tmp_path: Path) -> None:
    pacs = web(orthanc)
    head = head_series()
    twin = head_series(study_uid=head[0].StudyInstanceUID)
    pacs.store([*head, *twin])
    series = pacs.find_series(head[0].SeriesInstanceUID)
    assert pacs.results_for(series) == []
    pacs.store(report(head, tmp_path / "head"))
    found = pacs.results_for(series)
    assert sorted(one.series.modality for one in found) == ["SEG", "SR"]
    assert all(one.is_ours and one.references >= {series.series_uid} for one in found)
    assert pacs.results_for(pacs.find_series(twin[0].SeriesInstanceUID)) == []
    assert [one.series_uid for one in pacs.ct_series(series.study_uid) if one.modality != "CT"] == []


def test_prior_reports_are_of_the_same_patient_and_earlier(orthanc: Orthanc, tmp_path: Path) -> None:
    pacs = web(orthanc)
    for number, (patient, date) in enumerate(
        [("P1", "20250101"), ("P1", "20250201"), ("P1", "20250401"), ("P12", "20250202"), ("P*", "20250302")]
    ):
        head = head_series(patient_id=patient, date=date)
        pacs.store([*head, *report(head, tmp_path / str(number))])
        if (patient, date) == ("P*", "20250302"):
            assert pacs.prior_reports(pacs.find_series(head[0].SeriesInstanceUID)) == [], "a wildcard is no patient"
    now = head_series(patient_id="P1", date="20250302")
    pacs.store(now)
    priors = pacs.prior_reports(pacs.find_series(now[0].SeriesInstanceUID))
    assert [(one.Modality, one.PatientID, one.StudyDate) for one in priors] == [
        ("SR", "P1", "20250201"),
        ("SR", "P1", "20250101"),
    ]
