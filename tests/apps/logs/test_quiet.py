"""UIDs do not reach the log."""

import logging

from amd_das_app.logs.quiet import HideUids, without_uids


def test_uids_become_the_same_hash_and_other_numbers_stay() -> None:
    uid = "1.2.826.0.1.3680043.8.498.1"
    hidden = without_uids(f"GET /studies/{uid}/series/{uid}.nii.gz")
    assert uid not in hidden
    assert hidden.count("series-") == 2
    assert len(set(hidden.replace(".nii.gz", "").split("/")[-3::2])) == 1
    assert "2.25." not in without_uids("2.25.168040726013190352306308373923724941522")
    for text in (
        "127.0.0.1:8042",
        "MONAI 1.6.1",
        "1.2.840.10008.5.1.4.1.1.2",
        "12.5 mL in 0.73 s",
        "2026-11-21 03:45:41,153",
    ):
        assert without_uids(text) == text


def test_records_of_any_logger_are_rewritten() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "New label for: %s", ("1.2.826.0.1.3680043.8.498.1",), None)
    assert HideUids().filter(record)
    assert record.getMessage().startswith("New label for: series-")
