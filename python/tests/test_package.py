"""The package itself: names, types, and what it says of itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cryptflow as cf

PACKAGE = Path(cf.__file__).parent


def test_all_names_are_there() -> None:
    for name in cf.__all__:
        assert getattr(cf, name) is not None
    assert set(cf.__all__) <= set(dir(cf))
    with pytest.raises(AttributeError):
        cf.nothing  # type: ignore[attr-defined]


def test_everything_public_is_explained() -> None:
    for module in pkgutil.iter_modules([str(PACKAGE)]):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"cryptflow.{module.name}")
        assert loaded.__doc__, module.name
        for name, value in vars(loaded).items():
            if name.startswith("_") or getattr(value, "__module__", None) != loaded.__name__:
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, f"{module.name}.{name}"


def test_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    pytest.importorskip("mypy")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(PACKAGE.parent / "pyproject.toml"), "-p", "cryptflow"]
        if (PACKAGE.parent / "pyproject.toml").exists()
        else [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "-p", "cryptflow"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_stubs_are_those_of_the_module() -> None:
    pytest.importorskip("mypy")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "cryptflow._native"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
