"""Who may do what: log-in, tokens, the table of roles and endpoints, and the audit log."""

from amd_das_app.access.auditing import note
from amd_das_app.access.middleware import Access, current_user
from amd_das_app.access.table import OPEN, TABLE, Rule

__all__ = ["OPEN", "TABLE", "Access", "Rule", "current_user", "note"]
