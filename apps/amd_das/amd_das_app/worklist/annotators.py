"""Who asks for a scan: by their log-in, or by the name that their program sends."""

from typing import Final

from starlette.requests import HTTPConnection

from amd_das_app.access import current_user

NAMELESS: Final = ("", "user-xyz")
"""What somebody is called who gave no name; the second by 3D Slicer."""

_MOST_CHARACTERS: Final = 64


def annotator_of(request: HTTPConnection, client_id: str = "") -> str:
    """A name that tells annotators apart: the user logged in, else ``client_id``.

    The nameless are told apart by their machine.
    """
    if (user := current_user(request)) is not None:
        return user.name
    name = "".join(letter for letter in client_id if letter.isprintable()).strip()[:_MOST_CHARACTERS]
    if name not in NAMELESS:
        return name
    return f"{name or 'somebody'}@{request.client.host if request.client else 'unknown'}"
