import numpy as np
import pytest

from amd_das.interaction import MarkError, Marks, from_clicks, from_strokes

SHAPE = (10, 20, 5)


def test_clicks_are_voxels_each_taken_once_in_any_order() -> None:
    marks = from_clicks([[1, 2, 3], (1.0, 2.0, 3.0), [0, 19, 4]], [[9.4, 0, 0]], SHAPE)
    assert [mark.tolist() for mark in marks.foreground] == [[[0, 19, 4]], [[1, 2, 3]]]
    assert marks.voxels(foreground=False).tolist() == [[9, 0, 0]]
    assert bool(marks)
    assert not Marks()
    assert Marks().voxels(foreground=True).shape == (0, 3)


@pytest.mark.parametrize(
    "click", [[10, 0, 0], [0, -1, 0], [0, 0, 5], [9.6, 0, 0], [0, 0, 1e300]], ids=lambda click: str(click)
)
def test_a_click_outside_the_image_is_refused(click: list[float]) -> None:
    with pytest.raises(MarkError, match="lies outside the image, which has 10 x 20 x 5 voxels"):
        from_clicks([], [click], SHAPE)


@pytest.mark.parametrize(
    "click", [[1, 2], [1, 2, 3, 4], "abc", None, [1, None, 2], [1, 2, float("nan")], 7, [[1, 2, 3]]]
)
def test_what_is_no_point_is_refused(click: object) -> None:
    with pytest.raises(MarkError, match="expected three numbers"):
        from_clicks([click], [], SHAPE)  # type: ignore[list-item]


def test_the_same_voxel_as_both_is_refused() -> None:
    with pytest.raises(MarkError, match=r"voxel \[1, 2, 3\] is clicked as foreground and as background"):
        from_clicks([[1, 2, 3]], [[1.2, 2, 3]], SHAPE)


def test_too_many_clicks_are_refused() -> None:
    clicks = [[i, j, k] for i in range(10) for j in range(20) for k in range(3)]
    with pytest.raises(MarkError, match="600 clicks came; at most 500"):
        from_clicks(clicks, [], SHAPE)


def test_strokes_that_touch_are_one_mark() -> None:
    painted, none = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    painted[1:4, 2, 3] = painted[4, 3, 4] = painted[8, 18, 0] = True
    marks = from_strokes(painted, none)
    assert sorted(len(mark) for mark in marks.foreground) == [1, 4]
    assert {tuple(voxel) for voxel in marks.voxels(foreground=True)} == {tuple(v) for v in np.argwhere(painted)}
    assert marks.background == ()


def test_strokes_of_both_sides_on_one_voxel_are_refused() -> None:
    painted = np.zeros(SHAPE, bool)
    painted[1, 1, 1] = True
    with pytest.raises(MarkError, match="1 voxels are painted as foreground and as background"):
        from_strokes(painted, painted)
