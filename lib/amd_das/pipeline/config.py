"""Everything that decides what a pipeline makes."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from amd_das.comparison.rule import RuleConfig
from amd_das.errors import ConfigError
from amd_das.matching import MatchConfig
from amd_das.segmentation.batches import BatchConfig
from amd_das.segmentation.config import AdaptationConfig, SelectionConfig
from amd_das.segmentation.self_training import SelfTrainingConfig
from amd_das.slices.prepare import PrepareConfig
from amd_das.synthesis.batches import PairConfig
from amd_das.synthesis.config import SynthesisConfig
from amd_das.training.run import FitConfig

TrainOn = Literal["pseudo_ct", "mri", "ct"]
StartsFrom = Literal["source", "published"]
SourceSlices = Literal["as_matched", "all", "unmatched", "random", "random_unmatched"]


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """What a model that went on from the one in use must not lose (ours)."""

    heads: int = 40
    """Phantom CT, about three in four with a bleed."""

    rule: RuleConfig = field(default_factory=lambda: RuleConfig(margin_dice=0.05))
    """A wide margin: a model that has come to know your scanners may know phantoms a little less."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ConfigError(f"heads {self.heads}: expected at least 1")


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """One run; :mod:`amd_das.pipeline.presets` names the usual ones."""

    name: str
    """The preset's name, for cards and logs."""

    source_heads: int
    """Phantom MRI where no source folder is given."""

    target_heads: int
    """Phantom CT where no target folder is given."""

    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Which slices of both domains."""

    matching: MatchConfig = field(default_factory=MatchConfig)
    """What is alike."""

    matched: bool = True
    """Stage 1 draws one of the CTs that are like an MRI, and stage 2 learns from the MRIs that are nearest to some CT
    (paper); False draws any CT, and learns from every MRI (the paper's "unmatched" rows)."""

    source_slices: SourceSlices = "as_matched"
    """Of which source slices stage 2 learns: as ``matched`` says; all; those that match no CT; or as many as match,
    drawn from all or from those that match none (the paper's Table 4)."""

    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    """Networks and losses of stage 1."""

    pairs: PairConfig = field(default_factory=PairConfig)
    """Its batches; `matched` above decides about the CTs."""

    synthesis_fit: FitConfig
    """How long and where it is trained."""

    segmentation: AdaptationConfig = field(default_factory=AdaptationConfig)
    """Networks and losses of stage 2."""

    batches: BatchConfig = field(default_factory=BatchConfig)
    """Its batches."""

    segmentation_fit: FitConfig
    """How long and where it is trained."""

    self_training: tuple[SelfTrainingConfig, ...] = ()
    """The rounds that follow stage 2 (ours, after Yang and Wang 2022, who have 3); none (paper)."""

    starts_from: StartsFrom = "source"
    """"source": labelled MRI, through both stages (paper). "published": the model in use, as wide as it is, with the
    rounds of self-training alone, so with nothing but CT without labels (ours)."""

    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    """With the model in use, before another that began as "published" takes its place."""

    rehearsal_heads: int = 0
    """Phantom CT that a training which starts from "published" learns from beside a target of one's own, so that what
    those scans do not show is not forgotten (rehearsal, Robins 1995); the rounds' ``share`` is the target's part of
    each batch. 0: none."""

    train_on: TrainOn = "pseudo_ct"
    """What the segmenter learns from: pseudo-CT (paper), the MRI as they are (paper's baseline and one-stage rows), or
    labelled CT (the supervised bound)."""

    selection: SelectionConfig = field(default_factory=SelectionConfig)
    """How the checkpoint is chosen."""

    validation_share: float = 0.1
    """Part of the patients of each domain that chooses the checkpoint and is not learnt from (ours)."""

    seed: int = 0
    """Of everything drawn."""

    for_use: bool = True
    """Whether the version made is put to use; False where it is made to see every step work, and is kept beside the one
    in use. With none in use it is put to use all the same."""

    def __post_init__(self) -> None:
        if min(self.source_heads, self.target_heads) < 2:
            raise ConfigError(
                f"source_heads {self.source_heads}, target_heads {self.target_heads}: expected at least 2 of each, to "
                "learn from some and validate with others"
            )
        if self.rehearsal_heads < 0:
            raise ConfigError(f"rehearsal_heads {self.rehearsal_heads}: expected 0 or more")
        if self.starts_from == "published" and (not self.self_training or self.train_on == "ct"):
            raise ConfigError("from the published model on there is self-training alone; expected rounds of it")

    def fitted(self, **changes: Any) -> "PipelineConfig":
        """The same with these fields of :class:`FitConfig` in every training: the stages' and the rounds'."""
        return replace(
            self,
            synthesis_fit=replace(self.synthesis_fit, **changes),
            segmentation_fit=replace(self.segmentation_fit, **changes),
            self_training=tuple(replace(one, fit=replace(one.fit, **changes)) for one in self.self_training),
        )
