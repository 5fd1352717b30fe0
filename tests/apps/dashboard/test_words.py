"""Numbers, times and names as people read them."""

import pytest

from amd_das_app.dashboard import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (40, "40 s"), (119, "119 s"), (120, "2 min"), (3599, "60 min"), (3600, "1 h"), (11_100, "3 h 5 min"),
     (86_400, "1 day"), (187_200, "2 days 4 h")],
)  # fmt: skip
def test_spans(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (123_456, "123 kB"), (1.25e9, "1.2 GB"), (5e15, "5000 TB")],
)
def test_sizes(count: float, shown: str) -> None:
    assert words.size(count) == shown


def test_numbers_and_names() -> None:
    assert [words.number(value) for value in (0.83531, 15, 12345, float("nan"), None, True, "x")] == [
        "0.835", "15", "12,345", "", "", "", "",
    ]  # fmt: skip
    assert words.humanised("median_volume_error_ml") == "Median volume error, mL"
    assert words.humanised("mean_dice") == "Mean Dice"
    assert words.signed(-0.04) == "+0.0" and words.signed(-1.25) == "−1.2"
    assert words.millilitres(None) == "" and words.millilitres(1.26) == "1.3 mL"
