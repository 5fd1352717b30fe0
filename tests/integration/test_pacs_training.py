"""A PACS as the target of the pipeline: its head CTs become slices, and nothing else of them stays."""

from pathlib import Path

import pytest
from helpers.running_orthanc import Orthanc, head_series, start_orthanc, web
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import NotHeadCtError, PacsUnreachableError
from amd_das.pacs.cases import pacs_cts
from amd_das.pacs.config import PacsConfig
from amd_das.pipeline.run import check, run
from amd_das.pipeline.stages import SLICES
from amd_das.slices import SliceStore

pytestmark = pytest.mark.integration


def prepared(place: PacsConfig, folder: Path) -> tuple[SliceStore, bool]:
    """The target's slices, and whether they were made anew."""
    config = tiny_pipeline()
    result = run(config, folder / "work", folder / "model", target=place, until="target", processes=1)
    return SliceStore.open(result.steps["target"].folder / SLICES), result.steps["target"].fresh


def test_head_cts_of_a_pacs_are_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    orthanc: Orthanc = start_orthanc(tmp_path / "orthanc")
    try:
        place = PacsConfig.from_environment(orthanc.url)
        with pytest.raises(NotHeadCtError, match="holds no CT series"):
            check(tiny_pipeline(), source=None, target=place)
        for bleed_x, patient in ((10.0, "one"), (-10.0, "two"), (14.0, "two")):
            web(orthanc).store(head_series(bleed_x=bleed_x, patient_id=patient))
        cases = pacs_cts(place)
        assert len({files.case for files in cases}) == 3
        assert len({files.patient for files in cases}) == 2
        assert not any(name in str(files) for files in cases for name in ("Doe", "'one'", "'two'"))

        store, fresh = prepared(place, tmp_path)
        assert fresh
        assert store.labels is None
        assert {case.case for case in store.cases} == {files.case for files in cases}
        assert len({case.patient for case in store.cases}) == 2
        assert not prepared(place, tmp_path)[1], "nothing has changed in the PACS"

        web(orthanc).store(head_series(bleed_x=6.0, patient_id="three"))
        store, fresh = prepared(place, tmp_path)
        assert fresh
        assert len(store.cases) == 4
    finally:
        orthanc.close()
    with pytest.raises(PacsUnreachableError):
        prepared(place, tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == [], "scans of the PACS were left behind"
