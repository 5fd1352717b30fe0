"""The losses: their logic, their values in simple cases, and float32 throughout."""

import math

import pytest
import torch

from amd_das.losses import adversarial_loss, cycle_loss, domain_loss, identity_loss, segmentation_loss

SAYS_REAL, SAYS_MADE = torch.full((2, 1, 3, 3), 3.0), torch.full((2, 1, 3, 3), -3.0)


def test_a_fooled_discriminator_costs_the_generator_less() -> None:
    assert adversarial_loss(torch.ones(2, 1, 3, 3), True) < adversarial_loss(torch.zeros(2, 1, 3, 3), True)
    assert adversarial_loss(SAYS_REAL, True, "log") < adversarial_loss(SAYS_MADE, True, "log")


def test_a_fooled_discriminator_pays_more() -> None:
    assert adversarial_loss(torch.ones(2, 1, 3, 3), False) > adversarial_loss(torch.zeros(2, 1, 3, 3), False)
    assert adversarial_loss(SAYS_REAL, False, "log") > adversarial_loss(SAYS_MADE, False, "log")


def test_least_squares_and_log_values() -> None:
    logits = torch.tensor([[[[0.5, -1.0]]]])
    assert adversarial_loss(logits, True).item() == pytest.approx((0.25 + 4.0) / 2)
    assert adversarial_loss(logits, False).item() == pytest.approx((0.25 + 1.0) / 2)
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(1.0))) / 2
    assert adversarial_loss(logits, True, "log").item() == pytest.approx(expected)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="'hinge': expected one of least_squares, log"):
        adversarial_loss(SAYS_REAL, True, "hinge")  # type: ignore[arg-type]


def test_source_is_one_and_target_is_zero() -> None:
    assert domain_loss(SAYS_REAL, source=True) < 0.1 < domain_loss(SAYS_REAL, source=False)
    assert domain_loss(SAYS_MADE, source=False) < 0.1 < domain_loss(SAYS_MADE, source=True)
    assert domain_loss(torch.zeros(1, 1, 1, 1), source=True).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", [cycle_loss, identity_loss])
def test_l1(loss) -> None:
    image = torch.tensor([[[[-1.0, 1.0]]]])
    assert loss(image, image) == 0
    assert loss(torch.zeros(1, 1, 1, 2), image) == 1


def test_segmentation_loss_is_the_cross_entropy_of_each_pixel() -> None:
    logits, label = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    p = torch.sigmoid(logits)
    expected = -(label * p.log() + (1 - label) * (1 - p).log()).mean()
    assert segmentation_loss(logits, label).item() == pytest.approx(expected.item())


def test_the_size_of_the_image_does_not_change_the_scale() -> None:
    small, large = torch.zeros(1, 1, 2, 2), torch.zeros(3, 1, 8, 8)
    for loss in (
        lambda x: adversarial_loss(x, True),
        lambda x: domain_loss(x, True),
        lambda x: segmentation_loss(x, x),
        lambda x: cycle_loss(x, x + 1),
    ):
        assert loss(small).item() == pytest.approx(loss(large).item())


def test_bfloat16_is_taken_and_float32_given() -> None:
    x = torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16)
    found = [
        adversarial_loss(x, True),
        adversarial_loss(x, True, "log"),
        domain_loss(x, True),
        cycle_loss(x, x),
        identity_loss(x, x),
        segmentation_loss(x, x),
    ]
    assert {loss.dtype for loss in found} == {torch.float32}
