"""``/session``: a client's own scan, kept for a while under an id. Off unless asked for."""

import shutil
import time
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, UploadFile
from fastapi.responses import FileResponse
from monailabel.interfaces.app import MONAILabelApp
from monailabel.utils.sessions import SessionInfo

from amd_das.errors import NotFoundError
from amd_das.reading import read_volume
from amd_das_app.errors import BusyError
from amd_das_app.monai_app import monai_label_app
from amd_das_app.requests.names import check_session_id
from amd_das_app.requests.uploads import save_image, scratch_folder
from amd_das_app.state import State, require_allowed

router = APIRouter(prefix="/session", tags=["Session"])


def find_session(app: MONAILabelApp, session_id: str, *, touch: bool = True) -> SessionInfo:
    """The session of this id; raises NotFoundError for one that is unknown or has expired."""
    session = app.sessions().get_session(check_session_id(session_id), update_ts=False)
    if session is None or session.last_access_ts + session.expiry < time.time():
        raise NotFoundError(f"no session {session_id}, or it has expired; create one with PUT /session/")
    return app.sessions().get_session(session_id) if touch else session


def session_image(app: MONAILabelApp, session_id: str) -> Path:
    """Image file, or folder of a series, of a session."""
    return Path(find_session(app, session_id).image)


def _public(session: SessionInfo) -> dict[str, Any]:
    """A session's record without the server's paths."""
    return {**session.to_json(), "path": "", "image": Path(session.image).name}


@router.put("/", summary="Keep a scan for a while: one file, the slices of a DICOM series, or an archive of either")
async def create_session(
    state: State, uncompress: bool = False, expiry: int = 0, *, files: list[UploadFile]
) -> dict[str, Any]:
    """Archives are recognised by their names, so ``uncompress`` changes nothing. ``expiry`` is in seconds."""
    require_allowed(state.settings, "sessions", "keeping scans for clients")
    app = monai_label_app()
    sessions = app.sessions()
    store = Path(sessions.store_path)
    if store.is_dir() and sum(1 for _ in store.iterdir()) >= state.settings.max_sessions:
        raise BusyError(f"{state.settings.max_sessions} sessions are open; close one with DELETE /session/<id>")
    async with scratch_folder() as folder:
        image = await save_image(files, folder, state.settings)
        await run_sync(read_volume, image, app.reading)
        session_id, session = await run_sync(sessions.add_session, str(image), max(0, expiry))
    return {"session_id": session_id, "session_info": _public(session)}


@router.get("/{session_id}", summary="A session's record, or its image")
async def get_session(session_id: str, update_ts: bool = False, image: bool = False) -> Any:
    """``image=true`` sends the file; ``update_ts=true`` starts its time anew."""
    session = find_session(monai_label_app(), session_id, touch=update_ts)
    if image:
        path = Path(session.image)
        if not path.is_file():
            raise NotFoundError(f"session {session_id} holds a series of files; only single files can be sent back")
        return FileResponse(path, filename=path.name)
    return _public(session)


@router.delete("/{session_id}", summary="Close a session and remove its scan")
async def remove_session(session_id: str) -> dict[str, Any]:
    """The closed session's record."""
    app = monai_label_app()
    session = find_session(app, session_id, touch=False)
    await run_sync(app.sessions().remove_session, session_id)
    await run_sync(lambda: shutil.rmtree(session.path, ignore_errors=True))
    return _public(session)
