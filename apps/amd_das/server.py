"""The server's ASGI application.

``make serve`` runs it through ``serve.py``; so does MONAI Label's own launcher:
``PYTHONPATH=apps/amd_das monailabel start_server --app apps/amd_das --studies DIR --uvicorn_app server:app``
"""

import sys

from amd_das_app.environment import prepare_monai_label

prepare_monai_label()

from amd_das.errors import ConfigError  # noqa: E402
from amd_das_app.application import create_application  # noqa: E402
from amd_das_app.settings import server_settings  # noqa: E402

try:
    app = create_application(server_settings())
except ConfigError as error:
    sys.exit(f"cannot start: {error}")
