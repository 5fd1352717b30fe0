"""The ONNX file: the same logits and masks as PyTorch's, for any size, and what somebody with only the file needs."""

import builtins
import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.heads import save_blood_detector, write_head

from amd_das import models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError, ModelError
from amd_das.export import onnx as export
from amd_das.models import LoadedModel, ModelInfo
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.preprocessing import preprocess
from amd_das.preprocessing.window import to_network
from amd_das.reading import read_volume
from amd_das.training.learner import seeded


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Of random weights, and statistics as training leaves them: every layer matters."""
    with seeded(0):
        network = Fcn(FcnConfig(stages=((4, 4), (8,), (8,), (16,), (16,)), decoder_tail=4))
        network.train()
        for _ in range(20):
            network(torch.rand(4, 1, 64, 64) * 2 - 1)
        with torch.no_grad():
            network.classifier.weight *= 100
    return LoadedModel(network=network.eval(), info=ModelInfo(name="amd_das", version="v", checksum="0" * 64))


@pytest.fixture(scope="module")
def content(model: LoadedModel) -> bytes:
    return export.to_onnx(model)


@pytest.mark.parametrize("shape", [(1, 1, 240, 240), (3, 1, 64, 96), (2, 1, 50, 75), (1, 1, 1, 1)])
def test_logits_are_pytorchs_for_any_number_and_size(
    model: LoadedModel, content: bytes, shape: tuple[int, ...]
) -> None:
    with seeded(1):
        images = torch.rand(shape) * 2 - 1
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["logits"], {"image": images.numpy()})
    with torch.inference_mode():
        ours = model.network(images).logits.numpy()
    assert ours.std() > 0.3 or ours.size == 1
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_the_mask_of_a_head_is_pytorchs(tmp_path: Path) -> None:
    save_blood_detector(tmp_path)
    model = models.load_current(tmp_path)
    prepared = preprocess(read_volume(write_head(tmp_path / "head.nii.gz")))
    images = to_network(torch.from_numpy(prepared.slices))[:, None]
    found = export.parity(export.to_onnx(model), model, [images])
    assert found.slices == len(prepared.slices) > 3
    assert found.pixels_apart == 0
    assert found.largest_difference < 1e-3
    with torch.inference_mode():
        assert (model.network(images).logits > 0).sum() > 500, "there is blood to be found"


@pytest.mark.slow
def test_the_shipped_weights_give_the_same_mask(tmp_path: Path) -> None:
    model = models.load_current(models.default_model_dir())
    prepared = preprocess(read_volume(write_head(tmp_path / "head.nii.gz")))
    images = to_network(torch.from_numpy(prepared.slices[prepared.with_brain][3:6]))[:, None]
    found = export.parity(export.to_onnx(model), model, [images])
    assert found.pixels_apart == 0 and found.largest_difference < 1e-4


def test_the_file_says_what_it_is(model: LoadedModel, content: bytes) -> None:
    made = onnx.load_from_string(content)
    told = {entry.key: entry.value for entry in made.metadata_props}
    assert told["version"] == "v" and told["checksum_sha256"] == "0" * 64
    assert told["notice"] == made.doc_string == RESEARCH_NOTICE
    assert told["threshold"] == "0.5" and "unverified" in told["data"]
    assert "0 to 100 HU" in told["input_range"]
    assert [entry.version for entry in made.opset_import] == [export.OPSET]
    (image,), (logits,) = made.graph.input, made.graph.output
    sides = [[side.dim_param or side.dim_value for side in one.type.tensor_type.shape.dim] for one in (image, logits)]
    assert sides == [["slices", 1, "height", "width"]] * 2


def test_writing_compares_and_refuses_what_is_not_the_network(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "network.onnx"
    found = export.write_onnx(model, path)
    assert found is not None and found.slices == 6 and found.largest_difference < export.TOLERANCE
    with pytest.raises(ConfigError, match="is there already"):
        export.write_onnx(model, path)
    with pytest.raises(ConfigError, match=r"does not end in \.onnx"):
        export.write_onnx(model, tmp_path / "network.pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another folder"):
        export.write_onnx(model, tmp_path / "file" / "network.onnx")
    other = Fcn(model.network.config).eval()
    made = export.to_onnx(LoadedModel(network=other, info=model.info))
    monkeypatch.setattr(export, "to_onnx", lambda model: made)
    with pytest.raises(ModelError, match="is not the one of version v: logits differ by"):
        export.write_onnx(model, tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_said(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find, load = importlib.util.find_spec, builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.split(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return load(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(export, "find_spec", lambda name: None if name == missing else find(name))
    monkeypatch.setattr(builtins, "__import__", without)
    path = tmp_path / "network.onnx"
    if missing == "onnx":
        with pytest.raises(ConfigError, match=r"package onnx is not installed; say: pip install"):
            export.write_onnx(model, path)
        assert not path.exists()
    else:
        assert export.write_onnx(model, path) is None
        assert path.is_file()
