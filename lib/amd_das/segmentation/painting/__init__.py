"""What CT shows and MRI does not, painted into slices (ours; the paper has none of it).

A pseudo-CT is an MRI in other colours: it lacks bone that the brain extraction has left, calcium, the bright falx and
sinuses, metal, and blood outside the brain's tissue. An FCN that has never seen them takes them all for the lesion.
Nor does a glioma look like every bleed: contusions are patchy, many bleeds small or pale. No CT and no label of one is
needed to paint any of this; what is painted follows what is known of head CT.
"""

from amd_das.segmentation.painting.bleeds import BleedConfig, add_bleeds
from amd_das.segmentation.painting.config import HEAD_CT, UNPAINTED, PaintConfig
from amd_das.segmentation.painting.paint import paint

__all__ = ["HEAD_CT", "UNPAINTED", "BleedConfig", "PaintConfig", "add_bleeds", "paint"]
