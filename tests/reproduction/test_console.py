"""`amd-das reproduce` as it is used: a whole table on phantoms, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from amd_das import cli
from amd_das.conventions import RESEARCH_NOTICE
from amd_das.reproduction.rows import ROWS


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(1200)
def test_a_table_on_phantoms_runs_to_its_end_and_is_written(tmp_path: Path) -> None:
    words = ("reproduce", "table2", "--preset", "smoke", "--device", "cpu", "--workdir", str(tmp_path))
    done = subprocess.run((sys.executable, "-m", "amd_das.cli", *words), capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stderr[-3000:]
    for row in ROWS["table2"]:
        assert re.search(rf"^{re.escape(row.name)} +{row.paper:.2f} +\d", done.stdout, re.MULTILINE), done.stdout
    assert "Its numbers mean nothing" in done.stdout
    assert RESEARCH_NOTICE in done.stdout
    record = json.loads((tmp_path / "table2-smoke.json").read_text())
    assert [row["name"] for row in record["rows"]] == [row.name for row in ROWS["table2"]]
    assert {domain: about["cases"] for domain, about in record["data"].items()} == {"source": 4, "target": 4, "test": 6}
    assert all(0 <= row["mean"]["paper_way"] <= 100 for row in record["rows"])
    assert record["minutes"] > 0
    page = (tmp_path / "table2-smoke.md").read_text()
    assert page.count("\n| ") == len(ROWS["table2"]) + 1
    assert f"{record['machine']}, amd-das {record['version']}" in page
    assert len(list((tmp_path / "work").glob("source-*"))) == 1, "all rows share the slices"


def test_a_target_without_labelled_ct_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "table2", "--preset", "smoke", "--target", str(tmp_path), "--workdir", str(tmp_path / "w")]
    assert cli.main(words) == 2
    assert "give --target and --test together" in capsys.readouterr().err


def test_a_seed_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "ablation", "--preset", "smoke", "--seeds", "1", "1", "--workdir", str(tmp_path / "w")]
    assert cli.main(words) == 2
    assert "seeds [1, 1]: expected at least one" in capsys.readouterr().err
