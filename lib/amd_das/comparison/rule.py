"""When a challenger may take the champion's place.

Both have segmented the same scans, which neither has learnt from, so differences are taken scan by scan. The challenger
takes the place if it is not worse: its mean Dice on scans with a bleed, and its mean false-positive volume on scans
without one, stay within a margin. From a few volumes on a one-sided bootstrap bound of the mean difference has to
(non-inferiority); with fewer, where a bound says little, the mean itself, and no single scan may lose much. A bleed
that was found must not be missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.stats import bootstrap

from amd_das.errors import ConfigError

Scans = Literal["held-out", "phantom"]


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """When a challenger is not worse than the champion."""

    margin_dice: float = 0.02
    """Mean Dice on bleeds may be lower by so much."""

    margin_ml: float = 0.5
    """Mean false-positive volume on scans without a bleed may be higher by so much, mL."""

    few: int = 6
    """From so many volumes on, a one-sided bootstrap bound of the mean must hold the margin, not the mean itself."""

    confidence: float = 0.9
    """Of that bound."""

    worst_drop: float = 0.15
    """With fewer volumes than ``few``, Dice may fall by so much in none of them."""

    missed_ml: float = 1.0
    """A bleed of at least so many mL that the champion touches must not be missed altogether."""

    forgotten: float = 0.1
    """With fewer bleeds than ``few``, Dice on held-out pseudo-CT may fall by so much."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin_dice < 1.0 or not 0.0 < self.worst_drop <= 1.0 or self.margin_ml < 0.0:
            raise ConfigError(
                f"margin_dice {self.margin_dice}, worst_drop {self.worst_drop}, margin_ml {self.margin_ml}: expected "
                "0 or more, the first two at most 1"
            )
        if not 0.5 < self.confidence < 1.0 or self.few < 2 or self.missed_ml < 0.0:
            raise ConfigError(
                f"confidence {self.confidence}, few {self.few}, missed_ml {self.missed_ml}: expected 0.5 to 1, at "
                "least 2, and 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One scan under both models."""

    case: str
    reference_ml: float
    """Volume of the label, 0 where there is no bleed."""

    champion_ml: float
    challenger_ml: float
    champion_dice: float = float("nan")
    """Not a number where there is no bleed."""

    challenger_dice: float = float("nan")

    @property
    def bleeds(self) -> bool:
        return self.reference_ml > 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What comes of it."""

    publish: bool
    reason: str
    """In words, for the record, the card and the user."""

    numbers: dict[str, Any] = field(default_factory=dict)
    """Means of both models and of the differences."""


def decide(
    pairs: Sequence[Pair],
    config: RuleConfig,
    seed: int = 0,
    *,
    scans: Scans = "held-out",
    pseudo_ct: tuple[float, float] | None = None,
) -> Verdict:
    """Compare both models on the same scans; see the module.

    Args:
        pairs: one for each scan.
        config: margins.
        seed: of the bootstrap.
        scans: which they are: labelled ones held out, or phantom heads.
        pseudo_ct: Dice of champion and challenger on held-out pseudo-CT, where there is any.
    """
    bleeds, clear = [pair for pair in pairs if pair.bleeds], [pair for pair in pairs if not pair.bleeds]
    key = scans.replace("-", "_")
    numbers: dict[str, Any] = {f"{key}_bleeds": len(bleeds), f"{key}_without": len(clear)}
    if pseudo_ct is not None:
        numbers |= {"pseudo_ct_dice": round(pseudo_ct[1], 4), "champion_pseudo_ct_dice": round(pseudo_ct[0], 4)}
    if not bleeds:
        have = f"{len(clear)} held-out scan(s) without one" if clear else "nothing is held out"
        return Verdict(
            publish=False,
            reason=f"no labelled scan with a bleed is held out ({have}), so nothing shows that it is not worse; "
            "label bleeds of at least 2 patients",
            numbers=numbers,
        )
    gains = np.array([pair.challenger_dice - pair.champion_dice for pair in bleeds])
    numbers |= {
        "mean_dice": round(float(np.mean([pair.challenger_dice for pair in bleeds])), 4),
        "champion_mean_dice": round(float(np.mean([pair.champion_dice for pair in bleeds])), 4),
        "dice_gain": round(float(gains.mean()), 4),
    }
    faults, bound = [], None
    if len(bleeds) >= config.few:
        bound = _lower_bound(gains, config.confidence, seed)
        numbers["dice_gain_at_least"] = round(bound, 4)
        if bound < -config.margin_dice:
            faults.append(
                f"Dice changes by {gains.mean():+.3f} on average, and at {config.confidence:.0%} confidence a fall by "
                f"{bound:+.3f} cannot be excluded; {-config.margin_dice:+.3f} is allowed"
            )
    else:
        if gains.mean() < -config.margin_dice:
            faults.append(f"Dice changes by {gains.mean():+.3f} on average; {-config.margin_dice:+.3f} is allowed")
        if gains.min() < -config.worst_drop:
            worst = bleeds[int(gains.argmin())]
            faults.append(f"Dice falls from {worst.champion_dice:.2f} to {worst.challenger_dice:.2f} in {worst.case}")
    missed = [
        pair.case
        for pair in bleeds
        if pair.reference_ml >= config.missed_ml and pair.champion_dice > 0 and not pair.challenger_dice > 0
    ]
    if missed:
        faults.append(f"it misses {len(missed)} bleed(s) that were found ({', '.join(missed[:3])})")
    if clear:
        more = np.array([pair.challenger_ml - pair.champion_ml for pair in clear])
        numbers |= {
            "false_ml": round(float(np.mean([pair.challenger_ml for pair in clear])), 3),
            "champion_false_ml": round(float(np.mean([pair.champion_ml for pair in clear])), 3),
        }
        most = -_lower_bound(-more, config.confidence, seed) if len(clear) >= config.few else float(more.mean())
        if most > config.margin_ml:
            faults.append(
                f"false positives on {len(clear)} scan(s) without a bleed change by {more.mean():+.2f} mL on average"
                + (f", possibly by {most:+.2f} mL" if len(clear) >= config.few else "")
                + f"; at most {config.margin_ml:+.2f} mL is allowed"
            )
    if pseudo_ct is not None and len(bleeds) < config.few and pseudo_ct[1] < pseudo_ct[0] - config.forgotten:
        faults.append(
            f"it has forgotten: Dice on held-out pseudo-CT falls from {pseudo_ct[0]:.2f} to {pseudo_ct[1]:.2f}"
        )
    on = f"{len(bleeds)} {scans} bleed(s)" + (f" and {len(clear)} scan(s) without" if clear else "")
    if faults:
        return Verdict(publish=False, reason=f"worse on {on}: {'; '.join(faults)}", numbers=numbers)
    sure = f", at least {bound:+.3f} with {config.confidence:.0%} confidence" if bound is not None else ""
    return Verdict(
        publish=True, reason=f"not worse on {on}: Dice changes by {gains.mean():+.3f} on average{sure}", numbers=numbers
    )


def _lower_bound(values: np.ndarray, confidence: float, seed: int) -> float:
    """One-sided lower bound of the mean of (n,) values, n at least 2: percentile bootstrap."""
    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        alternative="greater",
        method="percentile",
        n_resamples=9999,
        rng=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low)
