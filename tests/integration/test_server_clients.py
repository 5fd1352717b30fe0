"""MONAI Label's own client class against the running server, called as the 3D Slicer plugin calls it."""

import time
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.clients import client_of
from helpers.dicom_series import write_series
from helpers.heads import AFFINE, make_head
from helpers.running_server import RunningServer

pytestmark = pytest.mark.integration

SLICER = {"result_extension": ".nrrd", "result_dtype": "uint8"}


@pytest.fixture
def client(server: RunningServer, tmp_path: Path) -> Any:
    return client_of(server, tmp_path)


def config_as_slicer_sends_it(info: dict[str, Any]) -> dict[str, Any]:
    """The task's config, the first entry of each list, as the plugin's options table returns it."""
    config = info["models"]["amd_das"]["config"]
    return {key: value[0] if isinstance(value, list) else value for key, value in config.items()} | SLICER


def assert_is_mask_of(mask_file: str, image_file: Path, blood: np.ndarray) -> None:
    """uint8, on the image's grid as ITK sees it, and where the blood is."""
    mask, image = sitk.ReadImage(mask_file), sitk.ReadImage(str(image_file))
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert mask.GetSize() == image.GetSize()
    for got, expected in zip(
        (mask.GetOrigin(), mask.GetSpacing(), mask.GetDirection()),
        (image.GetOrigin(), image.GetSpacing(), image.GetDirection()),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, atol=1e-4)
    array = sitk.GetArrayFromImage(mask).transpose()
    assert 2 * (array.astype(bool) & blood).sum() / (array.sum() + blood.sum()) > 0.85


def test_info_offers_the_task_to_slicer_and_ohif(client: Any) -> None:
    info = client.info()
    model = info["models"]["amd_das"]
    assert (model["type"], model["dimension"], model["labels"]) == ("segmentation", 3, {"hemorrhage": 1})
    assert info["labels"] == ["hemorrhage", "background"]  # without it 3D Slicer offers no background clicks
    assert "Research use only" in info["description"]
    assert all(isinstance(name, str) for name in model["config"]["device"])


@pytest.mark.parametrize("strategy", ["random", "first"])
def test_next_sample_names_a_scan_of_the_studies(client: Any, server: RunningServer, strategy: str) -> None:
    sample = client.next_sample(strategy, {})
    assert Path(sample["path"]).parent == server.studies.resolve()
    assert Path(sample["path"]).name == f"{sample['id']}.nii.gz"


@pytest.mark.parametrize(("image", "side", "bleed_x"), [("right", "right", 10), ("left", "left", -10)])
def test_infer_by_id(client: Any, server: RunningServer, image: str, side: str, bleed_x: float) -> None:
    params = config_as_slicer_sends_it(client.info())
    mask, result = client.infer("amd_das", image, params)
    assert mask.endswith(".nrrd")
    assert_is_mask_of(mask, server.studies / f"{image}.nii.gz", make_head(bleed_x=bleed_x)[1])
    assert result["label_names"] == {"hemorrhage": 1}
    assert result["volume_ml"] == pytest.approx(sitk.GetArrayFromImage(sitk.ReadImage(mask)).sum() * 0.032, abs=0.01)
    assert [lesion["side"] for lesion in result["lesions"]] == [side]
    assert {"queue", "total"} <= result["latencies"].keys()
    assert server.leftovers() == []


def test_infer_by_upload(client: Any, server: RunningServer, tmp_path: Path) -> None:
    head, blood = make_head(bleed_x=5)
    upload = tmp_path / "Own Scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head, AFFINE), upload)
    mask, result = client.infer("amd_das", "", dict(SLICER), file=str(upload))
    assert_is_mask_of(mask, upload, blood)
    assert result["case_id"] == "Own_Scan"
    assert server.leftovers() == []


def test_infer_by_upload_of_a_zipped_dicom_series(server: RunningServer, tmp_path: Path) -> None:
    head, _ = make_head((192, 220, 8))
    write_series(tmp_path / "series", head, step=(0, 0, 8))
    archive = tmp_path / "series.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for file in (tmp_path / "series").iterdir():
            opened.write(file, f"study/series/{file.name}")
    answer = server.infer(files={"file": archive.open("rb")})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["image"]["source"], len(answer.json()["lesions"])) == ("dicom", 1)
    assert server.leftovers() == []


def test_infer_by_session(open_server: RunningServer, tmp_path: Path) -> None:
    client = client_of(open_server, tmp_path)
    head, blood = make_head(bleed_x=5)
    own = tmp_path / "tmp1234.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head, AFFINE), own)
    session = client.create_session(str(own))
    session_id = session["session_id"]
    assert client.get_session(session_id)["name"] == session_id
    mask, result = client.infer("amd_das", "Volume", dict(SLICER), session_id=session_id)
    assert_is_mask_of(mask, own, blood)
    assert result["case_id"] == "tmp1234"
    client.remove_session(session_id)
    assert open_server.request("GET", f"/session/{session_id}").status_code == 404
    assert list(open_server.sessions.iterdir()) == []
    assert open_server.leftovers() == []


def test_infer_by_session_of_a_dicom_series(open_server: RunningServer, tmp_path: Path) -> None:
    head, _ = make_head((192, 220, 8))
    folder = write_series(tmp_path / "series", head, step=(0, 0, 8))
    files = [("files", (file.name, file.read_bytes())) for file in folder.iterdir()]
    created = open_server.request("PUT", "/session/", files=files)
    assert created.status_code == 200, created.text
    session_id = created.json()["session_id"]
    answer = open_server.infer(query={"session_id": session_id})
    assert (answer.json()["image"]["source"], len(answer.json()["lesions"])) == ("dicom", 1)
    assert open_server.request("DELETE", f"/session/{session_id}").status_code == 200


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz"])
def test_save_label_then_download_it(client: Any, server: RunningServer, extension: str) -> None:
    mask, _ = client.infer("amd_das", "left", SLICER | {"result_extension": extension})
    saved = client.save_label("left", mask, "", {"label_info": [{"name": "hemorrhage", "idx": 1}]})
    assert saved == {"image": "left", "label": "left"}
    label = client.datastore()["objects"]["left"]["labels"]["final"]
    assert [path.name for path in (server.studies / "labels" / "final").iterdir()] == [f"left{extension}"]
    assert (label["ext"], label["info"]["client_id"]) == (extension, "user-xyz")
    assert Path(client.download_label("left", "final")).read_bytes() == Path(mask).read_bytes()
    assert client.info()["datastore"]["completed"] == 1
    assert server.request("DELETE", "/datastore/label", params={"id": "left", "tag": "final"}).status_code == 200
    assert client.info()["datastore"]["completed"] == 0
    assert server.leftovers() == []


def test_upload_image_then_segment_and_remove_it(open_server: RunningServer, tmp_path: Path) -> None:
    client = client_of(open_server, tmp_path)
    own = tmp_path / "new.nii.gz"
    nibabel.save(nibabel.Nifti1Image(make_head()[0], AFFINE), own)
    assert client.upload_image(str(own), "Head CT 5.0") == {"image": "Head CT 5.0"}
    assert client.upload_image(str(own), "Head CT 5.0") == {"image": "Head CT 5.0"}
    assert client.infer("amd_das", "Head CT 5.0", dict(SLICER))[1]["case_id"] == "Head_CT_5.0"
    assert open_server.request("DELETE", "/datastore/image", params={"id": "Head CT 5.0"}).status_code == 200
    assert not (open_server.studies / "Head CT 5.0.nii.gz").exists()


def test_what_ohif_asks(server: RunningServer) -> None:
    params = (
        '{"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": false, "restore_label_idx": false}'
    )
    answer = server.infer(image="right", params=params, output="image", headers={"Origin": server.url})
    assert answer.status_code == 200
    assert answer.content.startswith(b"NRRD")
    assert answer.headers["content-disposition"].endswith('.nrrd"')


def test_batch_infer_saves_a_label_for_every_scan(open_server: RunningServer) -> None:
    body = {
        "device": "cuda",
        "multi_gpu": True,
        "gpus": "all",
        "save_label": True,
        "max_workers": 1,
        "max_batch_size": 0,
    }
    started = open_server.request("POST", "/batch/infer/amd_das", json=body)
    assert started.status_code == 200, started.text
    assert open_server.request("POST", "/batch/infer/amd_das").status_code == 409
    deadline = time.monotonic() + 60
    while (job := open_server.request("GET", "/batch/infer").json())["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (job["status"], job["done"], job["failed"]) == ("DONE", job["total"], {})
    objects = open_server.request("GET", "/datastore/?output=all").json()["objects"]
    for name in ("left", "right"):
        info = objects[name]["labels"]["original"]["info"]
        assert info["params"]["label_names"] == {"hemorrhage": 1}
        assert info["params"]["volume_ml"] > 0
    assert open_server.leftovers() == []
