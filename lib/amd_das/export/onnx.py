"""A version as one ONNX file: slices to logits, compared with PyTorch before it is handed out."""

import json
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from amd_das import __version__
from amd_das.conventions import LABEL_NAME, RESEARCH_NOTICE
from amd_das.errors import ConfigError, ModelError
from amd_das.files import write_whole
from amd_das.inference import InferenceConfig
from amd_das.inference.network import optimised
from amd_das.model_card import WEIGHTS_LICENCE, data_of, sources
from amd_das.models import LoadedModel
from amd_das.preprocessing.grid import SIZE

if TYPE_CHECKING:
    import onnx

OPSET: Final = 17
"""Of the operators (2022): read by onnxruntime 1.12 and later."""

IMAGE, LOGITS = "image", "logits"
"""Names of input and output."""

TOLERANCE: Final = 1e-3
"""Largest difference of a logit that is float32's rounding: of a probability 0.00025 at most (ours)."""

SIZES: Final = ((2, SIZE, SIZE), (1, SIZE, SIZE // 2), (3, 75, 50))
"""Slices, height and width of what both are compared on; the last no multiple of the network's stride."""


class _Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image).logits


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far onnxruntime is from PyTorch in float32."""

    slices: int
    largest_difference: float
    """Of a logit."""

    pixels_apart: int
    """On another side of the threshold."""


def write_onnx(model: LoadedModel, path: Path) -> Parity | None:
    """Write the file; it is there whole or not at all.

    Args:
        model: to be exported.
        path: ends in ``.onnx``; its folder is made, a file must not be there.

    Returns:
        How it compares, None where onnxruntime is not installed.

    Raises:
        ConfigError: onnx is not installed; the name ends otherwise, is taken, or cannot be written.
        ModelError: what was exported does not give what PyTorch gives; nothing is written.
    """
    if find_spec("onnx") is None:
        raise ConfigError("the package onnx is not installed; say: pip install 'amd-das[onnx]', or pip install onnx")
    if path.suffix != ".onnx":
        raise ConfigError(f"{path} does not end in .onnx; name the file, as in -o hemorrhage.onnx")
    if path.exists():
        raise ConfigError(f"{path} is there already; name another file, or remove it")
    content = to_onnx(model)
    parity = None
    if find_spec("onnxruntime") is not None:
        parity = compare(content, model)
        if not parity.largest_difference <= TOLERANCE:
            raise ModelError(
                f"the exported network is not the one of version {model.info.version}: logits differ by "
                f"{parity.largest_difference:.2g}, expected at most {TOLERANCE:g}; use other versions of torch or onnx"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    return parity


def to_onnx(model: LoadedModel) -> bytes:
    """(N, 1, H, W) float32 in [-1, 1] → (N, 1, H, W) float32 logits, for any N, H and W; normalisation is folded in."""
    import onnx

    network = _Logits(optimised(model.network, torch.device("cpu"), torch.float32))
    axes = {0: "slices", 2: "height", 3: "width"}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        # The exporter that traces, called legacy, needs onnx alone, and keeps any size: the check in forward that it
        # warns of is of the number of channels.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 1, 64, 96),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[IMAGE],
            output_names=[LOGITS],
            dynamic_axes={IMAGE: axes, LOGITS: axes},
        )
        made = onnx.load(path)
    describe(made, properties(model))
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def describe(made: "onnx.ModelProto", about: Mapping[str, str]) -> None:
    """Put properties into the file."""
    made.doc_string = RESEARCH_NOTICE
    made.producer_name, made.producer_version = "amd-das", __version__
    for key, value in about.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value


def properties(model: LoadedModel) -> dict[str, str]:
    """What somebody who has only the file needs to know."""
    config = InferenceConfig()
    return {
        "name": model.info.name,
        "version": model.info.version,
        "checksum_sha256": model.info.checksum,
        "notice": RESEARCH_NOTICE,
        "licence": WEIGHTS_LICENCE,
        "data": sources(data_of(model.info.training)),
        "network": json.dumps(asdict(model.network.config)),
        "input": f"{IMAGE}: (slices, 1, height, width) float32; axial slices of the brain, pixels of 1 mm, "
        f"{SIZE} x {SIZE}, anterior in row 0, the patient's right in column 0",
        "input_range": "[-1, 1]: 0 to 100 HU, clipped; -1 outside the brain",
        "output": f"{LOGITS}: (slices, 1, height, width) float32; its sigmoid is the probability of {LABEL_NAME}",
        "threshold": f"{config.threshold:g}",
        "not_in_this_file": "checks of the input, brain extraction, window, resampling to 1 mm and back, the mean with "
        f"the mirrored slice, removal of bone, of doubtful and settled spots, of lesions below "
        f"{config.min_component_ml:g} mL: "
        "see amd-das export bundle",
    }


def compare(content: bytes, model: LoadedModel) -> Parity:
    """Both on the same slices: blots like tissue and blood, of several sizes, drawn anew in the same way each time."""
    generator = torch.Generator().manual_seed(0)
    pieces = []
    for count, height, width in SIZES:
        coarse = torch.rand(count, 1, height // 8, width // 8, generator=generator) * 2 - 1
        pieces.append(nn.functional.interpolate(coarse, size=(height, width), mode="bilinear"))
    return parity(content, model, pieces)


def parity(content: bytes, model: LoadedModel, slices: list[Tensor]) -> Parity:
    """The file's logits and the network's on batches of (N, 1, H, W) float32 slices in [-1, 1]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    largest, apart = 0.0, 0
    level = float(torch.logit(torch.tensor(InferenceConfig().threshold)))
    for images in slices:
        theirs: Any = session.run([LOGITS], {IMAGE: images.numpy()})[0]
        with torch.inference_mode():
            ours = model.network(images).logits.numpy()
        if theirs.shape != ours.shape:
            raise ModelError(f"the exported network gives shape {theirs.shape} where PyTorch gives {ours.shape}")
        largest = max(largest, float(np.abs(theirs - ours).max()))
        apart += int(((theirs >= level) != (ours >= level)).sum())
    return Parity(slices=sum(len(images) for images in slices), largest_difference=largest, pixels_apart=apart)
