"""Make the interim weights: train on labelled phantom CT and publish. ``make model`` runs it.

``python -m amd_das.interim --workdir DIR [--publish MODEL_DIR]``. The two-stage pipeline will take its place.
"""

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.models import ModelInfo, save_version
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.supervised import AVERAGE, RECORD, SupervisedConfig, train

logger = logging.getLogger(__name__)


def publish(workdir: Path, model_dir: Path, metrics: Mapping[str, Any]) -> ModelInfo:
    """Put the weights of a finished run into a model folder, with a card, and to use.

    Raises:
        ConfigError: the run in ``workdir`` has not finished.
    """
    if not (workdir / AVERAGE).is_file() or not (workdir / RECORD).is_file():
        raise ConfigError(f"no finished run in {workdir}: expected {AVERAGE} and {RECORD}; train first")
    record = json.loads((workdir / RECORD).read_text())
    network = Fcn(FcnConfig.from_record(record["config"]["network"]))
    network.load_state_dict(torch.load(workdir / AVERAGE, weights_only=True))
    return save_version(model_dir, network, training=record, metrics=metrics, card=_card(record, metrics))


def _card(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    scores = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in metrics.items())
    return f"""# Model card: AMD-DAS FCN, interim weights

**{RESEARCH_NOTICE}**

| | |
|---|---|
| task | outline intraparenchymal hemorrhage on non-contrast head CT, slice by slice |
| network | FCN with a VGG-16 encoder of half width and batch normalisation, one channel, `amd_das.networks.fcn` |
| input | axial slices, 240 x 240 at 1 mm, brain only, 0-100 HU scaled to [-1, 1] |
| output | one logit per pixel |
| trained on | {record["data"]} |
| labels | {record["labels"]} |
| patient data | none; no images of any public data set took part |
| device | {record["device"]}, torch {record["torch"]} |
| time | {record["minutes"]} minutes |
| seed | {record["config"]["seed"]} |
| licence | Apache-2.0; the anatomy is the MNI152 2009a template's tissue maps as nilearn carries them |

## Scores

On the phantom test set (`benchmarks/phantom_test_set.py`: 20 heads, seeds 1000-1019, none of them trained on):

| | |
|---|---|
{scores or "| not measured | |"}

## Limits

- Supervised on computer-made heads; these weights stand in until the two-stage pipeline makes them without CT labels.
- No score on patients' scans has been measured here.
- Likely to miss or shrink bleeds under 1 mL, faint (anemia, subacute) and patchy, contusion-like ones, and to take
  for a bleed what the phantom does not know: tumours, contrast medium, dense vessels, unusual implants.
- Blood outside the brain's tissue (subdural, epidural, subarachnoid, intraventricular) is meant to be left out;
  where it touches an intraparenchymal bleed the border is uncertain.
- Slices thinner than 3 mm are averaged to slabs first. Children's heads were never seen.
"""


def main() -> None:
    """The command line of the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="cases, checkpoints and record; kept")
    parser.add_argument("--publish", type=Path, metavar="MODEL_DIR", help="put the result into this model folder")
    parser.add_argument("--metrics", type=Path, help="JSON of scores to write into the model card")
    parser.add_argument("--steps", type=int, default=SupervisedConfig.steps)
    parser.add_argument("--cases", type=int, default=SupervisedConfig.cases)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if not (arguments.workdir / AVERAGE).is_file():
        train(SupervisedConfig(steps=arguments.steps, cases=arguments.cases), arguments.workdir)
    if arguments.publish:
        metrics = json.loads(arguments.metrics.read_text()) if arguments.metrics else {}
        info = publish(arguments.workdir, arguments.publish, {k: v for k, v in metrics.items() if k != "cases"})
        logger.info("published %s", info.version)


if __name__ == "__main__":
    main()
