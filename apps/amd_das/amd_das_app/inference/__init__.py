"""Segmenting as MONAI Label's tasks, in turn on each device."""
