"""From the files of a case to its scores."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from amd_das.evaluation.attributes import Attributes, scanner_of, volume_class
from amd_das.evaluation.cases import EvaluationCase
from amd_das.evaluation.masks import read_masks
from amd_das.evaluation.metrics import SliceScores, VolumeScores, slice_scores, volume_scores
from amd_das.preprocessing.grid import AxialGrid

Progress = Callable[[int, int, str], None]
"""Told of the cases done, all cases, and the last one's name."""


@dataclass(frozen=True, kw_only=True)
class CaseScores:
    """One case under one model."""

    case: str

    volume: VolumeScores

    slices: SliceScores

    attributes: Attributes

    warnings: tuple[str, ...] = ()
    """What makes its numbers doubtful."""

    @property
    def bleeds(self) -> bool:
        """Whether the reference shows a lesion."""
        return self.volume.lesions_ref > 0

    @property
    def volume_class(self) -> str:
        """By the reference's volume."""
        return volume_class(self.volume.volume_ml_ref)


Scores = Mapping[str, list[CaseScores]]
"""Model → its cases; all models have the same cases in the same order."""


def score_cases(
    cases: Iterable[EvaluationCase],
    table: Mapping[str, Attributes] | None = None,
    progress: Progress | None = None,
) -> dict[str, list[CaseScores]]:
    """Score every case under every model.

    Args:
        cases: see :func:`amd_das.evaluation.cases.pair_cases`.
        table: attributes by case; the scanner is else looked for in the image's files.
        progress: told after each case.

    Raises:
        InputError: a mask cannot be read, is not binary, or lies on another grid.
    """
    cases, table = list(cases), table or {}
    scores: dict[str, list[CaseScores]] = {}
    for number, case in enumerate(cases, start=1):
        ref, preds = read_masks(case.ref, dict(case.preds))
        grid = AxialGrid.of(ref)
        known = table.get(case.case, Attributes())
        scanner = known.scanner or (scanner_of(case.image) if case.image is not None else "")
        doubts = () if ref.spacing_known else ("no voxel size: mL and mm are those of 1 mm voxels",)
        for model, pred in preds.items():
            one = CaseScores(
                case=case.case,
                volume=volume_scores(pred, ref.array, ref.affine),
                slices=slice_scores(grid.axial(pred), grid.axial(ref.array)),
                attributes=Attributes(subtypes=known.subtypes, scanner=scanner),
                warnings=doubts,
            )
            scores.setdefault(model, []).append(one)
        if progress is not None:
            progress(number, len(cases), case.case)
    return scores
