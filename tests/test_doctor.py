"""Every fault the doctor knows, forced."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from amd_das import cli, doctor, models
from amd_das.doctor import Check
from amd_das.networks.fcn import Fcn, FcnConfig


def versions(**known: str) -> Callable[[str], str | None]:
    return known.get


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Fcn(FcnConfig(stages=((4,), (4,), (4,), (8,), (8,)), decoder_tail=4))
    models.save_version(tmp_path / "model", network, training={}, metrics={}, card="")
    return tmp_path / "model"


@pytest.mark.parametrize(("version", "state"), [((3, 11, 7), "ok"), ((3, 12, 0), "fault"), ((3, 9, 2), "fault")])
def test_python(version: tuple[int, ...], state: str) -> None:
    check = doctor.check_python(version)
    assert check.state == state
    assert ("install Python 3.11" in check.advice) == (state == "fault")


def test_pins_that_are_met_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# comment\n\n--no-deps\ntorch==2.13.0  # why\nPyYAML==6.0\n")
    (tmp_path / "requirements-nodeps.txt").write_text("monailabel==0.8.5\n")
    installed = versions(torch="2.13.0+cpu", PyYAML="6.0", monailabel="0.8.5")
    assert doctor.check_pins(tmp_path, installed) == [
        Check(name="packages", state="ok", found="3 packages at their pinned versions")
    ]


def test_a_missing_package_is_a_fault_and_another_version_a_warning(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\nnumpy==1.26.4\nscipy==1.17.1\nwinreg==1; os_name=='x'\n")
    found = doctor.check_pins(tmp_path, versions(torch="2.12.0", scipy="1.17.1"))
    assert [(check.name, check.state, check.found) for check in found] == [
        ("package torch", "warning", "2.12.0, expected ==2.13.0"),
        ("package numpy", "fault", "not installed, expected ==1.26.4"),
    ]
    assert all("make setup" in check.advice for check in found)


def test_without_requirements_beside_it_versions_are_not_compared(tmp_path: Path) -> None:
    (check,) = doctor.check_pins(tmp_path)
    assert check.state == "warning"
    assert "editable install" in check.advice


def test_this_checkouts_requirements_are_found() -> None:
    assert not any("not compared" in check.found for check in doctor.check_pins())


@pytest.mark.parametrize(
    ("check", "name", "good", "bad"),
    [(doctor.check_pydicom, "pydicom", "2.4.5", "3.0.1"), (doctor.check_numpy, "numpy", "1.26.4", "2.1.0")],
)
def test_monai_labels_limits(check: Callable[..., Check], name: str, good: str, bad: str) -> None:
    assert check(versions(**{name: good})).state == "ok"
    for found in (check(versions(**{name: bad})), check(versions())):
        assert found.state == "fault"
        assert f"pip install '{name}<" in found.advice


def test_torchvision_is_absent_or_fits() -> None:
    assert doctor.check_torchvision(versions()).state == "ok"
    installed = versions(torchvision="0.28.0")
    assert doctor.check_torchvision(installed, [sys.executable, "-c", ""]).state == "ok"
    failing = [sys.executable, "-c", "raise RuntimeError('operator torchvision::nms does not exist')"]
    check = doctor.check_torchvision(installed, failing)
    assert check.state == "fault"
    assert "nms does not exist" in check.found
    assert "pip uninstall torchvision" in check.advice


def test_a_cpu_without_bfloat16_is_slow_not_faulty() -> None:
    assert doctor.check_cpu(2, bfloat16=True).state == "ok"
    check = doctor.check_cpu(2, bfloat16=False)
    assert check.state == "warning"
    assert "three times" in check.advice


def test_a_gpu_must_compute() -> None:
    def fails() -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    assert doctor.check_gpu("H200", lambda: 1.0) == Check(name="device", state="ok", found="H200")
    check = doctor.check_gpu("K80", fails)
    assert check.state == "fault"
    assert check.found == "K80 does not compute: CUDA error: no kernel image is available"


def test_this_machines_device_is_named() -> None:
    assert doctor.check_device().state in {"ok", "warning"}


def test_weights_are_present_and_whole(model_dir: Path, tmp_path: Path) -> None:
    version = models.current_version(model_dir)
    check = doctor.check_weights(model_dir)
    assert check.state == "ok"
    assert version in check.found
    weights = model_dir / "versions" / version / models.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged, absent = doctor.check_weights(model_dir), doctor.check_weights(tmp_path / "nowhere")
    assert damaged.state == absent.state == "fault"
    assert "damaged" in damaged.found
    assert "no model" in absent.found
    assert "--model-dir" in absent.advice


def test_ports() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        taken = doctor.check_port(port)
    assert taken.state == "warning"
    assert "already running" in taken.advice
    assert doctor.check_port(port).state == "ok"
    assert doctor.check_port(70000).state == "fault"
    assert doctor.check_port(8000, host="192.0.2.1").state == "fault"  # an address this machine does not have


def test_dcmqi_beside_the_interpreter_or_on_path(tmp_path: Path) -> None:
    tools, empty = tmp_path / "tools", tmp_path / "empty"
    tools.mkdir()
    empty.mkdir()
    (tools / doctor.DCMQI_TOOL).write_text("#!/bin/sh\n")
    (tools / doctor.DCMQI_TOOL).chmod(0o755)
    assert doctor.check_dcmqi(beside=tools, path="").state == "ok"
    assert doctor.check_dcmqi(beside=empty, path=str(tools)).state == "ok"
    check = doctor.check_dcmqi(beside=empty, path=str(empty))
    assert check.state == "fault"
    assert "pip install dcmqi" in check.advice


@pytest.mark.parametrize(("room", "state"), [(100.0, "ok"), (0.7, "warning"), (0.1, "fault")])
def test_room(room: float, state: str, tmp_path: Path) -> None:
    for check in (
        doctor.check_disk(tmp_path, free=room * doctor.DISK_NEEDED),
        doctor.check_memory(available=room * doctor.MEMORY_NEEDED),
    ):
        assert check.state == state
        assert bool(check.advice) == (state != "ok")


def test_a_package_that_a_check_needs_and_cannot_import_is_a_fault() -> None:
    def check() -> Check:
        raise ModuleNotFoundError("No module named 'psutil'")

    (found,) = doctor.run_check("memory", check)
    assert found.state == "fault"
    assert "No module named 'psutil'" in found.found
    assert "make setup" in found.advice


def test_the_report_names_faults_and_what_to_do() -> None:
    text = doctor.report(
        [Check(name="a", state="ok", found="1"), Check(name="long", state="fault", found="bad", advice="repair it")]
    )
    assert text.splitlines() == [
        "ok       a     1",
        "fault    long  bad",
        "               fix: repair it",
        "1 fault(s), 0 warning(s)",
    ]


def test_exit_status_and_json(model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", "--model-dir", str(tmp_path / "nowhere")]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["model"]["state"] == "fault"
    assert {"python", "device", "port 8000", "dcmqi", "disk", "memory"} <= set(checks)
    cli.main(["doctor", "--model-dir", str(model_dir), "--port", "8123"])
    assert models.current_version(model_dir) in capsys.readouterr().out
