"""`amd-das export` in a terminal."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from amd_das import models
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.export.bundle import write_bundle
from amd_das.export.onnx import OPSET, write_onnx
from amd_das.model_card import data_of, model_card, read_benchmark
from amd_das.models import LoadedModel

Say = Callable[[str], None]


def export_in_terminal(args: Namespace, say: Say) -> None:
    """Write a version in another format, and say what was written.

    Raises:
        NotFoundError: there is no such version.
        ModelError: there is no model, or it is damaged.
        ConfigError: the output is taken or cannot be written; a package is missing; options that do not go together.
        UnreadableError: the report is none.
    """
    model_dir = args.model_dir or models.default_model_dir()
    model = chosen(model_dir, args.version)
    if args.format == "onnx":
        if args.benchmark or args.case_names:
            raise ConfigError("an ONNX file holds no model card; leave --benchmark and --case-names out")
        _onnx(model, args.output, say)
    else:
        _bundle(model, args.output, say, report=args.benchmark, named=args.case_names)


def chosen(model_dir: Path, version: str | None) -> LoadedModel:
    """The version of this name, or the one in use.

    Raises:
        NotFoundError: there is none of this name.
        ModelError: none is in use, or it is damaged.
    """
    if version is None:
        return models.load_current(model_dir)
    models.expect_version(model_dir, version)
    return models.load_version(model_dir, version)


def _bundle(model: LoadedModel, output: Path, say: Say, *, report: Path | None, named: bool) -> None:
    info = model.info
    if named and report is None:
        raise ConfigError("--case-names names the cases of a benchmark; give --benchmark report.json, or leave it out")
    benchmark = read_benchmark(report, info.version, info.checksum) if report else None
    card = model_card(info, model.network.config, benchmark=benchmark, named=named)
    write_bundle(model, output, card=card, data=data_of(info.training))
    say(f"version {info.version} as a MONAI Bundle in {output}")
    if benchmark is None:
        say("its card knows no failure cases: give --benchmark report.json, which amd-das benchmark writes")
    say(f"to segment scans: cd {output} && python -m monai.bundle run --config_file configs/inference.json")
    say("    --dataset_dir SCANS --output_dir MASKS")
    say(RESEARCH_NOTICE)


def _onnx(model: LoadedModel, output: Path, say: Say) -> None:
    parity = write_onnx(model, output)
    say(f"version {model.info.version} as ONNX, opset {OPSET}, in {output}")
    if parity is None:
        say("not compared with PyTorch: onnxruntime is not installed")
    else:
        say(
            f"compared with PyTorch on {parity.slices} slices: logits differ by {parity.largest_difference:.1g} at "
            f"most, {parity.pixels_apart} pixels are on another side of the threshold"
        )
    say(RESEARCH_NOTICE)
