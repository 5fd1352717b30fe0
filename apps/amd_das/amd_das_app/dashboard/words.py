"""Numbers, times and names as people read them."""

import math
from datetime import datetime
from typing import Any, Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_SUFFIXES: Final = {"ml": "mL", "mm": "mm"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def humanised(name: str) -> str:
    """``median_volume_error_ml`` → "Median volume error, mL"."""
    words = name.replace("_", " ").strip()
    for unit, shown in _SUFFIXES.items():
        if words.endswith(f" {unit}"):
            words = f"{words.removesuffix(unit).rstrip()}, {shown}"
    return (words[:1].upper() + words[1:]).replace("dice", "Dice")


def number(value: Any) -> str:
    """Three significant digits; nothing for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def millilitres(value: float | None) -> str:
    """One decimal; nothing for what is not known."""
    return "" if value is None or not math.isfinite(value) else f"{value:.1f} mL"


def signed(value: float) -> str:
    """One decimal with its sign; nothing rounds to −0.0."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def size(count: float) -> str:
    """Bytes, in powers of 1000: ``1.2 GB``."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == _UNITS[0] or count >= 100 else f"{count:.1f} {unit}"


def span(seconds: float) -> str:
    """About how long: ``40 s``, ``12 min``, ``3 h 5 min``, ``2 days 4 h``."""
    whole = max(0, round(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{round(whole / _MINUTE)} min"
    minutes = round(whole / _MINUTE)
    hours, minutes = divmod(minutes, 60)
    if whole < _DAY:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} day{'' if days == 1 else 's'}" + (f" {hours} h" if hours else "")


def when(seconds: float | None) -> str:
    """A moment in the server's time zone; nothing for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def count(amount: int, what: str) -> str:
    """``1 scan``, ``2 scans``."""
    return f"{amount:,} {what}{'' if amount == 1 else 's'}"
