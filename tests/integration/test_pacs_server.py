"""The server before a real PACS, asked by MONAI Label's own client class as 3D Slicer asks, and by OHIF's paths."""

import gzip
import io
import threading
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import make_head
from helpers.running_orthanc import Orthanc, changed, head_series, orthanc_on, rest, start_orthanc, web
from helpers.running_server import RunningServer, start_server
from pydicom import dcmread
from pydicom.dataset import Dataset

from amd_das.output.dicom import read_segmentation
from amd_das.reading import read_volume

pytestmark = pytest.mark.integration

FRESH_S = 10.0
"""By when a change in the PACS must be seen."""

SLICER = {"result_extension": ".nrrd", "result_dtype": "uint8"}


class Site:
    """A PACS and the server before it."""

    def __init__(self, orthanc: Orthanc, server: RunningServer) -> None:
        self.orthanc, self.server = orthanc, server
        self.head, self.negative = head_series(), head_series(bleed=False, patient_id="4712")
        self.scout = changed(
            head_series(study_uid=self.head[0].StudyInstanceUID)[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
        )
        for datasets in (self.head, self.negative, self.scout):
            web(orthanc).store(datasets)

    @property
    def ids(self) -> tuple[str, str, str]:
        """SeriesInstanceUIDs of a head with a bleed, one without, and a localizer."""
        return self.head[0].SeriesInstanceUID, self.negative[0].SeriesInstanceUID, self.scout[0].SeriesInstanceUID


@pytest.fixture(scope="module")
def site(orthanc: Orthanc, pacs_server: RunningServer) -> Site:
    return Site(orthanc, pacs_server)


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports cgi
        from monailabel.client.client import MONAILabelClient

    return MONAILabelClient(site.server.url, tmpdir=str(tmp_path), client_id="user-xyz")


def eventually(condition: Any, seconds: float = FRESH_S) -> None:
    """Polls as a client would."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def read_back(content: bytes, datasets: list[Dataset], folder: Path) -> np.ndarray:
    """A SEG's mask on the grid of the series it was made from."""
    folder.mkdir()
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.dcm", write_like_original=False)
    return read_segmentation(dcmread(io.BytesIO(content)), read_volume(folder))


def test_scans_are_listed_without_the_localizer(site: Site, client: Any) -> None:
    head, negative, scout = site.ids
    eventually(lambda: {head, negative} <= client.datastore()["objects"].keys())
    objects = client.datastore()["objects"]
    assert scout not in objects
    assert objects[head]["image"]["info"]["instances"] == 10
    assert "Doe" not in str(objects)
    assert "PAT-4711" not in str(objects)
    assert client.info()["datastore"]["total"] == len(objects)


@pytest.mark.parametrize("strategy", ["first", "random"])
def test_next_sample_can_be_downloaded_as_nifti(site: Site, client: Any, strategy: str) -> None:
    sample = client.next_sample(strategy, {})
    assert sample["id"] in site.ids[:2]
    assert (sample["name"], sample["path"]) == (f"{sample['id']}.nii.gz", "")
    answer = site.server.request("GET", "/datastore/image", params={"image": sample["id"]})
    assert answer.headers["content-disposition"].endswith(f'{sample["id"]}.nii.gz"')
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    blood = make_head()[1]
    expected = make_head()[0] if sample["id"] == site.ids[0] else np.where(blood, 35, make_head()[0])
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), expected)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.affine, [[-2, 0, 0, 96], [0, -2, 0, 110], [0, 0, 8, -40], [0, 0, 0, 1]])
    assert site.server.request("HEAD", "/datastore/image", params={"image": sample["id"]}).status_code == 200
    assert site.server.leftovers() == []


def test_infer_by_id(site: Site, client: Any) -> None:
    mask, result = client.infer("amd_das", site.ids[0], dict(SLICER))
    assert mask.endswith(".nrrd")
    assert (result["image"]["source"], len(result["lesions"])) == ("dicom", 1)
    assert {"fetch", "queue", "total"} <= result["latencies"].keys()
    assert client.infer("amd_das", site.ids[1], dict(SLICER))[1]["volume_ml"] == 0
    unknown = site.server.infer(image="1.2.3.4")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
    assert site.server.infer(image="../../etc").status_code == 404


@pytest.mark.parametrize("which", [0, 1], ids=["bleed", "negative"])
def test_dicom_seg_needs_no_label_info(site: Site, which: int, tmp_path: Path) -> None:
    datasets = (site.head, site.negative)[which]
    answer = site.server.infer(image=site.ids[which], output="dicom_seg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom"), answer.text
    mask = read_back(answer.content, datasets, tmp_path / "series")
    image = site.server.infer(image=site.ids[which], output="image", params='{"result_extension": ".nii.gz"}')
    expected = np.asanyarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(image.content)).dataobj)
    np.testing.assert_array_equal(mask, expected)
    assert mask.any() == (which == 0)


def test_dicom_seg_of_an_upload_and_of_nifti(site: Site, tmp_path: Path) -> None:
    archive = tmp_path / "series.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for number, dataset in enumerate(site.head):
            dataset.save_as(tmp_path / "slice.dcm", write_like_original=False)
            opened.write(tmp_path / "slice.dcm", f"{number}.dcm")
    answer = site.server.infer(files={"file": archive.open("rb")}, output="dicom_seg")
    assert answer.status_code == 200, answer.text
    assert dcmread(io.BytesIO(answer.content)).Modality == "SEG"
    nifti = site.server.infer(
        files={"file": ("x.nii", nibabel.Nifti1Image(make_head()[0], np.eye(4)).to_bytes())}, output="dicom_seg"
    )
    assert (nifti.status_code, nifti.json()["error"]) == (400, "bad_config"), nifti.text
    assert "needs a DICOM series" in nifti.json()["detail"]
    assert site.server.leftovers() == []


@pytest.mark.parametrize("which", [0, 1], ids=["bleed", "negative"])
def test_a_final_label_is_a_seg_in_the_pacs(site: Site, client: Any, which: int) -> None:
    image = site.ids[which]
    done = client.info()["datastore"]["completed"]
    answer = site.server.infer(image=image, output="dicom_seg")
    web(site.orthanc).store([dcmread(io.BytesIO(answer.content))])
    time.sleep(6)  # until lists are fresh
    assert client.info()["datastore"]["completed"] == done, "an answer that nobody has corrected counts as a label"
    mask, result = client.infer("amd_das", image, dict(SLICER) | {"result_extension": ".nii.gz"})
    assert client.save_label(image, mask, "", {"label_info": []}) == {"image": image, "label": image}
    assert client.save_label(image, mask, "final", {}) == {"image": image, "label": image}, "the same again"
    pacs = web(site.orthanc)
    stored = [one for one in pacs.results_for(pacs.find_series(image)) if not one.is_automatic]
    assert [(one.series.modality, one.series.instances) for one in stored] == [("SEG", 1)]
    dataset = pacs.read(stored[0].series)[0]
    assert {segment.SegmentAlgorithmType for segment in dataset.SegmentSequence} == {"SEMIAUTOMATIC"}
    assert client.info()["datastore"]["completed"] == done + 1
    label = Path(client.download_label(image, "final"))
    np.testing.assert_array_equal(nibabel.load(label).get_fdata(), nibabel.load(mask).get_fdata())
    refused = site.server.request("DELETE", "/datastore/label", params={"id": image, "tag": "final"})
    assert (refused.status_code, "remove it there" in refused.json()["detail"]) == (403, True)
    assert result["volume_ml"] == pytest.approx(nibabel.load(label).get_fdata().sum() * 0.032, abs=0.01)


def test_the_newest_label_counts(site: Site, client: Any, tmp_path: Path) -> None:
    image = site.ids[0]
    first, _ = client.infer("amd_das", image, dict(SLICER) | {"result_extension": ".nii.gz"})
    loaded = nibabel.load(first)
    array = np.asanyarray(loaded.dataobj).copy()
    array[..., :5] = 0
    nibabel.save(nibabel.Nifti1Image(array, loaded.affine), tmp_path / "corrected.nii.gz")
    for mask in (str(tmp_path / "corrected.nii.gz"), first, str(tmp_path / "corrected.nii.gz")):
        client.save_label(image, mask, "final", {})
        label = client.download_label(image, "final")
        np.testing.assert_array_equal(nibabel.load(label).get_fdata(), nibabel.load(mask).get_fdata())


def test_other_tags_stay_on_the_server(site: Site, client: Any) -> None:
    image = site.ids[0]
    mask, _ = client.infer("amd_das", image, dict(SLICER))
    before = len(web(site.orthanc).segmentations())
    client.save_label(image, mask, "draft", {"comment": "half done"})
    label = client.datastore()["objects"][image]["labels"]["draft"]
    assert label["info"]["comment"] == "half done"
    assert Path(client.download_label(image, "draft")).read_bytes() == Path(mask).read_bytes()
    kept = list((site.server.folder / "runs").rglob("*.nrrd"))
    assert [path.stat().st_mode & 0o077 for path in (*kept, kept[0].parent)] == [0, 0]
    assert site.server.request("DELETE", "/datastore/label", params={"id": image, "tag": "draft"}).status_code == 200
    assert len(web(site.orthanc).segmentations()) == before


def test_a_change_in_the_pacs_is_seen_in_time(site: Site, client: Any, tmp_path: Path) -> None:
    client.datastore()
    datasets = head_series(patient_id="4713")
    uid = datasets[0].SeriesInstanceUID
    web(site.orthanc).store(datasets[:6])
    eventually(lambda: uid in client.datastore()["objects"])
    assert site.server.infer(image=uid).json()["image"]["shape"][2] == 6
    web(site.orthanc).store(datasets[6:])
    assert site.server.infer(image=uid).json()["image"]["shape"][2] == 10, "never a stale copy"
    found = rest(site.orthanc, "POST", "/tools/lookup", data=uid).json()[0]["ID"]
    rest(site.orthanc, "DELETE", f"/series/{found}")
    eventually(lambda: uid not in client.datastore()["objects"])
    assert site.server.infer(image=uid).status_code == 404


def test_many_clients_cause_few_questions(site: Site) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.extend(site.server.request("GET", "/datastore/").status_code for _ in range(20))

    log = site.orthanc.log
    size = log.stat().st_size
    threads = [threading.Thread(target=ask) for _ in range(5)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 100
    assert time.monotonic() - started < 20
    assert log.stat().st_size - size < 5000


def test_a_batch_saves_drafts_of_every_series(site: Site) -> None:
    assert site.server.request("POST", "/batch/infer/amd_das", json={}).status_code == 200

    def job() -> Any:
        return site.server.request("GET", "/batch/infer").json()

    eventually(lambda: job()["status"] == "DONE", 60)
    assert (job()["failed"], job()["done"]) == ({}, job()["total"])
    labels = site.server.request("GET", "/datastore/?output=all").json()["objects"][site.ids[0]]["labels"]
    assert labels["original"]["info"]["params"]["volume_ml"] > 0


def test_ohif_reads_through_the_proxy_and_no_further(site: Site) -> None:
    study, series = site.head[0].StudyInstanceUID, site.ids[0]
    studies = site.server.request("GET", f"/proxy/dicom/qido/studies?StudyInstanceUID={study}&limit=5").json()
    assert [one["0020000D"]["Value"] for one in studies] == [[study]]
    below = f"/proxy/dicom/wado/studies/{study}/series/{series}"
    metadata = site.server.request("GET", f"{below}/metadata")
    assert (len(metadata.json()), metadata.headers["content-type"]) == (10, "application/dicom+json")
    accept = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    frame = site.server.request("GET", f"{below}/instances/{site.head[0].SOPInstanceUID}/frames/1", headers=accept)
    assert site.head[0].PixelData in frame.content
    for path in (
        "/proxy/dicom/wado/%2e%2e/system",
        "/proxy/dicom/wado/studies/../../instances/x",
        "/proxy/dicom/wado/tools",
        "/proxy/dicom/wado//studies",
        "/proxy/dicom/stow/studies",
        "/proxy/dicom/studies",
    ):
        assert site.server.request("GET", path).status_code == 404, path
    assert site.server.request("POST", "/proxy/dicom/wado/studies", data=b"x").status_code == 405
    missing = site.server.request("GET", "/proxy/dicom/wado/studies/1.2.3/metadata")
    assert missing.status_code in (200, 404)
    assert site.server.request("GET", "/ohif/").status_code == 200


def test_scans_are_not_written_through_the_server(site: Site) -> None:
    assert site.server.request("DELETE", "/datastore/image", params={"id": site.ids[0]}).status_code == 403
    assert site.server.request("GET", "/datastore/dataset").status_code == 403


def test_a_pacs_that_goes_away_costs_requests_not_the_server(site: Site, client: Any) -> None:
    site.orthanc.kill()
    for method, path in (
        ("GET", "/datastore/image?image=" + site.ids[0]),
        ("POST", "/infer/amd_das?image=" + site.ids[0]),
        ("GET", "/proxy/dicom/qido/studies"),
    ):
        answer = site.server.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (503, "pacs_unreachable"), path
    eventually(lambda: site.server.request("GET", "/datastore/").status_code == 503)
    info = client.info()
    assert info["datastore"]["total"] == 0
    assert "unreachable" in info["description"]
    assert "0 scans" in site.server.request("GET", "/").text
    again = orthanc_on(site.orthanc.config)
    try:
        eventually(lambda: client.info()["datastore"]["total"] >= 2)
        assert site.server.infer(image=site.ids[0]).status_code == 200
    finally:
        again.kill()


def test_nothing_of_the_patient_is_logged_or_left(site: Site) -> None:
    log = site.server.log.split("Stop with Ctrl+C.")[1] + site.server.request("GET", "/logs/?lines=2000").text
    for secret in ("Doe", "PAT-4711", site.ids[0], site.head[0].StudyInstanceUID):
        assert secret not in log
    assert "Traceback" not in site.server.log
    assert site.server.leftovers() == []
    for path in (site.server.folder / "cache").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_pacs_that_is_down_at_start_and_then_wants_a_password(
    orthanc: Orthanc, tmp_path: Path, model_dir: Path
) -> None:
    other = start_orthanc(tmp_path / "pacs", users={"amd": "right-password"})
    other.kill()
    credentials = {"AMD_DAS_PACS_USERNAME": "amd", "AMD_DAS_PACS_PASSWORD": "wrong-password"}
    running = start_server(tmp_path / "server", model_dir, studies=other.url, **credentials).wait_until_ready()
    try:
        info = running.request("GET", "/info/").json()
        assert (info["datastore"]["total"], "unreachable" in info["description"]) == (0, True)
        assert "NO PACS" in running.log
        assert running.infer(image="1.2.3.4").json()["error"] == "pacs_unreachable"
        again = orthanc_on(other.config)
        try:
            eventually(
                lambda: "refuses the user name or password" in running.request("GET", "/info/").json()["description"]
            )
            for path in ("/datastore/", "/proxy/dicom/qido/studies"):
                answer = running.request("GET", path)
                assert (answer.status_code, answer.json()["error"]) == (502, "pacs_credentials")
            assert "wrong-password" not in running.log + running.request("GET", "/logs/").text
        finally:
            again.kill()
    finally:
        running.close()
