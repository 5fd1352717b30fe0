"""Several processes train the network that one would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.tiny_learner import TINY, tiny_batch, tiny_learner
from torch import nn

from amd_das.training import history, parallel
from amd_das.training.checkpoints import NAME, load
from amd_das.training.engine import fit

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import pytest
import torch
from amd_das.errors import ConfigError, TrainingStopped
from amd_das.training import parallel
from amd_das.training.engine import fit
from helpers.tiny_learner import TINY, TinyBatch, tiny_batch, tiny_learner

workdir = Path(sys.argv[1])
torch.set_num_threads(1)

def broken(step, size):
    batch = tiny_batch(step, size)
    batch.label[1] /= 1 if step != 6 else 0   # a row of process 1
    return batch

with parallel.processes():
    rank = parallel.rank()
    even = tiny_learner(dropout=0.0)
    if rank == 1:
        torch.nn.init.zeros_(even.network[0].weight)  # process 0's weights count
    asked = iter([False] * 6)
    stop = lambda: rank == 1 and next(asked, True)
    with pytest.raises(TrainingStopped):
        fit(even, tiny_batch, TINY, workdir / "even", should_stop=stop)
    fit(tiny_learner(dropout=0.0), tiny_batch, TINY, workdir / "even")
    assert fit(tiny_learner(), broken, TINY, workdir / "broken").skipped == (6,)
    with pytest.raises(ConfigError, match="multiple of the 2 processes"):
        fit(tiny_learner(), tiny_batch, replace(TINY, batch=3), workdir / "odd")
"""


@pytest.mark.slow
def test_two_processes_train_as_one_stop_together_and_restore_together(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone = tiny_learner(dropout=0.0)
    fit(alone, tiny_batch, TINY, tmp_path / "alone")
    state = load(tmp_path / "even" / NAME)
    for name, tensor in alone.network.state_dict().items():
        assert torch.allclose(state["modules"]["network"][name], tensor, atol=1e-5), name
    for one, two in zip(history.read(tmp_path / "alone"), history.read(tmp_path / "even"), strict=True):
        assert two["step"] == one["step"]
        assert two["losses"]["loss"] == pytest.approx(one["losses"]["loss"], abs=1e-5)
    assert len(state["processes"]) == 2
    pools = [process["extra"]["pool"]["kept"] for process in state["processes"]]
    assert not torch.equal(pools[0][0], pools[1][0])
    assert not (tmp_path / "odd").exists()


def test_alone_nothing_is_shared(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), 3.0)
    with parallel.processes():
        parallel.average_gradients([weight])
        assert (parallel.rank(), parallel.world_size()) == (0, 1)
    assert weight.grad.tolist() == [3.0, 3.0]
    parallel.wait()
    assert parallel.mean([1.0, 2.0], torch.device("cpu")) == [1.0, 2.0]
    assert parallel.gather("state") == ["state"]
    assert torch.equal(parallel.rows(torch.arange(4)), torch.arange(4))


@pytest.mark.slow
def test_too_little_memory_in_one_process_of_several_is_an_error_for_all(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom amd_das.training.engine import fit\n"
        "from helpers.tiny_learner import TINY, tiny_batch, tiny_learner\nimport os\n"
        "fit(tiny_learner(most=1 if os.environ['RANK'] == '1' else 9), tiny_batch, TINY, Path(sys.argv[1]))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "too little memory for a batch of 4" in done.stderr
