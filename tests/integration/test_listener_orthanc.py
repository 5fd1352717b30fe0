"""Orthanc as the router that sends and as the PACS that takes: another implementation of DICOM on both ends."""

from pathlib import Path

import pytest
from helpers.dicom_nodes import send_series, wait_for
from helpers.running_listener import RunningListener
from helpers.running_orthanc import Orthanc, head_series, rest, web

from amd_das.listener.sending import Node
from amd_das.pacs.series import SeriesInfo

pytestmark = pytest.mark.integration


def introduce(listener: RunningListener, orthanc: Orthanc) -> None:
    """Make Orthanc know the listener."""
    node = {"AET": "AMDDAS", "Host": "127.0.0.1", "Port": listener.port}
    rest(orthanc, "PUT", "/modalities/amd-das", json=node).raise_for_status()


def test_the_report_tells_the_change_since_an_earlier_ct(tmp_path: Path, model_dir: Path, orthanc: Orthanc) -> None:
    pacs = web(orthanc)
    destination = Node(aet="ORTHANC", host="127.0.0.1", port=orthanc.config.dicom_port)
    options = ("--allow", "ORTHANC", "--quiet", "0.5", "--quiet-broken", "5", "--pacs", orthanc.url)
    listener = RunningListener(tmp_path / "spool", model_dir, destination, *options)
    try:
        introduce(listener, orthanc)
        for date, bleed in (("20250102", False), ("20250103", True)):
            series = head_series(bleed=bleed, patient_id="follow-up", date=date)
            send_series(listener.port, series, calling="ORTHANC")  # the PACS itself never sees the CT
            found = SeriesInfo(study_uid=series[0].StudyInstanceUID, series_uid=series[0].SeriesInstanceUID)
            wait_for(lambda found=found: len(pacs.results_for(found)) == 2, "SEG and SR in Orthanc", 90)
    finally:
        assert listener.close() == 0, listener.log
    (report,) = (pacs.read(one.series)[0] for one in pacs.results_for(found) if one.series.modality == "SR")
    text = str(report)
    assert "Change of volume since prior study" in text
    assert "Expansion since prior study" in text
    assert "follow-up" not in listener.log


def test_from_orthanc_and_back(tmp_path: Path, model_dir: Path, orthanc: Orthanc) -> None:
    pacs = web(orthanc)
    series = head_series()
    pacs.store(series)
    destination = Node(aet="ORTHANC", host="127.0.0.1", port=orthanc.config.dicom_port)
    options = ("--allow", "ORTHANC", "--quiet", "0.5", "--quiet-broken", "5")
    listener = RunningListener(tmp_path / "spool", model_dir, destination, *options)
    try:
        introduce(listener, orthanc)
        rest(orthanc, "POST", "/modalities/amd-das/echo", data="{}").raise_for_status()
        query = {"Level": "Series", "Query": {"SeriesInstanceUID": series[0].SeriesInstanceUID}}
        (own_id,) = rest(orthanc, "POST", "/tools/find", json=query).json()
        rest(orthanc, "POST", "/modalities/amd-das/store", data=own_id).raise_for_status()
        found = pacs.find_series(series[0].SeriesInstanceUID)
        wait_for(lambda: len(pacs.results_for(found)) == 2, "SEG and SR in Orthanc", 90)
        wait_for(lambda: not list((tmp_path / "spool" / "outgoing").iterdir()), "an empty outbox")
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": series[0].StudyInstanceUID}}
        assert len(rest(orthanc, "POST", "/tools/find", json=query).json()) == 2 * len(series) + 2
    finally:
        assert listener.close() == 0, listener.log
