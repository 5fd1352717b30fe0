"""What a bundle's configs name; in a bundle this folder is ``scripts``, and the package ``amd_das`` lies in it.

That copy, and no installed one, is what the weights were exported with, so it goes first on the path.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
if (_HERE / "amd_das").is_dir() and str(_HERE) not in sys.path:
    sys.path.insert(0, str(_HERE))
