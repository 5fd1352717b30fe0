"""Scores: kept across restarts, per version, forgotten with their scan."""

import stat
from pathlib import Path

import numpy as np
import pytest

from amd_das.errors import ConfigError
from amd_das_app.worklist.scores import CaseScore, ScoreStore

BITS = np.arange(8, dtype=np.uint64)


def score(image: str = "a", version: str = "v1", **values: object) -> CaseScore:
    return CaseScore(image=image, version=version, image_stamp="s", **values)  # type: ignore[arg-type]


def test_a_score_comes_back_after_a_restart(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    store.put(score(volume_ml=1.5, lesions=2, fingerprint=BITS.astype("<u8").tobytes(), dice=0.5), b"png")
    store.close()
    found = ScoreStore(tmp_path).of_version("v1")["a"]
    assert (found.volume_ml, found.lesions, found.dice, found.has_thumbnail) == (1.5, 2, 0.5, True)
    assert ScoreStore(tmp_path).thumbnail("a", "v1") == b"png"
    assert ScoreStore(tmp_path).thumbnail("a", "v2") == b""
    assert found.bits is not None
    assert np.array_equal(found.bits, BITS)
    assert found.scored > 0
    assert found.hd95_mm is None


def test_versions_are_apart_and_the_latest_three_are_kept(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    for number in range(5):
        store.put(score(version=f"v{number}", volume_ml=number, scored=float(number + 1)))
    assert [len(store.of_version(f"v{number}")) for number in range(5)] == [0, 0, 1, 1, 1]
    assert store.of_version("v4")["a"].volume_ml == 4


def test_the_last_score_of_a_version_counts(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    store.put(score(error="no brain"))
    store.put(score(volume_ml=3.0))
    assert store.of_version("v1")["a"].error == ""
    assert store.of_version("v1")["a"].volume_ml == 3.0


def test_the_volume_error_is_automatic_less_final() -> None:
    assert score(volume_ml=5.0, label_ml=7.0).volume_error_ml == -2.0
    assert score(volume_ml=5.0).volume_error_ml is None


def test_labels_are_compared_anew_where_there_are_some(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    store.put(score("a", label_stamp="l"))
    store.put(score("b"))
    store.forget_labels("v1")
    found = store.of_version("v1")
    assert found["a"].label_stamp not in ("l", "")
    assert found["b"].label_stamp == ""


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    for image in "ab":
        store.put(score(image))
    assert store.images() == {"a", "b"}
    store.forget({"a"})
    store.forget(set())
    assert list(store.of_version("v1")) == ["b"]
    assert store.images() == {"b"}


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    ScoreStore(tmp_path / "worklist")
    path = tmp_path / "worklist" / "worklist.sqlite"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "worklist.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match="move it away"):
        ScoreStore(tmp_path)


def test_without_a_folder_scores_live_as_long_as_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = ScoreStore(tmp_path / "file" / "worklist")
    store.put(score(volume_ml=1.0))
    assert store.of_version("v1")["a"].volume_ml == 1.0
    assert "not kept" in caplog.text
