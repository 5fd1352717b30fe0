"""The DICOMweb client against servers that misbehave; a real one is in tests/integration."""

import json
import logging
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from helpers.dicom_series import ct_slice, save
from helpers.odd_pacs import SERIES, STUDY, Reply, as_json, odd_pacs, series_item
from pydicom.dataset import Dataset

from amd_das.errors import (
    AmdDasError,
    ConfigError,
    NotFoundError,
    PacsCredentialsError,
    PacsError,
    PacsUnreachableError,
    TooLargeError,
)
from amd_das.pacs.connection import open_session
from amd_das.pacs.dicomweb import DicomWeb, PacsConfig, SeriesInfo
from amd_das.pacs.series import holds_slices, is_uid, references
from amd_das.pacs.storing import reason


def client(url: str, **options: float) -> DicomWeb:
    return DicomWeb(PacsConfig(url=url, **{"timeout_s": 1.0} | options))  # type: ignore[arg-type]


def info(instances: int = 2) -> SeriesInfo:
    return SeriesInfo(study_uid=STUDY, series_uid=SERIES, modality="CT", instances=instances)


def dicom_bytes(tmp_path: Path, series_uid: str = SERIES) -> bytes:
    dataset = ct_slice(np.zeros((4, 4), np.int16), series_uid=series_uid)
    dataset.StudyInstanceUID = STUDY
    return save(dataset, tmp_path / "one.dcm").read_bytes()


def _always(reply: Reply, method: str, path: str) -> Reply:
    return reply


def multipart(*parts: bytes) -> Reply:
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--"
    return Reply(body=body, kind='multipart/related; type="application/dicom"; boundary=b')


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (Reply(status=401), PacsCredentialsError, "no credentials"),
        (Reply(status=403), PacsCredentialsError, "AMD_DAS_PACS_TOKEN"),
        (Reply(status=500), PacsError, "HTTP 500"),
        (Reply(status=503), PacsUnreachableError, "busy"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:9/x"}), PacsError, "sends elsewhere"),
        (Reply(body=b"<html>hello</html>", kind="text/html"), PacsError, "no DICOM JSON"),
        (Reply(body=b'[["odd"]]'), PacsError, "no DICOM JSON"),
        (Reply(wait=5), PacsUnreachableError, "did not answer within 1 s|unreachable"),
        (Reply(status=404), NotFoundError, "404"),
    ],
)
def test_failures_are_told_apart(reply: Reply, error: type[AmdDasError], says: str) -> None:
    with odd_pacs(lambda method, path: reply) as (url, _), pytest.raises(error, match=says) as caught:
        client(url).ct_series()
    assert type(caught.value) is error


def test_reads_are_repeated_and_stores_are_not() -> None:
    replies = iter([Reply(status=503), as_json(series_item()), Reply()])
    with odd_pacs(lambda method, path: next(replies)) as (url, asked):
        assert [one.series_uid for one in client(url).ct_series()] == [SERIES]
        assert len(asked) == 3
    with odd_pacs(lambda method, path: Reply(status=503)) as (url, asked):
        with pytest.raises(PacsUnreachableError):
            client(url).store([_named()])
        assert [one.split("?")[0] for one in asked] == ["POST /dicom-web/studies"]


def _named() -> Dataset:
    return ct_slice(np.zeros((2, 2), np.int16), series_uid=SERIES)


def test_a_list_that_heeds_no_offset_ends() -> None:
    with odd_pacs(lambda method, path: as_json(series_item(), series_item("1.2.3.9"))) as (url, asked):
        assert len(client(url).ct_series()) == 2
        assert len(asked) == 2


def test_a_pacs_that_ignores_filters_is_filtered_here() -> None:
    items = [series_item(), series_item("1.2.3.7", **{"00080060": "MR"}), {"0020000E": "no uid"}, {}]
    with odd_pacs(lambda method, path: as_json(*items)) as (url, _):
        pacs = client(url)
        assert [one.series_uid for one in pacs.ct_series()] == [SERIES]
        assert pacs.find_series("1.2.3.7").modality == "MR"
        with pytest.raises(NotFoundError):
            pacs.find_series("1.2.3.8")


def test_instances_are_counted_where_the_pacs_does_not_say() -> None:
    def answer(method: str, path: str) -> Reply:
        if "/instances" in path:
            offset = int(parse_qs(urlsplit(path).query)["offset"][0])
            return as_json(*({"00080018": f"1.2.{number}"} for number in range(3))) if offset == 0 else Reply()
        return as_json({key: value for key, value in series_item().items() if key != "00201209"})

    with odd_pacs(answer) as (url, _):
        assert client(url).find_series(SERIES).instances == 3


def test_only_files_that_are_whole_and_of_this_series_are_kept(tmp_path: Path) -> None:
    one = dicom_bytes(tmp_path)
    other = dicom_bytes(tmp_path)
    foreign = dicom_bytes(tmp_path, "9.9.9")
    cases: list[tuple[Reply, type[AmdDasError], str]] = [
        (multipart(one), PacsError, "1 of the 2 instances"),
        (multipart(one, other, foreign), PacsError, "3 of the 2 instances"),
        (multipart(one, foreign), PacsError, "another series"),
        (multipart(one, one), PacsError, "twice"),
        (multipart(one, b"no dicom"), PacsError, "not DICOM"),
        (Reply(body=multipart(one, other).body[:-4], kind=multipart().kind), PacsError, "breaks off"),
        (Reply(body=b"PK", kind="application/zip"), PacsError, "expected multipart"),
        (Reply(status=404), NotFoundError, "has no series-"),
    ]
    cut = multipart(one, other)
    cut.cut = 100
    cases.append((cut, PacsUnreachableError, "unreachable"))
    for reply, error, says in cases:
        answer = partial(_always, reply)
        with odd_pacs(answer) as (url, _), pytest.raises(error, match=says):
            client(url).fetch(info(), tmp_path / "series")
        assert not (tmp_path / "series").exists(), says
    with odd_pacs(lambda method, path: multipart(one, other)) as (url, _):
        assert len(client(url).fetch(info(), tmp_path / "series")) == 2
        with pytest.raises(TooLargeError):
            client(url, max_series_bytes=100).fetch(info(), tmp_path / "large")


def test_a_server_without_wildcard_syntax_is_asked_again(tmp_path: Path) -> None:
    one = dicom_bytes(tmp_path)
    replies = iter([Reply(status=406), multipart(one)])
    with odd_pacs(lambda method, path: next(replies)) as (url, _):
        assert len(client(url).fetch(info(1), tmp_path / "series")) == 1
    with odd_pacs(lambda method, path: Reply(body=one, kind="application/dicom")) as (url, _):
        assert len(client(url).fetch(info(1), tmp_path / "single")) == 1


@pytest.mark.parametrize("status", [202, 409])
def test_what_was_not_stored_is_said_with_the_reason(status: int) -> None:
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}
    reply = Reply(status=status, body=json.dumps(failed).encode())
    with odd_pacs(lambda method, path: reply) as (url, _), pytest.raises(PacsError) as caught:
        client(url).store([_named()])
    assert "object 1: it does not match its kind of object (0xa900)" in str(caught.value)
    assert reason(0x0122).startswith("its kind of object is not supported")
    assert reason(7) == "refused (0x0007)"


def test_credentials_are_sent_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), odd_pacs(lambda method, path: Reply(status=401)) as (url, _):
        for options in ({"username": "us", "password": "secret"}, {"token": "secret"}):
            config = PacsConfig(url=url, **options)
            assert "secret" not in repr(config)
            with pytest.raises(PacsCredentialsError) as caught:
                DicomWeb(config).ct_series()
            assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text
    assert "c2VjcmV0" not in caplog.text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "ftp://x"}, "expected one such as"),
        ({"url": "http://"}, "expected one such as"),
        ({"url": "http://us:secret@host/x"}, "settings of their own"),
        ({"url": "http://x", "username": "us"}, "only one of them"),
        ({"url": "http://x", "username": "us", "password": "p", "token": "t"}, "set one of them"),
        ({"url": "http://x", "timeout_s": 0}, "above 0"),
    ],
)
def test_impossible_settings_are_refused(options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        PacsConfig(**options)
    assert "secret" not in str(caught.value)


def test_a_netrc_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login us password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    session = open_session(PacsConfig(url="http://127.0.0.1/x"))
    prepared = session.prepare_request(requests.Request("GET", "http://127.0.0.1/x"))
    assert "Authorization" not in prepared.headers


def test_priors_need_a_patient_and_exact_equality() -> None:
    study = {"0020000D": STUDY, "00100020": "P1", "00080020": "20250303", "00080030": "100000"}
    other = {"0020000D": "1.9.1", "00100020": "P12", "00080020": "20250101", "00080030": "100000"}
    with odd_pacs(lambda method, path: as_json(study, other) if "/studies?" in path else Reply()) as (url, asked):
        assert client(url).prior_reports(info()) == []
        assert not any("1.9.1" in one for one in asked), "another patient's study was looked into"
    wild = study | {"00100020": "*"}
    with odd_pacs(lambda method, path: as_json(wild, other) if "/studies?" in path else Reply()) as (url, asked):
        assert client(url).prior_reports(info()) == []
        assert not any("PatientID=%2A" in one or "PatientID=*" in one for one in asked)


def test_localizers_are_told_by_what_qido_tells() -> None:
    axial, scout = {"00080008": {"Value": ["ORIGINAL", "PRIMARY", "AXIAL"]}}, {"00080008": {"Value": ["LOCALIZER"]}}
    assert holds_slices(info(), [scout, axial])
    assert not holds_slices(info(), [scout, scout])
    assert holds_slices(info(), [])
    named = SeriesInfo(study_uid=STUDY, series_uid=SERIES, description="Scout_lateral", instances=1)
    assert not holds_slices(named, [axial])


def test_references_of_a_seg_and_of_a_report() -> None:
    series = {"0020000E": {"Value": [SERIES]}}
    seg = {"00081115": {"Value": [series]}}
    assert list(references(seg)) == [SERIES]
    assert list(references({"0040A375": {"Value": [seg]}})) == [SERIES]
    assert list(references({})) == []
    assert [is_uid(text) for text in ("1.2.3", "1", "", "1.2.x", "../1.2", "1." * 40)] == [True, *[False] * 5]
