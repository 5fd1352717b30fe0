"""Which prediction, reference and image belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from amd_das.errors import ConfigError, NotFoundError
from amd_das.evaluation.masks import find_masks
from amd_das.reading import Input, find_inputs

_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class EvaluationCase:
    """The files of one case."""

    case: str
    """As the masks are named; never a patient's name."""

    ref: Path

    preds: Mapping[str, Path] = field(default_factory=dict)
    """Model → its mask."""

    image: Input | None = None
    """The CT; None where no images were given."""


def pair_cases(
    preds: Mapping[str, Path], ref: Path, images: Path | None = None, *, common: bool = False
) -> list[EvaluationCase]:
    """Cases by name, each with a reference and a prediction by every model.

    Args:
        preds: model → folder of masks.
        ref: folder of masks, see :func:`amd_das.evaluation.masks.find_masks`.
        images: where the CTs are; by file name, or for DICOM by the series' folder or case id.
        common: leave out cases that lack something instead of refusing.

    Raises:
        NotFoundError: a folder is not there; a reference, a prediction or an image has no counterpart.
        UnreadableError: a folder without masks.
        ConfigError: no case is in all of them.
    """
    references = find_masks(ref)
    predictions = {model: find_masks(folder) for model, folder in preds.items()}
    shared = set(references).intersection(*predictions.values())
    if not shared:
        some = next(iter(predictions.values()))
        raise ConfigError(
            f"no case has both a prediction and a reference: predictions are named {_listed(sorted(some))}, "
            f"references {_listed(sorted(references))}; name both after the case, as NAME.nii.gz"
        )
    if not common:
        for model, found in predictions.items():
            _refuse(sorted(set(references) - set(found)), f"reference(s) without a prediction in {preds[model]}")
            _refuse(sorted(set(found) - set(references)), f"prediction(s) of {preds[model]} without a reference")
    pictures = _images(images) if images is not None else {}
    if images is not None and not common:
        _refuse(sorted(shared - set(pictures)), f"case(s) without an image in {images}")
    return [
        EvaluationCase(
            case=case,
            ref=references[case],
            preds={model: found[case] for model, found in predictions.items()},
            image=pictures.get(case),
        )
        for case in sorted(shared)
    ]


def image_cases(images: Path, ref: Path, *, common: bool = False) -> list[EvaluationCase]:
    """Cases with an image and a reference, to be segmented.

    Raises:
        NotFoundError: see :func:`pair_cases`.
        ConfigError: the same.
    """
    references, pictures = find_masks(ref), _images(images)
    shared = sorted(set(references) & set(pictures))
    if not shared:
        raise ConfigError(
            f"no case has both an image and a reference: images are named {_listed(sorted(pictures))}, references "
            f"{_listed(sorted(references))}; name both after the case, as NAME.nii.gz"
        )
    if not common:
        _refuse(sorted(set(references) - set(pictures)), f"reference(s) without an image in {images}")
    return [EvaluationCase(case=case, ref=references[case], image=pictures[case]) for case in shared]


def _images(folder: Path) -> dict[str, Input]:
    found = find_inputs([folder])
    by_folder = {one.path.name: one for one in found if one.kind == "dicom"}
    return by_folder | {one.case_id: one for one in found}


def _refuse(cases: Sequence[str], what: str) -> None:
    if cases:
        raise NotFoundError(
            f"{len(cases)} {what}: {_listed(cases)}. A case left out makes scores look better than they are: add what "
            "is missing, or leave such cases out with --common"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
