"""Series kept on disk: private, bounded, expired, and safe where several use them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from amd_das.cli import main
from amd_das.errors import CacheError, ConfigError, PacsUnreachableError
from amd_das.pacs.cache import SeriesCache, default_cache_dir
from amd_das.pacs.series import SeriesInfo

KIB = 1024


def series(number: int = 1, instances: int = 2) -> SeriesInfo:
    return SeriesInfo(study_uid="1.2.3", series_uid=f"1.2.3.{number}", modality="CT", instances=instances)


class Fetch:
    """Writes two files of half a KiB and counts its calls."""

    def __init__(self, content: bytes = b"x") -> None:
        self.content, self.calls = content, 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        folder.mkdir()
        for name in ("1.dcm", "2.dcm"):
            (folder / name).write_bytes(self.content * (KIB // 2))


@pytest.fixture
def cache(tmp_path: Path) -> SeriesCache:
    return SeriesCache(tmp_path / "cache", max_bytes=3 * KIB, max_hours=1.0)


def test_a_series_is_fetched_once_and_privately(cache: SeriesCache) -> None:
    fetch = Fetch()
    for _ in range(2):
        with cache.folder_of(series(), fetch) as folder:
            assert sorted(path.name for path in folder.iterdir()) == ["1.dcm", "2.dcm"]
    assert fetch.calls == 1
    for path in (cache.folder, *cache.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert "1.2.3" not in str(folder), "no UID in a name"


def test_a_series_that_has_grown_is_fetched_again_while_the_old_copy_is_in_use(cache: SeriesCache) -> None:
    with (
        cache.folder_of(series(instances=2), Fetch(b"a")) as old,
        cache.folder_of(series(instances=3), Fetch(b"b")) as new,
    ):
        assert (old / "1.dcm").read_bytes()[:1] == b"a"
        assert (new / "1.dcm").read_bytes()[:1] == b"b"


def test_what_is_too_much_goes_longest_unused_first(cache: SeriesCache) -> None:
    for number in (1, 2, 3):
        with cache.folder_of(series(number), Fetch()):
            pass
        time.sleep(0.02)
    with cache.folder_of(series(1), again := Fetch()):  # used again, so 2 is now the oldest
        pass
    assert again.calls == 0
    with cache.folder_of(series(4), Fetch()):
        assert cache.usage().bytes == 3 * KIB
    with cache.folder_of(series(1), again), cache.folder_of(series(2), second := Fetch()):
        assert (again.calls, second.calls) == (0, 1)


def test_what_is_in_use_is_never_removed(cache: SeriesCache) -> None:
    with cache.folder_of(series(1), Fetch(b"abcd" * 2)) as large:
        os.utime(large.parent / "entry.json", (0, 0))
        for number in (2, 3):
            with cache.folder_of(series(number), Fetch()):
                assert (large / "1.dcm").exists()
        assert cache.usage().in_use == 1
        cache.expire()
        cache.clear()
        assert (large / "1.dcm").exists()
    assert cache.clear() == 1
    assert list(cache.folder.iterdir()) == []


def test_what_has_not_been_used_for_long_is_removed_and_fetched_again(cache: SeriesCache) -> None:
    with cache.folder_of(series(), Fetch()) as folder:
        pass
    os.utime(folder.parent / "entry.json", (time.time() - 7200,) * 2)
    with cache.folder_of(series(), again := Fetch()):
        assert again.calls == 1
    os.utime(folder.parent / "entry.json", (time.time() - 7200,) * 2)
    cache.expire()
    assert cache.usage().series == 0
    assert not folder.exists()


def test_a_failed_fetch_leaves_nothing(cache: SeriesCache) -> None:
    def fail(folder: Path) -> None:
        Fetch()(folder)
        raise PacsUnreachableError("gone")

    with pytest.raises(PacsUnreachableError), cache.folder_of(series(), fail):
        pass
    assert cache.usage().series == 0
    cache.expire()
    assert list(cache.folder.iterdir()) == []


def test_many_threads_fetch_once(cache: SeriesCache) -> None:
    fetch, seen = Fetch(), []

    def slow(folder: Path) -> None:
        time.sleep(0.1)
        fetch(folder)

    def use() -> None:
        with cache.folder_of(series(), slow) as folder:
            seen.append(len(list(folder.iterdir())))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (fetch.calls, seen) == (1, [2] * 8)


def test_another_process_holds_and_dies(cache: SeriesCache) -> None:
    with cache.folder_of(series(), Fetch()) as folder:
        pass
    program = (
        "import sys; from pathlib import Path; from amd_das.pacs.cache import SeriesCache;"
        "from amd_das.pacs.series import SeriesInfo;"
        f"cache = SeriesCache(Path({str(cache.folder)!r}));"
        "held = cache.folder_of(SeriesInfo(study_uid='1.2.3', series_uid='1.2.3.1', instances=2), None);"
        "held.__enter__(); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert cache.clear() == 0
        assert folder.exists()
    finally:
        other.kill()
        other.wait()
    assert cache.clear() == 1


def test_what_a_killed_fetch_left_is_cleaned_up(cache: SeriesCache) -> None:
    with cache.folder_of(series(), Fetch()) as folder:
        entry = folder.parent
    left = entry.with_name("0" * 32 + "-5.part")
    left.mkdir()
    (left / "1.dcm").write_bytes(b"x")
    cache.expire()
    assert not left.exists()
    assert entry.exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CacheError, match="AMD_DAS_CACHE_DIR"),
        SeriesCache(tmp_path / "file").folder_of(series(), Fetch()),
    ):
        pass
    with pytest.raises(ConfigError, match="above 0"):
        SeriesCache(tmp_path, max_bytes=0)


def test_the_command_shows_and_clears(
    cache: SeriesCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMD_DAS_CACHE_DIR", str(cache.folder))
    assert default_cache_dir() == cache.folder
    with cache.folder_of(series(), Fetch()):
        assert main(["cache"]) == 0
        assert "1 series, 0.0 MiB" in (shown := capsys.readouterr().out)
        assert "1 in use" in shown
    assert main(["cache", "clear"]) == 0
    assert "removed 1 series\n0 series" in capsys.readouterr().out
