"""Which endpoint a request will reach: asked of the application's own routes, in their own order."""

from collections.abc import Sequence
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Match
from starlette.types import Scope

from amd_das_app.access.table import TABLE, UNKNOWN, UNLISTED, Rule


def endpoints(app: Any) -> list[str]:
    """Method and path of everything an application answers to, as in the table."""
    return [f"{method} {route.path}" for route in _routes(app) for method in sorted(route.methods or {"ANY"})]


def _routes(app: Any) -> Sequence[RouteContext]:
    """FastAPI keeps included routers as they are; here is what they hold, in the order in which it is tried."""
    return list(iter_route_contexts(app.routes))


class RuleFinder:
    """Finds the table's rule for a request. The application's routes are looked up once, at the first request."""

    def __init__(self) -> None:
        self._routes: Sequence[RouteContext] | None = None

    def find(self, scope: Scope) -> tuple[Rule, dict[str, str]]:
        """The rule, and the parameters in the path; the first route that takes path and method will answer."""
        if self._routes is None:
            self._routes = _routes(scope["app"])
        asked = dict(scope)
        for route in self._routes:
            match, child = route.matches(asked)
            if match is Match.FULL:
                return TABLE.get(f"{scope['method']} {route.path}", UNLISTED), child.get("path_params", {})
        return UNKNOWN, {}
