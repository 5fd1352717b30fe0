"""Orthanc as the router that sends and as the PACS that takes: another implementation of DICOM on both ends."""

from pathlib import Path

import pytest
from helpers.dicom_nodes import wait_for
from helpers.running_listener import RunningListener
from helpers.running_orthanc import Orthanc, head_series, rest, web

from amd_das.listener.sending import Node

pytestmark = pytest.mark.integration


def test_from_orthanc_and_back(tmp_path: Path, model_dir: Path, orthanc: Orthanc) -> None:
    pacs = web(orthanc)
    series = head_series()
    pacs.store(series)
    destination = Node(aet="ORTHANC", host="127.0.0.1", port=orthanc.config.dicom_port)
    options = ("--allow", "ORTHANC", "--quiet", "0.5", "--quiet-broken", "5")
    listener = RunningListener(tmp_path / "spool", model_dir, destination, *options)
    try:
        node = {"AET": "AMDDAS", "Host": "127.0.0.1", "Port": listener.port}
        rest(orthanc, "PUT", "/modalities/amd-das", json=node).raise_for_status()
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
