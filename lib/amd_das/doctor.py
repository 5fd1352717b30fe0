"""What ``amd-das doctor`` looks at: whether an installation can segment and serve, and what to do where it cannot.

Third-party packages are imported by the checks that need them: one that is missing is a finding, not a crash.
"""

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from amd_das.errors import AmdDasError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

State = Literal["ok", "warning", "fault"]
Installed = Callable[[str], str | None]
"""Version of an installed distribution by name, None where there is none."""

PYTHON: Final = (3, 11)
"""The Python the pinned versions are for."""

REQUIREMENTS: Final = ("requirements.txt", "requirements-nodeps.txt")
"""Files with one pin a line, at the top of the checkout."""

DCMQI_TOOL: Final = "itkimage2segimage"
"""What MONAI Label turns masks into DICOM SEG with."""

INSTALL_ADVICE: Final = "at the top of the checkout run: touch requirements.txt && make setup"

GIB: Final = 2**30
MEMORY_NEEDED: Final = 2.5 * GIB
"""Peak of a server that segments a 512 × 512 × 32 scan on the CPU, bytes (ours: the limit the benchmark holds)."""

DISK_NEEDED: Final = 1.0 * GIB
"""For uploads, masks and temporary files, bytes (ours)."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str

    state: State
    """ "warning": works, but not as it should; "fault": something will not work."""

    found: str
    """What there is."""

    advice: str = ""
    """What to do; empty when all is well."""


def examine(*, model_dir: Path | None = None, port: int = 8000) -> list[Check]:
    """All checks. ``model_dir`` defaults to the shipped model's folder; ``port`` is the server's."""
    checks: dict[str, Callable[[], Check | list[Check]]] = {
        "python": check_python,
        "packages": check_pins,
        "pydicom": check_pydicom,
        "numpy": check_numpy,
        "torchvision": check_torchvision,
        "device": check_device,
        "model": lambda: check_weights(model_dir),
        f"port {port}": lambda: check_port(port),
        "dcmqi": check_dcmqi,
        "disk": lambda: check_disk(Path(tempfile.gettempdir())),
        "memory": check_memory,
    }
    return [found for name, check in checks.items() for found in run_check(name, check)]


def run_check(name: str, check: Callable[[], Check | list[Check]]) -> list[Check]:
    """What a check finds; a package that it cannot import is a fault of its own."""
    try:
        found = check()
    except ImportError as error:
        return [Check(name=name, state="fault", found=f"cannot be checked: {error}", advice=INSTALL_ADVICE)]
    return found if isinstance(found, list) else [found]


def report(checks: Sequence[Check]) -> str:
    """The checks as lines for a terminal, a summary last."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.state:<8} {check.name:<{width}}  {check.found}")
        if check.advice:
            lines.append(f"{'':<8} {'':<{width}}  fix: {check.advice}")
    faults, warnings = (sum(check.state == state for check in checks) for state in ("fault", "warning"))
    return "\n".join([*lines, f"{faults} fault(s), {warnings} warning(s)"])


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, version))
    if tuple(version[:2]) == PYTHON:
        return Check(name="python", state="ok", found=found)
    wanted = ".".join(map(str, PYTHON))
    return Check(
        name="python",
        state="fault",
        found=f"{found}, expected {wanted}",
        advice=f"install Python {wanted}, remove .venv and run: make setup PYTHON=python{wanted}",
    )


def check_pins(folder: Path | None = None, installed: Installed = installed_version) -> list[Check]:
    """Each pin of the requirement files against what is installed: one check where all fit, else one for each misfit.

    Args:
        folder: where the files lie; by default the checkout this package was installed from.
        installed: how to look a version up.
    """
    folder = folder if folder is not None else Path(__file__).resolve().parents[2]
    files = [folder / name for name in REQUIREMENTS if (folder / name).is_file()]
    if not files:
        return [
            Check(
                name="packages",
                state="warning",
                found=f"versions not compared: no {REQUIREMENTS[0]} beside the package",
                advice="run doctor from an editable install of a checkout (make setup) to compare versions",
            )
        ]
    pins = [pin for file in files for line in file.read_text().splitlines() if (pin := _pin(line))]
    misfits = [check for pin in pins if (check := _check_pin(pin, installed(pin.name)))]
    return misfits or [Check(name="packages", state="ok", found=f"{len(pins)} packages at their pinned versions")]


def _pin(line: str) -> "Requirement | None":
    """A line of a requirement file; None for comments, blank lines and options."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = line.split("#")[0].strip()
    try:
        return Requirement(text) if text and not text.startswith("-") else None
    except InvalidRequirement:
        return None


def _check_pin(pin: "Requirement", version: str | None) -> Check | None:
    """None when the pin is met or does not apply here."""
    if (pin.marker and not pin.marker.evaluate()) or (version and pin.specifier.contains(version, prereleases=True)):
        return None
    return Check(
        name=f"package {pin.name}",
        state="warning" if version else "fault",
        found=f"{version or 'not installed'}, expected {pin.specifier}",
        advice=INSTALL_ADVICE,
    )


def check_pydicom(installed: Installed = installed_version) -> Check:
    """MONAI Label's pydicom-seg imports what pydicom 3 no longer has."""
    return _below("pydicom", 3, "with pydicom 3 MONAI Label does not import", installed)


def check_numpy(installed: Installed = installed_version) -> Check:
    """pydicom-seg is built for numpy 1."""
    return _below("numpy", 2, "pydicom-seg needs numpy 1", installed)


def _below(name: str, major: int, why: str, installed: Installed) -> Check:
    version = installed(name)
    if version is not None and int(version.split(".")[0]) < major:
        return Check(name=name, state="ok", found=version)
    return Check(
        name=name,
        state="fault",
        found=f"{version or 'not installed'}, expected < {major}: {why}",
        advice=f"run: {sys.executable} -m pip install '{name}<{major}'",
    )


def check_torchvision(
    installed: Installed = installed_version, command: Sequence[str] = (sys.executable, "-c", "import torchvision")
) -> Check:
    """torchvision is not needed, and one that does not fit torch breaks what tries to import it."""
    version = installed("torchvision")
    if version is None:
        return Check(name="torchvision", state="ok", found="not installed, as it should be")
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if outcome.returncode == 0:
        return Check(name="torchvision", state="ok", found=f"{version}, fits torch")
    reason = (outcome.stderr.strip().splitlines() or ["no message"])[-1]
    return Check(
        name="torchvision",
        state="fault",
        found=f"{version} does not fit torch: {reason}",
        advice=f"nothing here needs it: {sys.executable} -m pip uninstall torchvision",
    )


def check_device() -> Check:
    """Where the network will run: a GPU that answers, or the CPU."""
    import torch

    from amd_das.hardware import default_device, has_bf16

    device = default_device()
    if device.type == "cuda":
        return check_gpu(torch.cuda.get_device_name(), lambda: torch.ones(1, device=device).sum().item())
    return check_cpu(torch.get_num_threads(), bfloat16=has_bf16(device))


def check_gpu(name: str, probe: Callable[[], object]) -> Check:
    """A GPU by the name it gives; ``probe`` computes something on it."""
    try:
        probe()
    except RuntimeError as error:
        return Check(
            name="device",
            state="fault",
            found=f"{name} does not compute: {(str(error).splitlines() or [type(error).__name__])[0]}",
            advice="update the GPU's driver or install the torch build for it; until then set CUDA_VISIBLE_DEVICES=''",
        )
    return Check(name="device", state="ok", found=name)


def check_cpu(threads: int, *, bfloat16: bool) -> Check:
    """A CPU with so many threads, that does or does not multiply bfloat16 in hardware."""
    found = f"CPU, {threads} thread(s)"
    if bfloat16:
        return Check(name="device", state="ok", found=f"{found}, with bfloat16 instructions")
    return Check(
        name="device",
        state="warning",
        found=f"{found}, without bfloat16 instructions",
        advice="segmentation works but takes about three times as long as on a CPU with bfloat16",
    )


def check_weights(model_dir: Path | None = None) -> Check:
    """The model in use: there, whole, and what it says it is."""
    from amd_das.models import load_current

    try:
        info = load_current(model_dir).info
    except (AmdDasError, OSError) as error:
        return Check(
            name="model",
            state="fault",
            found=str(error),
            advice="restore the shipped weights (git checkout -- model), or name a folder with --model-dir",
        )
    return Check(name="model", state="ok", found=f"{info.name} {info.version}, SHA-256 {info.checksum[:12]}...")


def check_port(port: int, host: str = "127.0.0.1") -> Check:
    """Whether the server could listen."""
    name = f"port {port}"
    if not 0 < port < 65536:
        return Check(name=name, state="fault", found="no such port", advice="choose one from 1024 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return Check(
                    name=name,
                    state="warning",
                    found="in use",
                    advice="fine if that is this server already running; else: make serve PORT=8001",
                )
            return Check(
                name=name,
                state="fault",
                found=f"cannot be opened: {error.strerror}",
                advice="choose a port above 1023: make serve PORT=8001",
            )
    return Check(name=name, state="ok", found="free")


def check_dcmqi(beside: Path | None = None, path: str | None = None) -> Check:
    """dcmqi's converter beside the interpreter or on PATH; MONAI Label would else try to download it at start.

    Args:
        beside: folder of the interpreter's scripts; by default this interpreter's.
        path: folders to search after it; by default ``$PATH``.
    """
    beside = beside if beside is not None else Path(sys.executable).parent
    path = path if path is not None else os.environ.get("PATH", "")
    tool = shutil.which(DCMQI_TOOL, path=os.pathsep.join([str(beside), path]))
    if tool:
        return Check(name="dcmqi", state="ok", found=tool)
    return Check(
        name="dcmqi",
        state="fault",
        found=f"{DCMQI_TOOL} is neither beside {sys.executable} nor on PATH",
        advice=f"run: {sys.executable} -m pip install dcmqi",
    )


def check_disk(folder: Path, free: float | None = None) -> Check:
    """Room for uploads and results; ``free`` is in bytes, by default measured."""
    free = free if free is not None else shutil.disk_usage(folder).free
    return _room("disk", f"free in {folder}", free, DISK_NEEDED, "free some space, or set TMPDIR to a larger disk")


def check_memory(available: float | None = None) -> Check:
    """Memory that can be had now; ``available`` is in bytes, by default measured."""
    if available is None:
        import psutil

        available = psutil.virtual_memory().available
    return _room("memory", "available", available, MEMORY_NEEDED, "close other programs, or use a larger machine")


def _room(name: str, what: str, room: float, needed: float, advice: str) -> Check:
    """ "fault" with less than half of what is needed, "warning" with less than all."""
    found = f"{room / GIB:.1f} GiB {what}"
    if room >= needed:
        return Check(name=name, state="ok", found=found)
    return Check(
        name=name,
        state="warning" if room >= needed / 2 else "fault",
        found=f"{found}, expected at least {needed / GIB:.1f} GiB",
        advice=advice,
    )
