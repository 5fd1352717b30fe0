"""Which scan is worth a look next: how unsure the model is of it, how much it bleeds, how unlike the labelled it is."""

from amd_das.active_learning.diversity import distance_to_nearest, volume_fingerprint
from amd_das.active_learning.opinion import Opinion, form_opinion

__all__ = ["Opinion", "distance_to_nearest", "form_opinion", "volume_fingerprint"]
