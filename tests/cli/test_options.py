"""How words of a command line are read."""

from pathlib import Path

from amd_das.cli.options import names, scans
from amd_das.pacs.config import PacsConfig


def test_names_are_a_list_without_repetitions_and_gaps() -> None:
    assert names("seg, sr,,sc ,seg") == ("seg", "sr", "sc")
    assert names(" , ") == ()


def test_scans_are_in_a_folder_or_a_pacs() -> None:
    assert scans("studies/http") == Path("studies/http")
    pacs = scans("http://127.0.0.1:8042/dicom-web")
    assert isinstance(pacs, PacsConfig)
    assert pacs.url == "http://127.0.0.1:8042/dicom-web"
