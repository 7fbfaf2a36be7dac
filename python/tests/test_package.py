"""The package itself: names, types, and what it says of itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
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


def explained(docs: str) -> set[str]:
    """The parameters that a docstring explains."""
    section = re.search(r"^ *Parameters\n *-+\n(.*?)(?=^ *\w+\n *-{3,}$|\Z)", inspect.cleandoc(docs), re.MULTILINE | re.DOTALL)
    lines = section[1].splitlines() if section else []
    return {name.strip().lstrip("*") for line in lines if line and not line.startswith(" ") for name in line.split(",")}


def test_every_parameter_is_explained() -> None:
    """What has two parameters or more says what each of them is; so the reference of the package has no gaps."""
    public = [getattr(cf, name) for name in cf.__all__ if name != "sklearn"] + [cf.sklearn.compile]
    methods = [
        value for one in public if inspect.isclass(one) for name, value in vars(one).items() if inspect.isfunction(value) and name[0] != "_"
    ]
    for function in [one for one in public if inspect.isfunction(one)] + methods:
        parameters = {name for name in inspect.signature(function).parameters if name != "self"}
        docs = inspect.getdoc(function) or ""
        # The asynchronous ones are what they are the asynchronous form of.
        if len(parameters) > 1 and not function.__name__.endswith("_async"):
            assert explained(docs) == parameters, function.__qualname__


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
