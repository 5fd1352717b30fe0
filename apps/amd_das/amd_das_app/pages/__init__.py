"""Pages for people: plain HTML that needs nothing from anywhere else."""

from amd_das_app.pages.frame import ASSETS, page, table

__all__ = ["ASSETS", "page", "table"]
