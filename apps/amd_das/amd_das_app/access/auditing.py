"""What a request puts into the audit log."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection
from starlette.types import Scope

from amd_das.accounts import AuditLog, User
from amd_das_app.access.table import Rule
from amd_das_app.logs.quiet import without_uids
from amd_das_app.monai_app import monai_label_app

_NOTES: Final = "amd_das.audit"


def note(request: HTTPConnection, **details: str | None) -> None:
    """Say more about the request in its line of the audit log: ``case``, ``model_version``, or other names."""
    request.scope.setdefault(_NOTES, {}).update(details)


def write_line(
    log: AuditLog, scope: Scope, rule: Rule, path: Mapping[str, str], user: User | None, status: int
) -> None:
    """The line of one request that was answered with ``status``; UIDs as the case ids that logs have for them."""
    query = QueryParams(scope.get("query_string", b""))
    given = {**query, **path}
    entry: dict[str, Any] = {name: given[name] for name in rule.details if given.get(name)}
    entry["case"] = next((given[name] for name in rule.case if given.get(name)), None)
    if rule.uses_model:
        entry["model_version"] = _version(given.get("model"))
    elif rule.version:
        entry["model_version"] = given.get(rule.version)
    entry |= scope.get(_NOTES, {})
    shown = {name: without_uids(value) if isinstance(value, str) else value for name, value in entry.items()}
    log.write(
        rule.action,
        who=user.name if user else None,
        outcome="ok" if status < 400 else "refused" if status in (401, 403) else "failed",
        status=status,
        address=(scope.get("client") or ("?", 0))[0],
        **shown,
    )


def _version(model: str | None) -> str | None:
    """Version of the model that serves a task, or the first task; None where there is none."""
    tasks = monai_label_app()._infers
    task = tasks.get(model) or next(iter(tasks.values()), None)
    info = getattr(getattr(task, "model", None), "info", None)
    return getattr(info, "version", None)
