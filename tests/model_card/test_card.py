"""A card says what the records of a version say, whatever made it."""

from amd_das.conventions import RESEARCH_NOTICE
from amd_das.model_card import model_card
from amd_das.models import ModelInfo
from amd_das.networks.fcn import FcnConfig

NETWORK = FcnConfig.narrowed(2)
COMMON = {"device": "a GPU", "torch": "2", "minutes": 3.5, "seed": 7}


def card(training: dict[str, object], metrics: dict[str, object] | None = None) -> str:
    info = ModelInfo(
        name="amd_das", version="2026-01-01-aa", checksum="ab" * 32, training=training, metrics=metrics or {}
    )
    return model_card(info, NETWORK)


def test_a_pipelines_card_tells_method_data_terms_and_scores() -> None:
    data = [
        {"set": "decathlon", "use": "source, with labels", "cases": 387, "slices": 15480},
        {"set": "cq500", "use": "target, without labels", "cases": 300, "slices": 9000},
        {"set": "own", "use": "target, without labels", "cases": 4, "slices": 40},
        {"set": "a-set-of-tomorrow", "use": "target, without labels", "cases": 1, "slices": 10},
    ]
    steps = dict.fromkeys(("matching", "synthesis", "segmentation", "self_training-2"), "key")
    training = {**COMMON, "preset": "paper", "labels": "of the MRI alone", "steps": steps, "data_sets": data}
    shown = card(training, {"source_dice": 0.8})
    assert shown.startswith('# Model card: AMD-DAS FCN, preset "paper"')
    assert RESEARCH_NOTICE in shown
    assert "2026-01-01-aa, SHA-256 abab" in shown
    assert "32 to 256 channels" in shown
    assert "matching, synthesis of pseudo-CT, domain-adversarial segmentation, self-training" in shown
    assert "| 387 | 15480 | CC BY-SA 4.0, http://medicaldecathlon.com |" in shown
    assert "CC BY-NC-SA 4.0 and an end user agreement" in shown
    assert "| 4 | 40 | unverified: whoever trained knows the terms |" in shown
    assert "| a-set-of-tomorrow | target, without labels | 1 | 10 | unverified |" in shown
    assert "| source dice | 0.8 |" in shown and "They rank checkpoints" in shown
    assert "Not measured: no benchmark was given" in shown and "never seen a patient's scan" not in shown


def test_what_is_made_for_demonstration_says_so() -> None:
    assert "for tests and demonstration alone" in card({"preset": "smoke", "data": "2 heads"})
    assert "for tests and demonstration alone" not in card({"preset": "paper", "data": "2 heads"})


def test_a_fine_tuned_versions_card_tells_verdict_notes_and_inherited_data() -> None:
    data = [
        {"set": "own", "use": "CT, labelled by hand", "cases": 3, "slices": 12},
        {"set": "brats", "use": "source, with labels", "cases": 9, "slices": 90, "through": "2025-01-01-bb"},
    ]
    training = {
        **COMMON,
        "fine_tuned_from": "2025-01-01-bb",
        "data_sets": data,
        "notes": ["3 scans | few"],
        "steps": 60,
    }
    metrics = {"mean_dice": 0.5, "champion": {"version": "x"}, "published": False, "reason": "worse on 2"}
    shown = card(training, metrics)
    assert "fine-tuned on labelled CT" in shown and "| fine-tuned from | 2025-01-01-bb |" in shown
    assert "**Kept, not published**: worse on 2." in shown
    assert "| mean dice | 0.5 |" in shown and "champion" not in shown and "| reason" not in shown
    assert "source, with labels (through 2025-01-01-bb)" in shown
    assert "3.5 minutes of training, 60 steps" in shown
    assert "- 3 scans | few" in shown and "habits of those who corrected" in shown


def test_a_version_without_data_sets_tells_what_its_words_tell() -> None:
    training = {
        **COMMON,
        "data": "712 phantom CT heads",
        "labels": "exact",
        "config": {"seed": 5},
        "notes": "In | two\ngoes.",
    }
    del training["seed"]
    shown = card(training)
    assert "of unknown training" in shown and "MNI152" in shown and "| seed | 5 |" in shown
    assert "never seen a patient's scan" in shown
    assert "| notes | In \\| two goes. |" in shown, "a table stays one"
    assert "| not measured |" in shown
    assert "unverified" in card({**COMMON, "data": "scans", "labels": "by hand"})


def test_uploaded_weights_are_said_to_be_unknown() -> None:
    shown = card({"uploaded": True, "replaces": "x"})
    assert "of unknown training" in shown and "Nothing is known about its training" in shown
    assert "| Not recorded | not recorded | – | – | unverified |" in shown
