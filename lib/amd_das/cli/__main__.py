"""``python -m amd_das.cli``, as other programs of ours start a command."""

import sys

from amd_das.cli import main

if __name__ == "__main__":
    sys.exit(main())
