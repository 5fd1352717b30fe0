"""The studies folder: whoever asks while its list is read again sees a whole one, and nobody trips over another."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from amd_das_app.studies_folder import StudiesFolder

SCANS = 8


class SlowDict(dict[str, Any]):
    """Takes its time wherever another thread could come in between."""

    def clear(self) -> None:
        super().clear()
        time.sleep(0.1)

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]  # a view cannot be slow
        for item in super().items():
            time.sleep(0.02)
            yield item


@pytest.fixture
def folder(tmp_path: Path) -> StudiesFolder:
    studies = tmp_path / "studies"
    studies.mkdir()
    for number in range(SCANS):
        (studies / f"scan{number}.nii.gz").write_bytes(b"not read")
    found = StudiesFolder(str(studies), extensions=["*.nii.gz"])
    found._datastore.objects = SlowDict(found._datastore.objects)
    return found


def test_it_is_monai_labels_folder(folder: StudiesFolder) -> None:
    assert len(folder.list_images()) == SCANS
    assert Path(folder.get_image_uri("scan3")).name == "scan3.nii.gz"


def test_the_list_is_whole_while_it_is_read_again(folder: StudiesFolder) -> None:
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(folder.refresh)
        counts = []
        while not reading.done():
            counts.append(len(folder.list_images()))
            time.sleep(0.01)
        reading.result()
    assert set(counts) == {SCANS}


def test_a_label_is_removed_while_the_watcher_reads_the_folder(folder: StudiesFolder, tmp_path: Path) -> None:
    label = tmp_path / "mask.nii.gz"
    label.write_bytes(b"a mask")
    folder.save_label("scan1", str(label), "final", {})
    with ThreadPoolExecutor() as threads:
        watcher = [threads.submit(folder.refresh) for _ in range(3)]
        folder.remove_label("scan1", "final")
        folder.refresh()
        for reading in watcher:
            reading.result()
    assert folder.get_labels_by_image_id("scan1") == {}
    assert len(folder.list_images()) == SCANS
