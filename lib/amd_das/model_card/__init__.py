"""The model card: what a version's records say of it, in one page of Markdown."""

from amd_das.model_card.benchmark import Benchmark, read_benchmark
from amd_das.model_card.card import model_card
from amd_das.model_card.data_sets import data_of, inherited, licences, title_and_terms, used

__all__ = ["Benchmark", "data_of", "inherited", "licences", "model_card", "read_benchmark", "title_and_terms", "used"]
