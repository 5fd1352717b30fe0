"""What one fine-tuning learns from and is judged by: labelled scans split by patient, and pseudo-CT."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from amd_das.datasets.splits import FILE_NAME as SPLIT
from amd_das.datasets.splits import assign, digest
from amd_das.errors import TrainingError
from amd_das.fine_tuning.batches import Slices
from amd_das.fine_tuning.cases import LabelledCase, people_of
from amd_das.fine_tuning.config import FineTuneConfig
from amd_das.fine_tuning.labels import SLICES
from amd_das.model_card import used
from amd_das.models import LoadedModel
from amd_das.pipeline.stages import SLICES as PSEUDO_CT
from amd_das.pipeline.steps import DONE, StepResult
from amd_das.segmentation.batches import split_patients
from amd_das.slices import SliceStore
from amd_das.training.progress import StopCheck

HELD_PSEUDO_CT: Final = 0.1
"""Part of the pseudo-CT's patients that shows whether something is forgotten (ours)."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every step is given."""

    config: FineTuneConfig
    cases: list[LabelledCase]
    champion: LoadedModel
    workdir: Path
    model_dir: Path
    processes: int | None
    should_stop: StopCheck


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """What is learnt from, and what judges."""

    labels: str
    """Key of the prepared labels."""

    ct: Slices
    """Labelled slices to learn from."""

    ct_held: Slices
    held: list[LabelledCase]
    """The scans of `ct_held`."""

    pseudo_ct: Slices | None
    pseudo_ct_held: Slices | None
    notes: tuple[str, ...]
    """What the user should know."""

    @classmethod
    def of(cls, context: Context, prepared: StepResult) -> "Data":
        """Split the prepared scans, and find pseudo-CT.

        Raises:
            TrainingError: no bleed is left to learn from.
        """
        store = SliceStore.open(prepared.folder / SLICES)
        by_name = {one.files.case: one for one in context.cases}
        numbers = [number for number, case in enumerate(store.cases) if case.case in by_name]
        cases = [by_name[store.cases[number].case] for number in numbers]
        people = people_of(cases, [any(store.cases[number].lesion_px) for number in numbers])
        said = assign([person for person, _ in people], context.workdir / SPLIT)
        places: dict[str, set[int]] = {"train": set(), "validation": set()}
        for split, (_, members) in zip(said, people, strict=True):
            places[split] |= {numbers[member] for member in members}
        train, held = (
            np.flatnonzero(np.isin(store.case_index, sorted(places[split]))) for split in ("train", "validation")
        )
        pseudo = _find_pseudo_ct(context)
        parts = split_patients(pseudo, HELD_PSEUDO_CT, context.config.seed) if pseudo is not None else None
        if pseudo is None and not (store.lesion_px[train] > 0).any():
            raise TrainingError(
                f"none of the {len(places['train'])} labelled scans to learn from shows a bleed, and there is no "
                "pseudo-CT to learn from beside them; label scans with a bleed, or run the pipeline first"
            )
        learnt, judging = len(places["train"]), len(places["validation"])
        notes = [f"{learnt} scans to learn from, {judging} held out, of {len(people)} patients"]
        if failures := prepared.summary["failures"]:
            case, error = next(iter(failures.items()))
            notes.append(f"{len(failures)} labelled scan(s) could not be used. {case}: {error}")
        if pseudo is None:
            notes.append("no pipeline has made pseudo-CT in this working folder: learnt from labelled CT alone")
        before = context.champion.info.training.get("split")
        if before and before != digest(context.workdir / SPLIT):
            notes.append(
                f"{context.champion.info.version} was fine-tuned under another split: it may have learnt from scans "
                "that are held out now"
            )
        return cls(
            labels=prepared.key,
            ct=(store, train),
            ct_held=(store, held),
            held=[by_name[store.cases[number].case] for number in sorted(places["validation"])],
            pseudo_ct=(pseudo, parts[0]) if pseudo is not None and parts else None,
            pseudo_ct_held=(pseudo, parts[1]) if pseudo is not None and parts else None,
            notes=tuple(notes),
        )

    def record(self) -> dict[str, Any]:
        """What decides a training on it."""
        store = self.ct[0]
        learnt = sorted({store.cases[number].case for number in np.unique(store.case_index[self.ct[1]])})
        held = sorted(one.files.case for one in self.held)
        pseudo = self.pseudo_ct[0].digest() if self.pseudo_ct else None
        return {"labels": self.labels, "learnt": learnt, "held": held, "pseudo_ct": pseudo}

    @property
    def key(self) -> str:
        """Changes when anything of it does."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:12]

    def in_words(self) -> str:
        """For the record."""
        store, rows = self.ct
        cases = len(np.unique(store.case_index[rows]))
        pseudo = f"{len(self.pseudo_ct[1])} slices of pseudo-CT" if self.pseudo_ct else "no pseudo-CT"
        return f"{cases} labelled CT, {len(rows)} slices; {pseudo}; {len(self.held)} labelled CT held out"

    def sets(self) -> list[dict[str, Any]]:
        """Which data sets were learnt from, for the record."""
        found = []
        for part, use in ((self.ct, "CT, labelled by hand"), (self.pseudo_ct, "pseudo-CT, made of labelled MRI")):
            if part is not None:
                store, rows = part
                numbers = np.unique(store.case_index[rows])
                found += used([store.cases[number] for number in numbers], use)
        return found


def _find_pseudo_ct(context: Context) -> SliceStore | None:
    """The newest pseudo-CT that a pipeline has finished in the working folder."""
    if not context.config.pseudo_ct_share:
        return None
    finished = sorted(context.workdir.glob(f"translation-*/{DONE}"), key=lambda path: path.stat().st_mtime)
    return SliceStore.open(finished[-1].parent / PSEUDO_CT) if finished else None
