"""Reading ``/datastore`` and ``/info``, and choosing the next sample: in threads, because a PACS may take its time."""

import logging
import re
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import FileResponse, Response
from monailabel.endpoints import datastore as stock
from starlette.background import BackgroundTask

from amd_das.errors import ConfigError, NotFoundError
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.requests.images import image_in_use, require_image
from amd_das_app.requests.names import check_tag, label_path, quoted
from amd_das_app.requests.params import parse_json_object
from amd_das_app.requests.uploads import SCRATCH_PREFIX, remove_folder
from amd_das_app.state import State, require_allowed

logger = logging.getLogger(__name__)

router = APIRouter()
_CHECKSUM = re.compile(r"((SHA256|SHA512|MD5):)?[0-9a-fA-F]{1,128}")


class Listed(StrEnum):
    """What ``GET /datastore/`` answers with."""

    stats = "stats"
    all = "all"
    train = "train"


def _known_image(image: str) -> str:
    require_image(monai_label_app(), image)
    return image


def _named_label(label: str, tag: str | None = None) -> tuple[str, str]:
    return label, _required_tag(tag)


def _required_tag(tag: str | None) -> str:
    if tag is None:
        raise ConfigError("which label is meant? send its tag, as in &tag=final")
    return check_tag(tag)


Image = Annotated[str, Depends(_known_image)]
"""Query parameter ``image``: the id of a scan that exists."""

Label = Annotated[tuple[str, str], Depends(_named_label)]
"""Query parameters ``label`` and ``tag``."""


@router.get("/info/", tags=["App"], summary="The app, its models and how many scans there are")
def info() -> dict[str, Any]:
    """Answers while a PACS is down, too; the description says so."""
    answer: dict[str, Any] = monai_label_app().info()
    return answer


@router.get("/datastore/", tags=["Datastore"], summary="How many scans and labels there are, or all of them")
def listed(output: Listed = Listed.stats) -> Any:
    """``output``: stats (default), all (ids with labels), train (pairs of scan and label)."""
    datastore = monai_label_app().datastore()
    if isinstance(datastore, PacsDatastore):
        datastore.list_images()  # its numbers would be 0 when the PACS is down
    return stock.datastore(stock.ResultType(output.value))


def _send(path: Path, *, remove: bool = False) -> FileResponse:
    done = BackgroundTask(remove_folder, path.parent) if remove else None
    return FileResponse(path, filename=path.name, media_type="application/octet-stream", background=done)


@router.get("/datastore/image", tags=["Datastore"], summary="A scan as a file; series of a PACS as NIfTI")
def download_image(image: str) -> FileResponse:
    """The file's name is in the answer's headers."""
    app = monai_label_app()
    datastore = app.datastore()
    if not isinstance(datastore, PacsDatastore):
        with image_in_use(app, image) as path:
            return _send(path)
    folder = Path(mkdtemp(prefix=SCRATCH_PREFIX))
    try:
        return _send(datastore.write_image(image, folder), remove=True)
    except BaseException:
        remove_folder(folder)
        raise


@router.head("/datastore/image", tags=["Datastore"], summary="Whether a scan exists")
def check_image(image: Image, check_sum: str | None = None) -> Response:
    """404 unless it does, and unless ``check_sum`` (SHA256:…, SHA512:… or MD5:…) is its file's."""
    if check_sum and not _CHECKSUM.fullmatch(check_sum):
        raise ConfigError(f"check_sum {quoted(check_sum)}: expected SHA256:, SHA512: or MD5: and hex digits")
    if isinstance(monai_label_app().datastore(), PacsDatastore):
        if check_sum:
            raise NotFoundError("a series of a PACS is no file, so it has no checksum")
    else:
        stock.download_image(image, check_only=True, check_sum=check_sum)
    return Response()


@router.get("/datastore/image/info", tags=["Datastore"], summary="What is noted about a scan")
def image_info(image: Image) -> Any:
    """Nothing about the patient."""
    return monai_label_app().datastore().get_image_info(image)


def _may_note(state: State) -> None:
    require_allowed(state.settings, "images", "changing the metadata of scans")


@router.put(
    "/datastore/image/info",
    tags=["Datastore"],
    summary="Note something about a scan",
    dependencies=[Depends(_may_note)],
)
def note_about_image(image: Image, info: str = Form("{}")) -> Any:
    """``info`` is a JSON object."""
    return monai_label_app().datastore().update_image_info(image, parse_json_object(info, "info"))


def _label_file(label: Label) -> Path:
    return label_path(monai_label_app().datastore(), *label)


@router.get("/datastore/label", tags=["Datastore"], summary="A label as a mask file")
def download_label(path: Annotated[Path, Depends(_label_file)]) -> FileResponse:
    """From a PACS: the newest DICOM SEG that refers to the series, as NIfTI."""
    return _send(path)


@router.head("/datastore/label", tags=["Datastore"], summary="Whether a label exists")
def check_label(image: str, tag: str | None = None) -> Response:
    """404 unless it does."""
    label_path(monai_label_app().datastore(), image, _required_tag(tag))
    return Response()


def _existing_label(label: Label) -> tuple[str, str]:
    label_path(monai_label_app().datastore(), *label)
    return label


ExistingLabel = Annotated[tuple[str, str], Depends(_existing_label)]


@router.get("/datastore/label/info", tags=["Datastore"], summary="What is noted about a label")
def label_info(label: ExistingLabel) -> Any:
    """What was sent along when it was saved."""
    return monai_label_app().datastore().get_label_info(*label)


@router.put("/datastore/label/info", tags=["Datastore"], summary="Note something about a label")
def note_about_label(label: ExistingLabel, info: str = Form("{}")) -> Any:
    """``info`` is a JSON object."""
    return monai_label_app().datastore().update_label_info(*label, parse_json_object(info, "info"))


@router.put("/datastore/updatelabelinfo", include_in_schema=False)
def note_about_label_as_before(label: ExistingLabel, params: str = Form("{}")) -> Any:
    """MONAI Label's earlier name for it."""
    return monai_label_app().datastore().update_label_info(*label, parse_json_object(params))
