"""A small PACS on this machine alone: Orthanc with its DICOMweb plugin, configured into a folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

INSTALL_HINT: Final = "apt-get install orthanc orthanc-dicomweb"
START_SECONDS: Final = 60.0
_PROGRAMS: Final = ("/usr/sbin/Orthanc", "/usr/bin/Orthanc")
_PLUGINS: Final = (
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "/usr/lib/orthanc/libOrthancDicomWeb.so",
    "/usr/local/share/orthanc/plugins/libOrthancDicomWeb.so",
)


@dataclass(frozen=True, kw_only=True)
class OrthancConfig:
    """One Orthanc, reachable from this machine only."""

    folder: Path
    """Configuration, images and log; made with mode 0700."""

    http_port: int
    dicom_port: int
    aet: str = "ORTHANC"

    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """User name → password; empty for none asked."""

    modalities: Mapping[str, tuple[str, str, int]] = field(default_factory=dict)
    """Its DICOM neighbours: name → (AE title, host, port)."""

    stable_seconds: int = 5
    """Seconds without a new instance after which Orthanc calls a series complete."""

    @property
    def url(self) -> str:
        """Root of its DICOMweb service."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"


def find_program() -> Path | None:
    """Orthanc's executable, None where it is not installed."""
    found = shutil.which("Orthanc")
    return next((Path(path) for path in (found, *_PROGRAMS) if path and Path(path).is_file()), None)


def find_plugin() -> Path | None:
    """Its DICOMweb plugin, None where it is not installed."""
    return next((Path(path) for path in _PLUGINS if Path(path).is_file()), None)


def missing() -> str:
    """What has to be installed and how; empty when all is there."""
    lacking = [
        name for name, found in (("Orthanc", find_program()), ("its DICOMweb plugin", find_plugin())) if not found
    ]
    return f"{' and '.join(lacking)} not found; install with: {INSTALL_HINT}" if lacking else ""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def configuration(config: OrthancConfig) -> dict[str, Any]:
    """Orthanc's own settings; other machines are refused over HTTP and over DICOM."""
    return {
        "Name": "AMD-DAS sample PACS",
        "StorageDirectory": str(config.folder / "images"),
        "IndexDirectory": str(config.folder / "images"),
        "Plugins": [str(find_plugin())],
        "HttpPort": config.http_port,
        "HttpBindAddresses": ["127.0.0.1"],  # newer versions; older ones refuse other machines after the connection
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": bool(config.users),
        "RegisteredUsers": dict(config.users),
        "DicomAet": config.aet,
        "DicomPort": config.dicom_port,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomCheckModalityHost": True,
        "DicomModalities": {
            name: {"AET": aet, "Host": host, "Port": port, "AllowEcho": True, "AllowStore": True}
            for name, (aet, host, port) in config.modalities.items()
        },
        "OverwriteInstances": False,
        "StableAge": config.stable_seconds,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Host": "127.0.0.1", "Ssl": False},
    }


class Orthanc:
    """Starts on construction; ``close()`` stops it. What it holds stays in its folder.

    Raises:
        RuntimeError: not installed, or it ends at once; the message says what to do.
    """

    def __init__(self, config: OrthancConfig) -> None:
        if lacking := missing():
            raise RuntimeError(lacking)
        self.config = config
        config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config.folder.chmod(0o700)
        file = config.folder / "orthanc.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(configuration(config), indent=2))
        self.log = config.folder / "orthanc.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(find_program()), str(file)],
                cwd=config.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if not key.startswith("AMD_DAS_")},
                start_new_session=True,  # Ctrl+C in a terminal is for whoever started it to pass on
                umask=0o077,
            )

    @property
    def url(self) -> str:
        """Root of its DICOMweb service."""
        return self.config.url

    def wait_until_ready(self) -> "Orthanc":
        """Until it answers over HTTP; raises RuntimeError when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                direct.open(f"{self.url}/series?limit=1", timeout=5).close()
            except urllib.error.HTTPError:
                return self  # it asks for a password, so it is there
            except OSError:
                time.sleep(0.05)
            else:
                return self
        self.close()
        tail = "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-5:])
        raise RuntimeError(f"Orthanc did not start; the end of {self.log}:\n{tail}")

    def kill(self) -> None:
        """As a power cut does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Stop it in order, or by force after ten seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
