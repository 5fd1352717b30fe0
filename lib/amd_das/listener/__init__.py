"""CT series in by C-STORE from a router, segmented when complete, results out by C-STORE: ``amd-das listen``."""
