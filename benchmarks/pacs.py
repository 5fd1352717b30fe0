"""Ten head CTs through the DICOM listener, and through the server before Orthanc: seconds a series, and where they go.

    python benchmarks/pacs.py [--series 10] [--slices 32] [--threads 2] [--device cpu] [-o RESULTS.json] [--small]

The listener (``amd-das listen``) gets the series one after the other, while it segments the first; SEG, SR and SC go to
a receiver in this process. The server (``apps/amd_das/serve.py``) gets a job for each series at once and stores the
results in the Orthanc they came from; where that is not installed this part is left out. Seconds a series are wall time
from the first request to the last result, by the number of series. The parts are what each series took by itself; they
overlap, so they may add up to more. Starting and loading the model come before the clock.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import requests
from inference import synthetic_head
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from amd_das.pacs.config import PacsConfig
from amd_das.pacs.dicomweb import DicomWeb
from amd_das.pacs.jobs import JobStore
from amd_das.reproduction.machine import machine

APP_DIR = Path(__file__).resolve().parents[1] / "apps" / "amd_das"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
QUIET_S = 0.5
PATIENCE_S = 3600.0

Parts = dict[str, float]


def dicom_series(slices: int, matrix: int, number: int) -> list[Dataset]:
    """A synthetic head as a scanner sends it."""
    volume = synthetic_head(slices, matrix, 230 / matrix, 160 / slices)
    pixels = np.round(volume.array + number).astype("<i2")  # no two series alike
    study, series, frame = (generate_uid() for _ in range(3))
    found = []
    for k in range(slices):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.SOPClassUID, dataset.SOPInstanceUID = CT_IMAGE, generate_uid()
        dataset.file_meta.MediaStorageSOPClassUID = CT_IMAGE
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.PatientID, dataset.PatientName = f"bench-{number}", "Synthetic"
        dataset.PatientBirthDate, dataset.PatientSex, dataset.AccessionNumber = "", "", ""
        dataset.StudyDate = dataset.SeriesDate = "20260101"
        dataset.StudyTime = dataset.SeriesTime = "120000"
        dataset.StudyID, dataset.ReferringPhysicianName = "1", ""
        dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.SeriesNumber, dataset.InstanceNumber = 2, k + 1
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [-115.0, -115.0, round(k * 160 / slices, 4)]
        dataset.PixelSpacing, dataset.SliceThickness = [round(230 / matrix, 6)] * 2, round(160 / slices, 4)
        dataset.Rows = dataset.Columns = matrix
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = pixels[:, :, k].T.tobytes()
        found.append(dataset)
    return found


@contextmanager
def receiver() -> Iterator[tuple[int, list[str]]]:
    """A node that takes everything: its port, and the SOPInstanceUIDs that have come."""
    uids: list[str] = []

    def take(event: Any) -> int:
        uids.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    ae = AE(ae_title="PACS")
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    assert server is not None and server.socket is not None
    yield server.socket.getsockname()[1], uids
    ae.shutdown()


@contextmanager
def process(command: Sequence[str], ready: str, **environment: str) -> Iterator[tuple[re.Match[str], int]]:
    """A child, once it has printed what matches ``ready``; ended in order afterwards."""
    child = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    found = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if re.search(ready, "".join(lines)):
                found.set()
        found.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        found.wait(300)
        match = re.search(ready, "".join(lines))
        if match is None:
            raise RuntimeError(f"{command[0]} did not start:\n{''.join(lines)}")
        yield match, child.pid
    finally:
        child.terminate()
        child.wait(60)


def peak_gb(pid: int) -> float:
    """Largest resident memory of a process so far."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / 1e9, 2)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done within {PATIENCE_S:g} s")
        time.sleep(0.05)


def send(port: int, series: Sequence[Dataset]) -> float:
    """C-STORE a series; seconds."""
    ae = AE(ae_title="ROUTER")
    ae.add_requested_context(CT_IMAGE, ExplicitVRLittleEndian)
    began = time.perf_counter()
    association = ae.associate("127.0.0.1", port, ae_title="AMDDAS")
    for dataset in series:
        if (status := association.send_c_store(dataset).get("Status")) != 0:
            raise RuntimeError(f"an instance was refused with status {status}")
    association.release()
    return time.perf_counter() - began


def parts_of(latencies: Mapping[str, float]) -> Parts:
    """What a record says about its seconds, in fewer words."""
    steps = ("preprocess", "network", "postprocess", "measure")
    return {
        "reading": latencies["read"],
        "segmentation": sum(latencies[step] for step in steps),
        "encoding": latencies["encode"],
    }


def summary(seconds: float, parts: Sequence[Parts], pid: int) -> dict[str, Any]:
    """Of one way in."""
    mean = {name: round(sum(one[name] for one in parts) / len(parts), 3) for name in parts[0]}
    return {
        "seconds": round(seconds, 2),
        "seconds_per_series": round(seconds / len(parts), 2),
        "parts_per_series": mean,
        "peak_gb": peak_gb(pid),
    }


def through_listener(all_series: Sequence[list[Dataset]], folder: Path, options: Sequence[str]) -> dict[str, Any]:
    """C-STORE in, C-STORE out."""
    command = ["-m", "amd_das.cli", "listen", "--spool", str(folder), "--allow", "ROUTER", "--port", "0"]
    with receiver() as (port, uids):
        command += ["--destination", f"PACS@127.0.0.1:{port}", "--quiet", str(QUIET_S), *options]
        with process(command, r"listens on 127\.0\.0\.1 port (\d+)") as (found, pid):
            began = time.perf_counter()
            received = [send(int(found[1]), series) for series in all_series]
            expected = sum(len(series) + 2 for series in all_series)
            wait_until(lambda: len(set(uids)) >= expected)
            seconds = time.perf_counter() - began
            time.sleep(1)
            store = JobStore(folder / "jobs.sqlite")
            results = [job.result for job in store.list("done") if job.result]
            store.close()
            parts = [parts_of(result["latencies_s"]) | {"sending": result["sending_s"]} for result in results]
            network = sum(received) / len(received)
            found_parts = [{"receiving": network} | one for one in parts]
            return summary(seconds, found_parts, pid) | {"instances_sent_twice": len(uids) - len(set(uids))}


def through_server(all_series: Sequence[list[Dataset]], folder: Path) -> dict[str, Any] | str:
    """DICOMweb in and out, or why that could not be tried."""
    sys.path.insert(0, str(APP_DIR))
    from amd_das_app.pacs.orthanc import Orthanc, OrthancConfig, free_port, missing

    if lacking := missing():
        return lacking
    ports = {"http_port": free_port(), "dicom_port": free_port(), "stable_seconds": 1}
    orthanc = Orthanc(OrthancConfig(folder=folder / "orthanc", **ports)).wait_until_ready()
    try:
        web = DicomWeb(PacsConfig(url=orthanc.url))
        for series in all_series:
            web.store(series)
        command = [str(APP_DIR / "serve.py"), "--studies", orthanc.url, "--port", "0"]
        settings = {"AMD_DAS_RUNS_DIR": str(folder / "runs"), "AMD_DAS_CACHE_DIR": str(folder / "cache")}
        with process(command, r"browser +(http://\S+?)/\n", **settings) as (found, pid):
            return by_rest(found[1], all_series, pid)
    finally:
        orthanc.close()


def by_rest(url: str, all_series: Sequence[list[Dataset]], pid: int) -> dict[str, Any]:
    """A job for each series, results stored."""
    began = time.perf_counter()
    ids = []
    for series in all_series:
        path = f"/studies/{series[0].StudyInstanceUID}/series/{series[0].SeriesInstanceUID}/segment"
        answer = requests.post(url + path, json={"store": True}, timeout=60)
        answer.raise_for_status()
        ids.append(answer.json()["id"])
    submitted = time.perf_counter() - began

    def jobs() -> list[dict[str, Any]]:
        listed = requests.get(f"{url}/jobs", timeout=60).json()["jobs"]
        return [job for job in listed if job["id"] in ids]

    wait_until(lambda: all(job["state"] in ("done", "failed") for job in jobs()))
    seconds = time.perf_counter() - began
    done = jobs()
    if failed := [job["error"]["detail"] for job in done if job["state"] == "failed"]:
        raise RuntimeError(f"{len(failed)} jobs failed: {failed[0]}")
    latencies = [job["result"]["latencies_s"] for job in done]
    parts = [{"fetching": one["fetch"]} | parts_of(one) | {"storing": one["store"]} for one in latencies]
    return summary(seconds, parts, pid) | {"seconds_to_submit_all": round(submitted, 2)}


def show(name: str, found: dict[str, Any] | str) -> None:
    if isinstance(found, str):
        print(f"{name}: left out; {found}")
        return
    print(f"{name}: {found['seconds_per_series']:.2f} s a series, peak memory {found['peak_gb']:.2f} GB")
    for part, seconds in found["parts_per_series"].items():
        print(f"  {part:14}{seconds:8.2f} s")


def main() -> None:
    """Make series, time both ways in, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device")
    parser.add_argument("--small", action="store_true", help="two series of 16 slices, 128 x 128: to see that it works")
    parser.add_argument("--machine", default=machine(), help="words for the record")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"), help="for the record (%(default)s)")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    if arguments.small:
        arguments.series, arguments.slices, arguments.matrix = 2, 16, 128
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    all_series = [dicom_series(arguments.slices, arguments.matrix, number) for number in range(arguments.series)]
    options = ["--device", arguments.device] if arguments.device else []
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, Any] = {
            "listener": through_listener(all_series, Path(folder) / "spool", options),
            "server": through_server(all_series, Path(folder)),
        }
    size = f"{arguments.matrix} x {arguments.matrix} x {arguments.slices}"
    print(f"{arguments.series} series of {size}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}")
    for name, found in results.items():
        show(name, found)
    if arguments.output:
        record = {
            "date": arguments.date,
            "machine": arguments.machine,
            "command": "python benchmarks/pacs.py",
            "load_average": round(os.getloadavg()[0], 1),
            "series": arguments.series,
            "slices": arguments.slices,
            "matrix": arguments.matrix,
            "threads": arguments.threads,
            **results,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
