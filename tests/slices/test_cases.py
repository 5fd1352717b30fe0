"""One case's slices: which, where they lie, in what grey values, and what is refused."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.dicom_series import write_series
from helpers.flairs import AFFINE, make_flair, save, write_decathlon
from helpers.heads import AFFINE as HEAD_AFFINE
from helpers.heads import make_head

from amd_das.datasets import CaseFiles, head_cts, labelled_mri
from amd_das.errors import ConfigError
from amd_das.preprocessing import PreprocessConfig
from amd_das.slices.cases import PrepareConfig, PreparedCase, prepare_case

CONFIG = PrepareConfig()


def flair_case(folder: Path, image: np.ndarray, mask: np.ndarray, affine: np.ndarray = AFFINE) -> CaseFiles:
    return CaseFiles(
        case="m",
        patient="m",
        image=save(image, folder / "m.nii", affine),
        mask=save(mask, folder / "m-glioma.nii", affine),
    )


def prepared(files: CaseFiles, domain: str, config: PrepareConfig = CONFIG, *, labelled: bool) -> PreparedCase:
    outcome = prepare_case(files, domain, config, labelled=labelled)  # type: ignore[arg-type]
    assert not isinstance(outcome, str), outcome
    return outcome


def middle(masks: np.ndarray) -> tuple[float, float]:
    """Mean row and column of what is set."""
    _, rows, columns = np.nonzero(masks)
    return float(rows.mean()), float(columns.mean())


def test_a_flair_becomes_slices_with_labels(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path, "a"))
    case, images, labels = prepared(files, "source", labelled=True)
    assert labels is not None
    assert images.shape == labels.shape == (len(case), 240, 240)
    assert (images.dtype, labels.dtype, labels.max()) == (np.uint8, np.uint8, 1)
    assert case.numbers == tuple(range(case.numbers[0], case.numbers[0] + len(case)))
    assert case.brain_px == tuple(np.count_nonzero(images, axis=(1, 2)))
    assert case.lesion_px == tuple(labels.sum(axis=(1, 2)))
    assert (images[images > 0].min(), np.median(images[labels == 1])) == (128, 255)
    assert case.spacing_mm == (7, 4, 4)
    assert (case.spacing_known, case.provenance["file"], case.provenance["modality"]) == (True, "a.nii.gz", "FLAIR")
    row, column = middle(labels)
    assert row == pytest.approx(119.5 - 40, abs=3)
    assert column == pytest.approx(119.5 - 32, abs=3)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1)])
def test_slices_do_not_depend_on_how_the_array_is_stored(
    order: tuple[int, ...], flip: tuple[int, ...], tmp_path: Path
) -> None:
    arrays = make_flair()
    orientation = np.column_stack([np.argsort(order), np.array(flip)])
    stored = [nibabel.orientations.apply_orientation(array, orientation) for array in arrays]
    affine = AFFINE @ nibabel.orientations.inv_ornt_aff(orientation, arrays[0].shape)
    case, images, labels = prepared(flair_case(tmp_path / "a", *arrays), "source", labelled=True)
    same, same_images, same_labels = prepared(flair_case(tmp_path / "b", *stored, affine), "source", labelled=True)
    assert labels is not None
    assert same_labels is not None
    assert (same.numbers, same.spacing_mm) == (case.numbers, case.spacing_mm)
    assert np.abs(images.astype(int) - same_images).max() <= 1
    assert np.count_nonzero(labels != same_labels) <= 0.01 * labels.sum()


def test_a_standard_mri_keeps_its_slices_and_its_pixels(tmp_path: Path) -> None:
    image = np.zeros((80, 90, 155), np.int16)
    image[5:65, 10:82, 5:145] = np.random.default_rng(0).integers(1, 256, (60, 72, 140))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    files = flair_case(tmp_path, image, (image > 250).astype(np.uint8), affine)
    case, images, labels = prepared(files, "source", replace(CONFIG, mri_percentile=100), labelled=True)
    assert labels is not None
    assert case.numbers == tuple(range(60, 100))
    taken = image[5:65, 10:82, 60:100].T
    np.testing.assert_allclose(images[:, 84:156, 90:150], taken, atol=1)
    np.testing.assert_array_equal(labels[:, 84:156, 90:150], taken > 250)
    fewer = prepared(files, "source", replace(CONFIG, source_slices=(70, 79), every=3), labelled=True).case
    assert fewer.numbers == (70, 73, 76, 79)


def test_a_head_ct_becomes_slices(tmp_path: Path) -> None:
    hu, blood = make_head()
    image = save(hu, tmp_path / "c.nii.gz", HEAD_AFFINE)
    mask = save(blood.astype(np.uint8), tmp_path / "c-iph.nii.gz", HEAD_AFFINE)
    files = CaseFiles(case="c", patient="p", image=image, mask=mask)
    case, images, none = prepared(files, "target", labelled=False)
    assert none is None
    assert case.lesion_px == tuple(np.count_nonzero(images > 120, axis=(1, 2)))
    assert max(case.lesion_px) > 200
    assert case.spacing_mm == (8, 2, 2)
    assert np.median(images[images > 0]) == round(35 * 2.55)
    assert (case.patient, case.provenance["modality"]) == ("p", "CT")
    case, images, labels = prepared(files, "target", labelled=True)
    assert labels is not None
    assert case.lesion_px == tuple(labels.sum(axis=(1, 2)))
    assert images[labels > 0].min() > 120
    assert middle(labels) == pytest.approx((119.5, 119.5 - 20), abs=2)  # 10 voxels of 2 mm to the patient's right


def test_nothing_of_a_dicom_series_names_the_patient(tmp_path: Path) -> None:
    write_series(tmp_path / "Doe_Jane", make_head()[0][:, :, ::-1], step=(0.0, 0.0, 8.0))
    (files,) = head_cts(tmp_path)
    config = replace(CONFIG, preprocess=PreprocessConfig(smallest_field_mm=0), least_brain_px=100)
    case = prepared(files, "target", config, labelled=False).case
    assert case.case == case.patient == files.case
    assert "file" not in case.provenance
    assert not any(word in str(case) for word in ("Doe", "Jane", "PAT-4711"))


@pytest.mark.parametrize("least", [1500, 30_000])
def test_slices_with_little_brain_are_left_out(least: int, tmp_path: Path) -> None:
    files = CaseFiles(case="c", patient="c", image=save(make_head()[0], tmp_path / "c.nii.gz", HEAD_AFFINE))
    outcome = prepare_case(files, "target", replace(CONFIG, least_brain_px=least), labelled=False)
    if least == 1500:
        assert not isinstance(outcome, str)
        assert min(outcome.case.brain_px) >= 1500
    else:
        assert "no slice shows 30000 pixels (of 1 mm) of brain" in str(outcome)


def test_what_is_no_stripped_flair_is_refused(tmp_path: Path) -> None:
    image, mask = make_flair()
    head, blood = make_head()

    def refused(image: np.ndarray, mask: np.ndarray, affine: np.ndarray = AFFINE) -> str:
        return str(prepare_case(flair_case(tmp_path, image, mask, affine), "source", CONFIG, labelled=True))

    assert "these are HU, of a CT; expected a skull-stripped FLAIR" in refused(
        head, blood.astype(np.uint8), HEAD_AFFINE
    )
    assert "negative values" in refused(image - 5, mask)
    assert "every voxel is 0" in refused(0 * image, mask)
    assert "100 % of the image" in refused(image + 1, mask)
    large = refused(image, mask, AFFINE @ np.diag([1.3, 1.3, 1.3, 1]))
    assert "mL, are above 0" in large
    assert "Strip the skull" in large


def test_an_mri_is_no_head_ct_and_a_missing_mask_is_told(tmp_path: Path) -> None:
    (files,) = labelled_mri(write_decathlon(tmp_path, "a"))
    assert "expected HU with brain at" in str(prepare_case(files, "target", CONFIG, labelled=False))
    assert "a has no mask" in str(prepare_case(replace(files, mask=None), "source", CONFIG, labelled=True))


def test_an_unexpected_error_is_of_the_case_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("amd_das.slices.cases.read_image", breaks)
    files = CaseFiles(case="a", patient="a", image=tmp_path / "a.nii.gz")
    assert prepare_case(files, "target", CONFIG, labelled=False) == "unexpected ZeroDivisionError: oh"


@pytest.mark.parametrize(
    "settings",
    [{"source_slices": (60, 155)}, {"source_slices": (9, 8)}, {"every": 0}, {"least_slices": 0}, {"mri_percentile": 5}],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        PrepareConfig(**settings)  # type: ignore[arg-type]
