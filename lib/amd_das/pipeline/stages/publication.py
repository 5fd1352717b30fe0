"""The last step: what was trained becomes a version of the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amd_das.comparison.rule import Verdict
from amd_das.models import list_versions
from amd_das.pipeline.publication import publish
from amd_das.pipeline.stages.common import Context, Done, keys, last_trained, network_of, store_of
from amd_das.pipeline.steps import Report, Step


def publication(context: Context, done: Done, model_dir: Path) -> Step:
    """The chosen network as a version of the model; put to use, or kept with the reason."""

    def make(output: Path, report: Report) -> Mapping[str, Any]:
        stores = {name: store_of(done, name) for name in ("source", "target", "rehearsal") if name in done}
        before = context.published.info if context.published else None
        verdict = Verdict(**done["comparison"].summary["verdict"]) if "comparison" in done else None
        info, kept = publish(
            network_of(context, done), context.config, done, stores, model_dir, before=before, verdict=verdict
        )
        return {"version": info.version, "kept": kept}

    return Step(
        name="publication",
        inputs={"model_dir": str(model_dir.resolve()), **keys(done, last_trained(done), "comparison")},
        make=make,
        still_good=lambda summary: summary["version"] in list_versions(model_dir),
    )
