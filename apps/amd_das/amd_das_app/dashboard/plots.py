"""The dashboard's drawings, which pages show as images."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from amd_das.training import history
from amd_das_app.dashboard.runs import TranslationSheets, curve_folder
from amd_das_app.dashboard.scans import scan_rows
from amd_das_app.dashboard.worklist_view import compared
from amd_das_app.state import State

MOST_PANELS: Final = 12
"""Of the curves of one training (ours)."""

_PLOT: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
    "X-Content-Type-Options": "nosniff",
}
"""Of drawings, whose addresses change with what they show."""


def plots_router(sheets: TranslationSheets) -> APIRouter:
    """Below ``/plots``."""
    router = APIRouter(prefix="/plots")

    @router.get("/{run}.curves.svg")
    def curves_svg(state: State, run: str, panels: int = MOST_PANELS) -> Response:
        from amd_das.evaluation.curves import loss_curves  # brings matplotlib

        most = min(max(panels, 1), MOST_PANELS)
        return _svg(loss_curves(history.read(curve_folder(state.jobs.folder, run)), most))

    @router.get("/pseudo-ct.png")
    def pseudo_ct() -> FileResponse:
        return FileResponse(sheets.draw(), media_type="image/png", headers=_PLOT)

    @router.get("/bland-altman.svg")
    def bland_altman_svg() -> Response:
        from amd_das.evaluation.plots import bland_altman

        both = compared(scan_rows()[0])
        return _svg(bland_altman([row.label_ml or 0.0 for row in both], [row.volume_ml or 0.0 for row in both]))

    @router.get("/dice.svg")
    def dice_svg() -> Response:
        from amd_das.evaluation.plots import dice_distribution

        rows, version, _ = scan_rows()
        return _svg(dice_distribution({version: [row.dice for row in rows if row.dice is not None]}))

    return router


def _svg(text: str) -> Response:
    return Response(text, media_type="image/svg+xml", headers=_PLOT)
