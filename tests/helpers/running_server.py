"""The real server in a process of its own, on a free loopback port, with folders of its own."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

APP_DIR = Path(__file__).resolve().parents[2] / "apps" / "amd_das"
START_SECONDS = 120.0


class RunningServer:
    """Starts on construction; ``close()`` stops it."""

    def __init__(self, folder: Path, model_dir: Path, command: Sequence[str], settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.studies = folder / "studies"
        self.temporary = folder / "tmp"
        self.sessions = folder / "sessions"
        for path in (self.studies, self.temporary, self.sessions):
            path.mkdir(parents=True, exist_ok=True)
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("AMD_DAS_", "MONAI_LABEL_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={
                **inherited,
                "AMD_DAS_MODEL_DIR": str(model_dir),
                "AMD_DAS_RUNS_DIR": str(folder / "runs"),
                "AMD_DAS_SCORE_AFTER": "86400",  # a test that wants scores says so
                "AMD_DAS_CACHE_DIR": str(folder / "cache"),
                "MONAI_LABEL_SESSION_PATH": str(self.sessions),
                "TMPDIR": str(self.temporary),
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(iter(self.process.stdout.readline, ""))

    @property
    def log(self) -> str:
        """Everything it has printed."""
        return "".join(self.output)

    def wait_until_ready(self, url: str | None = None) -> "RunningServer":
        """Until it answers; ``url`` is read from its greeting where none is given."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = url or next(iter(re.findall(r"browser +(https?://\S+?)/\n", self.log)), None)
            if found:
                try:
                    answer = requests.get(f"{found}/info/", timeout=30)
                    if answer.status_code != 401:  # a server with users answers too
                        answer.raise_for_status()
                except requests.ConnectionError:
                    pass
                else:
                    self.url = found
                    return self
            time.sleep(0.1)
        self.close()
        raise RuntimeError(f"the server did not start:\n{self.log}")

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request; ``path`` starts with a slash."""
        return requests.request(method, self.url + path, timeout=120, **options)

    def infer(self, *, image: str = "", params: str = "{}", output: str = "json", **options: Any) -> requests.Response:
        """POST /infer/amd_das."""
        query = {"image": image, "output": output, **options.pop("query", {})}
        return self.request("POST", "/infer/amd_das", params=query, data={"params": params}, **options)

    def leftovers(self) -> list[str]:
        """Files and folders in its temporary folder that requests made."""
        kept = ("torchinductor", "pymp-", "hsperf")
        return sorted(path.name for path in self.temporary.iterdir() if not path.name.startswith(kept))

    def close(self) -> int:
        """Stop it, as Ctrl+C does; returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        return self.process.returncode


def start_server(folder: Path, model_dir: Path, *, studies: str = "", **settings: str) -> RunningServer:
    """Through ``serve.py``, as ``make serve`` does; ``studies`` is a DICOMweb address in place of a folder."""
    command = [str(APP_DIR / "serve.py"), "--studies", studies or str(folder / "studies"), "--port", "0"]
    return RunningServer(folder, model_dir, command, settings)
