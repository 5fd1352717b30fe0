"""This installation: ``doctor``."""

import argparse
import json
from dataclasses import asdict

from amd_das.cli.console import DONE, SOME_FAILED, say
from amd_das.cli.options import MODEL_DIR, VERBOSE, Commands


def add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        parents=[VERBOSE, MODEL_DIR],
        help="check this installation",
        description="Check this installation and say what to do about each fault. Exit status 1 if there is one.",
    )
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    doctor.add_argument("--port", type=int, default=8000, metavar="PORT", help="the server's port (%(default)s)")
    doctor.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from amd_das.doctor import examine, report

    checks = examine(model_dir=args.model_dir, port=args.port)
    say(json.dumps([asdict(check) for check in checks], indent=2) if args.json else report(checks))
    return SOME_FAILED if any(check.state == "fault" for check in checks) else DONE
