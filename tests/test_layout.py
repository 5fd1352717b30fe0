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
