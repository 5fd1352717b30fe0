"""Where the cases of a domain lie: a data set's folder in any known layout, or a PACS."""

from dataclasses import replace
from pathlib import Path

from amd_das.datasets import CaseFiles, find_cases
from amd_das.errors import ConfigError
from amd_das.pacs.cases import pacs_cts
from amd_das.pacs.config import PacsConfig
from amd_das.slices import Domain


def cases_of(place: Path | PacsConfig, domain: Domain, *, labelled: bool, masks: Path | None = None) -> list[CaseFiles]:
    """The cases of one domain; target cases without their masks unless ``labelled``.

    Raises:
        ConfigError: the folder is of the other domain.
        NotFoundError, TrainingError, InputError, PacsError: nothing of the domain is there.
    """
    if isinstance(place, PacsConfig):
        return pacs_cts(place)
    if domain == "pseudo_ct":
        raise ConfigError("pseudo-CT is made, not found; expected source or target")
    found = find_cases(place, domain, masks=masks).cases
    return found if labelled else [replace(case, mask=None, lesion=None) for case in found]
