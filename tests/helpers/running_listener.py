"""``amd-das listen`` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from amd_das.listener.sending import Node

START_SECONDS = 90.0


class RunningListener:
    """Starts on construction and waits until it listens; ``kill()`` is kill -9, ``close()`` an orderly stop."""

    def __init__(self, spool: Path, model_dir: Path, destination: Node, *options: str) -> None:
        command = [sys.executable, "-m", "amd_das.cli", "listen", "--spool", str(spool), "--model-dir", str(model_dir)]
        command += ["--destination", str(destination), "--allow", "ROUTER", "--port", "0", "--device", "cpu", *options]
        self.process = subprocess.Popen(
            command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"listens on 127\.0\.0\.1 port (\d+)", self.log)):
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.kill()
                raise RuntimeError(f"the listener did not start:\n{self.log}")
            time.sleep(0.05)
        self.port = int(found[1])

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(iter(self.process.stdout.readline, ""))

    @property
    def log(self) -> str:
        """Everything it has printed."""
        return "".join(self.output)

    def kill(self) -> None:
        """At once, without a chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)

    def close(self, number: int = signal.SIGTERM) -> int:
        """As Ctrl+C or the system does; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)
        self._reader.join(5)
        return self.process.returncode
