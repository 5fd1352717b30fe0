"""What the user who looks at the dashboard may do, so that no button promises what the server would refuse."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Asked by the templates."""

    may: Callable[[str, str], bool]
    """Whether the user may send this method to this path, a path as routes write it."""

    def off(self, method: str, path: str) -> Markup:
        """Attribute of a button whose request would be refused."""
        return Markup("") if self.may(method, path) else Markup(" disabled")

    def note(self, method: str, path: str) -> Markup:
        """A line that says why buttons are off."""
        if self.may(method, path):
            return Markup("")
        return Markup('<p class="hint">Your role does not allow this; ask an administrator of the server.</p>')


def rights_of(request: object) -> Rights:
    """Of the user who asks; everything where access control is off."""
    return Rights(may=lambda method, path: True)
