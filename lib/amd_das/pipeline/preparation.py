"""`amd-das prepare` and `amd-das datasets` in a terminal: what was found is said before it is read."""

import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from tqdm import tqdm

from amd_das.datasets.export import export
from amd_das.datasets.layout import Found
from amd_das.datasets.registry import LAYOUTS, DataSet, check_official_split, detect, find_cases, select
from amd_das.errors import ConfigError, NotFoundError, TrainingError
from amd_das.pacs.cases import pacs_cts
from amd_das.pacs.config import PacsConfig
from amd_das.slices.cases import PrepareConfig
from amd_das.slices.prepare import prepare

Say = Callable[[str], None]
Complain = Callable[[str, str], None]

DONE: Final = 0
SOME_FAILED: Final = 1


def prepare_in_terminal(args: Namespace, place: Path | PacsConfig, say: Say, complain: Complain) -> int:
    """Find the cases, say what they are, make them slices, tell of each failure; returns the exit status.

    Raises:
        AmdDasError: see :func:`amd_das.datasets.registry.find_cases` and :func:`amd_das.slices.prepare.prepare`.
    """
    config = PrepareConfig(every=args.every, least_brain_px=args.least_brain)
    if args.domain == "source":
        config = replace(config, source_slices=args.slices, official_split=args.official_split)
        data = find_cases(_folder(place), "source", layout=args.layout)
    elif isinstance(place, PacsConfig):
        if args.layout or args.masks or args.labelled or args.label or args.official_split:
            raise ConfigError("a PACS has no layout, masks, labels or split of a data set; leave those options out")
        data = DataSet(layout=LAYOUTS[-1], found=Found(cases=tuple(pacs_cts(place))))
    else:
        config = replace(config, subtype=args.label, official_split=args.official_split)
        data = _target(args, place)
    if args.official_split:
        check_official_split(data.cases)
    _tell(data, say, complain)
    with tqdm(total=len(data.cases), file=sys.stderr, unit="case") as bar:

        def show(done: int, total: int, case: str) -> None:
            bar.set_description_str(case, refresh=False)
            bar.update(done - bar.n)

        report = prepare(
            data.cases,
            args.output,
            args.domain,
            config,
            processes=args.processes,
            retry=args.retry,
            progress=show,
        )
    for case, error in report.failures.items():
        complain("error", f"{case}: {error}")
    say(f"{report.cases} cases ({report.added} new), {report.slices} slices in {args.output}")
    if report.failures:
        say(f"failed: {len(report.failures)}; --retry tries them again")
    return SOME_FAILED if report.failures or data.found.problems else DONE


def _tell(data: DataSet, say: Say, complain: Complain) -> None:
    """What was found, and what is wrong with it."""
    for line in (data.summary(), *data.found.notes):
        say(line)
    for problem in data.found.problems:
        complain("error", problem)


def _target(args: Namespace, folder: Path) -> DataSet:
    """Of a folder, without masks unless they are asked for: the method needs none."""
    data = find_cases(folder, "target", layout=args.layout, lesion=args.lesion, masks=args.masks)
    if args.label:
        data = select(data, args.label)
    labelled = args.labelled or args.masks is not None or args.lesion is not None
    if labelled and not any(case.mask for case in data.cases):
        raise TrainingError(f"{data.layout.title} comes without masks; leave --labelled and --lesion out")
    cases = tuple(case if labelled else replace(case, mask=None, lesion=None) for case in data.cases)
    if labelled:
        cases = tuple(case for case in cases if case.mask)
    return replace(data, found=replace(data.found, cases=cases))


def _folder(place: Path | PacsConfig) -> Path:
    if isinstance(place, PacsConfig):
        raise NotFoundError("labelled MRI is read from a folder, not from a PACS")
    return place


def datasets_in_terminal(args: Namespace, say: Say, complain: Complain) -> int:
    """List the known layouts, tell which one a folder has, or write it as plain files; returns the exit status.

    Raises:
        ConfigError: no folder is given where one is needed, or no output.
        AmdDasError: as :func:`find_cases`.
    """
    if args.action == "list":
        for layout in LAYOUTS:
            masks = " or ".join(layout.lesions) or "none"
            say(f"{layout.name} ({layout.side}) {layout.title}")
            say(f"    needs: {layout.needs}")
            say(f"    masks: {masks}")
            say(f"    terms: {layout.terms}")
        return DONE
    if args.folder is None:
        raise ConfigError(f"datasets {args.action} needs the folder of a data set")
    data = _either(args)
    _tell(data, say, complain)
    failures: dict[str, str] = {}
    if args.action == "export":
        if args.output is None:
            raise ConfigError("datasets export needs -o DIR, where images/, masks/ and cases.csv go")
        with tqdm(total=len(data.cases), file=sys.stderr, unit="case") as bar:
            failures = dict(export(data, args.output, lambda done, total, case: bar.update(done - bar.n) and None))
        for case, error in failures.items():
            complain("error", f"{case}: {error}")
        say(f"{len(data.cases) - len(failures)} cases in {args.output}")
    return SOME_FAILED if failures or data.found.problems else DONE


def _either(args: Namespace) -> DataSet:
    """The cases of a folder of either side."""
    known = {layout.name: layout for layout in LAYOUTS}
    if args.layout is not None:
        if args.layout not in known:
            raise ConfigError(f"no layout {args.layout!r}; there are: {', '.join(known)}")
        layout = known[args.layout]
    else:
        try:
            layout = detect(args.folder, "source")
        except (ConfigError, NotFoundError):
            layout = detect(args.folder, "target")
    return find_cases(args.folder, layout.side, layout=layout.name, lesion=args.lesion)
