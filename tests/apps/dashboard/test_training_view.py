"""Forms from the trainers' configs, and a training in words."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from amd_das_app.dashboard.training_view import trainers, training
from amd_das_app.training.job_record import LOG, PROGRESS, Job
from amd_das_app.training.jobs import JobManager

NOW = 10_000.0


def job(number: int, status: str, **known: Any) -> Job:
    given = {"began": NOW - 300.0, "ended": None if status in ("RUNNING", "SUBMITTED") else NOW - 60.0} | known
    return Job(
        id=f"job-{number}", model="amd_das", request={"preset": "smoke"}, command=[], group="g",
        submitted=float(number), status=status, **given,
    )  # fmt: skip


def jobs(folder: Path, *all_of_them: Job) -> JobManager:
    manager = JobManager(folder, stop_seconds=1)
    manager.jobs = all_of_them
    return manager


def test_forms_have_a_field_for_all_that_can_be_chosen() -> None:
    config = {"preset": ["shipped", "smoke"], "steps": 400, "learning_rate": 1e-4, "name": "x", "flip": True}
    (form,) = trainers({"fine_tune": SimpleNamespace(description="d", config=lambda: config)})  # type: ignore[dict-item]
    seen = {field.name: (field.kind, field.value, field.step, field.choices) for field in form.fields}
    assert seen == {
        "preset": ("choice", "shipped", "any", ("shipped", "smoke")),
        "steps": ("number", "400", "1", ()),
        "learning_rate": ("number", "0.0001", "any", ()),
        "name": ("text", "x", "any", ()),
        "flip": ("choice", "true", "any", ("true", "false")),
    }
    assert form.label == "Learn from corrected scans"


def test_a_training_at_work(tmp_path: Path) -> None:
    one = job(1, "RUNNING")
    manager = jobs(tmp_path, job(0, "ERROR", note="no room"), one, job(2, "SUBMITTED", began=None))
    folder = manager.folder_of(one)
    folder.mkdir(parents=True)
    (folder / LOG).write_text("first\nlast\n")
    report = {
        "step": "synthesis", "number": 4, "count": 7, "done": 1200, "total": 5000, "overall": 0.412,
        "losses": {"gan_ct": 0.5}, "seconds_left": 754.0,
    }  # fmt: skip
    (folder / PROGRESS).write_text(json.dumps(report))
    view = training(manager, NOW)
    shown = view.shown
    assert shown is not None and not shown.is_over
    assert (shown.state, shown.percent, shown.lasted) == ("running", 41.2, "5 min")
    assert shown.stage == "step 4 of 7: learning to translate MRI to CT"
    assert (shown.units, shown.left) == ("1,200 of 5,000", "about 13 min left in this step")
    assert shown.losses == (("Gan ct", "0.5"),)
    assert shown.lines == ("first", "last")
    assert [one.state for one in view.waiting] == ["waiting"]
    assert [(one.state, one.note) for one in view.earlier] == [("failed", "no room")]


def test_one_that_says_nothing_yet_and_one_that_is_done(tmp_path: Path) -> None:
    silent = training(jobs(tmp_path, job(1, "RUNNING")), NOW).shown
    assert silent is not None and (silent.stage, silent.percent, silent.left) == ("starting", 0.0, "")
    done = training(jobs(tmp_path, job(1, "DONE", note="done")), NOW).shown
    assert done is not None and done.is_over and (done.percent, done.lasted) == (100.0, "4 min")


def test_no_training_ever(tmp_path: Path) -> None:
    view = training(jobs(tmp_path), NOW)
    assert (view.shown, view.waiting, view.earlier) == (None, (), ())
