"""A published version tells which data sets it was learnt from, and under which terms."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

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


def steps(directory: Path, stores: dict[str, int]) -> dict[str, StepResult]:
    """A run's steps: the stores with so many cases of one slice each, and a training."""
    trained = {"seconds": 60.0, "device": "CPU", "torch": "2", "criterion": "source Dice", "best": {"dice": 0.51234}}
    summaries = {name: {"cases": count, "slices": count} for name, count in stores.items()} | {"segmentation": trained}
    return {
        name: StepResult(key=name, folder=directory / name, summary=summary, fresh=True)
        for name, summary in summaries.items()
    }


def test_data_sets_and_their_terms_go_into_record_and_card(tiny_config: PipelineConfig, tmp_path: Path) -> None:
    stores = {
        "source": store(tmp_path / "source", "source", {"a": "decathlon", "b": "decathlon", "c": "tcga-lgg"}),
        "target": store(tmp_path / "target", "target", {"phantom-ct-0007": "", "mine": ""}),
    }
    done = steps(tmp_path, {"source": 3, "target": 2})
    info, kept = publish(Fcn(tiny_config.segmentation.network), tiny_config, done, stores, tmp_path / "model")
    assert not kept and models.current_version(tmp_path / "model") == info.version
    assert info.training["data_sets"] == [
        {"set": "decathlon", "use": "source, with labels", "cases": 2, "slices": 2},
        {"set": "tcga-lgg", "use": "source, with labels", "cases": 1, "slices": 1},
        {"set": "own", "use": "target, without labels", "cases": 1, "slices": 1},
        {"set": "phantom", "use": "target, without labels", "cases": 1, "slices": 1},
    ]
    card = (tmp_path / "model" / "versions" / info.version / models.CARD).read_text()
    assert info.version in card and "CC BY-NC-SA 4.0" in card and "MNI152" in card
    assert "| dice | 0.5123 |" in card


def test_weights_not_made_for_use_never_replace_those_in_use(tiny_config: PipelineConfig, tmp_path: Path) -> None:
    config = replace(tiny_config, name="trial", for_use=False)
    stores, done = {"target": store(tmp_path / "target", "target", {"mine": ""})}, steps(tmp_path, {"target": 1})

    def version(seed: int) -> tuple[models.ModelInfo, str]:
        torch.manual_seed(seed)
        return publish(Fcn(config.segmentation.network), config, done, stores, tmp_path / "model")

    first, kept = version(1)
    assert not kept, "with none in use there is nothing to lose"
    second, kept = version(2)
    assert "'trial'" in kept
    assert (second.metrics["published"], second.metrics["reason"]) == (False, kept)
    assert models.list_versions(tmp_path / "model") == sorted([first.version, second.version])
    assert models.current_version(tmp_path / "model") == first.version
