"""Plots: well-formed SVG that shows the numbers it was given, and asks nothing of anybody."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

from amd_das.evaluation import plots

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> str:
    return " ".join("".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def points(svg: str) -> int:
    """Marks of scatter plots."""
    groups = [one for one in ElementTree.fromstring(svg).iter(f"{SVG}g") if "PathCollection" in one.get("id", "")]
    return sum(len(list(group.iter(f"{SVG}use"))) for group in groups)


def test_each_volume_is_a_point() -> None:
    svg = plots.dice_distribution({"model A": [0.9, 0.8, float("nan"), 0.4], "model B": [0.7]})
    assert "model A" in words(svg) and "(n = 3)" in words(svg) and "(n = 1)" in words(svg)
    assert points(svg) == 4


def test_bias_and_limits_of_agreement_are_written_beside_their_lines() -> None:
    svg = plots.bland_altman([10, 20, 30, 40], [12, 21, 33, 42])
    errors = np.array([2, 1, 3, 2])
    said = words(svg)
    assert "bias: +2.0" in said
    assert f"+1.96 SD: +{2 + 1.96 * errors.std(ddof=1):.1f}" in said
    assert f"−1.96 SD: +{2 - 1.96 * errors.std(ddof=1):.1f}" in said
    assert points(svg) == 4


def test_one_scan_has_a_bias_and_no_limits() -> None:
    said = words(plots.bland_altman([10.0], [7.0]))
    assert "bias: −3.0" in said and "SD" not in said


def test_the_area_is_said_beside_its_curve() -> None:
    svg = plots.roc({"A": (np.array([0, 0, 1]), np.array([0, 1, 1]), 1.0)})
    assert "A: AUC 1.000" in words(svg)


@pytest.mark.parametrize(
    "draw",
    [lambda: plots.dice_distribution({}), lambda: plots.bland_altman([], []), lambda: plots.roc({})],
    ids=["dice", "bland-altman", "roc"],
)
def test_nothing_at_all_can_be_drawn(draw: Callable[[], str]) -> None:
    assert ElementTree.fromstring(draw()).tag == f"{SVG}svg"


def test_a_plot_is_always_the_same_and_loads_nothing() -> None:
    one, two = (plots.bland_altman([1, 2, 3], [2, 2, 5]) for _ in range(2))
    assert one == two
    links = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', one)
    assert links and all((first or second).startswith("#") for first, second in links)


def test_names_are_text_not_markup() -> None:
    assert "<b>&" in words(plots.dice_distribution({"<b>&": [0.5]}))
