"""Who may ask for what: the least role for every endpoint, ours and MONAI Label's. Nothing else says so anywhere.

An endpoint that is not in the table is for admins alone, and a test fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OPEN: Final = "open"
"""In place of a role: for everybody, before anybody has logged in. No data of the studies there."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one endpoint asks for, and what the audit log says about it."""

    role: str
    """One of ROLES, or OPEN."""

    page: bool = False
    """Open, but a browser in which nobody has logged in is sent to the login page first."""

    action: str = ""
    """In the audit log; empty for what is not logged."""

    case: tuple[str, ...] = ()
    """Parameters of path or query that may hold the scan's id; the first that came counts."""

    details: tuple[str, ...] = ()
    """Further parameters for the audit log."""

    uses_model: bool = False
    """The audit log names the version of the model in use."""

    version: str = ""
    """Parameter that is a version of the model."""


def _of(role: str, *names: str) -> dict[str, Rule]:
    return {name: Rule(role=role) for name in names}


_OPEN: Final = {
    **_of(OPEN, "GET /auth/", "GET /login", "GET /pages/{name}", "GET /favicon.ico", "GET /ohif/app-config.js"),
    **_of(OPEN, "POST /auth/token", "POST /login", "POST /logout"),  # these write the audit log themselves
    "GET /ohif/{path:path}": Rule(role=OPEN, page=True),
}

_USER: Final = _of(
    "user",
    "GET /",
    "GET /auth/token/valid",
    "GET /batch/infer",
    "GET /dashboard",
    "GET /dashboard/live",
    "GET /dashboard/models/{version}",
    "GET /dashboard/plots/bland-altman.svg",
    "GET /dashboard/plots/dice.svg",
    "GET /dashboard/plots/pseudo-ct.png",
    "GET /dashboard/plots/{run}.curves.svg",
    "GET /dashboard/{name}",
    "GET /dashboard/{name}/live",
    "GET /datastore/",
    "GET /datastore/image",
    "GET /datastore/image/info",
    "GET /datastore/label",
    "GET /datastore/label/info",
    "GET /docs",
    "GET /info/",
    "GET /jobs",
    "GET /jobs/{job_id}",
    "GET /jobs/{job_id}/{name}",
    "GET /model/info/{model}",
    "GET /models/",
    "GET /openapi.json",
    "GET /proxy/dicom/qido/{path:path}",
    "GET /proxy/dicom/wado/{path:path}",
    "GET /queue",
    "GET /scoring/",
    "GET /series/{study}/{series}",
    "GET /train/",
    "GET /worklist/",
    "GET /worklist/{image}/thumbnail.png",
    "HEAD /datastore/image",
    "HEAD /datastore/label",
    "HEAD /openapi.json",
)

_ANNOTATOR: Final = {
    **_of("annotator", "POST /activelearning/{strategy}", "GET /session/{session_id}", "DELETE /session/{session_id}"),
    "POST /infer/{model}": Rule(
        role="annotator", action="infer", case=("image", "session_id"), details=("model",), uses_model=True
    ),
    "POST /studies/{study}/segment": Rule(role="annotator", action="infer", case=("study",), uses_model=True),
    "POST /studies/{study}/series/{series}/segment": Rule(
        role="annotator", action="infer", case=("series",), uses_model=True
    ),
    "POST /worklist/{image}/skip": Rule(role="annotator", action="case skip", case=("image",)),
    "PUT /session/": Rule(role="annotator", action="session open"),
    "PUT /datastore/label": Rule(role="annotator", action="label save", case=("image",), details=("tag",)),
    "PUT /datastore/label/info": Rule(role="annotator", action="label note", case=("label",), details=("tag",)),
    "PUT /datastore/updatelabelinfo": Rule(role="annotator", action="label note", case=("label",), details=("tag",)),
    "PUT /datastore/image": Rule(role="annotator", action="image add", case=("image",)),
    "PUT /datastore/": Rule(role="annotator", action="image add", case=("image",)),
}

_REVIEWER: Final = {
    "DELETE /worklist/{image}/skip": Rule(role="reviewer", action="case free", case=("image",)),
    "DELETE /datastore/label": Rule(role="reviewer", action="label remove", case=("id",), details=("tag",)),
    "PUT /datastore/image/info": Rule(role="reviewer", action="image note", case=("image",)),
    "GET /datastore/dataset": Rule(role="reviewer", action="data set download"),
    "GET /model/{model}": Rule(role="reviewer", action="model download", uses_model=True),
    "POST /batch/infer/{model}": Rule(role="reviewer", action="batch start", details=("images",), uses_model=True),
    "DELETE /batch/infer": Rule(role="reviewer", action="batch stop"),
    "DELETE /jobs/{job_id}": Rule(role="reviewer", action="job drop", details=("job_id",)),
    "POST /scoring/": Rule(role="reviewer", action="scoring start"),
    "POST /scoring/{method}": Rule(role="reviewer", action="scoring start", details=("method",)),
    "DELETE /scoring/": Rule(role="reviewer", action="scoring stop"),
}

_ADMIN: Final = {
    "GET /logs/": Rule(role="admin"),
    "POST /train/": Rule(role="admin", action="train start"),
    "POST /train/{model}": Rule(role="admin", action="train start", details=("model",)),
    "DELETE /train/": Rule(role="admin", action="train stop"),
    "PUT /model/{model}": Rule(role="admin", action="model publish", details=("model",)),
    "DELETE /model/{model}": Rule(role="admin", action="model switch off", details=("model",), uses_model=True),
    "POST /models/{version}/use": Rule(role="admin", action="model use", version="version"),
    "DELETE /models/{version}": Rule(role="admin", action="model remove", version="version"),
    "DELETE /datastore/image": Rule(role="admin", action="image remove", case=("id",)),
    "DELETE /datastore/": Rule(role="admin", action="image remove", case=("id",)),
}

TABLE: Final[Mapping[str, Rule]] = {**_OPEN, **_USER, **_ANNOTATOR, **_REVIEWER, **_ADMIN}
"""By method and path, as the application has them."""

UNLISTED: Final = Rule(role="admin", action="unlisted endpoint")
"""For an endpoint that somebody forgot here."""

UNKNOWN: Final = Rule(role="user")
"""For what the server does not have: only who has logged in learns that."""
