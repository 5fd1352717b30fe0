from typing import Any

import pytest

from amd_das.errors import ConfigError
from amd_das_app.requests.marks import parse_clicks, parse_scribbles


def test_clicks_of_slicer_and_of_ohif_and_of_others() -> None:
    slicer = parse_clicks({"hemorrhage": [[1, 2, 3]], "background": [[4, 5, 6]], "label": "background"})
    assert (slicer.foreground, slicer.background, slicer.start) == (([1, 2, 3],), ([4, 5, 6],), "automatic")
    ohif = parse_clicks({"background": [], "hemorrhage": [[1, 2, 3]], "start": ["automatic", "nothing"]})
    assert (ohif.foreground, ohif.background, ohif.start) == (([1, 2, 3],), (), "automatic")
    plain = parse_clicks({"foreground": [[1, 2, 3]], "hemorrhage": None, "start": "nothing"})
    assert (plain.foreground, plain.background, plain.start) == (([1, 2, 3],), (), "nothing")
    assert parse_clicks({}).foreground == ()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"hemorrhage": "here"}, "expected a list of voxels"),
        ({"background": {"a": 1}}, "'background' is"),
        ({"label": 3}, "expected the name of a label"),
        ({"start": "label"}, "expected one of automatic, nothing"),
        ({"start": {"a": 1}}, "expected one of automatic, nothing"),
    ],
)
def test_bad_clicks_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_clicks(params)


def segments(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "id": number} for number, name in enumerate(names, start=1)]


def test_values_of_strokes_are_those_of_the_segments() -> None:
    info = segments("hemorrhage", "background", "background_scribbles", "foreground_scribbles", "edema")
    found = parse_scribbles({"label_info": info, "selected_label_name": "hemorrhage", "roi": []})
    assert (found.foreground_value, found.background_value, found.label_value, found.roi) == (4, 3, 1, None)
    other = parse_scribbles({"label_info": info, "selected_label_name": "edema"})
    assert other.label_value == 5


def test_values_of_strokes_without_names_are_those_of_monai_label() -> None:
    found = parse_scribbles({})
    assert (found.foreground_value, found.background_value, found.label_value, found.start) == (3, 2, 1, "automatic")


def test_another_segment_with_the_value_of_strokes_is_no_stroke() -> None:
    found = parse_scribbles({"label_info": segments("hemorrhage", "background")})
    assert (found.foreground_value, found.background_value, found.label_value) == (3, -1, 1)


def test_a_flipped_region_of_interest_is_turned() -> None:
    assert parse_scribbles({"roi": [9, 2, 3, 4, 8, 8]}).roi == (2, 9, 3, 4, 8, 8)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"label_info": {"name": "x"}}, "should be a list"),
        ({"label_info": ["x"]}, "should be a list"),
        ({"label_info": [{"name": "foreground_scribbles", "id": "4"}]}, "expected a whole number"),
        (
            {"label_info": [{"name": f"{side}ground_scribbles", "id": 2} for side in ("fore", "back")]},
            "three different ones",
        ),
        ({"label_info": [{"name": "foreground_scribbles", "id": 0}]}, "expected three different ones"),
        ({"selected_label_name": "edema"}, "'label_info' names background_scribbles"),
        ({"selected_label_name": ["edema"]}, "'selected_label_name' is"),
        ({"roi": [1, 2, 3]}, "expected six whole numbers"),
        ({"roi": [1, 2, 3, 4, 5, "6"]}, "expected six whole numbers"),
        ({"roi": "all"}, "expected six whole numbers"),
    ],
)
def test_bad_scribbles_are_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_scribbles(params)
