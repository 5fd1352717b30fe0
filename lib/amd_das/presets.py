"""Named sets of configurations of the pipeline: paper, shipped, smoke."""
