"""What trainings leave in the server's folder that is worth a look: curves and pseudo-CT."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from amd_das.errors import AmdDasError, NotFoundError
from amd_das.pipeline.stages import SLICES
from amd_das.slices import SliceStore
from amd_das.synthesis.sheet import write_translation_sheet
from amd_das.training import history
from amd_das_app.dashboard.words import number
from amd_das_app.requests.names import quoted

logger = logging.getLogger(__name__)

CURVED: Final = ("self_training", "segmentation", "synthesis", "fine_tuning")
"""Steps that leave a history; some are numbered."""

TRANSLATION, SOURCE = "translation", "source"
PICTURE: Final = "sheet.png"


@dataclass(frozen=True, kw_only=True)
class CurveView:
    """The history of one step."""

    step: str
    folder: str
    """Its name in the server's folder."""

    key: str
    """Changes when a line is added."""

    steps: int
    """Training steps that it covers."""

    latest: str
    """The last numbers, for those who cannot see the picture."""


def curve_views(workdir: Path, words: Callable[[str], str]) -> list[CurveView]:
    """The newest history of each step, the newest first; ``words`` says a step's name."""
    newest: dict[str, Path] = {}
    for file in sorted(workdir.glob(f"*-*/{history.NAME}"), key=_age):
        step = file.parent.name.rpartition("-")[0]
        if step.rstrip("_0123456789") in CURVED and file.stat().st_size:
            newest[step] = file
    views = []
    for step, file in sorted(newest.items(), key=lambda item: -_age(item[1])):
        entries = history.read(file.parent)
        if not entries:
            continue
        losses = next((entry["losses"] for entry in reversed(entries) if entry.get("losses")), {})
        latest = ", ".join(f"{name.replace('_', ' ')} {number(float(value))}" for name, value in losses.items())
        stat = file.stat()
        views.append(
            CurveView(
                step=words(step),
                folder=file.parent.name,
                key=f"{stat.st_size}-{stat.st_mtime_ns}",
                steps=int(entries[-1]["step"]),
                latest=latest,
            )
        )
    return views


def curve_folder(workdir: Path, name: str) -> Path:
    """The folder of a history; raises NotFoundError for any other name."""
    found = {file.parent.name: file.parent for file in workdir.glob(f"*-*/{history.NAME}")}
    if name not in found:
        raise NotFoundError(f"no training {quoted(name)} has left a history here")
    return found[name]


class TranslationSheets:
    """Draws the newest pseudo-CT, once for as long as it does not change."""

    def __init__(self, workdir: Path, pictures: Path) -> None:
        """``pictures`` receives one file."""
        self._workdir, self._pictures = workdir, pictures
        self._lock = threading.Lock()

    def newest(self) -> str:
        """A name that changes with the pseudo-CT; empty where there is none."""
        index = self._index()
        if index is None:
            return ""
        stat = index.stat()
        return f"{index.parents[1].name}-{stat.st_mtime_ns}"

    def draw(self) -> Path:
        """The picture's file; raises NotFoundError where there is nothing to be drawn."""
        with self._lock:
            name, index = self.newest(), self._index()
            if index is None:
                raise NotFoundError("no MRI has been translated yet; a training does it after its synthesis")
            path = self._pictures / f"{name}-{PICTURE}"
            if not path.is_file():
                self._pictures.mkdir(parents=True, exist_ok=True)
                pseudo = SliceStore.open(index.parent)
                write_translation_sheet(self._source_of(pseudo), pseudo, path)
                for old in self._pictures.glob(f"*-{PICTURE}"):
                    if old != path:
                        old.unlink(missing_ok=True)
            return path

    def _index(self) -> Path | None:
        found = sorted(self._workdir.glob(f"{TRANSLATION}-*/{SLICES}/index.jsonl"), key=_age)
        return found[-1] if found else None

    def _source_of(self, pseudo: SliceStore) -> SliceStore:
        for store in _stores(sorted(self._workdir.glob(f"{SOURCE}-*/{SLICES}"))):
            if store.digest() == pseudo.config.get("source"):
                return store
        raise NotFoundError("the MRI that the newest pseudo-CT was made of is gone")


def _stores(folders: Sequence[Path]) -> list[SliceStore]:
    stores = []
    for folder in folders:
        try:
            stores.append(SliceStore.open(folder))
        except AmdDasError as error:
            logger.info("%s is passed over: %s", folder, error)
    return stores


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
