from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.heads import AFFINE, make_head, save_blood_detector, write_head

from amd_das.inference import InferenceConfig, Predictor
from amd_das.models import load_current
from amd_das.reading import ReadingConfig
from amd_das_app.inference import known_scans
from amd_das_app.inference.known_scans import KnownScans, fingerprint


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    save_blood_detector(tmp_path / "model")
    return Predictor(load_current(tmp_path / "model"), device="cpu")


def test_a_scan_is_looked_at_once_for_each_content_and_setting(tmp_path: Path, predictor: Predictor) -> None:
    known = KnownScans(ReadingConfig())
    image = write_head(tmp_path / "a.nii.gz")
    first = known.get(image, predictor, InferenceConfig())
    assert known.get(image, predictor, InferenceConfig()) is first
    assert known.get(image, predictor, InferenceConfig(threshold=0.6)) is not first
    write_head(image, bleed_x=-10)
    assert known.get(image, predictor, InferenceConfig()) is not first


def test_correctors_are_kept_by_what_they_start_from(tmp_path: Path, predictor: Predictor) -> None:
    image = write_head(tmp_path / "a.nii.gz")
    scan = KnownScans(ReadingConfig()).get(image, predictor, InferenceConfig())
    assert scan.corrector("automatic") is scan.corrector("automatic")
    blood = make_head()[1]
    assert (scan.corrector("automatic").start[blood] != 0).mean() > 0.8
    assert not scan.corrector("nothing").start.any()


def test_a_doubtful_spot_is_named_until_it_is_in_the_mask(tmp_path: Path, predictor: Predictor) -> None:
    hu, spot = make_head(bleed_x=-12)[0].astype(np.float32), np.zeros((96, 110, 10), bool)
    spot[62:72, 45:65, 4:6] = True
    hu[spot] = 55.2  # the stand-in network's probability is 0.6 there
    nibabel.save(nibabel.Nifti1Image(hu, AFFINE), tmp_path / "a.nii.gz")
    scan = KnownScans(ReadingConfig()).get(tmp_path / "a.nii.gz", predictor, InferenceConfig())
    mask = scan.corrector("automatic").start
    assert not mask[spot].any()
    (warning,) = scan.warnings(mask, "automatic")
    assert warning.startswith("Left out beside a surer bleed, as doubtful or as settled in a ventricle:")
    assert "in slices 4 to 5" in warning
    assert scan.warnings(mask, "label") == scan.warnings(mask, "nothing") == ()
    assert scan.warnings(np.where(spot, np.uint8(1), mask), "automatic") == ()


def test_only_so_many_scans_are_kept(tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownScans(ReadingConfig())
    images = [write_head(tmp_path / f"{n}.nii.gz", bleed_x=n) for n in range(3)]
    monkeypatch.setattr(known_scans, "MOST_SCANS", 2)
    scans = [known.get(image, predictor, InferenceConfig()) for image in images]
    assert known.get(images[1], predictor, InferenceConfig()) is scans[1]
    assert known.get(images[0], predictor, InferenceConfig()) is not scans[0]
    monkeypatch.setattr(known_scans, "MOST_VOXELS", 1)
    latest = known.get(images[2], predictor, InferenceConfig(threshold=0.4))
    assert known.get(images[2], predictor, InferenceConfig(threshold=0.4)) is latest


def test_a_series_is_known_by_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2)), AFFINE), folder / "1.nii")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    (folder / "2.dcm").write_bytes(b"x")
    assert fingerprint(folder) != before
