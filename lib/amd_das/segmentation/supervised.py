"""Train the FCN on labelled phantom CT: the interim weights, until the two-stage pipeline makes them without CT labels.

Run ``python -m amd_das.segmentation.supervised --workdir DIR [--publish MODEL_DIR]``: cases are rendered in the
background while training goes on, and a run that was interrupted continues from its last checkpoint.
"""

import argparse
import json
import logging
import math
import multiprocessing
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from monai.losses import DiceLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.errors import ConfigError
from amd_das.models import ModelInfo, save_version
from amd_das.segmentation.networks import Fcn, FcnConfig
from amd_das.segmentation.phantom_slices import PatchConfig, Slices, batches, render_training_case

logger = logging.getLogger(__name__)

SEED_OFFSET: Final = 100_000
"""Training seeds start here; those of the phantom test set and the samples are far below."""

CHECKPOINT, AVERAGE, RECORD = "checkpoint.pt", "average.pt", "record.json"


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """One training run. All numbers are ours: this run stands in for the paper's stages until they exist."""

    cases: int = 388
    """Phantom heads rendered for training."""

    first_cases: int = 60
    """Training begins when this many are there."""

    steps: int = 2900
    """Optimiser steps; the learning rate is annealed over them."""

    patches: PatchConfig = field(default_factory=PatchConfig)
    patch: tuple[int, int] = (128, 160)
    """Side of the square patches in pixels (1 mm) at the start and in the end."""

    larger_from: float = 0.6
    """Part of the steps after which patches have the larger size."""

    learning_rate: float = 1.5e-3
    """Peak of AdamW's schedule: linear warm-up over 5 % of the steps, then half a cosine."""

    average: float = 0.998
    """Decay of the running average of the weights, which is what is kept."""

    checkpoint_steps: int = 200
    """A checkpoint is written every so many steps."""

    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.cases, self.first_cases, self.steps, self.checkpoint_steps, *self.patch) < 1:
            raise ConfigError("cases, first_cases, steps, checkpoint_steps and patch: expected at least 1")


def _render_all(directory: Path, seeds: list[int]) -> None:
    torch.set_num_threads(1)
    for seed in seeds:
        render_training_case(seed, directory)


def _learning_rate(config: SupervisedConfig, step: int) -> float:
    progress = step / config.steps
    shape = progress / 0.05 if progress < 0.05 else 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))
    return max(config.learning_rate * shape, 1e-6)


def train(config: SupervisedConfig, workdir: Path, network_config: FcnConfig | None = None) -> Fcn:
    """Render the cases, train, and return the averaged network in evaluation mode.

    ``workdir`` receives ``cases/``, ``checkpoint.pt`` (to continue an interrupted run), ``average.pt`` and
    ``record.json`` (configuration, device, time).
    """
    torch.manual_seed(config.seed)
    data = workdir / "cases"
    data.mkdir(parents=True, exist_ok=True)
    seeds = [SEED_OFFSET + index for index in range(config.cases)]
    context = multiprocessing.get_context("spawn")
    renderers = [context.Process(target=_render_all, args=(data, seeds[part::2]), daemon=True) for part in range(2)]
    for renderer in renderers:
        renderer.start()
    try:
        slices = Slices(data)
        while slices.refresh() < min(config.first_cases, config.cases) and any(r.is_alive() for r in renderers):
            time.sleep(1)
        if not slices.items:
            raise ConfigError("no phantom case could be rendered; see the warnings above")
        logger.info("training begins with %d cases", len(slices.known))
        return _fit(config, workdir, slices, Fcn(network_config), Fcn(network_config))
    finally:
        for renderer in renderers:
            renderer.terminate()


def _fit(config: SupervisedConfig, workdir: Path, slices: Slices, network: Fcn, average: Fcn) -> Fcn:
    for model in (network, average):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    step, seconds = 0, 0.0
    checkpoint = workdir / CHECKPOINT
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, seconds = state["step"], state["seconds"]
        logger.info("continuing at step %d", step)
    dice = DiceLoss(sigmoid=True, batch=True)
    rng = np.random.default_rng([config.seed, step])
    stream = batches(slices, config.patches, config.patch[0], rng)
    image, label = next(stream)
    losses: list[float] = []
    network.train()
    while step < config.steps:
        started = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(config, step)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(image.contiguous(memory_format=torch.channels_last)).logits.float()
        loss = 2 * binary_cross_entropy_with_logits(logits, label) + dice(logits, label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        _follow(average, network, min(config.average, (1 + step) / (10 + step)))
        losses.append(loss.item())
        image, label = stream.send(config.patch[0] if step < config.larger_from * config.steps else config.patch[1])
        seconds += time.monotonic() - started
        if step % 50 == 0:
            left = seconds / step * (config.steps - step) / 60
            shown = (step, config.steps, float(np.mean(losses[-50:])), slices.refresh(), left)
            logger.info("step %d of %d  loss %.3f  cases %d  about %.0f min left", *shown)
        if step % config.checkpoint_steps == 0 or step == config.steps:
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "seconds": seconds,
            }
            _save_whole(state, checkpoint)
    _save_whole(average.state_dict(), workdir / AVERAGE)
    record = {
        "data": f"{len(slices.known)} phantom CT heads, seeds from {SEED_OFFSET}, {len(slices.items)} axial slices",
        "labels": "exact phantom masks of intraparenchymal hemorrhage (supervised; no patient data)",
        "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads, bfloat16 autocast",
        "torch": str(torch.__version__),
        "minutes": round(seconds / 60, 1),
        "config": asdict(config),
    }
    (workdir / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    return average.eval()


@torch.no_grad()
def _follow(average: Fcn, network: Fcn, decay: float) -> None:
    """Move the averaged weights and batch statistics towards the network's."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _save_whole(state: Mapping[str, Any], path: Path) -> None:
    temporary = path.with_suffix(".new")
    torch.save(state, temporary)
    temporary.replace(path)


def publish(
    workdir: Path, model_dir: Path, metrics: Mapping[str, Any], network_config: FcnConfig | None = None
) -> ModelInfo:
    """Put the weights of a finished run into a model folder, with a card, and to use.

    Raises:
        ConfigError: the run in ``workdir`` has not finished.
    """
    if not (workdir / AVERAGE).is_file() or not (workdir / RECORD).is_file():
        raise ConfigError(f"no finished run in {workdir}: expected {AVERAGE} and {RECORD}; train first")
    network = Fcn(network_config)
    network.load_state_dict(torch.load(workdir / AVERAGE, weights_only=True))
    record = json.loads((workdir / RECORD).read_text())
    return save_version(model_dir, network, training=record, metrics=metrics, card=_card(record, metrics))


def _card(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    scores = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in metrics.items())
    return f"""# Model card: AMD-DAS FCN, interim weights

**{RESEARCH_NOTICE}**

| | |
|---|---|
| task | outline intraparenchymal hemorrhage on non-contrast head CT, slice by slice |
| network | FCN with a VGG-16 encoder and batch normalisation, one channel, `amd_das.segmentation.networks` |
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
