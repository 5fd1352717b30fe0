"""People who may use a server, their roles, and what they did."""

from amd_das.accounts.audit import AuditLog
from amd_das.accounts.roles import ROLES, User, parse_roles
from amd_das.accounts.store import UserStore, accounts_folder

__all__ = ["ROLES", "AuditLog", "User", "UserStore", "accounts_folder", "parse_roles"]
