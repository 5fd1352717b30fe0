"""The app's modules are importable under the name they have when MONAI Label loads them."""

import sys
from pathlib import Path

APP_DIR = Path(__file__).resolve().parents[2] / "apps" / "amd_das"
sys.path.insert(0, str(APP_DIR))
