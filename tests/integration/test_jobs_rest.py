"""Series of a real Orthanc segmented by REST: at once, once, in line, over a restart, and stored where asked."""

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicom_nodes import wait_for
from helpers.running_orthanc import Orthanc, head_series, missing, orthanc_on, start_orthanc, web
from helpers.running_server import RunningServer, start_server
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from amd_das.conventions import RESEARCH_NOTICE

pytestmark = pytest.mark.integration

Starts = Callable[[], RunningServer]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def pacs_server(folder: Path, model_dir: Path, orthanc: Orthanc) -> Iterator[RunningServer]:
    running = start_server(folder, model_dir, studies=orthanc.url)
    yield running.wait_until_ready()
    running.close()


def stored(orthanc: Orthanc, **options: Any) -> list[Dataset]:
    """A head in the PACS."""
    series = head_series(**options)
    web(orthanc).store(series)
    return series


def path_of(series: list[Dataset]) -> str:
    return f"/studies/{series[0].StudyInstanceUID}/series/{series[0].SeriesInstanceUID}/segment"


def finished(server: RunningServer, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
    """The job once it is over."""
    wait_for(lambda: state_of(server, job_id) in ("done", "failed"), "the end of the job", seconds)
    job: dict[str, Any] = server.request("GET", f"/jobs/{job_id}").json()
    return job


def state_of(server: RunningServer, job_id: str) -> str:
    state: str = server.request("GET", f"/jobs/{job_id}").json()["state"]
    return state


def test_a_series_gives_a_job_at_once_and_its_result_later(pacs_server: RunningServer, orthanc: Orthanc) -> None:
    series = stored(orthanc)
    began = time.perf_counter()
    answer = pacs_server.request("POST", path_of(series))
    assert answer.status_code == 202, answer.text
    assert time.perf_counter() - began < 5
    job = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert job["new"] and job["state"] in ("queued", "running")
    assert (job["study"], job["series"]) == (series[0].StudyInstanceUID, series[0].SeriesInstanceUID)

    job = finished(pacs_server, job["id"])
    assert job["state"] == "done", job
    assert job["result"]["volume_ml"] > 1 and job["result"]["lesions"] and job["result"]["warnings"] == []
    assert job["result"]["stored"] is False
    assert job["notice"] == RESEARCH_NOTICE
    assert set(job["links"]) == {"self", "seg", "sr", "sc", "overlay.png", "result.json"}
    content = {name: pacs_server.request("GET", link) for name, link in job["links"].items()}
    assert all(one.status_code == 200 for one in content.values())
    assert dcmread(io.BytesIO(content["seg"].content)).Modality == "SEG"
    assert dcmread(io.BytesIO(content["sr"].content)).Modality == "SR"
    with zipfile.ZipFile(io.BytesIO(content["sc"].content)) as archive:
        assert len(archive.namelist()) == len(series)
    assert Image.open(io.BytesIO(content["overlay.png"].content)).width > 300
    assert content["result.json"].json() == job["result"]
    assert web(orthanc).results_for(web(orthanc).find_series(job["series"])) == []
    assert "PAT-4711" not in pacs_server.log and job["series"] not in pacs_server.log
    assert pacs_server.leftovers() == []


def test_the_same_question_is_the_same_job_unless_forced(pacs_server: RunningServer, orthanc: Orthanc) -> None:
    series = stored(orthanc)
    first = pacs_server.request("POST", path_of(series), json={"formats": ["sr", "seg"]}).json()
    same = pacs_server.request("POST", path_of(series), json={"formats": ["seg", "sr"], "store": False}).json()
    assert (same["id"], same["new"]) == (first["id"], False)
    other = pacs_server.request("POST", path_of(series), json={"formats": ["seg"]}).json()
    forced = pacs_server.request("POST", path_of(series), json={"formats": ["seg"], "force": True}).json()
    assert len({first["id"], other["id"], forced["id"]}) == 3
    done = finished(pacs_server, first["id"])
    again = pacs_server.request("POST", path_of(series), json={"formats": ["seg", "sr"]})
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["state"]) == (first["id"], "done")
    assert set(done["links"]) == {"self", "seg", "sr", "overlay.png", "result.json"}
    assert pacs_server.request("GET", f"/jobs/{first['id']}/sc").status_code == 404
    uids = [
        dcmread(io.BytesIO(pacs_server.request("GET", f"/jobs/{finished(pacs_server, one)['id']}/seg").content))
        for one in (other["id"], forced["id"])
    ]
    assert uids[0].SOPInstanceUID == uids[1].SOPInstanceUID


def test_results_are_stored_where_asked_and_compared_with_the_last_ct(
    pacs_server: RunningServer, orthanc: Orthanc
) -> None:
    patient = generate_uid()[-12:]
    earlier = stored(orthanc, patient_id=patient, date="20250101", bleed_x=12.0)
    first = finished(pacs_server, pacs_server.request("POST", path_of(earlier), json={"store": True}).json()["id"])
    assert first["state"] == "done" and first["result"]["stored"] is True, first
    assert "prior" not in first["result"]
    pacs = web(orthanc)
    results = pacs.results_for(pacs.find_series(earlier[0].SeriesInstanceUID))
    assert {one.series.modality for one in results} == {"SEG", "SR"}

    later = stored(orthanc, patient_id=patient, date="20250102", bleed_x=10.0)
    second = finished(pacs_server, pacs_server.request("POST", path_of(later), json={"store": True}).json()["id"])
    prior = second["result"]["prior"]
    assert prior["ct_date"] == "20250101"
    assert prior["volume_ml"] == pytest.approx(first["result"]["volume_ml"], abs=0.1)
    assert prior["change_ml"] == pytest.approx(second["result"]["volume_ml"] - prior["volume_ml"], abs=0.01)
    assert prior["expanded"] is (prior["change_ml"] > 6 or prior["change_percent"] > 33)


def test_a_study_gives_a_job_for_each_ct_series(pacs_server: RunningServer, orthanc: Orthanc) -> None:
    study = generate_uid()
    for bleed_x in (10.0, -10.0):
        stored(orthanc, study_uid=study, bleed_x=bleed_x)
    scout = head_series(study_uid=study)[:1]
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    web(orthanc).store(scout)
    answer = pacs_server.request("POST", f"/studies/{study}/segment", json={"formats": ["sr"]})
    assert answer.status_code == 202, answer.text
    jobs = answer.json()["jobs"]
    assert len(jobs) == 2
    assert answer.headers["Location"] == f"/jobs?study={study}"
    listed = pacs_server.request("GET", answer.headers["Location"]).json()["jobs"]
    assert {job["id"] for job in listed} == {job["id"] for job in jobs}
    assert {finished(pacs_server, job["id"])["state"] for job in jobs} == {"done"}


def test_what_is_no_head_ct_fails_with_the_reason(pacs_server: RunningServer, orthanc: Orthanc) -> None:
    series = stored(orthanc, array=np.full((96, 110, 10), -1000, np.int16))
    job = finished(pacs_server, pacs_server.request("POST", path_of(series)).json()["id"])
    assert job["state"] == "failed"
    assert job["error"]["error"] == "not_head_ct" and job["error"]["detail"]
    assert set(job["links"]) == {"self"}
    refused = pacs_server.request("GET", f"/jobs/{job['id']}/seg")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert job["error"]["detail"] in refused.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/studies/1.2.3/series/1.2.3.4/segment", "", 404, "not_found"),
        ("POST", "/studies/1.2.3/segment", "", 404, "not_found"),
        ("POST", "/studies/..%2F..%2Fetc/segment", "", 404, "not_found"),
        ("POST", "/studies/1.2.3*/segment", "", 400, "bad_name"),
        ("POST", "/studies/1.2.3/series/1.2.x/segment", "", 400, "bad_name"),
        ("POST", "/studies/1.2.3/segment", "[1]", 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", "{", 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", '{"stor": true}', 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", '{"store": "yes"}', 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", '{"formats": []}', 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", '{"formats": ["nii"]}', 400, "bad_config"),
        ("POST", "/studies/1.2.3/segment", '{"formats": [{}]}', 400, "bad_config"),
        ("GET", "/jobs/none", "", 404, "not_found"),
        ("GET", "/jobs/none/seg", "", 404, "not_found"),
        ("DELETE", "/jobs/none", "", 404, "not_found"),
        ("GET", "/jobs?status=lost", "", 400, "bad_config"),
        ("GET", "/jobs?limit=0", "", 400, "bad_config"),
    ],
)
def test_wrong_requests_are_refused_in_json(
    pacs_server: RunningServer, method: str, path: str, body: str, status: int, code: str
) -> None:
    answer = pacs_server.request(method, path, data=body)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.json()["detail"]


def test_a_folder_of_studies_has_no_jobs_and_says_what_to_do(server: RunningServer) -> None:
    for method, path in (("POST", "/studies/1.2.3/segment"), ("GET", "/jobs"), ("GET", "/jobs/1")):
        answer = server.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
        assert "STUDIES=http" in answer.json()["detail"]


def is_put_off(server: RunningServer, job_id: str) -> bool:
    """Whether it waits for the PACS to come back."""
    job = server.request("GET", f"/jobs/{job_id}").json()
    return job["state"] == "queued" and job["error"] is not None and job["error"]["error"] == "pacs_unreachable"


@pytest.mark.slow
def test_jobs_outlive_a_killed_server_and_a_pacs_that_goes_away(tmp_path: Path, model_dir: Path) -> None:
    if lacking := missing():
        pytest.skip(lacking)
    pacs = start_orthanc(tmp_path / "orthanc")
    first = start_server(tmp_path / "server", model_dir, studies=pacs.url).wait_until_ready()
    second: RunningServer | None = None
    try:
        heads = [stored(pacs, bleed_x=8.0 + 0.5 * number) for number in range(11)]  # ten, and one that is dropped
        ids = [first.request("POST", path_of(one), json={"store": True}).json()["id"] for one in heads]
        positions = [first.request("GET", f"/jobs/{job_id}").json()["position"] for job_id in ids]
        assert sorted(position for position in positions if position) == [p for p in positions if p]
        dropped = first.request("DELETE", f"/jobs/{ids[-1]}")
        assert dropped.status_code == 200, dropped.text
        assert first.request("GET", f"/jobs/{ids[-1]}").status_code == 404
        wait_for(lambda: state_of(first, ids[0]) == "done", "the first result")
        refused = first.request("DELETE", f"/jobs/{ids[0]}")
        assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
        first.process.kill()
        first.close()

        second = start_server(tmp_path / "server", model_dir, studies=pacs.url).wait_until_ready()
        jobs = [finished(second, job_id, 240) for job_id in ids[:-1]]
        assert {job["state"] for job in jobs} == {"done"}
        assert second.request("POST", path_of(heads[0]), json={"store": True}).json()["id"] == ids[0]
        client = web(pacs)
        for one in heads[:-1]:
            results = client.results_for(client.find_series(one[0].SeriesInstanceUID))
            assert sorted(result.series.modality for result in results) == ["SEG", "SR"]
        assert client.results_for(client.find_series(heads[-1][0].SeriesInstanceUID)) == []
        runs = [path for path in (tmp_path / "server" / "runs").rglob("*") if path.is_file()]
        assert all(path.parent.stat().st_mode & 0o077 == 0 for path in runs if "results" in str(path))

        again = [second.request("POST", path_of(one), json={"force": True}).json()["id"] for one in heads]
        pacs.kill()
        wait_for(lambda: any(is_put_off(second, job_id) for job_id in again), "a job to be put off")
        answer = second.request("POST", path_of(heads[-1]))
        assert (answer.status_code, answer.json()["error"]) == (503, "pacs_unreachable")
        assert second.request("GET", f"/jobs/{ids[0]}/seg").status_code == 200
        pacs = orthanc_on(pacs.config)
        assert {finished(second, job_id, 240)["state"] for job_id in again} == {"done"}
    finally:
        for running in (first, second):
            if running is not None:
                running.close()
        pacs.close()
