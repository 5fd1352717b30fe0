"""What clients may ask of an inference; 3D Slicer's and OHIF's own requests pass, everything else is named."""

from typing import Any

import pytest

from amd_das.errors import ConfigError
from amd_das.inference import InferenceConfig
from amd_das_app.requests.params import InferParams, parse_infer_params, parse_json_object

CPU = {"cpu": "cpu"}
GPU = {"NVIDIA H200:0": "cuda:0", "NVIDIA H200:1": "cuda:1"}


def test_nothing_asked_means_the_defaults() -> None:
    assert parse_infer_params({}, CPU) == InferParams()


def test_what_slicer_sends() -> None:
    sent = {
        "device": "cpu",
        "threshold": 0.5,
        "min_component_ml": 0.1,
        "sure_from": 0.6,
        "result_extension": ".nrrd",
        "result_dtype": "uint8",
        "client_id": "user-xyz",
    }
    params = parse_infer_params(sent, CPU)
    assert params == InferParams(
        device="cpu", threshold=0.5, min_component_ml=0.1, sure_from=0.6, result_extension=".nrrd"
    )


def test_what_is_chosen_decides_and_what_is_not_is_the_models_own() -> None:
    chosen = parse_infer_params({"sure_from": 0, "min_component_ml": 2}, CPU).config()
    assert chosen == InferenceConfig(sure_from=0.0, min_component_ml=2.0)
    assert parse_infer_params({}, CPU).config() == InferenceConfig()
    with pytest.raises(ConfigError, match=r"sure_from 1\.0: expected a probability"):
        parse_infer_params({"sure_from": 1}, CPU).config()


def test_what_ohif_sends() -> None:
    sent = {
        "device": ["cpu"],
        "result_extension": ".nrrd",
        "result_dtype": "uint8",
        "result_compress": False,
        "restore_label_idx": False,
        "label_info": [{"name": "hemorrhage", "idx": 1}],
    }
    assert parse_infer_params(sent, CPU) == InferParams(device="cpu", result_extension=".nrrd")


@pytest.mark.parametrize(
    ("asked", "devices", "torch_name"),
    [
        ("cuda", CPU, "cpu"),
        ("cpu", GPU, "cpu"),
        ("cuda", GPU, "cuda:0"),
        ("NVIDIA H200:1", GPU, "cuda:1"),
        ("cuda:1", GPU, "cuda:1"),
    ],
)
def test_devices_have_a_display_name_and_a_torch_name(asked: str, devices: dict[str, str], torch_name: str) -> None:
    assert parse_infer_params({"device": asked}, devices).device == torch_name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"image": "/etc/passwd"}, "allowed: device, threshold"),
        ({"label": "x", "foreground": []}, "unknown 'foreground', 'label'"),
        ({"threshold": "high"}, "a number from 0 to 1"),
        ({"threshold": True}, "a number from 0 to 1"),
        ({"threshold": 1.5}, "a number from 0 to 1"),
        ({"threshold": float("nan")}, "a number from 0 to 1"),
        ({"min_component_ml": -1}, "a number from 0 to 1000"),
        ({"sure_from": 1.1}, "'sure_from' is 1.1; expected a number from 0 to 1"),
        ({"device": "tpu"}, "'cpu', 'cuda'"),
        ({"device": {}}, "'cpu', 'cuda'"),
        ({"result_extension": ".exe"}, ".nii.gz, .nrrd"),
        ({"result_extension": "/../x.nrrd"}, ".nii.gz, .nrrd"),
        ({"result_extension": [".nrrd"]}, ".nii.gz, .nrrd"),
        ({"result_dtype": "float64"}, '"uint8"'),
        ({"client_id": {}}, "expected str"),
    ],
)
def test_everything_else_is_refused_with_what_would_be_right(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_infer_params(given, CPU)
    assert expected in str(caught.value)


def test_form_fields_must_be_json_objects() -> None:
    assert parse_json_object("") == {}
    assert parse_json_object('{"a": 1}') == {"a": 1}
    for text in ("{", "[1]", '"x"', "null", "[" * 100_000):
        with pytest.raises(ConfigError, match="expected an object"):
            parse_json_object(text)
