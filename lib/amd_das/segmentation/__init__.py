"""The segmentation network (paper, section 3.2), its losses and its training."""
