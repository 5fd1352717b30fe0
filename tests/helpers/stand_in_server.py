"""The server as ``serve.py`` starts it, but for what a training job runs: :mod:`helpers.stand_in_training`."""

import socket
import sys
from pathlib import Path

HELPERS = Path(__file__).resolve().parent
APP_DIR = HELPERS.parents[1] / "apps" / "amd_das"
MANNERS = {"shipped": "slow", "adapt": "slow", "renew": "slow", "smoke": "quick", "paper": "fail"}
"""How the stand-in behaves, by the preset that is asked for."""


def main() -> int:
    sys.path.insert(0, str(APP_DIR))
    import serve
    from amd_das_app import launch
    from amd_das_app.settings import ServerSettings

    run = launch.run

    def run_with_stand_ins(listener: socket.socket, settings: ServerSettings) -> int:
        from amd_das_app.training.tasks import Training, TrainParams  # not before the environment is prepared

        def command(self: Training, until: str, params: TrainParams, progress: Path) -> list[str]:
            script = [sys.executable, "-I", str(HELPERS / "stand_in_training.py"), MANNERS[params.preset]]
            return [*script, "--workdir", str(self.folder), "--progress-file", str(progress)]

        Training.command = command  # type: ignore[method-assign]
        Training.check = lambda self, params: None  # type: ignore[method-assign]
        return run(listener, settings)

    launch.run = run_with_stand_ins
    return serve.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
