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

from amd_das.errors import ConfigError
from amd_das.model_card import model_card
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
    return save_version(
        model_dir, network, training=record, metrics=metrics, card=lambda info: model_card(info, network.config)
    )


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
