"""A series over WADO-RS into files, piece by piece, whole or not at all."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import requests
from pydicom import dcmread

from amd_das.errors import PacsError, TooLargeError
from amd_das.pacs.config import PacsConfig
from amd_das.pacs.connection import in_our_words, status_error
from amd_das.pacs.multipart import MultipartError, boundary_of, split_parts
from amd_das.pacs.series import SeriesInfo

_CHUNK: Final = 2**18
_ACCEPT: Final = (
    'multipart/related; type="application/dicom"; transfer-syntax=*',  # as stored: nothing is decoded on the way
    'multipart/related; type="application/dicom"',
)
_NOT_ACCEPTED: Final = (400, 406, 415)


def fetch_series(session: requests.Session, config: PacsConfig, series: SeriesInfo, folder: Path) -> list[Path]:
    """See :meth:`amd_das.pacs.dicomweb.DicomWeb.fetch`."""
    folder.mkdir(mode=0o700, parents=True)
    try:
        with in_our_words(config, f"{series.case_id}"):
            files = _receive(session, config, series, folder)
        _check(files, config, series)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return files


def _receive(session: requests.Session, config: PacsConfig, series: SeriesInfo, folder: Path) -> list[Path]:
    url = f"{config.root}/studies/{series.study_uid}/series/{series.series_uid}"
    for accept in _ACCEPT:
        with session.get(url, headers={"Accept": accept}, stream=True) as response:
            if response.status_code in _NOT_ACCEPTED and accept != _ACCEPT[-1]:
                continue
            if response.status_code != 200:
                raise status_error(config, response.status_code, f"{series.case_id}")
            return _save(response, config, series, folder)
    raise AssertionError("unreachable")


def _save(response: Any, config: PacsConfig, series: SeriesInfo, folder: Path) -> list[Path]:
    kind = response.headers.get("Content-Type", "")
    files: list[Path] = []
    with ExitStack() as opened:
        file: IO[bytes] | None = None
        try:
            chunks = _limited(response, config, series)
            single = kind.split(";")[0].strip().lower() == "application/dicom"  # against the standard, but seen
            pieces = ((0, chunk) for chunk in chunks) if single else split_parts(chunks, boundary_of(kind))
            for number, piece in pieces:
                if number >= len(files):
                    if len(files) == config.max_series_files:
                        raise TooLargeError(
                            f"{series.case_id} has more than {config.max_series_files} instances, the most accepted"
                        )
                    opened.pop_all().close()
                    files.append(folder / f"{len(files) + 1:05d}.dcm")
                    file = opened.enter_context(_private(files[-1]))
                assert file is not None
                file.write(piece)
        except MultipartError as error:
            raise PacsError(
                f"the PACS at {config.shown} did not send {series.case_id} whole: {error}; try again"
            ) from error
    return files


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _limited(response: Any, config: PacsConfig, series: SeriesInfo) -> Iterator[bytes]:
    """The body in pieces, no more and no longer than allowed."""
    total, started = 0, time.monotonic()
    for chunk in response.iter_content(_CHUNK):
        total += len(chunk)
        if total > config.max_series_bytes:
            limit = f"{config.max_series_bytes / 2**20:.0f} MiB"
            raise TooLargeError(f"{series.case_id} is larger than {limit}, the most accepted here")
        if time.monotonic() - started > config.fetch_timeout_s:
            raise requests.Timeout(f"longer than {config.fetch_timeout_s:g} s")
        yield chunk


def _check(files: list[Path], config: PacsConfig, series: SeriesInfo) -> None:
    """Raises PacsError unless the files are this series, each instance once, as many as announced."""
    where = f"the PACS at {config.shown}"
    if len(files) != (series.instances or len(files)) or not files:
        raise PacsError(
            f"{where} sent {len(files)} of the {series.instances} instances of {series.case_id}; it may still be "
            "receiving them, so try again in a while"
        )
    instances = set()
    for file in files:
        try:
            header = dcmread(file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "SOPInstanceUID"])
            uid, instance = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
        except Exception as error:  # pydicom raises whatever a broken file provokes
            raise PacsError(f"{where} sent something for {series.case_id} that is not DICOM") from error
        if uid != series.series_uid:
            raise PacsError(f"{where} sent another series than {series.case_id}, which was asked for")
        instances.add(instance)
    if len(instances) != len(files):
        raise PacsError(f"{where} sent instances of {series.case_id} twice; try again")
