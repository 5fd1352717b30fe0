"""Train the FCN on labelled phantom CT: the interim weights, until the two-stage pipeline makes them without CT labels.

Cases are rendered in the background while training goes on, and a run that was interrupted continues from its last
checkpoint. ``amd_das.interim`` runs it and publishes the result.
"""

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

from amd_das.errors import ConfigError
from amd_das.networks.fcn import Fcn, FcnConfig
from amd_das.segmentation.phantom_slices import PatchConfig, Slices, batches, render_training_case

logger = logging.getLogger(__name__)

SEED_OFFSET: Final = 100_000
"""Training seeds start here; those of the phantom test set and the samples are far below."""

CHECKPOINT, AVERAGE, RECORD = "checkpoint.pt", "average.pt", "record.json"


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """One training run. All numbers are ours: this run stands in for the paper's stages until they exist."""

    cases: int = 800
    """Phantom heads rendered for training."""

    first_cases: int = 60
    """Training begins when this many are there."""

    steps: int = 9500
    """Optimiser steps; the learning rate is annealed over them."""

    network: FcnConfig = field(default_factory=lambda: FcnConfig.narrowed(2))
    """The FCN at half of VGG-16's width: three times as many steps in the same time on two cores."""

    patches: PatchConfig = field(default_factory=PatchConfig)
    patch: tuple[int, int] = (128, 160)
    """Side of the square patches in pixels (1 mm) at the start and in the end."""

    larger_from: float = 0.6
    """Part of the steps after which patches have the larger size."""

    learning_rate: float = 1.5e-3
    """Peak of AdamW's schedule: linear warm-up over 5 % of the steps, then half a cosine."""

    average: float = 0.999
    """Decay of the running average of the weights, which is what is kept."""

    failures_from: float = 0.7
    """Part of the steps after which slices that the network fails on are drawn more often."""

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


def train(config: SupervisedConfig, workdir: Path) -> Fcn:
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
        return _fit(config, workdir, slices, Fcn(config.network), Fcn(config.network))
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
    emphasised = False
    network.train()
    while step < config.steps:
        started = time.monotonic()
        if not emphasised and step >= config.failures_from * config.steps:
            emphasised = True
            logger.info("%d slices are drawn more often", slices.emphasise_failures(average.eval()))
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
