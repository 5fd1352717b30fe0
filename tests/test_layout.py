"""The shape of the tree: the package stands alone, and the version is said once."""

import ast
from pathlib import Path

import amd_das

PACKAGE = Path(amd_das.__file__).parent


def imported_names(source: Path) -> set[str]:
    """Full dotted names of everything a file imports, at any level."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_the_package_never_imports_monai_label_or_the_app() -> None:
    sources = list(PACKAGE.rglob("*.py"))
    assert len(sources) > 5
    offenders = {
        str(path.relative_to(PACKAGE)): name
        for path in sources
        for name in imported_names(path)
        if name.split(".")[0] in {"monailabel", "apps", "main", "server"}
    }
    assert offenders == {}


FLOORS = [
    {"errors", "conventions", "files", "hardware", "processes", "components"},
    {"volume", "networks", "losses", "accounts"},
    {"reading", "preprocessing", "phantom"},
    {"datasets"},
    {"slices"},
    {"matching"},
    {"training"},
    {"synthesis"},
    {"segmentation", "measurement"},
    {"models"},
    {"inference", "model_card"},
    {"interaction"},
    {"output"},
    {"journey", "doctor", "evaluation", "active_learning"},
    {"comparison"},
    {"pacs"},
    {"listener", "pipeline"},
    {"fine_tuning", "reproduction", "export"},
    {"cli"},
]
"""From the ground up: a room may use its own floor and those below."""


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_go_one_way() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    sources = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert {room(path) for path in sources} == set(floor), "a new room needs its floor"
    upwards = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sources
        for name in imported_names(path)
        if name.startswith("amd_das.") and floor[name.split(".")[1]] > floor[room(path)]
    }
    assert upwards == set()


def test_networks_and_losses_know_neither_trainers_nor_data() -> None:
    sources = [*(PACKAGE / "networks").glob("*.py"), PACKAGE / "losses.py"]
    assert len(sources) > 2
    names = set().union(*(imported_names(source) for source in sources))
    assert {name for name in names if name.startswith("amd_das") and not name.startswith("amd_das.networks")} == set()
