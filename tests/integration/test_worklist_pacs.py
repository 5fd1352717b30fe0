"""The worklist before a real PACS: its newest series are fetched and scored, labels in it are compared."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from helpers.heads import make_head
from helpers.running_orthanc import Orthanc, head_series, rest, web
from helpers.running_server import RunningServer, start_server
from monailabel.client import MONAILabelClient

pytestmark = pytest.mark.integration


def worklist(server: RunningServer) -> dict[str, dict[str, Any]]:
    return {row["image"]: row for row in server.request("GET", "/worklist/").json()["cases"]}


def wait_for(server: RunningServer, image: str, field: str, seconds: float = 90.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (row := worklist(server).get(image)) and row[field] not in (None, ""):
            return row
        time.sleep(0.5)
    raise AssertionError(f"no {field} in time: {worklist(server)}\n{server.log}")


class Site:
    """A PACS with a series of three dates, and a server that may score two series."""

    def __init__(self, orthanc: Orthanc, folder: Path, model_dir: Path) -> None:
        self.folder, self.model_dir, self.orthanc = folder, model_dir, orthanc
        series = {
            "old": head_series(date="20200101"),
            "new": head_series(date="20260101", bleed_x=-10.0, patient_id="4712"),
            "between": head_series(date="20230101", bleed=False, patient_id="4713"),
        }
        for datasets in series.values():
            web(orthanc).store(datasets)
        self.ids = {name: datasets[0].SeriesInstanceUID for name, datasets in series.items()}

    def serve(self, **settings: str) -> RunningServer:
        return start_server(
            self.folder, self.model_dir, studies=self.orthanc.url, AMD_DAS_SCORE_SERIES="2", **settings
        ).wait_until_ready()


@pytest.fixture(scope="module")
def site(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Site:
    return Site(orthanc, tmp_path_factory.mktemp("worklist-pacs"), model_dir)


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[RunningServer]:
    running = site.serve(AMD_DAS_SCORE_AFTER="1")
    yield running
    running.close()


def test_the_newest_series_are_scored_and_no_more(site: Site, server: RunningServer) -> None:
    assert wait_for(server, site.ids["new"], "volume_ml")["volume_ml"] > 1
    assert wait_for(server, site.ids["between"], "volume_ml")["volume_ml"] == 0
    assert server.request("GET", "/scoring/").json()["status"] == "DONE"
    assert worklist(server)[site.ids["old"]]["volume_ml"] is None
    fetched = list((site.folder / "cache").rglob("*.dcm"))
    assert 0 < len(fetched) <= 2 * 10
    assert server.request("GET", f"/worklist/{site.ids['new']}/thumbnail.png").content.startswith(b"\x89PNG")
    objects = server.request("GET", "/datastore/?output=all").json()["objects"]
    assert objects[site.ids["new"]]["image"]["info"]["amd_das"]["volume_ml"] > 1
    log = server.log.split("Stop with Ctrl+C.")[1] + server.request("GET", "/logs/?lines=2000").text
    assert [line for line in log.splitlines() if any(uid in line for uid in site.ids.values())] == []


def test_annotators_share_the_list(site: Site, server: RunningServer) -> None:
    wait_for(server, site.ids["between"], "volume_ml")
    clients = [MONAILabelClient(server.url, client_id=name) for name in ("ann", "bob", "cyd", "dan")]
    got = [client.next_sample("largest_first", {}).get("id") for client in clients]
    assert got == [site.ids["new"], site.ids["between"], site.ids["old"], None]
    assert worklist(server)[site.ids["old"]]["annotator"] == "cyd"


def test_a_label_in_the_pacs_is_compared_and_notes_come_back_after_a_restart(
    site: Site, server: RunningServer, tmp_path: Path
) -> None:
    image = site.ids["new"]
    wait_for(server, image, "volume_ml")
    blood = make_head(bleed_x=-10.0)[1]
    scan = nibabel.load(_download(server, image, tmp_path))
    nibabel.save(nibabel.Nifti1Image(blood.astype(np.uint8), scan.affine), tmp_path / "label.nii.gz")
    MONAILabelClient(server.url, client_id="ann").save_label(image, str(tmp_path / "label.nii.gz"), "final", {})
    row = wait_for(server, image, "dice")
    assert (row["status"], row["annotator"]) == ("labelled", "ann")
    assert row["dice"] > 0.85
    server.close()
    again = site.serve()
    try:
        assert worklist(again)[image]["dice"] == row["dice"]
        deadline = time.monotonic() + 20
        while "amd_das" not in (info := again.request("GET", f"/datastore/image/info?image={image}").json()):
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert info["amd_das"]["volume_ml"] == pytest.approx(row["volume_ml"], abs=1e-3)
    finally:
        again.close()


def test_a_pacs_that_is_gone_is_told(site: Site) -> None:
    running = site.serve()
    try:
        rest(site.orthanc, "GET", "/system").raise_for_status()
        site.orthanc.kill()
        time.sleep(6)  # its list is fresh until then
        answer = running.request("GET", "/worklist/")
        assert answer.status_code in (502, 503, 504)
        assert running.request("GET", "/info/").status_code == 200
    finally:
        running.close()


def _download(server: RunningServer, image: str, folder: Path) -> Path:
    path = folder / "scan.nii.gz"
    path.write_bytes(server.request("GET", "/datastore/image", params={"image": image}).content)
    return path
