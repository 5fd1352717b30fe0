"""The worklist through the running server, asked by MONAI Label's own client: who gets which scan, and why."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector, write_head
from helpers.running_server import RunningServer, start_server
from monailabel.client import MONAILabelClient
from PIL import Image

from amd_das.output.thumbnail import SIDE_PX

pytestmark = pytest.mark.integration


def write_scans(studies: Path) -> None:
    """A head with a small bleed, one with a large one, one without, and something that is no head."""
    studies.mkdir(parents=True, exist_ok=True)
    write_head(studies / "small.nii.gz")
    hu, blood = make_head()
    without = np.where(blood, 35, hu).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(without, AFFINE), studies / "none.nii.gz")
    large = without.copy()
    large[30:70, 35:75, 3:7] = 65
    nibabel.save(nibabel.Nifti1Image(large, AFFINE), studies / "large.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((64, 64, 5), np.int16), AFFINE), studies / "blank.nii.gz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worklist")
    write_scans(folder / "studies")
    save_blood_detector(folder / "model")
    return folder


def serve(folder: Path) -> RunningServer:
    return start_server(folder, folder / "model", AMD_DAS_SCORE_AFTER="1").wait_until_ready()


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    running = serve(folder)
    yield running
    running.close()


def rows(server: RunningServer) -> dict[str, dict[str, Any]]:
    return {row["image"]: row for row in server.request("GET", "/worklist/").json()["cases"]}


def wait_until_scored(server: RunningServer, count: int = 4) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = rows(server)
        if sum(row["volume_ml"] is not None or bool(row["error"]) for row in found.values()) == count:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not scored in time: {rows(server)}\n{server.log}")


@pytest.fixture(scope="module")
def scored(server: RunningServer) -> dict[str, dict[str, Any]]:
    return wait_until_scored(server)


@pytest.fixture(autouse=True)
def everything_free(server: RunningServer) -> None:
    for image in ("small", "large", "none", "blank"):
        server.request("DELETE", f"/worklist/{image}/skip").raise_for_status()


def client(server: RunningServer, name: str) -> MONAILabelClient:
    return MONAILabelClient(server.url, client_id=name)


def test_every_scan_is_scored_by_itself(scored: dict[str, dict[str, Any]]) -> None:
    assert scored["large"]["volume_ml"] > scored["small"]["volume_ml"] > 1.0
    assert scored["none"]["volume_ml"] == 0.0
    assert scored["none"]["uncertainty"] == pytest.approx(0.0, abs=0.01)
    assert 0.0 <= scored["large"]["uncertainty"] <= 1.0
    assert "not_head_ct" in scored["blank"]["error"]
    assert {row["status"] for row in scored.values()} == {"new"}


def test_a_failed_scan_is_not_tried_for_ever(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    record = server.request("GET", "/scoring/").json()
    assert record["status"] == "DONE"
    assert record["details"][0].startswith("0 of 4 scans wait to be scored")


def test_largest_first_is_the_default_and_hands_out_the_largest(
    server: RunningServer, scored: dict[str, dict[str, Any]]
) -> None:
    assert next(iter(client(server, "ann").info()["strategies"])) == "largest_first"
    got = [client(server, name).next_sample("largest_first", {})["id"] for name in ("ann", "bob", "cyd", "dan")]
    assert got == ["large", "small", "none", "blank"]


def test_two_annotators_never_get_the_same(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    for strategy in ("uncertain", "diverse", "random", "first"):
        first = client(server, "ann").next_sample(strategy, {})["id"]
        second = client(server, "bob").next_sample(strategy, {})["id"]
        assert first != second
    assert rows(server)[second]["status"] == "taken"
    assert rows(server)[second]["annotator"] == "bob"


def test_a_skipped_scan_is_handed_to_nobody(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    answer = server.request("POST", "/worklist/large/skip", params={"client_id": "ann"})
    assert answer.json() == {"image": "large", "status": "skipped"}
    assert client(server, "bob").next_sample("largest_first", {})["id"] == "small"
    assert rows(server)["large"]["annotator"] == "ann"
    server.request("DELETE", "/worklist/large/skip").raise_for_status()
    assert client(server, "cyd").next_sample("largest_first", {})["id"] == "large"


def test_an_unknown_scan_is_not_found(server: RunningServer) -> None:
    for method, path in (("POST", "skip"), ("DELETE", "skip"), ("GET", "thumbnail.png")):
        answer = server.request(method, f"/worklist/nobody/{path}")
        assert answer.status_code == 404
        assert "nobody" in answer.json()["detail"]


def test_the_thumbnail_shows_the_outline(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    answer = server.request("GET", "/worklist/large/thumbnail.png")
    assert answer.headers["content-type"] == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    assert max(picture.shape[:2]) == SIDE_PX
    assert (picture[..., 0] - picture[..., 2] > 80).sum() > 20, "the line is coloured"
    assert server.request("GET", "/worklist/blank/thumbnail.png").status_code == 404


def test_scores_are_among_the_notes_on_a_scan(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    listed = server.request("GET", "/datastore/?output=all").json()["objects"]
    note = listed["large"]["image"]["info"]["amd_das"]
    assert note["volume_ml"] == pytest.approx(scored["large"]["volume_ml"], abs=0.001)
    assert note["model"] == scored["large"]["model_version"]


def test_a_submitted_label_is_compared_and_its_scan_handed_out_no_more(
    server: RunningServer, folder: Path, scored: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    blood = make_head()[1]
    nibabel.save(nibabel.Nifti1Image(blood.astype(np.uint8), AFFINE), tmp_path / "label.nii.gz")
    asked = client(server, "ann")
    asked.save_label("small", str(tmp_path / "label.nii.gz"), "final", {})
    deadline = time.monotonic() + 60
    while (row := rows(server)["small"])["dice"] is None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (row["status"], row["annotator"]) == ("labelled", "ann")
    assert 0.5 < row["dice"] <= 1.0
    assert row["volume_error_ml"] == pytest.approx(row["volume_ml"] - row["label_ml"])
    assert row["hd95_mm"] < 20
    info = server.request("GET", "/datastore/label/info", params={"label": "small", "tag": "final"}).json()
    assert info["dice_volume"]["dice"] == pytest.approx(row["dice"], abs=1e-4)
    record = server.request("GET", "/scoring/").json()
    assert record["result"]["cases"]["small"]["dice"] == row["dice"] == record["result"]["mean_dice"]
    assert record["details"][1] == f"mean Dice {row['dice']:.3f}"
    assert [asked.next_sample("largest_first", {})["id"] for _ in range(2)] == ["large", "none"]
    distances = rows(server)
    assert distances["small"]["distance"] == 0.0
    assert distances["large"]["distance"] > 0.0
    assert server.request("POST", "/scoring/dice_volume").json()["status"] == "RUNNING"
    deadline = time.monotonic() + 60
    while server.request("GET", "/scoring/").json()["status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert rows(server)["small"]["dice"] == row["dice"]
    server.request("DELETE", "/datastore/label", params={"id": "small", "tag": "final"}).raise_for_status()


def test_an_inference_does_not_wait_for_the_scoring(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    answer = server.infer(image="large")
    assert answer.status_code == 200
    assert answer.json()["latencies"]["queue"] < 5


def test_scores_survive_a_restart_and_a_new_model_scores_anew(folder: Path, scored: dict[str, dict[str, Any]]) -> None:
    database = next((folder / "runs").glob("*/worklist/worklist.sqlite"))
    assert database.stat().st_size > 0
    other = start_server(folder, folder / "model").wait_until_ready()  # does not score by itself
    try:
        assert rows(other)["large"]["volume_ml"] == scored["large"]["volume_ml"]
        save_blood_detector(folder / "model", bias=-40.0)  # finds nothing, should the first server score in between
        deadline = time.monotonic() + 60
        while (row := rows(other)["large"])["model_version"] == scored["large"]["model_version"]:
            assert time.monotonic() < deadline, row
            time.sleep(0.3)
        assert row["volume_ml"] in (None, 0.0)
    finally:
        other.close()


def test_the_nameless_are_their_machine(server: RunningServer, scored: dict[str, dict[str, Any]]) -> None:
    got = server.request("POST", "/activelearning/first").json()["id"]
    assert rows(server)[got]["annotator"] == "somebody@127.0.0.1"


@pytest.mark.parametrize("params", [{"label_tag": "../x"}, {"label_tag": {"a": 1}}, [1], {"client_id": {"a": 1}}])
def test_odd_params_are_refused_or_harmless(server: RunningServer, params: Any) -> None:
    answer = server.request("POST", "/activelearning/first", json=params)
    assert answer.status_code == (200 if "client_id" in params else 400)


def test_an_unknown_strategy_names_those_there_are(server: RunningServer) -> None:
    answer = server.request("POST", "/activelearning/best")
    assert answer.status_code == 404
    assert "largest_first" in answer.json()["detail"]


def test_an_unknown_scoring_method_is_not_found(server: RunningServer) -> None:
    answer = server.request("POST", "/scoring/other")
    assert answer.status_code == 404
    assert "dice_volume" in answer.json()["detail"]
