"""SEGs in a PACS that somebody corrected are learnt from; our own untouched answers are not."""

from pathlib import Path

import numpy as np
import pytest
from helpers.heads import make_head, save_blood_detector
from helpers.running_orthanc import Orthanc, head_series, web
from helpers.tiny_fine_tuning import tiny_fine_tuning
from pydicom.dataset import Dataset

from amd_das import models
from amd_das.datasets import at_hand
from amd_das.datasets.splits import Person, assign
from amd_das.datasets.volumes import read_image, read_mask
from amd_das.fine_tuning.cases import NothingLabelled, labelled_cases
from amd_das.fine_tuning.data import SPLIT
from amd_das.fine_tuning.run import run
from amd_das.measurement import measure
from amd_das.models import load_current
from amd_das.output.dicom import dicom_objects
from amd_das.pacs.cases import pacs_cts
from amd_das.pacs.config import PacsConfig
from amd_das.reading import read_volume

pytestmark = pytest.mark.integration


def label(orthanc: Orthanc, series: list[Dataset], folder: Path, *, kind: str = "SEMIAUTOMATIC") -> None:
    """Store a head's blood as SEG, corrected by hand or as our own answer."""
    pacs = web(orthanc)
    pacs.fetch(pacs.find_series(series[0].SeriesInstanceUID), folder)
    volume = read_volume(folder)
    blood = (volume.array > 55) & (volume.array < 75)
    mask = blood.astype(np.uint8)
    model = load_current(folder.parent / "model").info if kind == "AUTOMATIC" else None
    made = dicom_objects(volume, mask, measure(mask, volume), model=model, formats=("seg",), algorithm_type=kind)
    pacs.store(made["seg"])


def test_corrected_segs_are_learnt_from(orthanc: Orthanc, tmp_path: Path) -> None:
    save_blood_detector(tmp_path / "model")
    place = PacsConfig.from_environment(orthanc.url)
    heads = {
        name: head_series(bleed_x=bleed_x, patient_id=name)
        for name, bleed_x in (("p1", 10.0), ("p2", -10.0), ("p3", 14.0), ("p4", 6.0))
    }
    for series in heads.values():
        web(orthanc).store(series)
    label(orthanc, heads["p4"], tmp_path / "p4", kind="AUTOMATIC")
    with pytest.raises(NothingLabelled, match=r"no scan in the PACS at .* has a final label"):
        labelled_cases(place)

    for name in ("p1", "p2", "p3"):
        label(orthanc, heads[name], tmp_path / name)
    cases = labelled_cases(place)
    assert len(cases) == 3 and len(pacs_cts(place)) == 4
    with at_hand(cases[0].files) as files:
        assert read_mask(files, read_image(files)).sum() == make_head()[1].sum()
    assert not any(name in str(one.files) for one in cases for name in ("p1", "p2", "p3", "Doe"))

    result = run(place, tmp_path / "work", tmp_path / "model", tiny_fine_tuning(learning_rate=1e-6), processes=1)
    assert result.published, result.reason
    info = models.read_info(tmp_path / "model", str(result.version))
    assert info.metrics["held_out_bleeds"] == 1 and info.training["data"].startswith("2 labelled CT")
    assert not list((tmp_path / "work").rglob("*.dcm"))
    text = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.json"))
    assert not any(f'"{name}"' in text or "PatientID" in text for name in heads)

    store = tmp_path / "work" / SPLIT
    before = {one.files.case: assign([Person(keys=one.keys)], store)[0] for one in cases}
    assert sorted(before.values()) == ["train", "train", "validation"]
    again = head_series(bleed_x=12.0, patient_id="p2")
    web(orthanc).store(again)
    label(orthanc, again, tmp_path / "again")
    run(place, tmp_path / "work", tmp_path / "model", tiny_fine_tuning(learning_rate=1e-6), processes=1)
    later = {one.files.case: (assign([Person(keys=one.keys)], store)[0], one.keys) for one in labelled_cases(place)}
    assert {case: later[case][0] for case in before} == before
    of_p2 = {split for split, keys in later.values() if "PatientID p2" in keys}
    assert len(of_p2) == 1 and len(later) == 4
