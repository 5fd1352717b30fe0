"""Generated images of the past, so that a discriminator does not forget them (Shrivastava 2017, as CycleGAN does)."""

from typing import Any

import torch
from torch import Tensor

from amd_das.errors import ConfigError


class ImagePool:
    """Keeps some images; once full, half of those asked for are swapped with kept ones."""

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        """Begin empty.

        Args:
            size: images kept (50: CycleGAN); 0 keeps none.
            seed: of its own random numbers.

        Raises:
            ConfigError: the size is negative.
        """
        if size < 0:
            raise ConfigError(f"size {size} of an image pool: expected 0 or more")
        self.size = size
        self.kept: list[Tensor] = []
        self._generator = torch.Generator().manual_seed(seed)

    def query(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images, any range → as many, detached: new ones, or old ones in whose place the new are kept."""
        return torch.stack([self._swap(image) for image in images.detach()])

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"kept": [image.cpu() for image in self.kept], "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.kept = list(state["kept"])
        self._generator.set_state(state["generator"])

    def _swap(self, image: Tensor) -> Tensor:
        if len(self.kept) < self.size:
            self.kept.append(image.clone())
            return image
        draw = torch.rand(2, generator=self._generator, dtype=torch.float64).tolist()
        if not self.kept or draw[0] < 0.5:
            return image
        index = int(draw[1] * len(self.kept))
        old, self.kept[index] = self.kept[index], image.clone()
        return old.to(image)
