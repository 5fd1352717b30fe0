"""A table as it is printed and written: the paper's column beside ours, and where, when and with what it was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import TrainingError
from amd_das.files import write_whole
from amd_das.reproduction.presets import NOTES
from amd_das.reproduction.rows import Table
from amd_das.reproduction.scores import Scores, deviation, mean

TITLES: Final[Mapping[Table, str]] = {
    "table2": "Table 2: what stage 2 learns from, without adaptation",
    "table3": "Table 3: the same with adaptation",
    "table4": "Table 4: which source slices stage 2 learns from",
    "table5": "Table 5: supervised, five folds by patient, with transfer",
    "ablation": "Ablation: the parts of the method one after the other (Tables 2, 3 and 5)",
}

PHANTOMS: Final = (
    "Phantom heads stand in for the data: no number here is comparable with the paper's beside it; an order of rows "
    "may be."
)
_COLUMNS: Final = {
    "paper_way": "ours, as the paper counts",
    "lesions": "slices with a lesion",
    "heads": "heads with a lesion",
    "false_slices": "false slices",
}
_MEANING: Final = (
    "As the paper counts: mean Dice of all slices in percent, where an empty slice left empty scores 100. Slices and "
    "heads with a lesion: mean Dice of those alone. False slices: percent of the slices without a lesion where "
    "something is marked."
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row with one seed."""

    name: str
    paper: float
    seed: int
    scores: Scores
    seconds: float
    """From its start to its score, in the run that finished it; steps shared with rows before cost nothing."""

    commit: str | None
    """Of the code that made it."""

    key: str
    """Of everything that decides it."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A table, as far as it is done."""

    table: Table
    preset: str
    phantoms: bool
    date: str
    machine: str
    version: str
    data: Mapping[str, Any]
    """Cases and slices of each domain, as far as they are known."""

    silence: Scores
    """Of a network that marks nothing."""

    results: Sequence[Result]

    def rows(self) -> dict[str, list[Result]]:
        """The results of each row, one for each seed."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.name, []).append(result)
        return found

    def record(self) -> dict[str, Any]:
        """Ready for JSON."""
        rows = [
            {
                "name": name,
                "paper": results[0].paper,
                "mean": asdict(mean([one.scores for one in results])),
                "deviation": None if (spread := _spread(results)) is None else asdict(spread),
                "seeds": [asdict(one) for one in results],
            }
            for name, results in self.rows().items()
        ]
        about = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "results"}
        return {
            **about,
            "command": self.command,
            "silence": asdict(self.silence),
            "seeds": self.seeds,
            "minutes": self.minutes,
            "notes": self.notes(),
            "rows": rows,
        }

    @property
    def seeds(self) -> list[int]:
        return sorted({one.seed for one in self.results})

    @property
    def command(self) -> str:
        """What makes this table."""
        seeds = "" if self.seeds in ([], [0]) else f" --seeds {' '.join(map(str, self.seeds))}"
        given = "" if self.phantoms else " --source … --target … --test …"
        return f"amd-das reproduce {self.table} --preset {self.preset}{seeds}{given}"

    @property
    def minutes(self) -> float:
        """Of all rows and seeds."""
        return round(sum(one.seconds for one in self.results) / 60, 1)

    def notes(self) -> list[str]:
        """What a reader must know."""
        quiet = self.silence
        silent = f"A network that marks nothing would score {quiet.paper_way:.2f} as the paper counts."
        notes = [_MEANING, silent]
        if len(self.seeds) > 1:
            notes.append(f"Means over seeds {', '.join(map(str, self.seeds))} ± their standard deviation.")
        return [*notes, *([NOTES[self.preset]] if self.preset in NOTES else []), *([PHANTOMS] if self.phantoms else [])]

    def about(self) -> str:
        """Command, data, date, machine and commit in a line."""
        data = "; ".join(f"{name} {one['cases']} heads, {one['slices']} slices" for name, one in self.data.items())
        commits = dict.fromkeys(one.commit for one in self.results if one.commit)
        commit = f", commit {' and '.join(commits)}" if commits else ""
        return (
            f"`{self.command}`, {self.minutes:.0f} minutes. {data}. {self.date}, {self.machine}, amd-das {self.version}"
            f"{commit}."
        )

    def cells(self) -> list[list[str]]:
        """Heading and rows, ready to be set out."""
        cells = [["", "paper", *_COLUMNS.values()]]
        for name, results in self.rows().items():
            middle, spread = mean([one.scores for one in results]), _spread(results)
            ours = [_cell(getattr(middle, part), getattr(spread, part, None)) for part in _COLUMNS]
            cells.append([name, f"{results[0].paper:.2f}", *ours])
        return cells

    def lines(self) -> list[str]:
        """For a terminal."""
        cells = self.cells()
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        table = [
            "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
            )
            for row in cells
        ]
        return [TITLES[self.table], self.about(), "", *table, "", *self.notes()]

    def markdown(self) -> str:
        """The same as a page."""
        head, *rows = (f"| {' | '.join(row)} |" for row in self.cells())
        rule = f"|---|{'--:|' * (len(_COLUMNS) + 1)}"
        parts = [f"## {TITLES[self.table]}", self.about(), "\n".join((head, rule, *rows)), *self.notes()]
        return "\n\n".join([*parts, RESEARCH_NOTICE]) + "\n"

    def write(self, folder: Path) -> None:
        """Write both forms, the JSON last."""
        name = f"{self.table}-{self.preset}"
        write_whole(folder / f"{name}.md", self.markdown().encode())
        write_whole(folder / f"{name}.json", (json.dumps(self.record(), indent=2) + "\n").encode())


def _spread(results: Sequence[Result]) -> Scores | None:
    return deviation([one.scores for one in results])


def _cell(value: float | None, spread: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if spread is None else f"{value:.2f} ± {spread:.2f}"


def earlier(folder: Path, table: Table, preset: str) -> dict[str, Result]:
    """Results that are written already, by key.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / f"{table}-{preset}.json"
    try:
        rows = json.loads(path.read_text())["rows"]
        found = [Result(**{**one, "scores": Scores(**one["scores"])}) for row in rows for one in row["seeds"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path} is damaged ({error}); remove it: the rows are scored again, not trained again"
        ) from error
    return {one.key: one for one in found}
