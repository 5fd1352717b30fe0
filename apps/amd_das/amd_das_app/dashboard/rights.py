"""What the user who looks at the dashboard may do, so that no button promises what the server would refuse."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from markupsafe import Markup

from amd_das.accounts import User
from amd_das_app.access import OPEN, TABLE, current_user
from amd_das_app.errors import NotAllowedError
from amd_das_app.settings import ServerSettings
from amd_das_app.state import require_allowed

SETTINGS_OF: Final = {
    "GET /logs/": ("logs", "reading the log over a network"),
    "POST /models/{version}/use": ("models", "choosing the model version over a network"),
    "DELETE /models/{version}": ("models", "removing model versions over a network"),
}
"""What ``AMD_DAS_ALLOW`` must name where nobody logs in and other machines can reach the server."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Asked by templates and endpoints, with a method and a path as the table of roles has it."""

    user: User | None
    """None where access control is off."""

    settings: ServerSettings

    def why_not(self, method: str, path: str) -> str:
        """Why the server would refuse it; empty where it would not."""
        endpoint = f"{method} {path}"
        role = TABLE[endpoint].role
        if self.user is not None:
            return "" if role == OPEN or self.user.may(role) else f"this needs the role {role}"
        try:
            if endpoint in SETTINGS_OF and not self.settings.on_loopback:
                require_allowed(self.settings, *SETTINGS_OF[endpoint])
        except NotAllowedError as error:
            return str(error)
        return ""

    def require(self, method: str, path: str) -> None:
        """Raises NotAllowedError where the server would refuse it."""
        if reason := self.why_not(method, path):
            raise NotAllowedError(reason)

    def off(self, method: str, path: str) -> Markup:
        """Attribute of a button whose request would be refused."""
        return Markup(" disabled") if self.why_not(method, path) else Markup("")

    def note(self, method: str, path: str) -> Markup:
        """A line that says why buttons are off."""
        reason = self.why_not(method, path)
        return Markup('<p class="hint">The buttons are off: {}.</p>').format(reason) if reason else Markup("")


def rights_of(request: Request) -> Rights:
    """Of the user who asks."""
    return Rights(user=current_user(request), settings=request.app.state.server.settings)
