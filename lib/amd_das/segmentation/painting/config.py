"""How often what is painted."""

from dataclasses import dataclass, fields
from typing import Final

from amd_das.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PaintConfig:
    """The chance that a slice receives each of these, 0 to 1."""

    bone: float = 0.0
    """Pieces of the skull base and the inner table, at the brain's rim."""

    calcium: float = 0.0
    """Pineal, plexus, basal ganglia, vessel walls: saturated dots."""

    falx: float = 0.0
    """Falx, tentorium and venous sinuses: thin bright sheets and what they end in at the rim."""

    streaks: float = 0.0
    """Rays from metal."""

    subdural: float = 0.0
    """Subdural or epidural blood: a crescent or a lens along the rim."""

    csf_blood: float = 0.0
    """Blood in cisterns, sulci and ventricles, where the slice is as dark as CSF."""

    partial: float = 0.0
    """Only a part of the lesion is one: its middle, or patches of it; the rest becomes tissue."""

    pale: float = 0.0
    """The lesion is less bright, or a little brighter."""

    clot: float = 0.0
    """The lesion's inside is painted as other blood is: otherwise its texture would tell the two apart."""

    settled_blood: float = 0.0
    """As `csf_blood`, more often on both sides, also in a small third or fourth ventricle, or as a clot with fluid
    around it."""

    sinus: float = 0.0
    """A sigmoid or transverse sinus: a bright spot at the rim."""

    infarct: float = 0.0
    """A territory of dead tissue, dark, in which islands of cortex look brighter than they are."""

    hydrocephalus: float = 0.0
    """The ventricles are widened, before anything else is painted."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not 0.0 <= getattr(self, item.name) <= 1.0:
                raise ConfigError(f"{item.name} {getattr(self, item.name)}: expected a chance, 0 to 1")


UNPAINTED: Final = PaintConfig()
"""Slices as they are (paper)."""

HEAD_CT: Final = PaintConfig(
    bone=0.4, calcium=0.4, falx=0.5, streaks=0.1, subdural=0.2, csf_blood=0.35, partial=0.6, pale=0.4, clot=0.6
)
"""As often as head CT after trauma shows them, about."""
