"""The MONAI Label app around :mod:`amd_das`: adapters and guards, no algorithm."""
