"""What a report says of the time left."""

from amd_das.training.progress import Progress


def test_the_time_left_follows_the_last_steps() -> None:
    report = Progress(stage="synthesis", step=25, total=100, seconds=500.0, step_seconds=2.0)
    assert report.fraction == 0.25
    assert report.seconds_left == 150.0


def test_the_time_left_is_unknown_before_the_first_step() -> None:
    assert Progress(stage="synthesis", step=0, total=100).seconds_left is None
