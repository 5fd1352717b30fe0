"""What each row of the paper's tables changes, and the Dice the paper gives for it.

The ablation of the method's parts takes its rows from Tables 2, 3 and 5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from amd_das.errors import ConfigError
from amd_das.pipeline.config import PipelineConfig, SourceSlices, TrainOn

Table = Literal["table2", "table3", "table4", "table5", "ablation"]
Network = Literal["fcn", "unet"]
Transfer = Literal["none", "mri", "synthetic_ct", "amd_das"]

Change = Callable[[PipelineConfig], PipelineConfig]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of Tables 2 to 4: a pipeline."""

    name: str
    paper: float
    """Dice in the paper, percent."""

    change: Change
    """Makes the row of the whole method."""


@dataclass(frozen=True, kw_only=True)
class SupervisedRow:
    """One row of Table 5: a network trained on labelled CT, five folds by patient."""

    name: str
    paper: float
    network: Network
    transfer: Transfer
    """What it is trained on before: nothing, slices of MRI, slices of pseudo-CT; or the weights it starts from."""


def _stage2(config: PipelineConfig, *, adapted: bool, train_on: TrainOn = "pseudo_ct") -> PipelineConfig:
    weight = config.segmentation.adversarial_weight if adapted else 0.0
    return replace(
        config,
        train_on=train_on,
        source_slices="all",
        segmentation=replace(config.segmentation, adversarial_weight=weight),
    )


def _synthesis(config: PipelineConfig, *, lesion: bool, matched: bool, features: bool) -> PipelineConfig:
    full = config.synthesis
    synthesis = replace(
        full,
        lesion_weight=full.lesion_weight if lesion else 0.0,
        feature_weight=full.feature_weight if features else 0.0,
        generator=replace(full.generator, shared_fusion=features),
    )
    return replace(config, synthesis=synthesis, matched=matched)


def _row(name: str, paper: float, *, adapted: bool, lesion: bool, matched: bool, features: bool) -> Row:
    def change(config: PipelineConfig) -> PipelineConfig:
        return _stage2(_synthesis(config, lesion=lesion, matched=matched, features=features), adapted=adapted)

    return Row(name=name, paper=paper, change=change)


def _on_mri(name: str, paper: float, *, adapted: bool) -> Row:
    return Row(name=name, paper=paper, change=lambda config: _stage2(config, adapted=adapted, train_on="mri"))


def _slices(name: str, paper: float, which: SourceSlices) -> Row:
    return Row(name=name, paper=paper, change=lambda config: replace(config, source_slices=which))


_TABLE2: Final = (
    _on_mri("baseline (MRI as it is)", 72.42, adapted=False),
    _row("CycleGAN", 65.15, adapted=False, lesion=False, matched=False, features=False),
    _row("mask-supervised CycleGAN", 67.67, adapted=False, lesion=True, matched=False, features=False),
    _row("matched mask-supervised CycleGAN", 76.28, adapted=False, lesion=True, matched=True, features=False),
    _row("synthesis network", 81.41, adapted=False, lesion=True, matched=True, features=True),
)

_TABLE3: Final = (
    _on_mri("DAS (one stage)", 74.22, adapted=True),
    _row("CycleGAN + DAS", 72.31, adapted=True, lesion=False, matched=False, features=False),
    _row("mask CycleGAN + DAS", 78.60, adapted=True, lesion=True, matched=False, features=False),
    _row("matched mask CycleGAN + DAS", 80.14, adapted=True, lesion=True, matched=True, features=False),
    _row("AMD-DAS", 85.77, adapted=True, lesion=True, matched=True, features=True),
)

_TABLE4: Final = (
    _slices("all source slices", 85.77, "all"),
    _slices("unmatched 1 (all that match none)", 83.55, "unmatched"),
    _slices("unmatched 2 (drawn from all)", 83.24, "random"),
    _slices("unmatched 3 (drawn from unmatched 1)", 82.12, "random_unmatched"),
    _slices("matched", 86.93, "as_matched"),
)

SUPERVISED: Final = (
    SupervisedRow(name="FCN", paper=93.82, network="fcn", transfer="none"),
    SupervisedRow(name="FCN, instances: MRI", paper=94.50, network="fcn", transfer="mri"),
    SupervisedRow(name="FCN, instances: synthetic CT", paper=95.01, network="fcn", transfer="synthetic_ct"),
    SupervisedRow(name="FCN, parameters: AMD-DAS", paper=95.10, network="fcn", transfer="amd_das"),
    SupervisedRow(name="U-Net", paper=95.49, network="unet", transfer="none"),
    SupervisedRow(name="U-Net, instances: MRI", paper=95.73, network="unet", transfer="mri"),
    SupervisedRow(name="U-Net, instances: synthetic CT", paper=95.96, network="unet", transfer="synthetic_ct"),
)

BOUND: Final = "supervised bound"

ROWS: Final[Mapping[Table, tuple[Row | SupervisedRow, ...]]] = {
    "table2": _TABLE2,
    "table3": _TABLE3,
    "table4": _TABLE4,
    "table5": SUPERVISED,
    "ablation": (
        replace(_TABLE2[0], name="source only"),
        _TABLE2[1],
        replace(_TABLE2[2], name="+ lesion loss"),
        replace(_TABLE2[3], name="+ matching"),
        replace(_TABLE2[4], name="+ feature adaptation"),
        replace(_TABLE3[0], name="one-stage DAS"),
        _TABLE3[4],
        Row(name=BOUND, paper=SUPERVISED[0].paper, change=lambda config: _stage2(config, adapted=False, train_on="ct")),
    ),
}
"""Stage 2 of Tables 2 and 3 learns from all source slices; matching is then stage 1's choice of CTs alone: that is what
makes AMD-DAS of Table 3 the first row of Table 4."""

TABLES: Final = tuple(ROWS)


def rows_of(table: Table, *, labelled_target: bool) -> tuple[Row | SupervisedRow, ...]:
    """A table's rows in order; the supervised bound is the FCN of Table 5 where the target has no labels."""
    rows = ROWS[table]
    return (
        rows
        if labelled_target
        else tuple(replace(SUPERVISED[0], name=BOUND) if row.name == BOUND else row for row in rows)
    )


def check_table(name: str) -> Table:
    """Raises ConfigError for another name."""
    if name not in TABLES:
        raise ConfigError(f"no table {name!r}; there are: {', '.join(TABLES)}")
    return name  # type: ignore[return-value]
