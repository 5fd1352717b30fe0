"""What counts as expansion."""

import pytest

from amd_das.output.dicom import Prior, expansion


def prior(volume_ml: float) -> Prior:
    return Prior(volume_ml=volume_ml, ct_date="20261118", ct_time="", study_uid="1.2", series_uid="1.2.1")


@pytest.mark.parametrize(
    ("before", "now", "percent", "expanded"),
    [
        (30.0, 36.0, 20.0, False),
        (30.0, 36.1, 20.333, True),
        (10.0, 13.3, 33.0, False),
        (10.0, 13.4, 34.0, True),
        (30.0, 10.0, -66.667, False),
        (0.0, 0.0, None, False),
        (0.0, 0.5, None, True),
    ],
)
def test_more_than_6_ml_or_33_percent(before: float, now: float, percent: float | None, expanded: bool) -> None:
    change = expansion(now, prior(before))
    assert change.change_ml == pytest.approx(now - before)
    assert change.percent == (None if percent is None else pytest.approx(percent, abs=0.001))
    assert change.expanded is expanded
