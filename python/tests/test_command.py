"""The command, as the package brings it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import DIGITS

import cryptflow as cf

COMMAND = Path(sysconfig.get_path("scripts")) / "cryptflow"


def run(*arguments: object, starts: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = starts or [sys.executable, "-m", "cryptflow"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def test_it_is_the_whole_command(tmp_path: Path) -> None:
    program = tmp_path / "digits.safetensors"
    compiled = run("compile", DIGITS / "model.pb", "--calibrate", DIGITS / "calibration.npy", "-o", program)
    assert compiled.returncode == 0, compiled.stderr
    done = run("run", program, "--input", DIGITS / "inputs.npy", "--compare", DIGITS / "model.pb", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["compare"]["same_top1"] == report["compare"]["rows"] == 20
    # It is the same program as Python's.
    assert cf.load(program).listing()["digest"] == json.loads(run("inspect", program, "--json").stdout)["digest"]


def test_its_exit_codes_are_the_commands() -> None:
    assert run("--version").stdout.split() == ["cryptflow", cf.__version__]
    assert run("nothing").returncode == 2
    failed = run("inspect", "nothing.safetensors")
    assert failed.returncode == 1 and failed.stderr.startswith("error: ")


def test_it_has_an_entry_point() -> None:
    if not COMMAND.exists():
        pytest.skip("the package is not installed with its entry point")
    assert run("--version", starts=[str(COMMAND)]).stdout.split() == ["cryptflow", cf.__version__]


def test_nothing_is_imported_before_it_is_wanted() -> None:
    script = "import sys, cryptflow; print('numpy' in sys.modules, 'cryptflow._native' in sys.modules)"
    assert run("-c", script, starts=[sys.executable]).stdout.split() == ["False", "False"]
