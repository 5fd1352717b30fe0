"""The split of labelled patients: the product's one, :mod:`amd_das.datasets.splits`, kept in the working folder."""

from amd_das.datasets.splits import FILE_NAME, HELD_OUT_SHARE, Person, Split, assign, digest, split_of

__all__ = ["FILE_NAME", "HELD_OUT_SHARE", "Person", "Split", "assign", "digest", "split_of"]
