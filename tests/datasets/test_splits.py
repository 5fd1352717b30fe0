"""Nobody goes from training to validation, whatever comes later and under whichever name."""

import json
import multiprocessing
from pathlib import Path

import pytest

from amd_das.datasets.splits import Person, assign, digest, known, split_of
from amd_das.errors import TrainingError


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "split.json"


def people(*names: str, bleeds: bool = True) -> list[Person]:
    return [Person(keys=(name,), bleeds=bleeds) for name in names]


def test_what_was_said_once_holds_when_others_come(store: Path) -> None:
    first = [f"patient {number}" for number in range(10)]
    said = dict(zip(first, assign(people(*first), store), strict=True))
    assert sorted(said.values()).count("validation") == 3
    later = [*reversed(first), *(f"new {number}" for number in range(30))]
    again = dict(zip(later, assign(people(*later), store), strict=True))
    assert {name: again[name] for name in first} == said
    assert list(again.values()).count("validation") == 12
    assert all(split_of(name, store) == again[name] for name in later)


@pytest.mark.parametrize(("count", "held"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (7, 2), (10, 3), (100, 30)])
def test_few_patients_are_split_evenly_and_the_first_is_learnt_from(store: Path, count: int, held: int) -> None:
    said = assign(people(*map(str, range(count))), store)
    assert said.count("validation") == held


def test_one_by_one_or_together_the_shares_are_the_same(store: Path) -> None:
    said = [split_of(f"patient {number}", store) for number in range(20)]
    assert said[0] == "train"
    assert said.count("validation") == 6


def test_patients_with_and_without_a_bleed_are_split_each_for_themselves(store: Path) -> None:
    said = assign(people("a", "b", "c") + people("d", "e", "f", bleeds=False), store)
    assert said[:3].count("validation") == said[3:].count("validation") == 1
    flipped = assign(people("a", "b", "c", bleeds=False) + people("d", "e", "f"), store)
    assert flipped == said, "a label that was corrected moves nobody"


def test_the_order_of_the_folder_does_not_matter(tmp_path: Path, store: Path) -> None:
    names = [str(number) for number in range(12)]
    one = dict(zip(names, assign(people(*names), store), strict=True))
    salted = {**json.loads(store.read_text()), "patients": {}}
    salted["counts"] = {stratum: {"train": 0, "validation": 0} for stratum in salted["counts"]}
    (tmp_path / "other.json").write_text(json.dumps(salted))
    other = dict(zip(names[::-1], assign(people(*names[::-1]), tmp_path / "other.json"), strict=True))
    assert one == other


def test_one_patient_under_two_names_is_one(store: Path) -> None:
    names = [f"scan {number}" for number in range(8)]
    said = dict(zip(names, assign([Person(keys=(f"id {name}", name)) for name in names], store), strict=True))
    for name in names:
        assert assign([Person(keys=(f"id {name}", "another scan"))], store.with_name(f"{name}.json")) == ["train"]
        assert assign([Person(keys=(f"id {name}", f"later {name}"))], store) == [said[name]]
        assert split_of(f"later {name}", store) == said[name]


def test_two_who_turn_out_to_be_one_are_learnt_from(store: Path) -> None:
    names = [str(number) for number in range(8)]
    said = dict(zip(names, assign(people(*names), store), strict=True))
    train, held = ([name for name in names if said[name] == split] for split in ("train", "validation"))
    assert assign([Person(keys=(held[0], train[0]))], store) == ["train"]
    assert (split_of(held[0], store), split_of(train[0], store)) == ("train", "train")
    assert split_of(held[1], store) == "validation"


def test_the_file_is_private_and_names_nobody(store: Path) -> None:
    assign([Person(keys=("PatientID PAT-4711", "series-1a2b"))], store)
    assert store.stat().st_mode & 0o077 == 0
    assert not any(name in store.read_text() for name in ("PAT-4711", "series-1a2b", "PatientID"))


def test_a_split_is_known_by_its_digest(store: Path, tmp_path: Path) -> None:
    assert digest(store) == ""
    split_of("a", store)
    first = digest(store)
    split_of("b", store)
    split_of("a", tmp_path / "other.json")
    assert digest(store) == first != digest(tmp_path / "other.json")


def _ask(store: Path) -> list[str]:
    return [split_of(f"patient {number}", store) for number in range(12)]


def test_processes_that_ask_at_once_hear_the_same(store: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = pool.map(_ask, [store, store])
    assert one == other == _ask(store)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "amd-das split 1"}', "[1]", '{"format": "x"}'])
def test_a_damaged_file_is_not_begun_anew(store: Path, content: str) -> None:
    store.parent.mkdir()
    store.write_text(content)
    with pytest.raises(TrainingError, match=r"is damaged .* bring it back from a backup"):
        split_of("a", store)
    assert store.read_text() == content


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot write"):
        split_of("a", tmp_path / "file" / "split.json")


def test_where_names_are_no_secret_the_same_people_are_split_alike_everywhere(tmp_path: Path) -> None:
    names = [f"case {number}" for number in range(40)]
    stores = [tmp_path / name / "split.json" for name in ("one", "other")]
    one, other = (assign(people(*names), store, share=0.1, salt="source") for store in stores)
    assert one == other
    assert one.count("validation") == 4
    assert stores[0].read_bytes() == stores[1].read_bytes()
    assert known([*names, "nobody"], stores[0]) == [*one, None]
    assert known(names, tmp_path / "none") == [None] * 40
