"""What the user of a bundle has to know before its model card."""

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.export.configs import TASK, packages
from amd_das.models import LoadedModel


def usage(model: LoadedModel) -> str:
    """The first part of ``docs/README.md``."""
    needed = " ".join(f"{name}=={version}" for name, version in packages().items())
    return f"""# AMD-DAS hemorrhage segmentation, MONAI Bundle

**{RESEARCH_NOTICE}**

{TASK}. This bundle holds version {model.info.version}
of the model and all code between a scan and its mask, so its masks are those of `amd-das segment`: the input is checked
to be head CT in HU, the brain is extracted, slices are windowed and resampled to 1 mm, the network is run, and the
outline is brought back to the scan's own grid. That code is in `scripts/`: the part of the package `amd_das` it needs
lies there as it was at the export, and nothing of `amd_das` has to be installed.

## Install

Python 3.11, MONAI and PyTorch as in `configs/metadata.json`, and

    pip install {needed}

Other versions may do; these were used.

## Segment

In the folder of this bundle, with NIfTI or NRRD files or DICOM series in `SCANS` (or one file):

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_dir MASKS

writes `MASKS/<scan>_seg.nii.gz` for each, 1 where hemorrhage, on exactly the scan's grid, and says its volume. What is
no head CT in HU is refused with the reason, and the run ends there; masks before it are kept. Settings are changed on
the command line, as in `--inferer#threshold 0.4` or `--device "\\$torch.device('cpu')"`. A processor or GPU that
multiplies bfloat16 is used so, as in `amd-das segment`; `--inferer#precision float32` is slower, and the same
everywhere.

## Check

    python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath schema.json
    python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
        --config_file configs/inference.json

The first needs jsonschema, and downloads MONAI's schema to `schema.json` unless it is there. `models/model.pt` is a
state dict in half precision, as the version was published; the network alone takes slices of the brain, as
`configs/metadata.json` says.

"""
