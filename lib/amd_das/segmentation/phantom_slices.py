"""Labelled axial slices of phantom CT: rendered once into files, held as bytes, dealt out as augmented patches."""

import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from amd_das.errors import AmdDasError
from amd_das.networks.fcn import Fcn
from amd_das.phantom.ct import make_training_ct
from amd_das.preprocessing import preprocess
from amd_das.preprocessing.window import to_network, to_window

logger = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """How patches are drawn. All numbers are ours."""

    batch: int = 12
    """Patches a batch (paper's stage 2: 12)."""

    lesion_share: float = 0.55
    """Part of the patches from slices with an intraparenchymal bleed, centred near it."""

    other_share: float = 0.25
    """Part of the patches from slices with other bleeds only; the rest is drawn from all slices."""


def render_training_case(seed: int, directory: Path) -> Path | None:
    """Render, preprocess and store one phantom case; None if its brain could not be found."""
    path = directory / f"{seed}.npz"
    if path.exists():
        return path
    case = make_training_ct(seed)
    try:
        done = preprocess(case.volume)
    except AmdDasError as error:
        logger.warning("case %d left out: %s", seed, error)
        return None
    keep = done.with_brain
    window = done.grid.forward(to_window(case.volume.array))[keep]
    masks = {kind: done.grid.forward(mask.astype(np.float32))[keep] >= 0.5 for kind, mask in case.masks.items()}
    others = np.any([mask for kind, mask in masks.items() if kind != "iph"], axis=0)
    temporary = directory / f".{seed}.npz"
    np.savez_compressed(
        temporary,
        window=np.rint(window * 255).astype(np.uint8),
        stripped=np.rint(done.slices[keep] * 255).astype(np.uint8),
        brain=np.packbits(done.brain[keep]),
        iph=np.packbits(masks["iph"]),
        other=np.packbits(others),
    )
    temporary.rename(path)
    return path


class StoredSlice(NamedTuple):
    """One 1 mm axial slice, each (240, 240)."""

    window: np.ndarray
    """uint8, 0-100 HU on 0-255, the whole head."""

    stripped: np.ndarray
    """uint8, the same as preprocessing hands it to the network: 0 outside the brain."""

    brain: np.ndarray
    iph: np.ndarray
    other: np.ndarray
    """bool: the brain, intraparenchymal blood, any other bleed."""


class Slices:
    """All stored slices in memory as bytes; more are added while they are rendered."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.known: set[str] = set()
        self.items: list[StoredSlice] = []
        self.with_iph: list[int] = []
        self.with_other: list[int] = []

    def refresh(self) -> int:
        """Take in new files; returns the number of cases."""
        for path in sorted(self.directory.glob("[0-9]*.npz")):
            if path.name in self.known:
                continue
            with np.load(path) as data:
                window, stripped = data["window"], data["stripped"]
                shape = window.shape
                brain, iph, other = (
                    np.unpackbits(data[name], count=window.size).reshape(shape).astype(bool)
                    for name in ("brain", "iph", "other")
                )
            for index in range(shape[0]):
                number = len(self.items)
                self.items.append(StoredSlice(window[index], stripped[index], brain[index], iph[index], other[index]))
                if iph[index].sum() >= 4:
                    self.with_iph += [number] * (3 if other[index].sum() >= 15 else 1)  # telling both apart is hard
                elif other[index].sum() >= 15:
                    self.with_other.append(number)
            self.known.add(path.name)
        return len(self.known)

    @torch.no_grad()
    def emphasise_failures(self, network: Fcn, times: int = 3, dice: float = 0.75, pixels: int = 12) -> int:
        """Draw slices more often that a network does badly on; returns their number.

        Those are slices whose intraparenchymal blood it finds with a Dice below ``dice``, and slices without where it
        finds at least ``pixels`` of it. Slices with less blood than that do not count: their Dice is chance.
        """
        found = 0
        for number, item in enumerate(self.items):
            image = to_network(torch.from_numpy(item.stripped.astype(np.float32) / 255))[None, None]
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(image.contiguous(memory_format=torch.channels_last)).logits
            pred, true = (logits[0, 0] > 0).numpy(), item.iph
            if true.sum() >= pixels:
                failed = 2 * (pred & true).sum() < dice * (pred.sum() + true.sum())
                target = self.with_iph
            else:
                failed = not true.any() and pred.sum() >= pixels
                target = self.with_other
            if failed:
                target += [number] * times
                found += 1
        return found


def _random_stripping(item: StoredSlice, rng: np.random.Generator) -> np.ndarray:
    """The slice with a brain mask as different extractions would draw it, [0, 1] float32."""
    choice = rng.random()
    if choice < 0.10:
        shown = item.window
    elif choice < 0.28:
        shown = np.where(binary_dilation(item.brain, iterations=int(rng.integers(1, 6))), item.window, 0)
    elif choice < 0.45:
        shown = np.where(binary_erosion(item.brain, iterations=int(rng.integers(1, 4))), item.stripped, 0)
    else:
        shown = item.stripped
    return shown.astype(np.float32) / 255


def _augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Scanner and window differences on (N, 1, H, W) in [0, 1] (0-100 HU); the outside stays 0."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    def sometimes(chance: float) -> Tensor:
        return (torch.rand(len(images), 1, 1, 1, generator=generator) < chance).float()

    inside = (images > 0).float()
    x = 0.32 + (images - 0.32) * uniform(0.75, 1.3) + uniform(-0.06, 0.06)
    low = torch.randn(len(images), 1, 4, 4, generator=generator) * 0.02
    x = x + interpolate(low, size=images.shape[-2:], mode="bicubic", align_corners=False) * sometimes(0.5)
    blurred = avg_pool2d(x, 3, 1, 1)
    x = x + (blurred - x) * uniform(0.0, 1.0) * sometimes(0.35)
    x = x + (x - blurred) * uniform(0.0, 0.8) * sometimes(0.2)
    noise = torch.randn(images.shape, generator=generator)
    noise = noise + (avg_pool2d(noise, 3, 1, 1) * 2.2 - noise) * uniform(0, 1)
    x = x + noise * uniform(0.0, 0.05) * sometimes(0.6)
    ceiling = torch.where(sometimes(0.15) > 0, uniform(0.75, 1.0), torch.ones(1))
    return torch.minimum(x.clamp(0, 1), ceiling) * inside


def batches(
    slices: Slices, config: PatchConfig, patch: int, rng: np.random.Generator
) -> Generator[Batch, int | None, None]:
    """Endless (image, label) batches: image (N, 1, P, P) in [-1, 1], label (N, 1, P, P) 0 or 1.

    P is ``patch``, in pixels of 1 mm; a number sent in changes it.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    while True:
        images, labels, thetas = [], [], []
        for _ in range(config.batch):
            draw = rng.random()
            if draw < config.lesion_share and slices.with_iph:
                number = slices.with_iph[rng.integers(len(slices.with_iph))]
            elif draw < config.lesion_share + config.other_share and slices.with_other:
                number = slices.with_other[rng.integers(len(slices.with_other))]
            else:
                number = int(rng.integers(len(slices.items)))
            item = slices.items[number]
            window, iph = item.window, item.iph
            target = iph if iph.any() else item.other if item.other.any() else item.brain
            candidates = np.flatnonzero(target)
            row, column = np.divmod(candidates[rng.integers(len(candidates))], window.shape[1])
            middle = np.array([column, row]) + rng.uniform(-0.35, 0.35, 2) * patch
            if patch >= 160:
                middle = 0.5 * middle + 0.5 * (np.array(window.shape[::-1]) / 2)
            angle, zoom = rng.normal(0, 0.2), np.exp(rng.normal(0, 0.1))
            aspect, flip = np.exp(rng.normal(0, 0.06)), rng.choice([-1, 1])
            side = window.shape[0]
            linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
                [flip * zoom * aspect, zoom / aspect]
            )
            theta = np.column_stack([linear * patch / side, middle / side * 2 - 1])
            images.append(torch.from_numpy(_random_stripping(item, rng)))
            labels.append(torch.from_numpy(iph.astype(np.float32)))
            thetas.append(torch.tensor(theta, dtype=torch.float32))
        stack = torch.stack([torch.stack(images), torch.stack(labels)], dim=1)
        grid = affine_grid(torch.stack(thetas), [len(images), 2, patch, patch], align_corners=False)
        moved = grid_sample(stack, grid, mode="bilinear", align_corners=False)
        image = _augment(moved[:, :1], generator)
        sent = yield to_network(image), (moved[:, 1:] >= 0.5).float()
        patch = sent or patch
