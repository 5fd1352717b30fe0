"""Model versions segment the same labelled scans, so that their masks can be compared."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from amd_das import models
from amd_das.errors import AmdDasError, ConfigError, NotFoundError
from amd_das.evaluation.cases import EvaluationCase
from amd_das.inference import Predictor
from amd_das.models import LoadedModel
from amd_das.reading import read_volume, write_mask

logger = logging.getLogger(__name__)

PREDICTIONS = "predictions"
"""Folder of masks below that of the report, one folder for each model."""

Progress = Callable[[int, int, str], None]
"""Told of the scans segmented, all there are, and the last one's name."""


def load_models(names: Sequence[str], model_dir: Path) -> dict[str, LoadedModel]:
    """Models by version.

    Args:
        names: each a model folder (its version in use), a folder of one version in it, or a version of ``model_dir``.
        model_dir: where versions are looked for.

    Raises:
        NotFoundError: a name is none of these.
        ModelError: the model is damaged.
        ConfigError: two names are the same version.
    """
    found: dict[str, LoadedModel] = {}
    for name in names:
        path = Path(name)
        if (path / "versions").is_dir():
            loaded = models.load_current(path)
        elif (path / models.RECORD).is_file() and path.resolve().parent.name == "versions":
            loaded = models.load_version(path.resolve().parents[1], path.resolve().name)
        elif name in models.list_versions(model_dir):
            loaded = models.load_version(model_dir, name)
        else:
            listed = ", ".join(models.list_versions(model_dir)) or "none"
            raise NotFoundError(f"{name!r} is no model folder, and no version in {model_dir}; there are: {listed}")
        if loaded.info.version in found:
            raise ConfigError(f"{name!r} is version {loaded.info.version} again; name each model once")
        found[loaded.info.version] = loaded
    return found


def segment_cases(
    cases: Sequence[EvaluationCase],
    predictors: Mapping[str, Predictor],
    directory: Path,
    progress: Progress | None = None,
) -> list[EvaluationCase]:
    """Segment every image by every model; the same cases with their predictions.

    Args:
        cases: with images.
        predictors: by version.
        directory: receives ``<version>/<case>.nii.gz``.
        progress: told after each scan.

    Raises:
        AmdDasError: a scan cannot be read or segmented; the message names it.
    """
    for version in predictors:
        (directory / version).mkdir(parents=True, exist_ok=True)
    done = []
    for number, case in enumerate(cases, start=1):
        assert case.image is not None
        try:
            volume = read_volume(case.image)
            preds = {
                version: write_mask(predictor.segment(volume).mask, volume, directory / version / f"{case.case}.nii.gz")
                for version, predictor in predictors.items()
            }
        except AmdDasError as error:
            raise type(error)(f"{case.case} cannot be segmented: {error}") from error
        done.append(replace(case, preds=preds))
        if progress is not None:
            progress(number, len(cases), case.case)
    return done
