"""The bundle: MONAI accepts it, and it segments as the product does, with the code it carries."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from helpers.bundle_schema import SCHEMA
from helpers.heads import AFFINE, make_head, save_blood_detector, write_head
from monai.bundle import verify_metadata

from amd_das import models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError, NotFoundError, UnreadableError
from amd_das.export import carried, configs
from amd_das.export.bundle import write_bundle
from amd_das.export.bundle_scripts.scans import check_scans, find_scans
from amd_das.inference import Predictor
from amd_das.reading import read_volume, write_mask

DATA = [{"set": "decathlon", "use": "source, with labels", "cases": 2, "slices": 20}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> models.LoadedModel:
    folder = tmp_path_factory.mktemp("model")
    save_blood_detector(folder)
    return models.load_current(folder)


@pytest.fixture(scope="module")
def bundle(model: models.LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out") / "bundle"
    return write_bundle(model, place, card="# The card\n", data=DATA)


def in_bundle(bundle: Path, *arguments: object, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Python in the bundle's folder, where the installed amd_das cannot be imported."""
    other = tmp_path / "other"
    (other / "amd_das").mkdir(parents=True, exist_ok=True)
    (other / "amd_das" / "__init__.py").write_text("raise ImportError('the installed package was used')\n")
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=bundle,
        env={**os.environ, "PYTHONPATH": str(other), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )


def test_all_that_a_bundle_has_is_there(bundle: Path, model: models.LoadedModel) -> None:
    for name in ("configs/metadata.json", "configs/inference.json", "configs/logging.conf", "models/model.pt"):
        assert (bundle / name).is_file(), name
    told = (bundle / "docs" / "README.md").read_text()
    assert told.endswith("\n# The card\n") and RESEARCH_NOTICE in told
    assert f"version {model.info.version}" in told and f"nibabel=={nibabel.__version__}" in told
    assert "CC BY-SA 4.0" in (bundle / "docs" / "data_license.txt").read_text()
    assert "Apache License" in (bundle / "LICENSE").read_text()
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    network = model.network.state_dict()
    assert all(torch.equal(state[name].to(network[name].dtype), network[name]) for name in network)
    about = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert about["version"] == model.info.version
    assert about["weights"]["published_sha256"] == model.info.checksum
    assert about["data_source"].startswith("Medical Segmentation Decathlon")
    assert about["intended_use"] == RESEARCH_NOTICE
    assert {"nibabel", "scipy", "pydicom"} <= about["required_packages_version"].keys()
    assert "+" not in about["pytorch_version"]


def test_monai_accepts_the_metadata(bundle: Path, tmp_path: Path) -> None:
    """Against the fields that MONAI's schema asks for; the schema itself would have to be downloaded."""
    schema = tmp_path / "schema.json"  # a file that is there is not downloaded
    schema.write_text(json.dumps(SCHEMA))
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=schema)
    about = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert about["schema"] == configs.SCHEMA
    del about["network_data_format"]["inputs"]["image"]["num_channels"]
    (tmp_path / "worse.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(meta_file=str(tmp_path / "worse.json"), filepath=schema)


@pytest.mark.slow
def test_monai_accepts_the_network_and_the_workflow(bundle: Path, tmp_path: Path) -> None:
    code = (
        "from monai.bundle import ConfigWorkflow, verify_net_in_out\n"
        "files = {'config_file': 'configs/inference.json', 'meta_file': 'configs/metadata.json'}\n"
        "workflow = ConfigWorkflow(**files, workflow_type='inference')\n"
        "workflow.initialize()\n"
        "assert not workflow.check_properties(), workflow.check_properties()\n"
        "verify_net_in_out('network_def', **files, device='cpu')\n"
        "import amd_das; print(amd_das.__file__)\n"
    )
    done = in_bundle(bundle, "-c", code, tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(bundle / "scripts" / "amd_das" / "__init__.py")


@pytest.mark.slow
def test_its_masks_are_the_products(bundle: Path, model: models.LoadedModel, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    write_head(scans / "one.nii.gz", bleed_x=10.0)
    sheared = AFFINE.copy()
    sheared[:2, 2] = 0.4, -1.5
    nibabel.save(nibabel.Nifti1Image(make_head(bleed_x=-14.0)[0], sheared), scans / "tilted.nii.gz")
    nibabel.save(nibabel.Nifti1Image(make_head()[0][:, :, 5:6], AFFINE), scans / "slice.nii.gz")
    (scans / "one_seg.nii.gz").write_bytes(b"a mask of an earlier run, passed over")
    done = in_bundle(
        bundle,
        *(
            "-m",
            "monai.bundle",
            "run",
            "--config_file",
            "configs/inference.json",
            "--meta_file",
            "configs/metadata.json",
        ),
        *("--bundle_root", ".", "--dataset_dir", scans, "--output_dir", tmp_path / "masks"),
        tmp_path=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert RESEARCH_NOTICE in done.stdout
    written = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert written == ["one_seg.nii.gz", "slice_seg.nii.gz", "tilted_seg.nii.gz"]
    predictor = Predictor(model, device="cpu")
    for name in ("one", "tilted", "slice"):
        volume = read_volume(scans / f"{name}.nii.gz")
        mask = predictor.segment(volume).mask
        assert mask.any() and f"{name}: " in done.stdout
        ours = write_mask(mask, volume, tmp_path / "ours.nii.gz")
        assert ours.read_bytes() == (tmp_path / "masks" / f"{name}_seg.nii.gz").read_bytes()


@pytest.mark.slow
def test_what_is_no_head_ct_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    scan = tmp_path / "knee.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full((40, 40, 8), 900, np.int16), AFFINE), scan)
    arguments = (
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        "configs/inference.json",
        "--output_dir",
        tmp_path / "masks",
    )
    done = in_bundle(bundle, *arguments, "--dataset_dir", scan, tmp_path=tmp_path)
    assert done.returncode != 0
    assert "NotHeadCtError" in done.stderr
    assert not (tmp_path / "masks").exists()


def test_where_there_are_no_scans_it_says_so(tmp_path: Path) -> None:
    place = str(tmp_path / "none")
    assert find_scans(place) == [], "configs can be looked at without scans"
    with pytest.raises(NotFoundError, match="none does not exist; expected head CTs, as in --dataset_dir"):
        check_scans(find_scans(place), place)
    with pytest.raises(UnreadableError, match="no"):
        find_scans(str(tmp_path))


def test_it_carries_what_it_imports_and_no_more(bundle: Path) -> None:
    names = {str(path.relative_to(carried.PACKAGE)) for path in carried.modules()}
    assert {"__init__.py", "inference/predictor.py", "preprocessing/brain.py", "reading/nifti.py"} <= names
    assert not any(name.startswith(("training/", "pipeline/", "pacs/", "export/")) for name in names)
    for name in names:
        copy = bundle / "scripts" / "amd_das" / name
        assert copy.read_bytes() == (carried.PACKAGE / name).read_bytes()


def test_a_folder_that_is_not_empty_is_left_as_it_is(model: models.LoadedModel, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    texts: Any = {"card": "", "data": []}
    with pytest.raises(ConfigError, match="is not empty"):
        write_bundle(model, tmp_path, **texts)
    with pytest.raises(ConfigError, match="is a file"):
        write_bundle(model, tmp_path / "mine", **texts)
    with pytest.raises(ConfigError, match="choose another folder"):
        write_bundle(model, tmp_path / "mine" / "bundle", **texts)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    assert (write_bundle(model, tmp_path / "empty", **texts) / "LICENSE").is_file()
