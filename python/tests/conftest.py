"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import cryptflow as cf

# Keras is tested on the one backend whose models can be compiled; and without a word about processors.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "torch", "onnx", "sklearn", "pandas", "PIL", "tqdm", "matplotlib", "mypy")


def pytest_report_header() -> list[str]:
    """Says which frameworks are tested: a test of one that is not installed is skipped."""
    there = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
    missing = [name for name in FRAMEWORKS if name not in there]
    return [f"tested with: {', '.join(there)}", f"NOT INSTALLED, and not tested with: {', '.join(missing) or 'none'}"]


SHARED: list[cf.Parties] = []

DIGITS = Path(__file__).resolve().parents[2] / "models" / "digits"


def processes() -> set[int]:
    """The processes of parties that this process has started and that still run."""
    if Path("/proc/self/stat").exists():
        return {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_party(p)}
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    fields = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return {int(pid) for pid, parent, command in fields if int(parent) == os.getpid() and "party-local" in command}


def _is_party(process: Path) -> bool:
    try:
        parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"party-local" in (process / "cmdline").read_bytes()
    except (OSError, IndexError):
        return False


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves a process, or a temporary file of a model."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    shared = {process for parties in SHARED for process in parties.processes}
    assert processes() <= shared, "a test left processes of parties"
    assert not list(folder.glob("cryptflow-*")), "a test left temporary files"


@pytest.fixture(scope="session")
def digits() -> dict[str, np.ndarray]:
    """The inputs of the small network, and examples of them."""
    return {name: np.load(DIGITS / f"{name}.npy") for name in ("calibration", "inputs")}


@pytest.fixture(scope="session")
def program(digits: dict[str, np.ndarray]) -> cf.Program:
    """The small network, compiled."""
    with pytest.warns(cf.CompileWarning, match="hide_logits"):
        return cf.compile(DIGITS / "model.pb", digits["calibration"], progress=False)


@pytest.fixture(scope="session")
def parties() -> Iterator[cf.Parties]:
    """Parties for all tests that do nothing to them."""
    with cf.local() as parties:
        SHARED.append(parties)
        yield parties
        SHARED.clear()


def close(secure: np.ndarray, expected: np.ndarray, share: float = 0.01) -> None:
    """Asserts that answers are the float model's, up to a part of what these span."""
    assert secure.shape == expected.shape
    assert secure.dtype == expected.dtype
    spans = max(float(np.ptp(expected)), 1e-6)
    assert float(np.max(np.abs(secure.astype(float) - expected.astype(float)))) <= share * spans
