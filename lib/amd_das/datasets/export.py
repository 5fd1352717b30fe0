"""A data set as plain files, whatever its layout: what other programs, and `amd-das segment`, can read."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from amd_das.datasets.bhsd import LAYOUT as BHSD
from amd_das.datasets.bhsd import VALUES
from amd_das.datasets.folders import CaseFiles
from amd_das.datasets.registry import DataSet
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.errors import AmdDasError, TrainingError
from amd_das.files import write_whole
from amd_das.reading import write_mask
from amd_das.reading.images import write_image

COLUMNS = ("case", "patient", "split", "lesion", "mask_ml", "subtypes", "warnings")


def export(
    data: DataSet, directory: Path, progress: Callable[[int, int, str], None] | None = None
) -> Mapping[str, str]:
    """Write ``images/<case>.nii.gz`` (HU, or MRI as it is), ``masks/<case>.nii.gz`` and ``cases.csv``.

    Args:
        data: as found.
        directory: receives them; files that are there are written anew.
        progress: told of the cases done, all cases, and the last one's name.

    Returns:
        Case to error, of those that could not be read.

    Raises:
        TrainingError: none could be.
    """
    rows: list[dict[str, str]] = []
    failures: dict[str, str] = {}
    for name in ("images", "masks"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(data.cases, start=1):
        try:
            rows.append(_write(case, data, directory))
        except AmdDasError as error:
            failures[case.case] = str(error)
        if progress is not None:
            progress(number, len(data.cases), case.case)
    if not rows:
        name, why = next(iter(failures.items()), ("", "there is no case"))
        raise TrainingError(f"none of {len(failures)} cases could be exported. {name}: {why}")
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(directory / "cases.csv", table.getvalue().encode())
    return failures


def _write(case: CaseFiles, data: DataSet, directory: Path) -> dict[str, str]:
    volume = read_image(case)
    mask = read_mask(case, volume) if case.mask else None
    write_image(volume, directory / "images" / f"{case.case}.nii.gz")
    if mask is not None:
        write_mask(mask.astype(np.uint8), volume, directory / "masks" / f"{case.case}.nii.gz")
    kinds = case.subtypes
    if kinds is None and data.layout is BHSD and mask is not None:
        shown = (replace(case, mask_values=(value,)) for value in VALUES.values())
        kinds = frozenset(kind for kind, one in zip(VALUES, shown, strict=True) if read_mask(one, volume).any())
    return {
        "case": case.case,
        "patient": case.patient,
        "split": case.split,
        "lesion": (case.lesion or "") if mask is not None else "",
        "mask_ml": f"{mask.sum() * volume.voxel_ml:.3f}" if mask is not None and volume.spacing_known else "",
        "subtypes": "" if kinds is None else ";".join(sorted(kinds)) or "none",
        "warnings": " ".join(volume.warnings),
    }
