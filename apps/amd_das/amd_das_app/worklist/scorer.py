"""Scores scans in the background, one at a time, and only while nobody waits for the device."""

import asyncio
import contextlib
import io
import logging
from functools import partial
from typing import Any, Final

import numpy as np
from anyio.to_thread import run_sync

from amd_das.active_learning import form_opinion
from amd_das.active_learning.opinion import Interrupted
from amd_das.errors import AmdDasError, GeometryError, ModelError, PacsError
from amd_das.evaluation.metrics import volume_scores
from amd_das.inference import Predictor
from amd_das.measurement import measure
from amd_das.output.thumbnail import render_thumbnail
from amd_das.reading import read_volume
from amd_das_app.inference.devices import DeviceQueues
from amd_das_app.inference.task import TASK_NAME, HemorrhageInferTask
from amd_das_app.requests.images import image_in_use
from amd_das_app.requests.params import InferParams
from amd_das_app.state import monai_label_app
from amd_das_app.worklist.case_scores import FINAL, CaseScores, image_stamp, label_stamp
from amd_das_app.worklist.scores import CaseScore

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
PAUSE_AFTER_TROUBLE_S: Final = 30.0


class Scorer:
    """Runs from the server's start to its close."""

    def __init__(self, queues: DeviceQueues, *, idle_s: float, most: int) -> None:
        """A device must have been idle for ``idle_s``; at most ``most`` scans are scored, of a PACS the newest."""
        self.queues, self.idle_s, self.most = queues, idle_s, most
        self.busy_with = ""
        """Id of the scan that is being scored."""

        self._task: asyncio.Task[None] | None = None

    @property
    def cases(self) -> CaseScores:
        """The worklist of the app."""
        cases: CaseScores = monai_label_app().cases
        return cases

    def start(self) -> None:
        """On the event loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Give up the scan under way; it is scored by the next server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def open_images(self) -> list[str]:
        """Ids of the scans whose score is missing or out of date, in the order in which they are scored."""
        app = monai_label_app()
        datastore, version = app.datastore(), app.model_version()
        if not version:
            return []
        scores = self.cases.store.of_version(version)
        images = datastore.list_images()
        self.cases.store.forget_gone(set(images))
        return [
            image
            for image in images[: self.most]
            if (known := scores.get(image)) is None
            or known.image_stamp != image_stamp(datastore, image)
            or known.label_stamp != label_stamp(datastore, image)
        ]

    async def _run(self) -> None:
        while True:
            pause = LOOK_EVERY_S
            try:
                for image in await run_sync(self.open_images):
                    await self._one(image)
            except asyncio.CancelledError:
                raise
            except (PacsError, ModelError) as error:
                logger.info("scoring waits: %s", error)
                pause = PAUSE_AFTER_TROUBLE_S
            except Exception:
                logger.exception("scoring failed unexpectedly")
                pause = PAUSE_AFTER_TROUBLE_S
            await asyncio.sleep(pause)

    async def _one(self, image: str) -> None:
        task: HemorrhageInferTask | None = monai_label_app()._infers.get(TASK_NAME)
        if task is None:
            return
        device = task.device_of(InferParams())
        while self.queues.idle_seconds(device) < self.idle_s:
            await asyncio.sleep(min(self.idle_s, 0.5))
        self.busy_with = image
        try:
            with contextlib.suppress(Interrupted):  # somebody waits; its turn comes again
                await self.queues.run_idle(device, partial(self._score, image, task, device))
        finally:
            self.busy_with = ""

    def _score(self, image: str, task: HemorrhageInferTask, device: str) -> None:
        app = monai_label_app()
        datastore = app.datastore()
        stamps = {"image_stamp": image_stamp(datastore, image), "label_stamp": label_stamp(datastore, image)}
        version = task.model.info.version

        def give_way() -> None:
            if self.queues.is_wanted(device):
                raise Interrupted

        try:
            found = self._numbers(image, task.predictor(device), give_way, labelled=bool(stamps["label_stamp"]))
        except (Interrupted, PacsError):
            raise
        except AmdDasError as error:
            found = {"error": f"{error.code}: {error}"}
        except Exception as error:
            logger.exception("%s could not be scored", image)
            found = {"error": f"unexpected {type(error).__name__}"}
        self.cases.store.put(CaseScore(image=image, version=version, **stamps, **found))
        self._note(image, version, found, labelled=bool(stamps["label_stamp"]))

    def _numbers(self, image: str, predictor: Predictor, give_way: Any, *, labelled: bool) -> dict[str, Any]:
        app = monai_label_app()
        with image_in_use(app, image) as path:
            volume = read_volume(path, app.reading)
        opinion = form_opinion(volume, predictor, give_way=give_way)
        measurement = measure(opinion.mask, volume)
        picture = io.BytesIO()
        render_thumbnail(volume, opinion.mask).save(picture, "PNG")
        found: dict[str, Any] = {
            "volume_ml": measurement.volume_ml,
            "lesions": len(measurement.lesions),
            "entropy": opinion.entropy,
            "flip_consistency": opinion.flip_consistency,
            "fingerprint": opinion.fingerprint.astype("<u8").tobytes(),
            "thumbnail": picture.getvalue(),
        }
        if labelled and (label := app.datastore().get_label_uri(image, FINAL)):
            reference = read_volume(label, app.reading).array > 0
            if reference.shape != opinion.mask.shape:
                raise GeometryError(
                    f"the final label has shape {reference.shape}, its scan {opinion.mask.shape}; submit it again"
                )
            scores = volume_scores(opinion.mask, reference, volume.affine)
            found |= {
                "label_ml": scores.volume_ml_ref,
                "dice": _known(scores.dice),
                "hd95_mm": _known(scores.hd95_mm),
            }
        return found

    def _note(self, image: str, version: str, found: dict[str, Any], *, labelled: bool) -> None:
        """Where MONAI Label's clients look: in the scan's and the label's notes."""
        datastore = monai_label_app().datastore()
        shown = ("error", "volume_ml", "lesions", "entropy", "flip_consistency")
        note = {"model": version, **{name: _rounded(found[name]) for name in shown if name in found}}
        datastore.update_image_info(image, {"amd_das": note})
        if labelled and "label_ml" in found:
            compared = ("dice", "hd95_mm", "label_ml", "volume_ml")
            datastore.update_label_info(
                image, FINAL, {"dice_volume": {"model": version, **{name: _rounded(found[name]) for name in compared}}}
            )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
