"""Phantom heads for the tables: rendered once in a working folder, whichever tables, rows and presets ask for them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from amd_das.errors import TrainingStopped
from amd_das.phantom.files import Kind, write_cases
from amd_das.pipeline import stages
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.steps import DONE
from amd_das.training.progress import StopCheck

TEST_SEED: Final = 300_000
"""Of the phantom heads that are scored; none is trained on."""

TEST_HEADS: Final = (6, 100)
"""At least and at most so many are scored; half as many as the target has, between."""

FOLDER: Final = "phantoms"

Told = Callable[[str, int, int], None]
"""Of what, how many are done, how many there are."""


def test_heads(config: PipelineConfig) -> int:
    """How many phantom heads are scored."""
    least, most = TEST_HEADS
    return min(max(least, config.target_heads // 2), most)


def render(
    place: Path, kind: Kind, seed: int, count: int, *, processes: int, tell: Told, should_stop: StopCheck
) -> list[Path]:
    """The images of ``count`` heads in ``place``; those that are there stay.

    Raises:
        TrainingStopped: ``should_stop`` said so; what is rendered stays.
    """

    def after(done: int) -> None:
        if should_stop():
            raise TrainingStopped(f"stopped after {done} of {count} phantom heads; start again to continue")
        tell(f"phantom {kind}", done, count)

    return write_cases(
        count=count,
        kind=kind,
        format="nifti",
        seed=seed,
        directory=place,
        for_training=True,
        resume=True,
        processes=processes,
        after=after,
    )


def lend(config: PipelineConfig, workdir: Path, *, processes: int, tell: Told, should_stop: StopCheck) -> None:
    """Put rendered heads where a pipeline's first steps would render them; done steps are left alone.

    Args:
        config: of the pipeline, which works in ``workdir / "work"``.
        workdir: of the tables; keeps the heads.
        processes: that render.
        tell: told of each head.
        should_stop: asked after each head.

    Raises:
        TrainingStopped: see :func:`render`.
    """
    context = stages.Context(config=config, processes=processes, should_stop=should_stop)
    labelled = {"flair": True, "ct": config.train_on == "ct"}
    asked = (("flair", stages.source, config.source_heads), ("ct", stages.target, config.target_heads))
    for kind, step, heads in asked:
        folder = step(context, None).folder(workdir / "work")
        if (folder / DONE).exists():
            continue
        kept = workdir / FOLDER / kind
        seed = stages.FIRST_SEEDS[kind]  # type: ignore[index]
        images = render(kept, kind, seed, heads, processes=processes, tell=tell, should_stop=should_stop)  # type: ignore[arg-type]
        for image in images:
            case = image.name.removesuffix(".nii.gz")
            masks = sorted((kept / "masks").glob(f"{case}-*")) if labelled[kind] else []
            for path in (image, *masks, kept / "records" / f"{case}.json"):  # the record last: all is there
                _link(path, folder / stages.PHANTOMS / path.relative_to(kept))


def _link(path: Path, to: Path) -> None:
    """The same file under another name, or a copy where the disk has no such thing."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.exists():
        return
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)
