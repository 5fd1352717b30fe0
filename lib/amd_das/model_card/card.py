"""One card for every version, however it came to be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.model_card.benchmark import Benchmark, read_benchmark, section
from amd_das.model_card.data_sets import PHANTOM, cell, data_of, table
from amd_das.models import ModelInfo, expect_version, read_record, write_card
from amd_das.networks.fcn import FcnConfig

WEIGHTS_LICENCE: Final = "code: Apache-2.0; weights: Apache-2.0 as far as the terms of the data allow"
"""Of every version."""

Kind = Literal["pipeline", "fine_tuned", "other"]

_TITLES: Final[Mapping[Kind, str]] = {
    "pipeline": 'preset "{preset}"',
    "fine_tuned": "fine-tuned on labelled CT",
    "other": "of unknown training",
}

_METHODS: Final[Mapping[Kind, str]] = {
    "pipeline": "AMD-DAS (`amd-das pipeline`)",
    "fine_tuned": "further training of an earlier version on labelled CT (`amd-das fine-tune`)",
    "other": "not recorded",
}

_STEPS: Final = {
    "matching": "matching",
    "synthesis": "synthesis of pseudo-CT",
    "segmentation": "domain-adversarial segmentation",
    "self_training": "self-training on CT without labels",
}
"""A pipeline's step, or how the names of its rounds begin, in words."""

_SCORES: Final[Mapping[Kind, tuple[str, str]]] = {
    "pipeline": (
        "Scores of that choice",
        "They rank checkpoints. They are no measure of how well patients' scans are outlined.",
    ),
    "fine_tuned": (
        "Against the model before, on whole held-out scans",
        "Dice is the mean over scans with a bleed, false positives the mean over scans without one.",
    ),
    "other": ("Scores", "As they were recorded with the version."),
}
"""Heading, and how to read them."""

_ON_PHANTOMS: Final = (
    "Mean Dice and false positives, beside those of the model before (champion), are of phantom heads: they show "
    "whether something was forgotten, not what was gained on patients' scans."
)
"""The same, of the comparison that ends a training which went on from a version."""

_LIMITS: Final = """\
- Likely to miss or shrink small (under 1 mL), faint (anemia, subacute) and patchy bleeds, and to take for a bleed what
  the training data do not hold: tumours, contrast medium, dense vessels, calcium, implants.
- Blood outside the brain's tissue (subdural, epidural, subarachnoid, intraventricular) is meant to be left out. Whether
  it is must be measured for each version; where it touches an intraparenchymal bleed the border is uncertain.
- Slices thinner than 3 mm are averaged to slabs first. Children's heads were never seen.
"""

_OF_A_KIND: Final[Mapping[Kind, str]] = {
    "pipeline": "",
    "fine_tuned": "- The held-out scans chose the checkpoint too, and are few: the numbers say whether the model is "
    "worse than the\n  one before, and not how well it outlines other patients' scans.\n"
    "- It has learnt the habits of those who corrected, and of their scanners.\n",
    "other": "- Nothing is known about its training.\n",
}


def model_card(info: ModelInfo, network: FcnConfig, *, benchmark: Benchmark | None = None, named: bool = False) -> str:
    """Markdown, from a version's records alone.

    Args:
        info: of the version.
        network: its shape.
        benchmark: where it fails; without one the card says that nobody has measured.
        named: whether the cases of the benchmark are called by name.
    """
    training, kind = info.training, kind_of(info.training)
    data = data_of(training)
    parts = [
        f"# Model card: AMD-DAS FCN, {_TITLES[kind].format(preset=training.get('preset'))}",
        f"**{RESEARCH_NOTICE}**",
        _table(info, network, kind),
        "## Use\n\nFor research on head CT: outlines and volumes to look at, to correct, and to compare methods with. "
        "A person\nwho can read head CT has to look at every result.",
        f"## Data and licences\n\n{table(data)}\n\nTerms are noted as the sets' makers publish them; no image is part "
        "of this model.",
        _scores(info.metrics, kind),
        "## Failure cases\n\n" + (section(benchmark, named=named) if benchmark else _not_measured(data)).rstrip(),
        "## Limits\n\n" + _limits(training, kind).rstrip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def renew_card(model_dir: Path, version: str, report: Path, *, named: bool = False) -> Path:
    """Write a version's card again, now with where it fails; returns the card's path.

    Args:
        model_dir: holds the version.
        version: as `amd_das.models.list_versions` names it.
        report: ``report.json`` of ``amd-das benchmark`` about this version.
        named: whether the cases of the report are called by name.

    Raises:
        NotFoundError: there is no such version or report, or the report says nothing of this version.
        ModelError: the version is damaged.
        UnreadableError: the report is none, or one of other weights.
    """
    expect_version(model_dir, version)
    info, network = read_record(model_dir, version)
    benchmark = read_benchmark(report, info.version, info.checksum)
    return write_card(model_dir, version, model_card(info, network, benchmark=benchmark, named=named))


def kind_of(training: Mapping[str, Any]) -> Kind:
    """How a version came to be, by its record."""
    if "fine_tuned_from" in training:
        return "fine_tuned"
    return "pipeline" if "preset" in training else "other"


def _table(info: ModelInfo, network: FcnConfig, kind: Kind) -> str:
    training = info.training
    seed = training.get("seed", training.get("config", {}).get("seed"))
    steps = f", {training['steps']} steps" if isinstance(training.get("steps"), int) else ""
    rows = {
        "version": f"{info.version}, SHA-256 {info.checksum}",
        "task": "outline intraparenchymal hemorrhage on non-contrast head CT, slice by slice",
        "network": f"FCN with a VGG-16 encoder ({network.stages[0][0]} to {network.stages[-1][-1]} channels), batch "
        "normalisation, one channel in, `amd_das.networks.fcn`",
        "input": "axial slices, 240 x 240 at 1 mm, brain only, 0-100 HU scaled to [-1, 1]",
        "output": "one logit per pixel",
        "method": _method(training, kind),
        "fine-tuned from": training.get("fine_tuned_from"),
        "adapted from": training.get("adapted_from"),
        "trained on": training.get("data"),
        "labels": training.get("labels"),
        "device": f"{training['device']}, torch {training['torch']}" if "device" in training else None,
        "time": f"{training['minutes']} minutes of training{steps}" if "minutes" in training else None,
        "seed": seed,
        "checkpoint chosen by": training.get("criterion"),
        "notes": training["notes"] if isinstance(training.get("notes"), str) else None,
        "licence": WEIGHTS_LICENCE,
    }
    return _two_columns({key: value for key, value in rows.items() if value is not None})


def _two_columns(rows: Mapping[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {cell(value)} |" for key, value in rows.items())])


def _method(training: Mapping[str, Any], kind: Kind) -> str:
    steps = training.get("steps")
    if kind != "pipeline" or not isinstance(steps, Mapping):
        return _METHODS[kind]
    done = [words for name, words in _STEPS.items() if any(step.startswith(name) for step in steps)]
    return f"{_METHODS[kind]}: {', '.join(done)}"


def _scores(metrics: Mapping[str, Any], kind: Kind) -> str:
    heading, reading = _SCORES[kind]
    if kind == "pipeline" and "champion" in metrics:
        heading, reading = f"{heading}, and against the model before", f"{reading} {_ON_PHANTOMS}"
    verdict = ""
    if "published" in metrics:
        said = "Published" if metrics["published"] else "Kept, not published"
        verdict = f"**{said}**: {metrics.get('reason', 'no reason recorded')}.\n\n"
    rows = {
        name.replace("_", " "): value
        for name, value in metrics.items()
        if isinstance(value, str | int | float) and name not in ("published", "reason")
    }
    return f"## {heading}\n\n{verdict}{_two_columns(rows or {'not measured': ''})}\n\n{reading}"


def _not_measured(data: list[dict[str, Any]]) -> str:
    seen = " It has never seen a patient's scan." if all(line["set"] == PHANTOM for line in data) else ""
    return (
        f"Not measured: no benchmark was given when this card was written.{seen}\n`amd-das benchmark` on labelled "
        "scans of your own shows where it fails; `amd-das export bundle --benchmark` writes\nit here."
    )


def _limits(training: Mapping[str, Any], kind: Kind) -> str:
    notes = training.get("notes", ())
    told = "" if isinstance(notes, str) else "".join(f"- {note}\n" for note in notes)
    smoke = (
        '- Made by the preset "smoke": for tests and demonstration alone.\n'
        if training.get("preset") == "smoke"
        else ""
    )
    return smoke + told + _OF_A_KIND[kind] + _LIMITS
