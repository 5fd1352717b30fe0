"""A published version tells which data sets it was learnt from, and under which terms."""

from pathlib import Path

import numpy as np

from amd_das import models
from amd_das.networks.fcn import Fcn
from amd_das.pipeline.config import PipelineConfig
from amd_das.pipeline.publication import publish
from amd_das.pipeline.steps import StepResult
from amd_das.slices import CaseSlices, Domain, SliceStore, SliceWriter


def store(directory: Path, domain: Domain, sets: dict[str, str]) -> SliceStore:
    """A store of one empty slice a case; ``sets`` is case → data set, "" for none."""
    with SliceWriter(directory, domain, labelled=False) as writer:
        for case, name in sets.items():
            record = CaseSlices(
                case=case,
                patient=case,
                spacing_mm=(5.0, 1.0, 1.0),
                spacing_known=True,
                numbers=(0,),
                brain_px=(9,),
                lesion_px=(0,),
                provenance={"set": name} if name else {},
            )
            writer.append(record, np.zeros((1, 240, 240), np.uint8), None)
    return SliceStore.open(directory)


def test_data_sets_and_their_terms_go_into_record_and_card(tiny_config: PipelineConfig, tmp_path: Path) -> None:
    stores = {
        "source": store(tmp_path / "source", "source", {"a": "decathlon", "b": "decathlon", "c": "tcga-lgg"}),
        "target": store(tmp_path / "target", "target", {"phantom-ct-0007": "", "mine": ""}),
    }
    trained = {"seconds": 60.0, "device": "CPU", "torch": "2", "criterion": "source Dice", "best": {"dice": 0.51234}}
    counts = {"source": {"cases": 3, "slices": 3}, "target": {"cases": 2, "slices": 2}, "segmentation": trained}
    done = {
        name: StepResult(key=name, folder=tmp_path / name, summary=summary, fresh=True)
        for name, summary in counts.items()
    }
    info = publish(Fcn(tiny_config.segmentation.network), tiny_config, done, stores, tmp_path / "model")
    assert info.training["data_sets"] == [
        {"set": "decathlon", "use": "source, with labels", "cases": 2, "slices": 2},
        {"set": "tcga-lgg", "use": "source, with labels", "cases": 1, "slices": 1},
        {"set": "own", "use": "target, without labels", "cases": 1, "slices": 1},
        {"set": "phantom", "use": "target, without labels", "cases": 1, "slices": 1},
    ]
    card = (tmp_path / "model" / "versions" / info.version / models.CARD).read_text()
    assert info.version in card and "CC BY-NC-SA 4.0" in card and "MNI152" in card
    assert "| dice | 0.5123 |" in card
