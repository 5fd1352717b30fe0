"""Labels that do not belong into the PACS, such as drafts, in a private folder of the server."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amd_das.errors import NotFoundError
from amd_das.files import write_whole
from amd_das.pacs.series import is_uid
from amd_das_app.environment import FILE_EXTENSIONS
from amd_das_app.requests.names import check_tag, file_extension, quoted


class LocalLabels:
    """One mask file and one JSON file for each image and tag; folders 0700, files 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, image_id: str, tag: str) -> Path | None:
        """The mask, None where there is none."""
        place = self._place(image_id, tag)
        files = (place.with_name(place.name + extension) for extension in FILE_EXTENSIONS)
        return next((file for file in files if file.is_file()), None)

    def save(self, image_id: str, tag: str, mask: Path, info: Mapping[str, Any]) -> None:
        """Keep a copy of a mask; one of the same image and tag is replaced."""
        place = self._place(image_id, tag)
        for folder in (self.folder, place.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = self.path(image_id, tag)
        after = place.with_name(place.name + file_extension(mask.name))
        part = place.with_name(f".{place.name}.part")
        part.touch(mode=0o600)
        shutil.copyfile(mask, part)
        part.replace(after)
        if before and before != after:
            before.unlink()
        self.set_info(image_id, tag, info)

    def remove(self, image_id: str, tag: str) -> None:
        """Raises NotFoundError where there is none."""
        path = self.path(image_id, tag)
        if path is None:
            raise NotFoundError(f"no label of {quoted(image_id)} with tag {quoted(tag)}")
        path.unlink()
        self._info_path(image_id, tag).unlink(missing_ok=True)

    def info(self, image_id: str, tag: str) -> dict[str, Any]:
        """What was noted about a label; empty where nothing was."""
        try:
            found = json.loads(self._info_path(image_id, tag).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def set_info(self, image_id: str, tag: str, info: Mapping[str, Any]) -> None:
        """Note something about a label, in place of what was noted before."""
        path = self._info_path(image_id, tag)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps(dict(info)).encode()).chmod(0o600)

    def tags(self) -> dict[str, list[str]]:
        """Image id → tags of its labels."""
        found: dict[str, list[str]] = {}
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*/*")):
                if (extension := next((one for one in FILE_EXTENSIONS if path.name.endswith(one)), "")) and path.name[
                    0
                ] != ".":
                    found.setdefault(path.name.removesuffix(extension), []).append(path.parent.name)
        return found

    def _place(self, image_id: str, tag: str) -> Path:
        if not is_uid(image_id):
            raise NotFoundError(f"no image {quoted(image_id)} in the PACS; ids are SeriesInstanceUIDs")
        return self.folder / check_tag(tag) / image_id

    def _info_path(self, image_id: str, tag: str) -> Path:
        place = self._place(image_id, tag)
        return place.with_name(place.name + ".json")
