"""``models``."""

from pathlib import Path

import pytest
import torch

from amd_das import cli, models
from amd_das.networks.fcn import Fcn, FcnConfig


def test_models_are_listed_chosen_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = Fcn(FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4))
    first = models.save_version(tmp_path, network, training={}, metrics={"mean_dice": 0.5}, card="c").version
    with torch.no_grad():
        network.classifier.weight += 1
    second = models.save_version(tmp_path, network, training={}, metrics={}, card="c").version
    where = ["--model-dir", str(tmp_path)]

    assert cli.main(["models", *where]) == 0
    assert set(capsys.readouterr().out.splitlines()) == {f"  {first}  mean_dice 0.5", f"* {second}"}
    assert cli.main(["models", "use", first, *where]) == 0
    assert models.current_version(tmp_path) == first
    assert cli.main(["models", "remove", first, *where]) == 2
    assert "is in use" in capsys.readouterr().err
    assert cli.main(["models", "remove", second, *where]) == 0
    assert models.list_versions(tmp_path) == [first]
    assert cli.main(["models", "use", *where]) == 2
    assert "needs a version" in capsys.readouterr().err
    assert cli.main(["models", "use", first, "--benchmark", "report.json", *where]) == 2
    assert "models use takes no --benchmark" in capsys.readouterr().err
    assert cli.main(["models", "card", first, *where]) == 2
    assert "needs --benchmark" in capsys.readouterr().err
    assert cli.main(["models", "card", first, "--benchmark", str(tmp_path / "none.json"), *where]) == 2
    assert "no report" in capsys.readouterr().err
