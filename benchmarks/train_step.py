"""How long one training step takes, ours against the published formulation of the same step, in one run.

    python benchmarks/train_step.py [--stage 1|2] [--size paper|small] [--repeats 3] [--threads 2] [--device cpu]

Both sides have the same networks, losses, batch and device, and take turns; the time is the best of the repeats after
one that is not counted. "published" is written afresh from the paper and from what is known of the authors' code:
float32, and what is needed twice is computed twice. ``--out FILE`` receives all numbers as JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from amd_das.losses import adversarial_loss, cycle_loss, domain_loss, segmentation_loss
from amd_das.networks.fcn import FcnConfig, parameter_count
from amd_das.networks.generator import GeneratorConfig
from amd_das.segmentation.batches import AdaptationBatch
from amd_das.segmentation.config import AdaptationConfig
from amd_das.segmentation.learner import AdaptationLearner
from amd_das.synthesis.batches import SynthesisBatch
from amd_das.synthesis.config import SynthesisConfig
from amd_das.synthesis.learner import SynthesisLearner
from amd_das.training.device import Place, Precision, choose
from amd_das.training.learner import Learner, seeded

Step = Callable[[], Any]


@dataclass(frozen=True)
class Timing:
    """The fastest of the repeats."""

    wall_s: float
    cpu_s: float


def take_turns(steps: dict[str, Step], repeats: int, device: torch.device) -> dict[str, Timing]:
    """Run each step once uncounted and then ``repeats`` times, one after the other."""
    best: dict[str, Timing] = {}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken = Timing(time.perf_counter() - wall, time.process_time() - cpu)
            if repeat:
                before = best.get(name, taken)
                best[name] = Timing(min(before.wall_s, taken.wall_s), min(before.cpu_s, taken.cpu_s))
    return best


def report(stage: int, size: str, place: Place, timings: dict[str, Timing], facts: dict[str, Any]) -> dict[str, Any]:
    """Print a table, ratios against "published", and return all of it."""
    published = timings["published"]
    print(f"stage {stage}, {size}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"{place.device!s:24}{'wall s':>10}{'CPU s':>10}{'times as fast':>16}")
    for name, timing in timings.items():
        ratio = published.wall_s / timing.wall_s
        print(f"{name:24}{timing.wall_s:10.3f}{timing.cpu_s:10.3f}{ratio:16.2f}")
    return {
        "stage": stage,
        "size": size,
        "device": str(place),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        **facts,
        "seconds": {name: vars(timing) for name, timing in timings.items()},
        "ratio": {name: round(published.wall_s / timing.wall_s, 3) for name, timing in timings.items()},
    }


def giga_flop(step: Step) -> float:
    """GFLOP of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return round(counter.get_total_flops() / 1e9, 1)


def our_step(learner: Learner, batch: Any, device: str, precision: Precision) -> Step:
    """A learner's step as the engine runs it."""
    place = choose(device, precision)
    for module in learner.modules.values():
        place.put(module)

    def step() -> None:
        with place.autocast():
            learner.step(batch, 0, 2)

    return step


# Stage 1 ------------------------------------------------------------------------------------------------------------

STAGE1_SIZES = {
    "paper": (SynthesisConfig(), 2, 240),
    "small": (
        SynthesisConfig(
            generator=GeneratorConfig(channels=16),
            discriminator_channels=32,
            domain_channels=32,
            segmenter=FcnConfig.narrowed(4),
        ),
        2,
        160,
    ),
}
"""Configuration, batch, and side of the images."""


def stage1(size: str, repeats: int, device: str) -> dict[str, Any]:
    """The synthesis network's step."""
    config, batch_size, side = STAGE1_SIZES[size]
    place = choose(device, "fp32")
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(batch_size, 1, side, side, generator=generator) * 2 - 1 for _ in range(2)]
    label = (torch.rand(batch_size, 1, side, side, generator=generator) < 0.1).float()
    batch = place.batch(SynthesisBatch(mri=images[0], label=label, ct=images[1]))

    theirs, learner, other = (SynthesisLearner(config) for _ in range(3))
    for decoder in (theirs.generators.decoder_mri, theirs.generators.decoder_ct):
        decoder.layers[-1].forward = MethodType(torch.nn.Conv2d.forward, decoder.layers[-1])  # not in blocks
    for module in theirs.modules.values():
        module.to(place.device)
    in_fp32, in_bf16 = our_step(learner, batch, device, "fp32"), our_step(other, batch, device, "bf16")
    steps = {"published": lambda: published_stage1(theirs, batch), "ours, fp32": in_fp32, "ours, bf16": in_bf16}
    facts = {
        "batch": batch_size,
        "side": side,
        "generator parameters": parameter_count(learner.generators),
        "all parameters": sum(parameter_count(module) for module in learner.modules.values()),
        "GFLOP": giga_flop(in_fp32),
        "GFLOP published": giga_flop(steps["published"]),
    }
    return report(1, size, place, take_turns(steps, repeats, place.device), facts)


def published_stage1(learner: SynthesisLearner, batch: SynthesisBatch) -> None:
    """One step as published: encodings computed twice, features again and again from detached encodings, the
    segmenters run for the generators and then once more for themselves, a backward pass for each loss."""
    generators, modules, config = learner.generators, learner.modules, learner.config
    original, reconstructed = modules["segmenter_original"], modules["segmenter_reconstructed"]
    discriminators = {"ct": modules["discriminator_ct"], "mri": modules["discriminator_mri"]}
    domain, (fusion,) = modules["domain_discriminator"], generators.fusions
    encoding_mri, encoding_ct = generators.encoder_mri(batch.mri), generators.encoder_ct(batch.ct)
    pseudo_ct = generators.mri_to_ct(batch.mri).image
    pseudo_mri = generators.ct_to_mri(batch.ct).image
    reconstructed_mri = generators.ct_to_mri(pseudo_ct).image
    reconstructed_ct = generators.mri_to_ct(pseudo_mri).image

    def learn(*names: str, on: bool) -> None:
        for name in names:
            modules[name].requires_grad_(on)

    segmenters, patches = ("segmenter_original", "segmenter_reconstructed"), ("discriminator_ct", "discriminator_mri")
    learn(*segmenters, *patches, "domain_discriminator", on=False)
    lesion = segmentation_loss(original(pseudo_ct).logits, batch.label)
    lesion = lesion + segmentation_loss(reconstructed(reconstructed_mri).logits, batch.label)
    loss = adversarial_loss(discriminators["ct"](pseudo_ct), True) + adversarial_loss(
        discriminators["mri"](pseudo_mri), True
    )
    loss = loss + config.cycle_weight * cycle_loss(reconstructed_mri, batch.mri)
    loss = loss + config.cycle_weight * cycle_loss(reconstructed_ct, batch.ct) + config.lesion_weight * lesion
    learner.optimisers["generators"].zero_grad()
    loss.backward()
    features = fusion(encoding_ct.detach())
    (config.feature_weight * domain_loss(domain(features), source=True)).backward()
    learner.optimisers["generators"].step()

    learn("domain_discriminator", on=True)
    for encoding, source in ((encoding_mri, True), (encoding_ct, False)):
        domain_loss(domain(fusion(encoding.detach()).detach()), source).backward()
    learner.optimisers["domain_discriminator"].step()  # its gradients are never zeroed, as published

    learn(*patches, on=True)
    learner.optimisers["discriminators"].zero_grad()
    for side, real, made in (("ct", batch.ct, pseudo_ct), ("mri", batch.mri, pseudo_mri)):
        old = learner.pools[f"pool_{side}"].query(made)
        halves: list[Tensor] = [adversarial_loss(discriminators[side](real), True)]
        halves.append(adversarial_loss(discriminators[side](old), False))
        (0.5 * (halves[0] + halves[1])).backward()
    learner.optimisers["discriminators"].step()

    learn(*segmenters, on=True)
    learner.optimisers["segmenters"].zero_grad()
    for segmenter, image in ((original, pseudo_ct), (reconstructed, reconstructed_mri)):
        segmentation_loss(segmenter(image.detach()).logits, batch.label).backward()
    learner.optimisers["segmenters"].step()


# Stage 2 ------------------------------------------------------------------------------------------------------------

STAGE2_SIZES = {
    "paper": (AdaptationConfig(), 12, 240),
    "small": (AdaptationConfig(network=FcnConfig.narrowed(2), discriminator_channels=32), 12, 160),
}
"""Configuration, batch, and side of the images."""


def stage2(size: str, repeats: int, device: str) -> dict[str, Any]:
    """The step of domain-adversarial segmentation."""
    config, batch_size, side = STAGE2_SIZES[size]
    place = choose(device, "fp32")
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(batch_size, 1, side, side, generator=generator) * 2 - 1 for _ in range(2)]
    label = (torch.rand(batch_size, 1, side, side, generator=generator) < 0.1).float()
    batch = place.batch(AdaptationBatch(image=images[0], label=label, target=images[1]))

    with seeded(0):
        theirs, learner, other = (AdaptationLearner(config) for _ in range(3))
    for module in theirs.modules.values():
        module.to(place.device)
    in_fp32, in_bf16 = our_step(learner, batch, device, "fp32"), our_step(other, batch, device, "bf16")
    steps = {"published": lambda: published_stage2(theirs, batch), "ours, fp32": in_fp32, "ours, bf16": in_bf16}
    facts = {
        "batch": batch_size,
        "side": side,
        "FCN parameters": parameter_count(learner.fcn),
        "all parameters": sum(parameter_count(module) for module in learner.modules.values()),
        "GFLOP": giga_flop(in_fp32),
        "GFLOP published": giga_flop(steps["published"]),
    }
    return report(2, size, place, take_turns(steps, repeats, place.device), facts)


def published_stage2(learner: AdaptationLearner, batch: AdaptationBatch) -> None:
    """One step as published: a backward pass for each loss, float32."""
    fcn, (discriminator,) = learner.fcn, learner.discriminators.values()
    learner.optimisers["fcn"].zero_grad()
    source = fcn(batch.image)
    segmentation_loss(source.logits, batch.label).backward()
    discriminator.requires_grad_(False)
    target = fcn(batch.target)
    (learner.config.adversarial_weight * domain_loss(discriminator(target.features), source=True)).backward()
    learner.optimisers["fcn"].step()
    discriminator.requires_grad_(True)
    learner.optimisers["discriminator_features"].zero_grad()
    for seen, is_source in ((source, True), (target, False)):
        domain_loss(discriminator(seen.features.detach()), is_source).backward()
    learner.optimisers["discriminator_features"].step()


# --------------------------------------------------------------------------------------------------------------------

STAGES = {1: stage1, 2: stage2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", type=int, choices=STAGES, default=1)
    parser.add_argument("--size", choices=STAGE1_SIZES, default="small")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = STAGES[arguments.stage](arguments.size, arguments.repeats, arguments.device)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
