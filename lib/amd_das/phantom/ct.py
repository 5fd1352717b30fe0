"""A non-contrast head CT: draw a subject, what happened to it, how it looks and who scans it; then scan."""

from dataclasses import replace

import numpy as np

from amd_das.phantom.anatomy import Subject, draw_subject
from amd_das.phantom.case import PhantomCase
from amd_das.phantom.lesions import (
    Lesion,
    draw_contusion,
    draw_extra_axial,
    draw_hemorrhage,
    draw_subarachnoid,
    draw_texture,
    draw_ventricular,
)
from amd_das.phantom.look import CtScene, draw_look
from amd_das.phantom.scanner import Scanner, draw_scanner, scan


def draw_ct_lesions(rng: np.random.Generator, subject: Subject, *, iph: bool) -> tuple[Lesion, ...]:
    """What one patient has: an intraparenchymal bleed or not, and other bleeds beside it or instead."""
    texture = draw_texture(rng, rng.uniform(6, 14), rng.uniform(2.5, 4.5))
    lesions: list[Lesion] = []
    if iph:
        traumatic = rng.random() < 0.35
        lesions.append(draw_contusion(rng, texture) if traumatic else draw_hemorrhage(rng, texture))
        if rng.random() < (0.4 if traumatic else 0.08):
            lesions.append(draw_contusion(rng, draw_texture(rng)))
    others = {"ivh": 0.22, "sah": 0.2, "sdh": 0.2, "edh": 0.06}
    for kind, chance in others.items():
        if rng.random() >= chance:
            continue
        if kind == "ivh":
            lesions.append(draw_ventricular(rng, texture))
        elif kind == "sah":
            lesions.append(draw_subarachnoid(rng, texture))
        else:
            lesions.append(draw_extra_axial(rng, texture, kind, subject.gap_mm))  # type: ignore[arg-type]
    return tuple(lesions)


def make_ct(
    seed: int, *, iph: bool | None = None, matrix: int = 512, case_id: str | None = None, scanner: Scanner | None = None
) -> PhantomCase:
    """One CT from a seed; ``iph`` None draws whether there is an intraparenchymal bleed (70 %)."""
    rng = np.random.default_rng([seed, 0xC7])
    subject = draw_subject(rng)
    bleeding = bool(rng.random() < 0.7) if iph is None else iph
    lesions = draw_ct_lesions(rng, subject, iph=bleeding)
    drawn = draw_scanner(rng, matrix=matrix)
    scene = CtScene(subject, lesions, draw_look(rng))
    return scan(scene, scanner or drawn, rng, case_id or f"phantom-ct-{seed:04d}")


def make_training_ct(seed: int) -> PhantomCase:
    """One CT as trainings need many of: 256 x 256, one slice in 7-11 mm, a tenth of the work of :func:`make_ct`."""
    rng = np.random.default_rng([seed, 1])
    scanner = replace(draw_scanner(rng, matrix=256), distance_mm=float(rng.uniform(7, 11)), subslices=2)
    return make_ct(seed, matrix=256, scanner=scanner)
