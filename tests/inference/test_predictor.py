import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.ellipsoid_head import Head, dice, make_head
from torch import nn

from amd_das.errors import ConfigError, NotHeadCtError
from amd_das.inference import InferenceConfig, Predictor
from amd_das.inference import predictor as predictor_module
from amd_das.models import LoadedModel, ModelInfo
from amd_das.networks.fcn import Fcn, FcnConfig, FcnOutput
from amd_das.preprocessing import preprocess

INFO = ModelInfo(name="amd_das", version="test", checksum="0" * 64)


class BrightIsBlood(nn.Module):
    """Stands in for a trained FCN: hemorrhage from 52 HU on."""

    def __init__(self, bias: float = -0.04) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias))
        self.shapes: list[tuple[int, ...]] = []
        self.modes: list[bool] = []

    def forward(self, image: torch.Tensor) -> FcnOutput:
        self.shapes.append(tuple(image.shape))
        self.modes.append(torch.is_inference_mode_enabled())
        return FcnOutput(logits=(image + self.bias) * 60, features=image)


def model_of(network: nn.Module) -> LoadedModel:
    return LoadedModel(network=network, info=INFO)  # type: ignore[arg-type]


@pytest.fixture
def model() -> LoadedModel:
    return model_of(BrightIsBlood())


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head((10, 160, 160), (8.0, 1.4, 1.4))


CONFIG = InferenceConfig(min_component_ml=3.0)  # the calcification has 2.1 mL


def test_a_bleed_is_outlined_on_the_grid_of_the_input_and_measured(model: LoadedModel, head: Head) -> None:
    volume = head.volume()
    result = Predictor(model, CONFIG, "cpu").segment(volume)
    truth = head.blood.transpose(2, 1, 0)
    assert result.mask.shape == volume.shape
    assert result.mask.dtype == np.uint8
    assert set(np.unique(result.mask)) == {0, 1}
    assert dice(result.mask > 0, truth) > 0.9
    assert result.measurement.volume_ml == pytest.approx(truth.sum() * volume.voxel_ml, rel=0.15)
    assert result.model is INFO
    assert result.warnings == ()


def test_a_calcification_is_too_dense_to_be_blood(model: LoadedModel, head: Head) -> None:
    result = Predictor(model, InferenceConfig(), "cpu").segment(head.volume())
    assert dice(result.mask, head.blood.transpose(2, 1, 0)) > 0.8
    assert len(result.measurement.lesions) == 1


def test_every_step_has_a_latency_in_seconds(model: LoadedModel, head: Head) -> None:
    latencies = Predictor(model, CONFIG, "cpu").segment(head.volume()).latencies
    assert list(latencies) == ["preprocess", "network", "postprocess", "measure", "total"]
    assert all(seconds >= 0 for seconds in latencies.values())
    assert sum(latencies.values()) <= 2 * latencies["total"] + 1e-6


def test_progress_rises_from_nothing_to_done(model: LoadedModel, head: Head) -> None:
    told: list[tuple[str, float]] = []
    Predictor(model, CONFIG, "cpu").segment(head.volume(), lambda stage, done: told.append((stage, done)))
    fractions = [done for _, done in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], told[-1]) == (0.0, ("done", 1.0))
    assert len(told) > 4


def test_a_scan_without_bleeding_gets_an_empty_mask(model: LoadedModel, head: Head) -> None:
    healthy = replace(head, hu=np.where(head.blood, np.float32(33.0), head.hu))
    result = Predictor(model, CONFIG, "cpu").segment(healthy.volume())
    assert not result.mask.any()
    assert (result.measurement.volume_ml, result.measurement.lesions) == (0.0, ())


def test_a_single_slice_gets_a_mask(model: LoadedModel) -> None:
    head = make_head((1, 192, 192), (5.0, 1.2, 1.2))
    result = Predictor(model, InferenceConfig(min_component_ml=0.5), "cpu").segment(head.volume())
    assert dice(result.mask > 0, head.blood.transpose(2, 1, 0)) > 0.9


def test_blood_outside_the_skull_is_never_marked(model: LoadedModel) -> None:
    head = make_head((6, 160, 160), (16.0, 1.4, 1.4), scalp_hematoma=True)
    mask = Predictor(model, CONFIG, "cpu").segment(head.volume()).mask > 0
    assert not mask[~head.inside.transpose(2, 1, 0)].any()


def test_components_below_the_limit_are_dropped(model: LoadedModel, head: Head) -> None:
    predictor = Predictor(model, CONFIG, "cpu")
    small = predictor.segment(head.volume(), config=InferenceConfig(min_component_ml=0.0)).measurement
    large = predictor.segment(head.volume(), config=InferenceConfig(min_component_ml=100.0)).measurement
    assert small.volume_ml > 10
    assert large.volume_ml == 0


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_doubtful_spot_beside_a_bleed_is_left_out_and_named(
    model: LoadedModel, head: Head, upside_down: bool
) -> None:
    hu = head.hu.copy()
    faint = np.zeros(hu.shape, bool)
    faint[3:5, 95:110, 60:70] = True
    assert not (faint & head.blood).any()
    hu[faint] = 52.2  # the stand-in network's probability is 0.57 there
    volume = replace(head, hu=hu).volume()
    spot = faint.transpose(2, 1, 0)
    if upside_down:
        affine = volume.affine.copy()
        affine[:3, 3] += affine[:3, 2] * (volume.shape[2] - 1)
        affine[:3, 2] *= -1
        volume, spot = replace(volume, array=volume.array[..., ::-1], affine=affine), spot[..., ::-1]
    predictor = Predictor(model, InferenceConfig(), "cpu")
    result = predictor.segment(volume)
    everything = predictor.segment(volume, config=InferenceConfig(sure_from=0.0))
    assert not result.mask[spot].any()
    assert everything.mask[spot].mean() > 0.6  # its rim is darkened by what is around
    assert everything.warnings == ()
    first, last = (5, 6) if upside_down else (3, 4)
    (warning,) = result.warnings
    left_out_ml = everything.measurement.volume_ml - result.measurement.volume_ml
    assert f"doubtful or as settled in a ventricle: {left_out_ml:.1f} mL in slices {first} to {last}" in warning


def test_a_doubtful_spot_alone_is_outlined(model: LoadedModel, head: Head) -> None:
    faint = replace(head, hu=np.where(head.blood, np.float32(52.2), head.hu))
    result = Predictor(model, InferenceConfig(), "cpu").segment(faint.volume())
    assert dice(result.mask > 0, head.blood.transpose(2, 1, 0)) > 0.8
    assert result.warnings == ()


def with_a_pool(head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of the head with fluid in a wide space away from its bleed, and two halves of that space, bool."""
    before, behind = np.zeros(head.hu.shape, bool), np.zeros(head.hu.shape, bool)
    before[3:5, 88:97, 55:69] = True
    behind[3:5, 97:105, 55:69] = True
    assert not ((before | behind) & (head.blood | ~head.inside)).any()
    return np.where(before | behind, np.float32(8.0), head.hu), before, behind


def test_blood_that_has_settled_behind_fluid_is_left_out_beside_a_bleed_and_named(
    model: LoadedModel, head: Head
) -> None:
    fluid, before, behind = with_a_pool(head)
    predictor = Predictor(model, InferenceConfig(), "cpu")
    bleed = predictor.segment(replace(head, hu=fluid).volume()).mask
    for level, kept in ((behind, False), (before, True)):  # before: the patient lies face up, so it has not settled
        result = predictor.segment(replace(head, hu=np.where(level, np.float32(60.0), fluid)).volume())
        spot = level.transpose(2, 1, 0)
        assert (result.mask[spot].mean() > 0.8) == kept
        assert result.mask[spot].any() == kept
        np.testing.assert_array_equal(result.mask[~spot & (bleed > 0)], 1)
        assert ["settled in a ventricle" in warning for warning in result.warnings] == [True] * (not kept)


def test_a_higher_threshold_marks_less(head: Head) -> None:
    network = BrightIsBlood()
    network.bias.data.fill_(-0.3)
    predictor = Predictor(model_of(network), CONFIG, "cpu")
    volumes = [
        predictor.segment(head.volume(), config=InferenceConfig(threshold=t)).measurement.volume_ml
        for t in (0.05, 0.5, 0.95)
    ]
    assert volumes[0] > volumes[1] > volumes[2]


def run(head: Head, **settings: Any) -> tuple[np.ndarray, BrightIsBlood]:
    """Probabilities, and the copy of the network that made them."""
    config = InferenceConfig(**settings)
    predictor = Predictor(model_of(BrightIsBlood()), config, "cpu")
    found = predictor.probabilities(preprocess(head.volume()))
    (network,) = predictor._networks.values()
    assert isinstance(network, BrightIsBlood)
    return found, network


def test_the_network_sees_the_brain_only_in_multiples_of_its_stride(head: Head) -> None:
    _, network = run(head, batch_size=4, flip=False, margin_px=16)
    assert sum(shape[0] for shape in network.shapes) == len(preprocess(head.volume()).with_brain)
    assert all(shape[0] <= 4 and shape[2] % 32 == shape[3] % 32 == 0 for shape in network.shapes)
    assert max(shape[2] * shape[3] for shape in network.shapes) < 240 * 240
    assert all(network.modes)


def test_cropping_batching_and_mirroring_change_nothing_for_a_pointwise_network(head: Head) -> None:
    expected, _ = run(head, precision="float32", batch_size=64, margin_px=240)
    for settings in ({"batch_size": 1}, {"batch_size": 3, "margin_px": 0}, {"flip": False, "margin_px": 16}):
        found, _ = run(head, precision="float32", **settings)
        assert np.abs(found - expected).max() < 1e-5


def test_mirroring_averages_both_sides(head: Head) -> None:
    class LeftOnly(BrightIsBlood):
        def forward(self, image: torch.Tensor) -> FcnOutput:
            half = torch.arange(image.shape[-1]) < image.shape[-1] / 2
            return FcnOutput(logits=torch.where(half, 20.0, -20.0).expand_as(image), features=image)

    predictor = Predictor(model_of(LeftOnly()), InferenceConfig(flip=True), "cpu")
    prepared = preprocess(head.volume())
    assert predictor.probabilities(prepared)[prepared.brain] == pytest.approx(0.5)


def test_probabilities_are_zero_outside_the_brain(head: Head) -> None:
    predictor = Predictor(model_of(BrightIsBlood(bias=5.0)), CONFIG, "cpu")
    prepared = preprocess(head.volume())
    found = predictor.probabilities(prepared)
    assert found.dtype == np.float32
    assert (found[~prepared.brain] == 0).all()
    assert found[prepared.brain].min() > 0.99


def test_an_fcn_runs_and_its_original_is_left_as_it_is(head: Head) -> None:
    torch.manual_seed(0)
    network = Fcn(FcnConfig(stages=((4,), (4,), (4,), (4,), (4,)), decoder_tail=4)).eval()
    before = [tensor.clone() for tensor in network.state_dict().values()]
    result = Predictor(LoadedModel(network=network, info=INFO), device="cpu").segment(head.volume())
    assert result.mask.shape == head.volume().shape
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))


def test_threads_share_one_predictor(model: LoadedModel, head: Head) -> None:
    predictor = Predictor(model, CONFIG, "cpu")
    alone = predictor.segment(head.volume()).mask
    barrier = threading.Barrier(3)

    def segment(_: int) -> np.ndarray:
        barrier.wait()
        return predictor.segment(head.volume()).mask

    with ThreadPoolExecutor(3) as pool:
        masks = list(pool.map(segment, range(3)))
    assert all((mask == alone).all() for mask in masks)


def test_a_full_gpu_halves_the_batch_and_then_leaves_it_to_the_cpu(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(model_of(BrightIsBlood()), InferenceConfig(batch_size=4, precision="float32"), "cpu")
    expected = predictor.probabilities(preprocess(head.volume()))
    predictor.device = torch.device("cuda")
    tried: list[tuple[str, int]] = []
    forward = Predictor._forward

    def full(self: Predictor, slices: np.ndarray, device: torch.device, config: InferenceConfig) -> np.ndarray:
        tried.append((device.type, len(slices)))
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, slices, device, config)

    monkeypatch.setattr(Predictor, "_forward", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    found, warnings = predictor._probabilities(preprocess(head.volume()), predictor.config, lambda done: None)
    assert tried[:4] == [("cuda", 4), ("cuda", 2), ("cuda", 1), ("cpu", 1)]
    assert "ran on the CPU" in warnings[0]
    assert np.abs(found - expected).max() < 1e-5


def test_warnings_of_the_input_come_with_the_result(model: LoadedModel, head: Head) -> None:
    result = Predictor(model, CONFIG, "cpu").segment(head.clipped(0, 100).volume().with_warnings("from the reader"))
    assert result.warnings[0] == "from the reader"
    assert "clipped to a window" in result.warnings[1]


def test_no_head_no_mask(model: LoadedModel, head: Head) -> None:
    volume = replace(head.volume(), array=np.full((8, 8, 8), -1000.0, np.float32))
    with pytest.raises(NotHeadCtError, match="every voxel is -1000"):
        Predictor(model, CONFIG, "cpu").segment(volume)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.0}, "threshold 1.0: expected a probability"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"min_component_ml": -0.1}, "min_component_ml -0.1"),
        ({"sure_from": 1.0}, "sure_from 1.0: expected a probability"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"precision": "int4"}, "precision 'int4': expected one of auto, float32, bfloat16"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InferenceConfig(**settings)


@pytest.mark.parametrize("name", ["tpu9000", "cuda:99"])
def test_an_unknown_device_is_refused(model: LoadedModel, name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used"):
        Predictor(model, device=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_agrees_with_the_cpu(model: LoadedModel, head: Head) -> None:
    masks = [Predictor(model, CONFIG, device).segment(head.volume()).mask for device in ("cpu", "cuda")]
    assert dice(masks[0] > 0, masks[1] > 0) > 0.98


def test_the_default_device_is_the_gpu_where_there_is_one(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "default_device", lambda: torch.device("cpu"))
    assert Predictor(model).device == torch.device("cpu")


def test_the_probability_map_lies_on_the_volume_and_gives_the_same_outline(model: LoadedModel, head: Head) -> None:
    volume = head.volume()
    predictor = Predictor(model, CONFIG, "cpu")
    found = predictor.probability_map(volume)
    on_volume = found.on_volume()
    assert (on_volume.shape, on_volume.dtype) == (volume.shape, np.float32)
    assert on_volume.min() >= 0
    assert on_volume.max() <= 1
    result = predictor.segment(volume)
    np.testing.assert_array_equal(found.outline(CONFIG).mask, result.mask)
    assert (on_volume[result.mask > 0] >= CONFIG.threshold).all()
    assert found.warnings == result.warnings
