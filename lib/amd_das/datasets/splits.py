"""Which patients are learnt from and which judge: said once, kept in a file, never changed to the model's advantage.

The one split of the product: of slices that were prepared (beside them), and of labels to fine-tune on (in a server's
runs). The file holds no identity, only hashes. Where patients' numbers are not to be guessed back these are keyed and
slow to make (scrypt); the file is private all the same. Losing it means that held-out patients may have been learnt
from before.
"""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from amd_das.errors import TrainingError
from amd_das.files import write_whole

Split = Literal["train", "validation"]
Stratum = Literal["bleed", "none"]

FILE_NAME: Final = "split.json"
FORMAT: Final = "amd-das split 1"
HELD_OUT_SHARE: Final = 0.3
"""Part of the patients of each stratum that judges (ours); the first of a stratum is always learnt from."""

_OPEN: Final = "sha256"
_SCRYPT: Final = {"n": 2**12, "r": 8, "p": 1, "dklen": 16}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything one patient is known by."""

    keys: tuple[str, ...]
    """PatientID where there is one, and the names of the cases; any of them says who it is."""

    bleeds: bool = True
    """Whether any label shows a bleed; patients with and without are split each for themselves."""

    place: Split | None = None
    """Where he is put if he is new, by a split that others have made; None: by the rule."""


def split_of(patient: str, store: Path) -> Split:
    """Where one patient belongs, decided at the first question and kept in the file ``store``."""
    return assign([Person(keys=(patient,))], store)[0]


def assign(
    people: Sequence[Person], store: Path, *, share: float = HELD_OUT_SHARE, salt: str | None = None
) -> list[Split]:
    """Where each patient belongs.

    Those who are new are taken in the order of their hashes, and held out as long as fewer than ``share`` are. Two
    entries that turn out to be one patient are learnt from, if either was: nothing goes from training to validation.

    Args:
        people: each once.
        store: the file, made where it is not there.
        share: part that is held out.
        salt: of a file that is begun, where the names are no secret: the same people are then always split alike.

    Raises:
        TrainingError: the file is damaged or cannot be written.
    """
    with _locked(store):
        state = _read(store, salt)
        decisions: dict[str, dict[str, str]] = state["patients"]
        hashed = [[_hash(key, state) for key in person.keys] for person in people]
        decided: dict[int, dict[str, str]] = {}
        for number, hashes in enumerate(hashed):
            if found := [decisions[one] for one in hashes if one in decisions]:
                decided[number] = next((one for one in found if one["split"] == "train"), found[0])
        new = sorted((min(hashes), number) for number, hashes in enumerate(hashed) if number not in decided)
        for _, number in new:
            stratum: Stratum = "bleed" if people[number].bleeds else "none"
            decided[number] = _next(stratum, state, share, people[number].place)
        changed = False
        for number, hashes in enumerate(hashed):
            for one in hashes:
                changed |= decisions.get(one) != decided[number]
                decisions[one] = decided[number]
        if changed:
            _write(store, state)
        return [decided[number]["split"] for number in range(len(people))]  # type: ignore[misc]


def known(patients: Sequence[str], store: Path) -> list[Split | None]:
    """Where patients belong who were asked for before; None for others, and where there is no file.

    Raises:
        TrainingError: the file is damaged.
    """
    if not store.is_file():
        return [None] * len(patients)
    state = _read(store)
    found = (state["patients"].get(_hash(patient, state)) for patient in patients)
    return [one["split"] if one else None for one in found]


def digest(store: Path) -> str:
    """A name of the file that stays the same while it grows: which split a model was made under; "" without one."""
    return hashlib.sha256(_read(store)["salt"].encode()).hexdigest()[:12] if store.is_file() else ""


def _next(stratum: Stratum, state: dict[str, Any], share: float, place: Split | None) -> dict[str, str]:
    """The place of one more patient of a stratum, counted."""
    train, held = (state["counts"][stratum][name] for name in get_args(Split))
    wanted = max(int(share * (train + held + 1) + 0.5), 1 if train else 0)
    split: Split = place or ("validation" if train and held < wanted else "train")
    state["counts"][stratum][split] += 1
    return {"split": split, "stratum": stratum}


def _hash(key: str, state: dict[str, Any]) -> str:
    salt = bytes.fromhex(state["salt"])
    if state.get("hash") == _OPEN:
        return hashlib.sha256(salt + key.encode()).hexdigest()[:32]
    return hashlib.scrypt(key.encode(), salt=salt, **_SCRYPT).hex()  # type: ignore[call-overload]


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        lock = store.with_name(f".{store.name}.lock").open("a")
    except OSError as error:
        raise TrainingError(f"cannot write to {store.parent}: {error.strerror}; choose another folder") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(store: Path, salt: str | None = None) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(store.read_text())
        sound = state["format"] == FORMAT and all(
            one["split"] in get_args(Split) and one["stratum"] in get_args(Stratum)
            for one in state["patients"].values()
        )
        bytes.fromhex(state["salt"])
        if not sound or not set(get_args(Stratum)) <= state["counts"].keys():
            raise ValueError("unknown content")
    except FileNotFoundError:
        counts = {stratum: dict.fromkeys(get_args(Split), 0) for stratum in get_args(Stratum)}
        if salt is not None:
            return {"format": FORMAT, "hash": _OPEN, "salt": salt.encode().hex(), "counts": counts, "patients": {}}
        return {"format": FORMAT, "salt": secrets.token_hex(16), "counts": counts, "patients": {}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{store}, which says who is learnt from and who is held out, is damaged ({error}); bring it back from a "
            "backup. Without it, remove it and go back to a model version made before any fine-tuning"
        ) from error
    return state


def _write(store: Path, state: dict[str, Any]) -> None:
    try:
        write_whole(store, (json.dumps(state, indent=1) + "\n").encode()).chmod(0o600)
    except OSError as error:
        raise TrainingError(f"cannot write {store}: {error.strerror}; make room and start again") from error
