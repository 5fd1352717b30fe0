"""A sample PACS and the server before it: ``make serve-pacs``. Stops both together.

Orthanc listens for this machine alone, with its data in ``runs/sample-pacs``; the first start fills it with
computer-made head CTs.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

APP_DIR = Path(__file__).resolve().parent
CHECKOUT = APP_DIR.parents[1]
sys.path.insert(0, str(APP_DIR))

from amd_das_app.pacs.orthanc import Orthanc, OrthancConfig, free_port, is_free, missing  # noqa: E402

HTTP_PORT, DICOM_PORT = 8042, 4242
LISTENER = ("AMDDAS", "127.0.0.1", 11112)
"""AE title, host and port of ``amd-das listen``, known to Orthanc as "amddas"."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line; ports that are taken are replaced by free ones, unless they are asked for here."""
    parser = argparse.ArgumentParser(description="Start a sample PACS (Orthanc) and the server that uses it.")
    parser.add_argument("--host", default="127.0.0.1", help="address the server listens on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="its TCP port (%(default)s)")
    parser.add_argument("--pacs-port", type=int, help=f"Orthanc's HTTP port ({HTTP_PORT}, or a free one)")
    parser.add_argument("--dicom-port", type=int, help=f"Orthanc's DICOM port ({DICOM_PORT}, or a free one)")
    parser.add_argument("--samples", type=int, default=3, help="head CTs to fill it with, once (%(default)s)")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "runs" / "sample-pacs", help="data (%(default)s)")
    parser.add_argument("--no-auth", action="store_true", help="nobody has to log in: see serve.py --help")
    return parser.parse_args(arguments)


def choose_port(asked: int | None, usual: int) -> int:
    """The port that was asked for, else the usual one, else a free one."""
    return asked or (usual if is_free(usual) else free_port())


def fill(orthanc: Orthanc, count: int, folder: Path) -> int:
    """Store computer-made head CTs, made once in ``folder``, unless there are series already; returns how many."""
    from pydicom import dcmread

    from amd_das.pacs.dicomweb import DicomWeb, PacsConfig
    from amd_das.phantom.files import write_cases

    pacs = DicomWeb(PacsConfig(url=orthanc.url))
    if count < 1 or pacs.ct_series():
        return 0
    sys.stderr.write(f"making {count} sample series: about {15 * count} s, once …\n")
    for path in write_cases(count=count, kind="ct", format="dicom", seed=4, directory=folder, resume=True):
        pacs.store([dcmread(file) for file in sorted(path.iterdir())])
    return count


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl+C does, so that both servers are stopped; also in the background of a shell."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(orthanc: Orthanc, host: str, port: int, *, no_auth: bool) -> int:
    """Run the server until it ends or is interrupted; returns its exit status, 0 after an interruption."""
    command = [str(APP_DIR / "serve.py"), "--studies", orthanc.url, "--host", host, "--port", str(port)]
    command += ["--no-auth"] if no_auth else []
    server = subprocess.Popen([sys.executable, *command], start_new_session=True)  # signals come from here alone
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        try:
            server.wait(60)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()
            server.wait()
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Start Orthanc, fill it, serve, stop; returns the exit status."""
    args = parse_arguments(arguments)
    if lacking := missing():
        sys.stderr.write(f"cannot start: {lacking}\n")
        return 2
    args.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = OrthancConfig(
        folder=args.folder.resolve() / "orthanc",
        http_port=choose_port(args.pacs_port, HTTP_PORT),
        dicom_port=choose_port(args.dicom_port, DICOM_PORT),
        modalities={"amddas": LISTENER},
    )
    with stopped_by_signals(), contextlib.suppress(KeyboardInterrupt):
        orthanc = Orthanc(config)
        try:
            orthanc.wait_until_ready()
            fill(orthanc, args.samples, args.folder / "samples")
            sys.stderr.write(
                f"sample PACS: DICOMweb {orthanc.url}, DICOM {config.aet} on 127.0.0.1 port {config.dicom_port}\n"
            )
            return serve(orthanc, args.host, args.port, no_auth=args.no_auth)
        except RuntimeError as error:
            sys.stderr.write(f"cannot start: {error}\n")
            return 2
        finally:
            orthanc.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
