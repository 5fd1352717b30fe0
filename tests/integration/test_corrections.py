"""Clicks and strokes as the 3D Slicer plugin and OHIF send them, against the running server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.clients import client_of
from helpers.heads import AFFINE, make_head, save_blood_detector
from helpers.running_server import RunningServer, start_server

pytestmark = pytest.mark.integration

SLICER = {"result_extension": ".nrrd", "result_dtype": "uint8"}
IN_BLOOD, IN_BRAIN, OUTSIDE = [57, 54, 5], [30, 54, 5], [96, 54, 5]
"""Voxels of the head called "right"."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A model that finds the bleed of "right", and misses the paler one of "missed"."""
    folder = tmp_path_factory.mktemp("server")
    save_blood_detector(folder / "model")
    (folder / "studies").mkdir()
    for name, hu in (("right", 65), ("missed", 54)):
        head, blood = make_head(bleed_x=10)
        head[blood] = hu
        nibabel.save(nibabel.Nifti1Image(head, AFFINE), folder / "studies" / f"{name}.nii.gz")
    running = start_server(folder, folder / "model", AMD_DAS_ALLOW="sessions")
    yield running.wait_until_ready()
    running.close()


@pytest.fixture
def client(server: RunningServer, tmp_path: Path) -> Any:
    return client_of(server, tmp_path)


def slicer_params(client: Any, model: str) -> dict[str, Any]:
    """The task's config as the plugin's options table returns it."""
    config = client.info()["models"][model]["config"]
    return {key: value[0] if isinstance(value, list) else value for key, value in config.items()} | SLICER


def smart_edit(client: Any, hemorrhage: list[list[int]], background: list[list[int]]) -> dict[str, Any]:
    """What SmartEdit sends: one key for each of the app's labels, and the segment that is selected."""
    clicks = {"hemorrhage": hemorrhage, "background": background}
    assert set(client.info()["labels"]) == set(clicks)
    return {**{name: clicks[name] for name in client.info()["labels"]}, "label": "hemorrhage"} | slicer_params(
        client, "amd_das_edit"
    )


def read(mask: str) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(mask)).transpose() != 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_info_offers_clicks_and_strokes_where_the_clients_look(client: Any) -> None:
    models = client.info()["models"]
    assert list(models) == ["amd_das", "amd_das_edit", "amd_das_scribbles"]
    edit, scribbles = models["amd_das_edit"], models["amd_das_scribbles"]
    assert (edit["type"], edit["dimension"], edit["labels"]) == ("deepedit", 3, {"hemorrhage": 1, "background": 0})
    assert (scribbles["type"], scribbles["dimension"], scribbles["labels"]) == ("scribbles", 3, {"hemorrhage": 1})
    for model in (edit, scribbles):
        assert model["config"]["start"] == ["automatic", "nothing"]
        assert "Research use only" in model["description"]


def test_no_click_is_the_automatic_result(client: Any) -> None:
    automatic, _ = client.infer("amd_das", "right", dict(SLICER))
    edited, result = client.infer("amd_das_edit", "right", smart_edit(client, [], []))
    np.testing.assert_array_equal(read(edited), read(automatic))
    assert result["label_names"] == {"hemorrhage": 1}
    assert (result["correction"]["added_ml"], result["correction"]["start"]) == (0, "automatic")


def test_one_click_finds_a_missed_bleed(client: Any, server: RunningServer) -> None:
    blood = make_head(bleed_x=10)[1]
    before, _ = client.infer("amd_das", "missed", dict(SLICER))
    assert not read(before).any()
    mask, result = client.infer("amd_das_edit", "missed", smart_edit(client, [IN_BLOOD], []))
    assert dice(read(mask), blood) > 0.85
    assert result["volume_ml"] == pytest.approx(read(mask).sum() * 0.032, abs=0.01)
    assert result["correction"]["added_ml"] == result["volume_ml"]
    assert len(result["lesions"]) == 1
    assert server.leftovers() == []


def test_a_background_click_takes_a_lesion_away(client: Any) -> None:
    mask, result = client.infer("amd_das_edit", "right", smart_edit(client, [], [IN_BLOOD]))
    assert not read(mask).any()
    assert (result["volume_ml"], result["lesions"]) == (0, [])
    assert result["correction"]["removed_ml"] > 1


def test_what_ohif_sends(server: RunningServer) -> None:
    params = {
        "background": [IN_BRAIN],
        "hemorrhage": [IN_BLOOD],
        "result_extension": ".nrrd",
        "result_dtype": "uint8",
        "result_compress": False,
        "restore_label_idx": False,
        "start": ["automatic", "nothing"],
    }
    answer = server.request(
        "POST",
        "/infer/amd_das_edit",
        params={"image": "missed", "output": "image"},
        data={"params": json.dumps(params)},
    )
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"NRRD")


def test_clicks_by_session_and_by_upload(client: Any, tmp_path: Path) -> None:
    head, blood = make_head(bleed_x=10)
    head[blood] = 54
    own = tmp_path / "own.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head, AFFINE), own)
    session = client.create_session(str(own))["session_id"]
    params = smart_edit(client, [IN_BLOOD], [])
    by_session, _ = client.infer("amd_das_edit", "Volume", dict(params), session_id=session)
    by_upload, _ = client.infer("amd_das_edit", "", dict(params), file=str(own))
    assert dice(read(by_session), blood) > 0.85
    np.testing.assert_array_equal(read(by_session), read(by_upload))
    client.remove_session(session)


def test_clicks_on_a_mask_that_is_sent_along(client: Any, tmp_path: Path) -> None:
    mine = np.zeros((96, 110, 10), np.uint8)
    mine[20:26, 50:56, 4:6] = 1
    nibabel.save(nibabel.Nifti1Image(mine, AFFINE), tmp_path / "mine.nii.gz")
    params = smart_edit(client, [IN_BLOOD], [])
    mask, result = client.infer("amd_das_edit", "missed", params, label_in=str(tmp_path / "mine.nii.gz"))
    assert read(mask)[mine != 0].all()
    assert read(mask)[tuple(IN_BLOOD)]
    assert result["correction"]["start"] == "label"


def scribbles(tmp_path: Path, hemorrhage: np.ndarray, fore: list[int] | None, back: list[int] | None) -> str:
    """The labelmap that the plugin exports: segments numbered in their order."""
    values = hemorrhage.astype(np.int16)
    for value, at in ((3, back), (4, fore)):
        if at is not None:
            values[at[0] - 2 : at[0] + 3, at[1], at[2]] = value
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), tmp_path / "scribbles.nii.gz")
    return str(tmp_path / "scribbles.nii.gz")


def scribbles_params(client: Any, roi: list[int]) -> dict[str, Any]:
    names = ["hemorrhage", "background", "background_scribbles", "foreground_scribbles"]
    return slicer_params(client, "amd_das_scribbles") | {
        "roi": roi,
        "label_info": [{"name": name, "id": number} for number, name in enumerate(names, start=1)],
        "selected_label_name": "hemorrhage",
    }


def test_strokes_from_slicer(client: Any, tmp_path: Path) -> None:
    blood = make_head(bleed_x=10)[1]
    nothing = np.zeros_like(blood)
    file = scribbles(tmp_path, nothing, IN_BLOOD, IN_BRAIN)
    mask, result = client.infer("amd_das_scribbles", "missed", scribbles_params(client, []), label_in=file)
    assert dice(read(mask), blood) > 0.85
    assert not read(mask)[tuple(IN_BRAIN)]
    assert (result["correction"]["foreground"], result["correction"]["background"]) == (1, 1)

    wrong = np.zeros_like(blood)
    wrong[20:28, 50:58, 4:6] = True
    file = scribbles(tmp_path, wrong, None, [24, 54, 5])
    mask, result = client.infer("amd_das_scribbles", "missed", scribbles_params(client, []), label_in=file)
    assert result["correction"]["start"] == "label"
    assert not read(mask).any()


def test_a_region_of_interest_alone_means_its_middle(client: Any, tmp_path: Path) -> None:
    i, j, k = IN_BLOOD
    roi = [i + 10, i - 10, j - 10, j + 10, k - 2, k + 2]  # the plugin turns axes that the image has flipped
    file = scribbles(tmp_path, np.zeros((96, 110, 10), bool), None, None)
    mask, _ = client.infer("amd_das_scribbles", "missed", scribbles_params(client, roi), label_in=file)
    assert dice(read(mask), make_head(bleed_x=10)[1]) > 0.85


@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ({"hemorrhage": [OUTSIDE]}, 400, "outside the image, which has 96 x 110 x 10 voxels"),
        ({"foreground": [IN_BLOOD], "background": [IN_BLOOD]}, 400, "as foreground and as background"),
        ({"hemorrhage": [[1, 2]]}, 400, "expected three numbers"),
        ({"hemorrhage": {"a": 1}}, 400, "expected a list of voxels"),
        ({"hemorrhage": [IN_BLOOD], "start": "label"}, 400, "expected one of automatic, nothing"),
        ({"clicks": []}, 400, "allowed: device"),
    ],
)
def test_bad_clicks_are_refused(server: RunningServer, params: dict[str, Any], status: int, says: str) -> None:
    answer = server.request(
        "POST", "/infer/amd_das_edit", params={"image": "missed"}, data={"params": json.dumps(params)}
    )
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def post_scribbles(server: RunningServer, label: Any, params: str = "{}") -> Any:
    return server.request(
        "POST",
        "/infer/amd_das_scribbles",
        params={"image": "missed"},
        data={"params": params},
        files=None if label is None else {"label": label},
    )


def test_bad_scribbles_are_refused(server: RunningServer, tmp_path: Path) -> None:
    assert "no scribbles came" in post_scribbles(server, None).json()["detail"]
    answer = post_scribbles(server, ("label.bin", b"\x01" * 64))
    assert answer.status_code == 400
    assert "expected one ending in" in answer.json()["detail"]
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.uint8), AFFINE), tmp_path / "small.nii.gz")
    answer = post_scribbles(server, ("small.nii.gz", (tmp_path / "small.nii.gz").read_bytes()))
    assert answer.status_code == 422
    assert "8 × 8 × 8 voxels and its image 96 × 110 × 10" in answer.json()["detail"]
    empty = Path(scribbles(tmp_path, np.zeros((96, 110, 10), bool), None, None))
    assert "no strokes came" in post_scribbles(server, ("l.nii.gz", empty.read_bytes())).json()["detail"]
    assert server.leftovers() == []


def test_the_automatic_model_takes_no_label_and_no_other_model_is_known(server: RunningServer) -> None:
    refused = server.request("POST", "/infer/other", params={"image": "right"})
    assert (refused.status_code, "amd_das_edit" in refused.json()["detail"]) == (404, True)
    refused = server.request("POST", "/infer/amd_das", params={"image": "right"}, files={"label": ("l.nii.gz", b"1")})
    assert "takes no label" in refused.json()["detail"]


def test_a_further_click_needs_no_network(client: Any) -> None:
    client.infer("amd_das_edit", "right", smart_edit(client, [IN_BLOOD], []))
    _, result = client.infer("amd_das_edit", "right", smart_edit(client, [IN_BLOOD], [IN_BRAIN]))
    assert result["latencies"]["total"] < 1.0
    assert result["latencies"]["scan"] < 0.2
