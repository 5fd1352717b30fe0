"""The PACS as MONAI Label's datastore: CT series are its images, SEGs that refer to them its labels."""

import asyncio
import hashlib
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from anyio.to_thread import run_sync
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from pydicom.dataset import Dataset

from amd_das.errors import AmdDasError, InputError, NotFoundError, PacsError
from amd_das.measurement import measure
from amd_das.output.dicom import dicom_objects, read_segmentation
from amd_das.pacs.cache import SeriesCache
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.dicomweb import DicomWeb, SeriesInfo
from amd_das.pacs.series import StoredResult, is_uid
from amd_das.reading import ReadingConfig, read_volume, write_image, write_mask
from amd_das.volume import Volume
from amd_das_app.errors import NotAllowedError
from amd_das_app.pacs.listing import FreshListing, Listing
from amd_das_app.pacs.local_labels import LocalLabels
from amd_das_app.requests.names import quoted
from amd_das_app.settings import ServerSettings

logger = logging.getLogger(__name__)

FINAL: Final = DefaultLabelTag.FINAL.value
IMAGE_EXTENSION: Final = ".nii.gz"
"""Of images and labels as clients without DICOM get them."""

EXPIRE_SECONDS: Final = 600.0
_GROWING_ATTEMPTS: Final = 3


class PacsDatastore(Datastore):
    """Image ids are SeriesInstanceUIDs; a label has its image's id. Nothing is asked of the PACS at construction.

    A label tagged "final" is a DICOM SEG in the PACS, the newest one that refers to the series; other tags stay on
    this server. Methods that need the PACS raise a PacsError when it does not answer; ``status`` does not.
    """

    def __init__(self, web: DicomWeb, cache: SeriesCache, folder: Path, reading: ReadingConfig) -> None:
        """``folder`` is private and for labels; ``reading`` limits what is read."""
        self.web = web
        self.cache = cache
        self.reading = reading
        self.local = LocalLabels(folder / "labels")
        self._final = folder / "final"
        self._listing = FreshListing(web)
        self._notes: dict[str, dict[str, Any]] = {}
        self._name, self._description = web.config.shown, ""

    @classmethod
    def of(cls, url: str, settings: ServerSettings, reading: ReadingConfig) -> "PacsDatastore":
        """As the server's settings say."""
        config = PacsConfig(
            url=url,
            username=settings.pacs_username,
            password=settings.pacs_password,
            token=settings.pacs_token,
            timeout_s=settings.pacs_timeout,
            max_series_bytes=settings.max_upload_bytes,
            max_series_files=settings.max_archive_files,
        )
        cache = SeriesCache(settings.cache_folder, max_bytes=settings.cache_bytes, max_hours=settings.cache_hours)
        folder = settings.runs_folder / f"pacs-{hashlib.sha256(config.root.encode()).hexdigest()[:8]}"
        return cls(DicomWeb(config), cache, folder, reading)

    @property
    def trouble(self) -> PacsError | NotFoundError | None:
        """Why the PACS cannot be listed, None if it can."""
        return self._listing.get().trouble

    @property
    def listing(self) -> Listing:
        """What the PACS holds, or why that cannot be told; seconds old at most."""
        return self._listing.get()

    def series(self, image_id: str) -> SeriesInfo:
        """The series of an id as the PACS has it now; raises NotFoundError unless it is a CT series."""
        known = self._listing.get().images.get(image_id)
        unknown = f"no image {quoted(image_id)} in the PACS; GET /datastore/?output=all lists their ids"
        try:
            series = self.web.find_series(image_id, known.study_uid if known else None)
        except NotFoundError:
            raise NotFoundError(unknown) from None
        if series.modality != "CT":
            raise NotFoundError(unknown)
        return series

    def require(self, image_id: str) -> None:
        """Raises NotFoundError for an unknown id; one that is listed is not asked about again."""
        if image_id not in self._listing.get().images:
            self.series(image_id)

    @contextmanager
    def image_in_use(self, image_id: str) -> Iterator[Path]:
        """The folder of a series' files as the PACS has them now; they stay until the context ends."""
        series = self.series(image_id)
        with ExitStack() as stack:
            for attempt in range(_GROWING_ATTEMPTS):
                try:
                    folder = stack.enter_context(self.cache.folder_of(series, partial(self.web.fetch, series)))
                    break
                except PacsError:
                    before, series = series, self.series(image_id)
                    if series.instances == before.instances or attempt == _GROWING_ATTEMPTS - 1:
                        raise
            yield folder

    @contextmanager
    def _volume(self, image_id: str) -> Iterator[Volume]:
        """The image in memory; its files stay meanwhile, because DICOM objects are made from them."""
        with self.image_in_use(image_id) as folder:
            yield read_volume(folder, self.reading)

    def write_image(self, image_id: str, folder: Path) -> Path:
        """The image as NIfTI in a folder; returns the file."""
        with self._volume(image_id) as volume:
            return write_image(volume, folder / f"{image_id}{IMAGE_EXTENSION}")

    # what MONAI Label asks

    def name(self) -> str:
        return self._name

    def set_name(self, name: str) -> None:
        self._name = name

    def description(self) -> str:
        return self._description

    def set_description(self, description: str) -> None:
        self._description = description

    def list_images(self) -> list[str]:
        return list(self._there().images)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        listing = self._there()
        if (label_tag or FINAL) == FINAL:
            return list(listing.labels)
        tags = self.local.tags()
        return [image_id for image_id in listing.images if label_tag in tags.get(image_id, ())]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        labelled = set(self.get_labeled_images(label_tag))
        return [image_id for image_id in self.list_images() if image_id not in labelled]

    def get_image(self, image_id: str, params: Any = None) -> Any:
        with TemporaryDirectory(prefix="amd-das-") as folder:
            return io.BytesIO(self.write_image(image_id, Path(folder)).read_bytes())

    def get_image_uri(self, image_id: str) -> str:
        with self.image_in_use(image_id) as folder:
            return str(folder)

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        self.require(image_id)
        series = self._there().images.get(image_id)
        return (_info(series) if series else {"name": image_id}) | self._notes.get(image_id, {})

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        self.require(image_id)
        self._notes[image_id] = self._notes.get(image_id, {}) | info

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        self.require(image_id)
        return dict.fromkeys(self._tags(image_id, self._there(), self.local.tags()), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        path = self.get_label_uri(label_id, label_tag)
        return io.BytesIO(Path(path).read_bytes()) if path else None

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        if label_tag != FINAL:
            return str(self.local.path(label_id, label_tag) or "")
        found = self._there().labels.get(label_id, ())
        path = self._mask_file(label_id, found) if found else None
        return str(path or "")

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        info = self.local.info(label_id, label_tag)
        if label_tag == FINAL and (found := self._there().labels.get(label_id)):
            info |= {"SeriesInstanceUID": found[0].series.series_uid, "SeriesDescription": found[0].series.description}
        return info

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        self.local.set_info(label_id, label_tag, self.local.info(label_id, label_tag) | info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        if label_tag == FINAL:
            self._store(image_id, Path(label_filename))
            self.local.set_info(image_id, label_tag, label_info)
        else:
            self.require(image_id)
            self.local.save(image_id, label_tag, Path(label_filename), label_info)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        if label_tag == FINAL:
            raise NotAllowedError("a label tagged 'final' is a DICOM SEG in the PACS; remove it there")
        self.local.remove(label_id, label_tag)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        raise NotAllowedError("scans are added to the PACS itself")

    def remove_image(self, image_id: str) -> None:
        raise NotAllowedError("scans are removed from the PACS itself")

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        raise NotAllowedError("a PACS is not copied into an archive here; fetch scans and labels one by one")

    def datalist(self) -> list[dict[str, Any]]:
        """Ids, not files: those are fetched when they are asked for."""
        return [{"image": image_id, "label": image_id} for image_id in self._there().labels]

    def refresh(self) -> None:
        self._listing.forget()

    def status(self) -> dict[str, Any]:
        listing = self._listing.get()
        tags = self.local.tags()
        counts = {FINAL: len(listing.labels)} if listing.labels else {}
        for image_id in listing.images.keys() & tags.keys():
            for tag in tags[image_id]:
                counts[tag] = counts.get(tag, 0) + 1
        return {"total": len(listing.images), "completed": len(listing.labels), "label_tags": counts}

    def json(self) -> dict[str, Any]:
        listing, tags = self._there(), self.local.tags()
        objects = {
            image_id: {
                "image": {"ext": "", "info": _info(series) | self._notes.get(image_id, {})},
                "labels": {
                    tag: {"ext": IMAGE_EXTENSION, "info": self.local.info(image_id, tag)}
                    for tag in self._tags(image_id, listing, tags)
                },
            }
            for image_id, series in listing.images.items()
        }
        return {"name": self._name, "description": self._description, "objects": objects}

    def _there(self) -> Listing:
        listing = self._listing.get()
        if listing.trouble is not None:
            raise type(listing.trouble)(str(listing.trouble))  # one of its own: each raise adds to a traceback
        return listing

    def _tags(self, image_id: str, listing: Listing, local: Mapping[str, list[str]]) -> list[str]:
        final = [FINAL] if image_id in listing.labels else []
        return [*final, *(tag for tag in local.get(image_id, ()) if tag != FINAL)]

    def _store(self, image_id: str, mask: Path) -> None:
        """A mask into the PACS as SEG, newer than those that are there; the newest itself is not stored again."""
        series = self.series(image_id)
        before = [one for one in self.web.results_for(series) if one.series.modality == "SEG"]
        with self._volume(image_id) as volume:
            drawn = (read_volume(mask, self.reading).array > 0).astype(np.uint8)
            measurement = measure(drawn, volume)

            def segmentation(attempt: int) -> Dataset:
                made = dicom_objects(
                    volume,
                    drawn,
                    measurement,
                    model=None,
                    formats=("seg",),
                    algorithm_type="SEMIAUTOMATIC",
                    attempt=attempt,
                )
                return made["seg"][0]

            if before and before[0].series.series_uid == segmentation(len(before) - 1).SeriesInstanceUID:
                return
            dataset = segmentation(len(before))
        dataset.SeriesTime = f"{datetime.now():%H%M%S.%f}"  # two of one second are still told apart
        self.web.store([dataset])
        self._listing.forget()

    def _mask_file(self, image_id: str, found: tuple[StoredResult, ...]) -> Path | None:
        """The newest SEG that can be read as a mask of the image, as a file; made once for each SEG."""
        for one in found:
            name = hashlib.sha256(one.series.series_uid.encode()).hexdigest()[:16]
            path = self._final / f"{image_id}-{name}{IMAGE_EXTENSION}"
            if path.is_file():
                return path
            try:
                with self._volume(image_id) as volume:
                    mask = read_segmentation(self.web.read(one.series)[0], volume)
                    self._final.mkdir(mode=0o700, parents=True, exist_ok=True)
                    for old in self._final.glob(f"{image_id}-*"):
                        old.unlink(missing_ok=True)
                    write_mask(mask, volume, path).chmod(0o600)
            except (InputError, NotFoundError) as error:
                logger.info("%s, a SEG, is no label: %s", one.series.case_id, error)
                continue
            return path
        return None


async def expire_now_and_then(cache: SeriesCache) -> None:
    """Remove what has not been used for long, also while nobody asks for anything."""
    while True:
        try:
            await run_sync(cache.expire)
        except AmdDasError as error:
            logger.warning("the cache cannot be tidied: %s", error)
        await asyncio.sleep(EXPIRE_SECONDS)


def _info(series: SeriesInfo) -> dict[str, Any]:
    """What clients are told about a series; nothing of the patient."""
    assert is_uid(series.series_uid)
    return {
        "name": f"{series.series_uid}{IMAGE_EXTENSION}",
        "StudyInstanceUID": series.study_uid,
        "SeriesInstanceUID": series.series_uid,
        "SeriesDescription": series.description,
        "StudyDate": series.study_date,
        "Modality": series.modality,
        "instances": series.instances,
    }
