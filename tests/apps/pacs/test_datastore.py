"""MONAI Label's view of a PACS, with a PACS that counts how often it is asked."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from amd_das.errors import ConfigError, NotFoundError, PacsError, PacsUnreachableError
from amd_das.pacs.cache import SeriesCache
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.dicomweb import SeriesInfo, StoredResult
from amd_das.reading import ReadingConfig
from amd_das_app.errors import BadNameError, NotAllowedError
from amd_das_app.pacs import listing as pacs_listing
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.pacs.listing import FreshListing
from amd_das_app.pacs.local_labels import LocalLabels
from amd_das_app.routes.proxy import _PATH
from amd_das_app.settings import ServerSettings, from_environment

CT, OTHER, SEG = "1.2.3.1", "1.2.3.2", "1.2.3.3"


def series(uid: str, modality: str = "CT", **more: Any) -> SeriesInfo:
    return SeriesInfo(study_uid="1.2.3", series_uid=uid, modality=modality, instances=1, patient_id="PAT-4711", **more)


class Pacs:
    """In memory."""

    def __init__(self) -> None:
        self.config = PacsConfig(url="http://pacs.example/dicom-web")
        self.cts = [series(CT), series(OTHER)]
        self.segs = [StoredResult(series=series(SEG, "SEG"), references=frozenset({CT, "1.2.3.99"}))]
        self.down = False
        self.asked = 0

    def ct_series(self) -> list[SeriesInfo]:
        self.asked += 1
        if self.down:
            raise PacsUnreachableError("the PACS is unreachable")
        return self.cts

    def segmentations(self) -> list[StoredResult]:
        return self.segs

    def find_series(self, uid: str, study: str | None = None) -> SeriesInfo:
        if self.down:
            raise PacsUnreachableError("the PACS is unreachable")
        found = [one for one in (*self.cts, *(seg.series for seg in self.segs)) if one.series_uid == uid]
        if not found:
            raise NotFoundError("no series")
        return found[0]

    def fetch(self, info: SeriesInfo, folder: Path) -> None:
        if self.cts[0].instances != info.instances:
            raise PacsError("it grew")
        folder.mkdir()
        (folder / "1.dcm").write_bytes(b"x" * info.instances)


@pytest.fixture
def pacs() -> Pacs:
    return Pacs()


@pytest.fixture
def datastore(pacs: Pacs, tmp_path: Path) -> PacsDatastore:
    cache = SeriesCache(tmp_path / "cache")
    return PacsDatastore(pacs, cache, tmp_path / "labels", ReadingConfig())  # type: ignore[arg-type]


def test_construction_asks_nothing_and_lists_are_shared(datastore: PacsDatastore, pacs: Pacs) -> None:
    assert pacs.asked == 0
    for _ in range(5):
        assert datastore.status() == {"total": 2, "completed": 1, "label_tags": {"final": 1}}
        assert datastore.list_images() == [CT, OTHER]
        assert (datastore.get_labeled_images(), datastore.get_unlabeled_images()) == ([CT], [OTHER])
    assert pacs.asked == 1
    assert datastore.datalist() == [{"image": CT, "label": CT}]
    objects = datastore.json()["objects"]
    assert objects[CT]["labels"].keys() == {"final"}
    assert "PAT-4711" not in str(objects)


def test_a_list_is_never_older_than_its_limit(pacs: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pacs_listing.time, "monotonic", lambda: now)
    listing = FreshListing(pacs)  # type: ignore[arg-type]
    listing.get()
    now += pacs_listing.FRESH_SECONDS - 0.1
    listing.get()
    assert pacs.asked == 1
    now += 0.1
    listing.get()
    assert pacs.asked == 2
    listing.forget()
    listing.get()
    assert pacs.asked == 3


def test_a_pacs_that_is_down_is_reported_and_comes_back(datastore: PacsDatastore, pacs: Pacs) -> None:
    pacs.down = True
    assert datastore.status()["total"] == 0
    assert "unreachable" in str(datastore.trouble)
    for call in (datastore.list_images, datastore.json, datastore.get_unlabeled_images, datastore.datalist):
        with pytest.raises(PacsUnreachableError):
            call()
    assert pacs.asked == 1, "a failure is remembered for a while, too"
    with pytest.raises(PacsUnreachableError), datastore.image_in_use(CT):
        pass
    pacs.down = False
    datastore.refresh()
    assert datastore.trouble is None
    assert datastore.list_images() == [CT, OTHER]


def test_a_series_in_use_is_the_one_the_pacs_has_now(datastore: PacsDatastore, pacs: Pacs) -> None:
    with datastore.image_in_use(CT) as folder:
        assert (folder / "1.dcm").read_bytes() == b"x"
    pacs.cts[0] = SeriesInfo(study_uid="1.2.3", series_uid=CT, modality="CT", instances=2)
    with datastore.image_in_use(CT) as folder:
        assert (folder / "1.dcm").read_bytes() == b"xx"
    assert Path(datastore.get_image_uri(CT)) == folder
    for unknown in ("1.2.3.77", SEG, "../x", ""):
        with pytest.raises(NotFoundError, match="no image"), datastore.image_in_use(unknown):
            pass


def test_what_belongs_to_the_pacs_is_not_done_here(datastore: PacsDatastore) -> None:
    for call in (
        lambda: datastore.add_image(CT, "x", {}),
        lambda: datastore.remove_image(CT),
        lambda: datastore.remove_label(CT, "final"),
        lambda: datastore.get_dataset_archive(None),
    ):
        with pytest.raises(NotAllowedError):
            call()


def test_notes_about_images_last_as_long_as_the_server(datastore: PacsDatastore) -> None:
    datastore.update_image_info(CT, {"strategy": {"random": {"ts": 1}}})
    info = datastore.get_image_info(CT)
    assert (info["name"], info["strategy"]) == (f"{CT}.nii.gz", {"random": {"ts": 1}})
    with pytest.raises(NotFoundError):
        datastore.update_image_info("1.2.3.77", {})


def test_local_labels_are_private_and_confined(tmp_path: Path) -> None:
    labels = LocalLabels(tmp_path / "labels")
    mask = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), mask)
    labels.save(CT, "draft", mask, {"a": 1})
    nrrd = tmp_path / "mask.nrrd"
    nrrd.write_bytes(b"NRRD")
    labels.save(CT, "draft", nrrd, {"a": 2})
    assert [path.name for path in sorted((tmp_path / "labels" / "draft").iterdir())] == [f"{CT}.json", f"{CT}.nrrd"]
    assert (labels.tags(), labels.info(CT, "draft")) == ({CT: ["draft"]}, {"a": 2})
    for path in (tmp_path / "labels", *(tmp_path / "labels").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    for image_id in ("../x", "", "1.2/../3"):
        with pytest.raises(NotFoundError):
            labels.save(image_id, "draft", mask, {})
    with pytest.raises(BadNameError):
        labels.save(CT, "../x", mask, {})
    labels.remove(CT, "draft")
    with pytest.raises(NotFoundError):
        labels.remove(CT, "draft")
    assert labels.tags() == {}


def test_settings_of_the_pacs_are_whole_and_never_shown(tmp_path: Path) -> None:
    given = {"AMD_DAS_PACS_USERNAME": "us", "AMD_DAS_PACS_PASSWORD": "secret", "AMD_DAS_CACHE_DIR": str(tmp_path)}
    settings = from_environment(given)
    assert "secret" not in repr(settings)
    assert settings.cache_folder == tmp_path
    made = PacsDatastore.of("http://host/dicom-web/", settings, ReadingConfig())
    assert (made.web.config.password, made.web.config.root) == ("secret", "http://host/dicom-web")
    for odd in ({"AMD_DAS_PACS_USERNAME": "us"}, given | {"AMD_DAS_PACS_TOKEN": "t"}, {"AMD_DAS_CACHE_HOURS": "0"}):
        with pytest.raises(ConfigError) as caught:
            from_environment(odd)
        assert "secret" not in str(caught.value)
    assert ServerSettings().cache_folder.name == "series"


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("studies", True),
        ("studies/1.2.3/series/1.2.4/instances/1.2.5/frames/1,2", True),
        ("studies/1.2.3/metadata", True),
        ("studies/1.2.3/series/1.2.4/instances/1.2.5/bulk/7fe00010", True),
        ("series", True),
        ("", False),
        ("system", False),
        ("studies/..", False),
        ("studies/1.2.3/../../system", False),
        ("studies/1.2.3/series/1.2.4/instances/1.2.5/frames", False),
        ("studies//series", False),
        ("studies?x", False),
        ("studies\n", False),
    ],
)
def test_the_proxy_passes_dicomweb_resources_alone(path: str, passes: bool) -> None:
    assert bool(_PATH.fullmatch(path)) == passes
