"""Rows change what they are named after."""

from dataclasses import replace

import pytest
from helpers.tiny_pipeline import tiny_pipeline

from amd_das.errors import ConfigError
from amd_das.reproduction.rows import ROWS, Row, SupervisedRow, check_table, rows_of


def test_rows_change_what_they_are_named_after() -> None:
    config = tiny_pipeline()
    rows = {row.name: row.change(config) for table in ROWS.values() for row in table if isinstance(row, Row)}
    plain, full = rows["CycleGAN"], rows["AMD-DAS"]
    assert (plain.synthesis.lesion_weight, plain.synthesis.feature_weight, plain.matched) == (0, 0, False)
    assert plain.segmentation.adversarial_weight == 0 < rows["CycleGAN + DAS"].segmentation.adversarial_weight
    assert full == replace(config, source_slices="all")
    assert full == rows["all source slices"], "the last row of Table 3 is the first of Table 4"
    assert rows["DAS (one stage)"].train_on == rows["baseline (MRI as it is)"].train_on == "mri"
    assert rows["matched"] == config


def test_the_ablation_adds_one_part_with_each_row() -> None:
    config = tiny_pipeline()
    rows = {row.name: row.change(config) for row in ROWS["ablation"] if isinstance(row, Row)}
    assert list(rows) == [
        "source only",
        "CycleGAN",
        "+ lesion loss",
        "+ matching",
        "+ feature adaptation",
        "one-stage DAS",
        "AMD-DAS",
        "supervised bound",
    ]
    lesion, matching, features = (rows[name] for name in ("+ lesion loss", "+ matching", "+ feature adaptation"))
    assert replace(rows["CycleGAN"], synthesis=lesion.synthesis) == lesion
    assert replace(lesion, matched=True) == matching
    assert replace(matching, synthesis=features.synthesis) == features
    assert replace(features, segmentation=config.segmentation) == rows["AMD-DAS"]
    bound = rows["supervised bound"]
    assert (bound.train_on, bound.segmentation.adversarial_weight) == ("ct", 0)


def test_the_bound_needs_labels_of_the_target_or_is_cross_validated() -> None:
    phantoms, given = rows_of("ablation", labelled_target=True), rows_of("ablation", labelled_target=False)
    assert phantoms[:-1] == given[:-1]
    assert isinstance(given[-1], SupervisedRow)
    assert (given[-1].name, given[-1].paper, given[-1].network) == ("supervised bound", phantoms[-1].paper, "fcn")
    assert rows_of("table2", labelled_target=False) == ROWS["table2"]


def test_another_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="no table 'table6'; there are: table2, table3"):
        check_table("table6")
