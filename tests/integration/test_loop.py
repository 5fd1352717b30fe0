"""The whole loop: log in, next scan, outline, clicks, submit, learn; the same scans are outlined better than before."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector
from helpers.people import NAMES, PASSWORD, add_people
from helpers.running_server import RunningServer, start_server
from monailabel.client.client import MONAILabelClient, MONAILabelClientException
from scipy.ndimage import distance_transform_edt

from amd_das import models

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

SCANS = {"a": 10.0, "b": -10.0, "c": 14.0, "d": 6.0, "e": -6.0}
FAINT_HU = 54
"""Below what the detector takes for blood, above brain."""

LEARN = {"steps": 150, "learning_rate": 0.05, "frozen_stages": 5, "device": "cpu"}


def head(bleed_x: float) -> tuple[np.ndarray, np.ndarray]:
    """A bleed that the detector finds, and a fainter one that it misses; both are hemorrhage."""
    hu, blood = make_head(bleed_x=bleed_x)
    faint = np.roll(make_head(bleed_x=bleed_x)[1], 24, axis=1)
    hu[faint] = FAINT_HU
    return hu, blood | faint


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * float((mask & truth).sum()) / float(mask.sum() + truth.sum())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    save_blood_detector(tmp_path / "model")
    (tmp_path / "studies").mkdir()
    for name, bleed_x in SCANS.items():
        nibabel.save(nibabel.Nifti1Image(head(bleed_x)[0], AFFINE), tmp_path / "studies" / f"{name}.nii.gz")
    running = start_server(tmp_path, tmp_path / "model").wait_until_ready()
    add_people(tmp_path / "runs" / "accounts")
    yield running
    log_in(running, tmp_path, "admin").train_stop()
    running.close()


def log_in(server: RunningServer, folder: Path, role: str) -> Any:
    """MONAI Label's client, as somebody of this role."""
    client = MONAILabelClient(server.url, tmpdir=str(folder / "tmp"), client_id="3D Slicer")
    assert client.auth_enabled()
    client.update_auth(client.auth_token(NAMES[role], PASSWORD))
    assert client.auth_valid_token()
    return client


def outline(client: Any, model: str, image: str, params: dict[str, Any]) -> np.ndarray:
    path, _ = client.infer(model, image, params)
    mask: np.ndarray = np.asarray(nibabel.load(path).dataobj) > 0
    return mask


def clicks_on(missed: np.ndarray, count: int) -> list[list[int]]:
    """A voxel in the middle of what is missed, on each of the slices that show most of it."""
    areas = missed.sum(axis=(0, 1))
    clicks = []
    for k in np.argsort(-areas)[:count]:
        depth = distance_transform_edt(missed[:, :, k])
        clicks.append([int(index) for index in (*np.unravel_index(depth.argmax(), depth.shape), k)])
    return clicks


def wait(client: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 400
    while (record := client.train_status())["status"] not in ("DONE", "ERROR", "STOPPED"):
        assert time.monotonic() < deadline, record
        time.sleep(0.3)
    return dict(record)


def test_a_corrected_bleed_is_learnt(server: RunningServer, tmp_path: Path) -> None:
    client, admin = (log_in(server, tmp_path, role) for role in ("annotator", "admin"))
    before_version = models.current_version(tmp_path / "model")
    before = {}
    for _ in SCANS:
        image = client.next_sample("first", {})["id"]
        truth = head(SCANS[image])[1]
        automatic = outline(client, "amd_das", image, {})
        before[image] = dice(automatic, truth)
        assert before[image] < 0.8, "the faint one is missed"
        clicks = clicks_on(truth & ~automatic, 3)
        corrected = outline(client, "amd_das_edit", image, {"foreground": clicks, "background": []})
        assert all(corrected[tuple(click)] for click in clicks)
        assert dice(corrected, truth) > 0.9
        nibabel.save(nibabel.Nifti1Image(corrected.astype(np.uint8), AFFINE), tmp_path / "label.nii.gz")
        client.save_label(image, str(tmp_path / "label.nii.gz"), "final", {})
    assert sorted(before) == sorted(SCANS), "each scan was handed out once"
    assert client.next_sample("first", {}) == {}

    with pytest.raises(MONAILabelClientException, match="admin"):
        client.train_start("fine_tune", LEARN)
    admin.train_start("fine_tune", LEARN)
    done = wait(client)
    assert done["status"] == "DONE", done
    version = models.current_version(tmp_path / "model")
    assert version != before_version, done["details"]
    deadline = time.monotonic() + 30
    while client.infer("amd_das", "a", {})[1]["model"]["version"] != version:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    after = {image: dice(outline(client, "amd_das", image, {}), head(x)[1]) for image, x in SCANS.items()}
    assert min(after[image] - before[image] for image in SCANS) > 0.1, (before, after)
