"""The scans of the studies for the dashboard, and what people call them."""

from amd_das.errors import NotFoundError, PacsError
from amd_das_app.dashboard.worklist_view import CaseName, names_in_pacs
from amd_das_app.monai_app import monai_label_app
from amd_das_app.pacs.datastore import PacsDatastore
from amd_das_app.worklist.case_scores import CaseRow


def scan_names() -> dict[str, CaseName]:
    """What people call the scans; empty where their ids are their names."""
    datastore = monai_label_app().datastore()
    return names_in_pacs(datastore.listing) if isinstance(datastore, PacsDatastore) else {}


def scan_rows() -> tuple[list[CaseRow], str, str]:
    """The scans, the version of the model, and why there are none."""
    app = monai_label_app()
    version: str = app.model_version()
    try:
        return app.cases.rows(app.datastore(), version), version, app.pacs_trouble()
    except (PacsError, NotFoundError) as error:
        return [], version, str(error)
