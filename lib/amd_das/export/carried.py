"""The part of this package that a bundle carries: the modules its scripts need, and what those need in turn."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Final

import amd_das
from amd_das.export import bundle_scripts

PACKAGE: Final = Path(amd_das.__file__).parent
SCRIPTS: Final = Path(bundle_scripts.__file__).parent


def scripts() -> list[Path]:
    """The files that configs name."""
    return sorted(SCRIPTS.glob("*.py"))


def modules() -> list[Path]:
    """Files of this package that the scripts import, directly or not, each package's ``__init__`` with it."""
    found: set[Path] = set()
    waiting = [file for script in scripts() for file in _own(script)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _own(file)
    return sorted(found)


def requirements() -> dict[str, str]:
    """Distribution → version installed here, of everything that scripts and modules import from elsewhere."""
    names = {
        name.split(".")[0]
        for file in (*scripts(), *modules())
        for name in _imported(file)
        if name.split(".")[0] not in (*sys.stdlib_module_names, PACKAGE.name)
    }
    known = packages_distributions()
    return {found: version(found) for found in sorted({known[name][0] for name in names}, key=str.lower)}


def _own(file: Path) -> list[Path]:
    """Files of this package that a file imports."""
    return [found for name in _imported(file) if name.split(".")[0] == PACKAGE.name for found in _files(name)]


def _imported(file: Path) -> Iterator[str]:
    """Full dotted names of modules, and of what is taken from them (which may be modules); relative ones left out."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str) -> Iterator[Path]:
    """Of a dotted name: the ``__init__`` of each package on the way, and the module, if it is one."""
    parts = name.split(".")[1:]
    for depth in range(len(parts) + 1):
        place = PACKAGE.joinpath(*parts[:depth])
        if (place / "__init__.py").is_file():
            yield place / "__init__.py"
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py")
