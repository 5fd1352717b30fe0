"""What the rows of a table share: data, working folder, the pipeline's steps, and whom to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amd_das.errors import ConfigError, TrainingError
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.places import cases_of
from amd_das.pipeline.run import run as run_pipeline
from amd_das.pipeline.stages import SLICES
from amd_das.pipeline.steps import PipelineCallback, PipelineProgress, StepResult
from amd_das.processes import processors
from amd_das.reproduction import phantoms
from amd_das.slices import SliceStore
from amd_das.slices.prepare import prepare
from amd_das.training.progress import StopCheck

_HEADS_PER_PROCESS = 12
"""Phantom heads from which on a process more is worth its start."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where data lies and work goes."""

    workdir: Path
    source: Path | None = None
    """Labelled MRI; None for phantoms."""

    target: Path | PacsConfig | None = None
    """CT without labels; None for phantoms."""

    test: Path | None = None
    """Labelled CT that is scored; None for phantoms, which do only where the target is phantoms."""

    def __post_init__(self) -> None:
        if (self.target is None) != (self.test is None):
            raise ConfigError(
                "give --target and --test together: a network that knows one kind of CT is not scored on another. "
                "--test is a folder of labelled CT, such as CT-ICH or BHSD; without both, phantoms stand in"
            )

    @property
    def phantoms(self) -> bool:
        """Whether phantoms are what is scored."""
        return self.test is None


class Work:
    """What all rows share: the working folder, the data, and whom to tell."""

    def __init__(
        self,
        config: PipelineConfig,
        places: Places,
        processes: int | None,
        progress: PipelineCallback | None,
        should_stop: StopCheck | None,
    ) -> None:
        self.config, self.places, self.workdir = config, places, places.workdir
        heads = config.source_heads + config.target_heads
        few = places.source is None and places.phantoms and heads < 2 * _HEADS_PER_PROCESS
        self.processes = processes or (1 if few else processors())
        self.should_stop = should_stop or (lambda: False)
        self.data: dict[str, Any] = {}
        self._progress, self._row = progress, ("", 0, 1)

    def begin(self, row: str, number: int, count: int) -> None:
        """From now on it is about this row, of so many."""
        self._row = (row, number, count)

    def pipeline(self, config: PipelineConfig) -> Mapping[str, StepResult]:
        """All steps up to the segmenter, made or found."""
        if self.places.source is None and self.places.phantoms:
            phantoms.lend(config, self.workdir, processes=self.processes, tell=self.tell, should_stop=self.should_stop)
        done = run_pipeline(
            config,
            self.workdir / "work",
            self.workdir / "models",
            source=self.places.source,
            target=self.places.target,
            until="segmentation",
            processes=self.processes,
            progress=self._pipeline_tells,
            should_stop=self.should_stop,
        )
        for domain in ("source", "target"):
            summary = done.steps[domain].summary
            self.data[domain] = {"cases": summary["cases"], "slices": summary["slices"]}
        return done.steps

    def test_store(self) -> SliceStore:
        """Labelled CT as slices, prepared once."""
        place, masks = self.places.test, None
        settings = replace(self.config.prepare, validation_share=0.0)
        if place is None:
            place = self.workdir / phantoms.FOLDER / "test"
            masks = place / "masks"
            count = phantoms.test_heads(self.config)
            images = phantoms.render(
                place,
                "ct",
                phantoms.TEST_SEED,
                count,
                processes=self.processes,
                tell=self.tell,
                should_stop=self.should_stop,
            )
            wanted = {image.name.removesuffix(".nii.gz") for image in images}
        cases = [case for case in cases_of(place, "target", labelled=True, masks=masks) if case.mask]
        if self.places.phantoms:
            cases = [case for case in cases if case.case in wanted]
        if not cases:
            raise TrainingError(f"{place} holds no labelled CT; expected a set with masks, or images/ with masks/")
        folder = self.workdir / f"test-{self.config.name}" / SLICES
        prepare(
            cases,
            folder,
            "target",
            settings,
            processes=self.processes,
            progress=lambda done, total, case: self.tell("test scans", done, total),
            should_stop=self.should_stop,
        )
        return SliceStore.open(folder)

    def tell(self, what: str, done: int, total: int) -> None:
        """Of work that is no step of the pipeline."""
        overall = done / max(total, 1)
        self._tell(PipelineProgress(step=what, number=1, count=1, done=done, total=total, overall=overall))

    def _pipeline_tells(self, now: PipelineProgress) -> None:
        self._tell(replace(now, message="" if now.message.endswith("up to date") else now.message))

    def _tell(self, now: PipelineProgress) -> None:
        if self._progress is None:
            return
        row, number, count = self._row
        step = f"{row}: {now.step}" if row else now.step
        overall = (number + min(now.overall, 1.0)) / count if row else 0.0
        self._progress(replace(now, step=step, overall=overall))
