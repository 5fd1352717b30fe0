"""The scorer: what is open, when it waits and gives way, what it gives up, and what it forgets."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amd_das.errors import NotHeadCtError, PacsError
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import TASK_NAME
from amd_das_app.worklist import scorer as module
from amd_das_app.worklist.case_scores import CaseScores
from amd_das_app.worklist.case_scoring import Scored
from amd_das_app.worklist.scorer import FETCH_ATTEMPTS, Scorer
from amd_das_app.worklist.scores import CaseScore


class Studies:
    """A folder of scans, as a datastore."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder, dict[str, dict[str, Any]]()

    def list_images(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.nii"))

    def get_image_uri(self, image: str) -> str:
        return str(self.folder / f"{image}.nii")

    def get_label_uri(self, image: str, tag: str) -> str:
        path = self.folder / tag / f"{image}.nii"
        return str(path) if path.exists() else ""

    def get_image_info(self, image: str) -> dict[str, Any]:
        return self.notes.get(image, {})

    def update_image_info(self, image: str, info: dict[str, Any]) -> None:
        self.notes.setdefault(image, {}).update(info)


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    (tmp_path / "studies" / "final").mkdir(parents=True)
    for name in "abc":
        (tmp_path / "studies" / f"{name}.nii").write_text(name)
    return Studies(tmp_path / "studies")


@pytest.fixture
def cases(tmp_path: Path, studies: Studies, monkeypatch: pytest.MonkeyPatch) -> CaseScores:
    cases = CaseScores(tmp_path / "worklist")
    task = SimpleNamespace(
        device_of=lambda params: "cpu",
        predictor=lambda device: None,
        model=SimpleNamespace(info=SimpleNamespace(version="v1")),
    )
    app = SimpleNamespace(
        cases=cases,
        datastore=lambda: studies,
        model_version=lambda: "v1",
        reading=None,
        studies=str(studies.folder),
        _infers={TASK_NAME: task},
    )
    monkeypatch.setattr(module, "monai_label_app", lambda: app)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    return cases


def make(queues: DeviceQueues | None = None) -> Scorer:
    return Scorer(queues or DeviceQueues(4), idle_s=0.05, most_series=2)


def answer_with(monkeypatch: pytest.MonkeyPatch, work: Callable[[Path, Callable[[], None]], dict[str, Any]]) -> None:
    def score(path: Path, label: Any, predictor: Any, reading: Any, give_way: Callable[[], None]) -> Scored:
        return Scored(values=work(path, give_way), thumbnail=b"")

    monkeypatch.setattr(module, "score_scan", score)
    monkeypatch.setattr(module, "image_in_use", lambda app, image: _Held(Path(app.datastore().get_image_uri(image))))


class _Held:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *error: object) -> None:
        pass


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def test_what_changed_is_open_and_new_labels_come_first(
    cases: CaseScores, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, lambda path, give_way: {"volume_ml": 1.0})

    async def scenario() -> None:
        scorer = make()
        assert scorer.open_images() == ["a", "b", "c"]
        scorer.start()
        await until(lambda: scorer.open_images() == [])
        await scorer.close()
        assert studies.notes["a"]["amd_das"] == {"model": "v1", "volume_ml": 1.0}
        (studies.folder / "aa.nii").write_text("new")
        (studies.folder / "final" / "c.nii").write_text("label")
        (studies.folder / "b.nii").write_text("another scan")
        assert scorer.open_images() == ["b", "c", "aa"]

    asyncio.run(scenario())


def test_it_stops_for_an_inference_and_begins_again_afterwards(
    cases: CaseScores, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, release, interrupted = threading.Event(), threading.Event(), []

    def work(path: Path, give_way: Callable[[], None]) -> dict[str, Any]:
        began.set()
        for _ in range(100 if not interrupted else 1):
            threading.Event().wait(0.02)
            try:
                give_way()
            except BaseException:
                interrupted.append(path.stem)
                raise
        return {"volume_ml": 1.0}

    answer_with(monkeypatch, work)

    async def scenario() -> None:
        queues = DeviceQueues(4)
        scorer = make(queues)
        scorer.start()
        await until(began.is_set)
        inference = asyncio.create_task(queues.run("cpu", lambda: release.wait(10)))
        await until(lambda: bool(interrupted))
        assert inference.done() is False
        await asyncio.sleep(0.2)
        assert cases.store.of_version("v1") == {}, "nothing is scored while somebody segments"
        release.set()
        assert (await inference)[1] < 0.05, "it did not wait"
        await until(lambda: len(cases.store.of_version("v1")) == 3)
        await scorer.close()

    asyncio.run(scenario())


def test_closing_gives_up_the_scan_under_way(cases: CaseScores, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    def work(path: Path, give_way: Callable[[], None]) -> dict[str, Any]:
        began.set()
        while True:
            threading.Event().wait(0.01)
            give_way()

    answer_with(monkeypatch, work)

    async def scenario() -> None:
        scorer = make()
        scorer.start()
        await until(began.is_set)
        async with asyncio.timeout(5):
            await scorer.close()

    asyncio.run(scenario())
    assert cases.store.of_version("v1") == {}


def test_failures_are_recorded_once_with_their_reason(cases: CaseScores, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def work(path: Path, give_way: Callable[[], None]) -> dict[str, Any]:
        tried.append(path.stem)
        if path.stem == "a":
            raise NotHeadCtError("no head")
        if path.stem == "b":
            raise ZeroDivisionError
        return {"volume_ml": 1.0}

    answer_with(monkeypatch, work)

    async def scenario() -> None:
        scorer = make()
        scorer.start()
        await until(lambda: len(cases.store.of_version("v1")) == 3)
        await asyncio.sleep(0.2)
        await scorer.close()

    asyncio.run(scenario())
    found = {image: score.error for image, score in cases.store.of_version("v1").items()}
    assert found == {"a": "not_head_ct: no head", "b": "unexpected ZeroDivisionError", "c": ""}
    assert tried == ["a", "b", "c"]


def test_a_series_that_is_not_given_is_given_up_and_holds_up_nobody(
    cases: CaseScores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_TROUBLE_S", 0.03)
    tried: list[str] = []

    def work(path: Path, give_way: Callable[[], None]) -> dict[str, Any]:
        tried.append(path.stem)
        if path.stem == "a":
            raise PacsError("two of ten slices came")
        return {"volume_ml": 1.0}

    answer_with(monkeypatch, work)

    async def scenario() -> None:
        scorer = make()
        scorer.start()
        await until(lambda: len(cases.store.of_version("v1")) == 3)
        await asyncio.sleep(0.2)
        await scorer.close()

    asyncio.run(scenario())
    assert tried.count("a") == FETCH_ATTEMPTS
    assert "two of ten" in cases.store.of_version("v1")["a"].error


def test_a_scan_is_forgotten_when_it_is_missed_twice(cases: CaseScores, studies: Studies) -> None:
    for name in "abc":
        cases.store.put(CaseScore(image=name, version="v1", image_stamp="s"))
    scorer = make()
    (studies.folder / "a.nii").unlink()
    scorer._tidy()
    assert cases.store.images() == {"a", "b", "c"}
    scorer._tidy()
    assert cases.store.images() == {"b", "c"}
    for name in "bc":
        (studies.folder / f"{name}.nii").unlink()
    for _ in range(3):
        scorer._tidy()
    assert cases.store.images() == {"b", "c"}, "an empty folder may not be mounted"
