"""Curves of a training: a panel for each loss, with its name."""

from xml.etree import ElementTree

from amd_das.evaluation.curves import curves, loss_curves

HISTORY = [
    {"step": 5, "losses": {"cycle": 1.0, "gan_ct": float("nan")}},
    {"step": 10, "losses": {"cycle": 0.5, "gan_ct": 2.0}},
    {"step": 10, "validation": {"score": 0.8, "name": "x"}},
]


def test_losses_come_first_and_what_is_not_finite_is_left_out() -> None:
    assert curves(HISTORY) == {
        "loss: cycle": ([5, 10], [1.0, 0.5]),
        "loss: gan_ct": ([10], [2.0]),
        "validation: score": ([10], [0.8]),
    }


def test_a_panel_for_each_and_not_too_many() -> None:
    def titles(svg: str) -> set[str]:
        texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
        return {"".join(text.itertext()) for text in texts}

    assert {"loss: cycle", "loss: gan ct", "validation: score"} <= titles(loss_curves(HISTORY, 12))
    many = loss_curves([{"step": 1, "losses": {f"loss_{number}": 1.0 for number in range(20)}}], 12)
    assert "loss: loss 11" in titles(many) and "loss: loss 12" not in titles(many)
    assert "nothing measured yet" in titles(loss_curves([], 12))
