"""Runs each network of a folder with CrypTFlow and with SPU, in turns, and prints what each took and the ratios within turns."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def output(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(cryptflow: str, compiled: Path, row: Path) -> dict[str, Any]:
    """Seconds of the run; processor seconds of the whole command, sharing included; bytes between the parties."""
    before = children()
    report = json.loads(output(cryptflow, "run", compiled, "--input", row, "--json"))
    return {
        "seconds": report["seconds"]["online"],
        "cpu": children() - before,
        "bytes": report["bytes"]["total"],
        "peak": max(report["peak_rss"].values()),
    }


def theirs(model: Path, row: Path) -> dict[str, Any]:
    """Seconds and processor seconds of the run alone; bytes with the headers of TCP."""
    said = json.loads(output(sys.executable, HERE / "with_spu.py", model, row).splitlines()[-1])
    return {
        "seconds": said["seconds"][0],
        "cpu": said["cpu_seconds"][0],
        "bytes": said["loopback_bytes"][0],
        "peak": max(said["peak_rss"]),
        "same": said["same_class"],
        "farthest": said["farthest"],
    }


def main() -> None:
    cryptflow, folder, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    alone = os.environ.get("PEERS_ALONE") == "1"
    models = [model for model in sorted(folder.glob("*.onnx")) if model.with_suffix(".npy").exists()]
    if not models:
        raise SystemExit(f"{folder}: there is no NAME.onnx with its NAME.npy")
    print("| network | | seconds | processor seconds | MB between the parties | memory of a party, MB |")
    print("|---|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        for model in models:
            compiled, row = Path(scratch) / "m.safetensors", Path(scratch) / "x.npy"
            np.save(row, np.load(model.with_suffix(".npy"))[:1])
            output(cryptflow, "compile", model, "--calibrate", model.with_suffix(".npy"), "--out", compiled)
            turns = []
            for turn in range(rounds):
                ways = [lambda: ours(cryptflow, compiled, row), lambda: theirs(model, row)]
                if turn % 2:
                    second = ways[1]()
                    turns.append((ways[0](), second))
                else:
                    turns.append((ways[0](), ways[1]()))
            show(model.stem, turns, alone)


def show(name: str, turns: list[tuple[dict[str, Any], dict[str, Any]]], alone: bool) -> None:
    def middle(way: int, what: str) -> float:
        return statistics.median(turn[way][what] for turn in turns)

    def line(who: str, way: int) -> str:
        # SPU does not tell: its bytes are those on the loopback.
        sent = f"{middle(way, 'bytes') / 1e6:.1f}" if alone or way == 0 else ""
        return (
            f"| {name} | {who} | {middle(way, 'seconds'):.3f} | {middle(way, 'cpu'):.2f} | {sent} | "
            f"{middle(way, 'peak') / 1e6:.0f} |"
        )

    def ratios(what: str) -> str:
        found = sorted(turn[1][what] / turn[0][what] for turn in turns if turn[0][what])
        if not found:
            return ""
        return f"{statistics.median(found):.1f} ({found[0]:.1f} to {found[-1]:.1f})"

    print(line("CrypTFlow", 0))
    print(line("SPU", 1))
    sent = ratios("bytes") if alone else ""
    print(f"| {name} | SPU : CrypTFlow | {ratios('seconds')} | {ratios('cpu')} | {sent} | {ratios('peak')} |", flush=True)
    wrong = [turn[1]["farthest"] for turn in turns if not turn[1]["same"]]
    if wrong:
        print(f"\nSPU's class was not the model's in {len(wrong)} of {len(turns)} runs; farthest {max(wrong):.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
