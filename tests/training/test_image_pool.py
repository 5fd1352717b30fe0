"""The memory of generated images."""

import pytest
import torch
from torch import Tensor

from amd_das.errors import ConfigError
from amd_das.training.image_pool import ImagePool


def numbered(first: int, count: int) -> Tensor:
    """(count, 1, 1, 1) images, each of its own value."""
    return torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1, 1)


def test_images_come_back_new_until_the_pool_is_full() -> None:
    pool = ImagePool(4)
    assert torch.equal(pool.query(numbered(0, 4)), numbered(0, 4))


def test_once_full_about_half_come_back_old_and_each_only_once() -> None:
    pool = ImagePool(50)
    pool.query(numbered(0, 50))
    returned = torch.cat([pool.query(numbered(start, 4)) for start in range(50, 1050, 4)]).flatten()
    old = (returned != torch.arange(50, 1050)).float().mean()
    assert 0.45 < old < 0.55
    assert len(returned.unique()) == 1000
    assert len(pool.kept) == 50


def test_a_pool_without_room_keeps_nothing() -> None:
    pool = ImagePool(0)
    assert torch.equal(pool.query(numbered(0, 3)), numbered(0, 3))
    assert pool.kept == []


def test_what_comes_back_carries_no_gradient_and_is_not_changed_by_the_caller() -> None:
    pool = ImagePool(1)
    image = torch.ones(1, 1, 1, 1, requires_grad=True)
    returned = pool.query(image * 2)
    assert not returned.requires_grad
    returned.zero_()
    assert pool.kept[0].item() == 2.0


def test_a_restored_pool_goes_on_as_the_first() -> None:
    first, second = ImagePool(5), ImagePool(5, seed=9)
    first.query(numbered(0, 8))
    state = first.state_dict()
    after = first.query(numbered(10, 20))
    second.load_state_dict(state)
    assert torch.equal(second.query(numbered(10, 20)), after)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        ImagePool(-1)
