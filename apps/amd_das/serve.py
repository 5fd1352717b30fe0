"""Start the server: ``python apps/amd_das/serve.py --studies DIR [--host HOST] [--port PORT] [--conf source DIR]``."""

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

APP_DIR = Path(__file__).resolve().parent


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line; what is not given comes from AMD_DAS_HOST and AMD_DAS_PORT."""
    parser = argparse.ArgumentParser(description="Serve head CT segmentation to 3D Slicer, OHIF and REST clients.")
    parser.add_argument("--studies", required=True, help="folder of .nii.gz, .nii or .nrrd scans, or a DICOMweb URL")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (8000)")
    parser.add_argument(
        "--conf",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="source DIR: labelled FLAIR MRI to train from (phantoms if none is named)",
    )
    parser.add_argument(
        "--no-auth",
        action="store_true",
        help="nobody has to log in: everybody who can reach the server may read all scans, change and remove labels, "
        "start and stop trainings, and put models to use",
    )
    return parser.parse_args(arguments)


def fail(message: str) -> int:
    """One line to the terminal, and the exit status."""
    sys.stderr.write(f"cannot start: {message}\n")
    return 2


def check_studies(studies: str) -> str:
    """The folder as an absolute path, or the URL; raises ValueError with what to do."""
    if studies.startswith(("http://", "https://")):
        if not urlsplit(studies).hostname:
            raise ValueError(f"{studies} is no address; expected one such as http://127.0.0.1:8042/dicom-web")
        if "@" in urlsplit(studies).netloc:
            raise ValueError("the PACS address holds a password; set AMD_DAS_PACS_USERNAME and AMD_DAS_PACS_PASSWORD")
        return studies.rstrip("/")
    folder = Path(studies).expanduser()
    if not folder.is_dir():
        raise ValueError(f"the studies folder {studies} does not exist; make it, or say make serve STUDIES=<folder>")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"the studies folder {studies} is read-only; labels are saved into it, so make it writable")
    return str(folder.resolve())


def check_conf(pairs: Sequence[Sequence[str]]) -> dict[str, str]:
    """The app's configuration, folders as absolute paths; raises ValueError with what to do."""
    conf = dict(pairs)
    if unknown := sorted(conf.keys() - {"source"}):
        raise ValueError(f"unknown --conf {', '.join(unknown)}; known: source")
    if source := conf.get("source"):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ValueError(f"the source folder {source} does not exist; --conf source names labelled FLAIR MRI")
        conf["source"] = str(folder.resolve())
    return conf


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises OSError when the address is taken or not this machine's."""
    choices = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = choices[0]
    server = socket.socket(family, kind, protocol)  # asyncio sends small answers at once only if told it is TCP
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what can be checked quickly, then load and serve; returns the exit status."""
    given = parse_arguments(arguments)
    for name, value in (("AMD_DAS_HOST", given.host), ("AMD_DAS_PORT", given.port)):
        if value is not None:
            os.environ[name] = str(value)
    if given.no_auth:
        os.environ["AMD_DAS_AUTH"] = "off"
    try:
        studies = check_studies(given.studies)
        conf = check_conf(given.conf)
    except ValueError as error:
        return fail(str(error))
    host, port = os.environ.get("AMD_DAS_HOST", "127.0.0.1"), os.environ.get("AMD_DAS_PORT", "8000")
    try:
        server = listen(host, int(port))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no number"
        return fail(f"{host} port {port}: {reason}; stop what is using it, or say make serve PORT=<another>")
    os.environ["AMD_DAS_PORT"] = str(server.getsockname()[1])

    os.environ["MONAI_LABEL_APP_DIR"] = str(APP_DIR)
    os.environ["MONAI_LABEL_STUDIES"] = studies
    os.environ["MONAI_LABEL_APP_CONF"] = json.dumps(conf)
    os.environ["MONAI_LABEL_SERVER_PORT"] = os.environ["AMD_DAS_PORT"]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(APP_DIR)]))
    os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    logging.basicConfig(level=logging.INFO, format="{asctime} {levelname} {name}: {message}", style="{")
    logging.getLogger().handlers[0].setLevel(logging.WARNING)  # the rest is shown by GET /logs/
    sys.stderr.write("loading …\n")
    from amd_das.errors import ConfigError
    from amd_das_app.access.start import check_exposure, make_access_control
    from amd_das_app.launch import check_certificate, run
    from amd_das_app.settings import server_settings

    try:
        settings = server_settings()
        check_certificate(settings)
        check_exposure(make_access_control(settings), settings.host)
    except ConfigError as error:
        return fail(str(error))
    return run(server, settings)


if __name__ == "__main__":
    sys.exit(main())
