"""Ids, tags and file names from outside, confined: a name is looked up or cleaned, never used as a path."""

import re
from pathlib import Path, PurePosixPath

from monailabel.interfaces.datastore import Datastore

from amd_das.errors import NotFoundError
from amd_das_app.environment import FILE_EXTENSIONS
from amd_das_app.errors import BadNameError, ConflictError

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +=@()-]{0,127}")
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNSAFE_CHARACTERS = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100


def quoted(name: str) -> str:
    """A name from outside, short enough and safe to repeat in a message."""
    return repr(name if len(name) <= _LONGEST else name[:_LONGEST] + "…")


def check_tag(tag: str) -> str:
    """A label's tag (a folder name); raises BadNameError for anything that could be a path."""
    if not _TAG.fullmatch(tag) or ".." in tag:
        raise BadNameError(f"label tag {quoted(tag)}: expected up to 64 letters, digits, '.', '_' or '-'")
    return tag


def check_new_id(image_id: str) -> str:
    """An id for a scan to be added; raises BadNameError for anything that could be a path."""
    if not _ID.fullmatch(image_id) or ".." in image_id:
        raise BadNameError(
            f"image id {quoted(image_id)}: expected up to 128 letters, digits, spaces or any of ._+=@()-"
        )
    return image_id


def check_session_id(session_id: str) -> str:
    """A session's id (a UUID); raises NotFoundError for anything else."""
    if not _SESSION.fullmatch(session_id):
        raise NotFoundError(f"no session {quoted(session_id)}; create one with PUT /session/")
    return session_id


def image_path(datastore: Datastore, image_id: str, studies: str) -> Path:
    """Where the scan of this id lies; raises NotFoundError for an unknown id, ConflictError for an ambiguous one."""
    if image_id not in datastore.list_images():
        raise NotFoundError(f"no image {quoted(image_id)} in the studies; GET /datastore/?output=all lists their ids")
    if Path(studies).is_dir():
        same = [f"{image_id}{ext}" for ext in FILE_EXTENSIONS if (Path(studies) / f"{image_id}{ext}").is_file()]
        if len(same) > 1:
            raise ConflictError(f"id {quoted(image_id)} means {' and '.join(same)}; rename or remove all but one")
    path = Path(datastore.get_image_uri(image_id))
    if not path.is_file():
        raise NotFoundError(f"the file of image {quoted(image_id)} is gone from the studies folder")
    return path


def label_path(datastore: Datastore, label_id: str, tag: str) -> Path:
    """Where a label lies; raises NotFoundError when there is none."""
    found = datastore.get_label_uri(label_id, check_tag(tag))
    if not found or not Path(found).is_file():
        raise NotFoundError(
            f"no label {quoted(label_id)} with tag {quoted(tag)}; GET /datastore/?output=all lists them"
        )
    return Path(found)


def safe_file_name(name: str | None) -> str:
    """The last part of a client's file name, cleaned; raises BadNameError when nothing is left of it."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    cleaned = _UNSAFE_CHARACTERS.sub("_", last).lstrip(".")[-_LONGEST:].lstrip(".")
    if not cleaned:
        raise BadNameError(f"file name {quoted(name or '')}: expected a name such as case.nii.gz")
    return cleaned


def file_extension(name: str) -> str:
    """One of the extensions that scans and labels may have; raises BadNameError otherwise."""
    for extension in FILE_EXTENSIONS:
        if name.lower().endswith(extension) and len(name) > len(extension):
            return extension
    raise BadNameError(f"file name {quoted(name)}: expected one ending in {', '.join(FILE_EXTENSIONS)}")
