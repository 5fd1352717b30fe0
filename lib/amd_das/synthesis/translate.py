"""Between the stages: every labelled MRI as a pseudo-CT, written once with its label (equation 18)."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_fill_holes

from amd_das.errors import NotFoundError, TrainingError, TrainingStopped
from amd_das.networks.generator import GeneratorConfig, SharedGenerators
from amd_das.networks.weights import digest
from amd_das.preprocessing.window import from_network
from amd_das.slices import SliceStore, SliceWriter, lesion_pixels, network_image
from amd_das.synthesis.learner import AVERAGE, GENERATOR, SynthesisLearner
from amd_das.training import checkpoints
from amd_das.training.device import Place, Precision, choose

Progress = Callable[[int, int], None]
"""Called with the slices done so far, and how many there are to do."""


def translate(
    generators: SharedGenerators,
    source: SliceStore,
    indices: np.ndarray,
    directory: Path,
    *,
    batch: int = 16,
    device: str = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SliceStore:
    """Write the pseudo-CTs of some MRI slices, case by case, and go on where an earlier call ended.

    What is outside the brain, the MRI's pixels of 0 that are not enclosed by others, is 0 in the pseudo-CT as it is in
    a real one. Labels are the MRI's; so are case, patient, spacing and slice numbers.

    Args:
        generators: trained; left as they are.
        source: MRIs with labels.
        indices: (n,) slices of the source, in any order.
        directory: receives the store; made with the same generators and slices if it is there already.
        batch: slices per forward pass.
        device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" (bf16 where the device multiplies it in hardware), "bf16" or "fp32".
        progress: see :data:`Progress`.
        should_stop: asked after each case.

    Raises:
        TrainingError: there is nothing to translate, or the source has no labels.
        TrainingStopped: it was asked to stop; called again, it continues.
        ConfigError: the directory holds slices made otherwise, or there is no such device.
    """
    chosen = np.unique(np.asarray(indices, np.int64))
    if not len(chosen):
        raise TrainingError(f"there is no slice of {source.directory} to translate; prepare at least one labelled MRI")
    if source.labels is None:
        raise TrainingError(f"{source.directory} has no labels; only labelled MRI is worth translating")
    place = choose(device, precision)
    generator = digest(generators)
    network = copy.deepcopy(generators).eval().requires_grad_(False)
    place.put(network)
    made_with = {
        "generator": generator,
        "source": source.digest(),
        "slices": hashlib.sha256(chosen.tobytes()).hexdigest(),
    }
    done = 0
    with SliceWriter(directory, "pseudo_ct", labelled=True, config=made_with) as writer:
        for number in np.unique(source.case_index[chosen]):
            case = source.cases[number]
            rows = chosen[source.case_index[chosen] == number]
            if case.case not in writer.done:
                images, labels = source.images[rows], source.labels[rows]
                places = rows - np.searchsorted(source.case_index, number)
                record = replace(
                    case,
                    numbers=tuple(case.numbers[place] for place in places),
                    brain_px=tuple(case.brain_px[place] for place in places),
                    lesion_px=lesion_pixels(images, labels),
                    provenance={**case.provenance, "generator": generator},
                )
                writer.append(record, _pseudo_cts(network, images, place, batch), labels)
            done += len(rows)
            if progress:
                progress(done, len(chosen))
            if should_stop and should_stop() and done < len(chosen):
                raise TrainingStopped(f"translation was stopped after {done} of {len(chosen)} slices; it can go on")
    return SliceStore.open(directory)


def trained_generators(workdir: Path) -> SharedGenerators:
    """The averaged generators of a finished training of stage 1, in evaluation mode on the CPU.

    Raises:
        NotFoundError: there is no checkpoint.
        TrainingError: it is damaged, or of another training.
    """
    path = workdir / checkpoints.NAME
    if not path.exists():
        raise NotFoundError(f"{path} is not there; train stage 1 in this folder first")
    state = checkpoints.load(path)
    if state["learner"] != SynthesisLearner.name:
        raise checkpoints.foreign(path, f"it is of {state['learner']}, expected {SynthesisLearner.name}")
    try:
        generators = SharedGenerators(GeneratorConfig.from_record(state["processes"][0]["extra"][GENERATOR]))
        average = state["modules"][AVERAGE]
        generators.load_state_dict({name: average[f"module.{name}"] for name in generators.state_dict()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoints.foreign(path, f"its generators cannot be built: {error}") from error
    return generators.eval()


@torch.inference_mode()
def _pseudo_cts(network: SharedGenerators, images: np.ndarray, place: Place, batch: int) -> np.ndarray:
    """(n, 240, 240) uint8 MRIs → as many pseudo-CTs, 0 outside the brain."""
    found = np.empty_like(images)
    for start in range(0, len(images), batch):
        mri = images[start : start + batch]
        with place.autocast():
            made = network.mri_to_ct(network_image(mri).to(place.device)).image
        grey = (from_network(made.float())[:, 0] * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        brain = np.stack([binary_fill_holes(slice_ > 0) for slice_ in mri])
        found[start : start + batch] = grey * brain
    return found
