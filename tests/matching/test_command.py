"""The command `amd-das match`."""

from pathlib import Path

import pytest
from helpers.slice_stores import write_store

from amd_das import cli
from amd_das.matching import Matches


def test_match_writes_pairs_and_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_store(tmp_path / "source", "source", count=3, seed=0, labelled=True)
    target = write_store(tmp_path / "target", "target", count=4, seed=1, labelled=False)
    output = tmp_path / "new" / "pairs"
    assert cli.main(["match", str(source.directory), str(target.directory), "-o", str(output)]) == cli.DONE
    assert sorted(path.name for path in output.iterdir()) == ["matches.npz", "pairs.png"]
    matches = Matches.load(output / "matches.npz")
    matches.check(source, target)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "3 MRI slices, 4 most alike of 4 CT slices for each",
        f"{len(matches.matched_source)} MRI slices are the nearest of some CT slice",
        f"{output / 'matches.npz'} holds the pairs, {output / 'pairs.png'} shows some",
    ]
    assert "100%" in err


def test_match_refuses_an_absent_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = write_store(tmp_path / "target", "target", count=1, seed=1, labelled=False)
    assert cli.main(["match", str(tmp_path), str(target.directory), "-o", str(tmp_path / "out")]) == cli.REFUSED
    assert "make them with `amd-das prepare`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
