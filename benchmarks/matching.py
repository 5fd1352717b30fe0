"""Matching at the paper's size, 15,480 MRI and 15,480 CT slices: seconds and peak memory, beside two plain loops.

    python benchmarks/matching.py [--source 15480] [--target 15480] [--threads 2] [-o RESULTS.json]

Fingerprints and comparison are timed on synthetic slices in mapped files (892 MB a domain, just written and so in the
system's file cache) in a process of their own, whose peak memory is reported. The authors' formulation (fingerprints
as strings of 64 characters, compared one by one, a dictionary per MRI, written to disk as a pickle, for the
fingerprints and again for the lesions) is written afresh, timed on the first MRIs against all CTs, and extrapolated to
all of them: every MRI takes the same work.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import threadpoolctl

from amd_das.matching.fingerprint import fingerprints
from amd_das.matching.similarity import nearest
from amd_das.preprocessing.grid import SIZE
from amd_das.reproduction.machine import machine

CANDIDATES = 20
TARGET_SECONDS, TARGET_GB = 10.0, 2.0
CHUNK = 512

Results = dict[str, dict[str, float]]


def write_slices(path: Path, count: int, seed: int) -> None:
    """(count, 240, 240) uint8: blocks of noise inside an ellipse, all different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    with path.open("wb") as file:
        for start in range(0, count, CHUNK):
            number = min(CHUNK, count - start)
            coarse = rng.integers(0, 256, (number, 16, 16), np.uint8)
            slices = coarse.repeat(15, axis=1).repeat(15, axis=2)
            radii = rng.uniform(60, 110, (number, 2, 1, 1))
            slices[(y / radii[:, 0]) ** 2 + (x / radii[:, 1]) ** 2 > 1] = 0
            file.write(slices.tobytes())


def lesions(count: int, seed: int) -> np.ndarray:
    """(count,) pixels; three slices in ten have none."""
    rng = np.random.default_rng([seed, 1])
    return np.where(rng.random(count) < 0.3, 0, rng.integers(1, 6000, count))


def peak_gb() -> float:
    """Largest resident memory of this process so far; unlike `getrusage`, not of the one that started it."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


@contextmanager
def timed(results: Results, step: str) -> Iterator[None]:
    """Wall and processor seconds of the block, and the process's peak memory after it."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    results[step] = {
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_gb": round(peak_gb(), 2),
    }


def ours(folder: Path, counts: tuple[int, int], threads: int) -> Results:
    """Fingerprints of both domains from files, then top 20 and nearest MRI."""
    threadpoolctl.threadpool_limits(threads)
    results: Results = {}
    with timed(results, "start"):
        source, target = (
            np.memmap(folder / name, np.uint8, "r", shape=(count, SIZE, SIZE))
            for name, count in zip(("source", "target"), counts, strict=True)
        )
    with timed(results, "all"):
        with timed(results, "fingerprints"):
            source_fp, target_fp = fingerprints(source), fingerprints(target)
        with timed(results, "similarity and top 20"):
            nearest(source_fp, lesions(counts[0], 0), target_fp, lesions(counts[1], 1), CANDIDATES)
    return results


def plain_loops(rows: int, counts: tuple[int, int], folder: Path) -> dict[str, float]:
    """The authors' formulation for the first MRIs, and what all of them would take."""
    rng = np.random.default_rng(2)
    prints = [
        {f"{domain}_{i:05}.png": "".join(map(str, bits)) for i, bits in enumerate(rng.integers(0, 2, (count, 64)))}
        for domain, count in zip(("mri", "ct"), (rows, counts[1]), strict=True)
    ]
    sizes = [dict(zip(names, lesions(len(names), seed).tolist(), strict=True)) for seed, names in enumerate(prints)]
    wall, cpu = time.perf_counter(), time.process_time()
    written = 0
    for mri, mri_print in prints[0].items():
        hamming, lesion = {}, {}
        for ct, ct_print in prints[1].items():
            differing = 0
            for place in range(len(mri_print)):
                if mri_print[place] != ct_print[place]:
                    differing += 1
            hamming[ct] = differing
        for ct, size in sizes[1].items():
            lesion[ct] = abs(size - sizes[0][mri])
        for name, table in (("hamming", hamming), ("lesion", lesion)):
            np.save(folder / f"{mri}-{name}.npy", table)  # type: ignore[arg-type]
            written += (folder / f"{mri}-{name}.npy").stat().st_size
        total = {ct: 100 * hamming[ct] + lesion[ct] for ct in hamming}
        sorted(total.items(), key=lambda item: item[1])[:CANDIDATES]
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    scale = counts[0] / rows
    return {
        "mri_timed": rows,
        "seconds_timed": round(seconds, 2),
        "seconds_extrapolated": round(seconds * scale),
        "cpu_seconds_extrapolated": round(cpu_seconds * scale),
        "gb_on_disk_extrapolated": round(written * scale / 1e9, 1),
    }


def main() -> None:
    """Make slices, time both, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=int, default=15_480)
    parser.add_argument("--target", type=int, default=15_480)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain-mri", type=int, default=60, help="MRIs that the plain loops compare (%(default)s)")
    parser.add_argument("--machine", default=machine(), help="words for the record")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"), help="for the record (%(default)s)")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    counts = arguments.source, arguments.target
    with tempfile.TemporaryDirectory() as folder:
        for seed, (name, count) in enumerate(zip(("source", "target"), counts, strict=True)):
            write_slices(Path(folder, name), count, seed)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results = pool.apply(ours, (Path(folder), counts, arguments.threads))
        plain = plain_loops(arguments.plain_mri, counts, Path(folder))
    print(f"{counts[0]:,} MRI x {counts[1]:,} CT slices, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}")
    for step, row in results.items():
        print(f"{step:24} {row['seconds']:8.2f} s {row['cpu_seconds']:8.2f} s CPU {row['peak_gb']:6.2f} GB peak")
    print(f"target: at most {TARGET_SECONDS:g} s and {TARGET_GB:g} GB on two cores")
    minutes, cpu_minutes = (plain[f"{kind}_extrapolated"] / 60 for kind in ("seconds", "cpu_seconds"))
    print(
        f"plain loops: {plain['seconds_timed']:.1f} s for {plain['mri_timed']} MRIs; extrapolated to all, "
        f"{minutes:.0f} min ({cpu_minutes:.0f} min CPU) and {plain['gb_on_disk_extrapolated']:.1f} GB on disk"
    )
    if arguments.output:
        record = {
            "date": arguments.date,
            "machine": arguments.machine,
            "command": f"python benchmarks/matching.py --threads {arguments.threads}",
            "load_average": round(os.getloadavg()[0], 1),
            "source": counts[0],
            "target": counts[1],
            "threads": arguments.threads,
            "ours": results,
            "plain_loops": plain,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
