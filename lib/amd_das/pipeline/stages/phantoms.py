"""Phantom heads, where nobody brings scans."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from amd_das.errors import TrainingStopped
from amd_das.phantom.files import Kind, write_cases
from amd_das.pipeline.stages.common import Context

PHANTOMS: Final = "phantoms"
"""Their folder within that of the step which needs them; gone when it is done."""


def phantoms(
    context: Context,
    folder: Path,
    kind: Kind,
    first_seed: int,
    heads: int,
    *,
    for_training: bool,
    after: Callable[[int], None],
) -> Path:
    """Render what is missing of so many heads into ``images/`` and ``masks/`` of the folder, which is returned.

    Raises:
        TrainingStopped: the context said so; what is rendered stays.
    """

    def tell(done: int) -> None:
        if context.should_stop():
            raise TrainingStopped(f"stopped after {done} of {heads} phantom heads; start again to continue")
        after(done)

    write_cases(
        count=heads,
        kind=kind,
        format="nifti",
        seed=first_seed,
        directory=folder,
        for_training=for_training,
        resume=True,
        processes=context.processes,
        after=tell,
    )
    return folder
