"""The model card: what a version's records say of it, in one page of Markdown."""

from amd_das.model_card.benchmark import Benchmark, read_benchmark
from amd_das.model_card.card import WEIGHTS_LICENCE, model_card, renew_card
from amd_das.model_card.data_sets import data_of, inherited, licences, sources, used

__all__ = [
    "WEIGHTS_LICENCE",
    "Benchmark",
    "data_of",
    "inherited",
    "licences",
    "model_card",
    "read_benchmark",
    "renew_card",
    "sources",
    "used",
]
