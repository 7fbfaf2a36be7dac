"""Private inference: a model on an input that nobody sees.

    import cryptflow as cf

    program = cf.compile(model, calibration=x_train[:200])
    program.report
    program.simulate(x)
    with cf.local() as parties:
        y = program.run(x, parties)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptflow import sklearn as sklearn
    from cryptflow._native import __version__ as __version__
    from cryptflow.checking import Check as Check
    from cryptflow.checking import check as check
    from cryptflow.compiling import compile as compile
    from cryptflow.errors import BoundsWarning as BoundsWarning
    from cryptflow.errors import CompileError as CompileError
    from cryptflow.errors import CompileWarning as CompileWarning
    from cryptflow.errors import Error as Error
    from cryptflow.errors import InputError as InputError
    from cryptflow.errors import InternalError as InternalError
    from cryptflow.errors import MissingError as MissingError
    from cryptflow.errors import ModelError as ModelError
    from cryptflow.errors import Node as Node
    from cryptflow.errors import OptionError as OptionError
    from cryptflow.errors import PartyError as PartyError
    from cryptflow.errors import ProgramError as ProgramError
    from cryptflow.errors import SiteError as SiteError
    from cryptflow.errors import UnsupportedError as UnsupportedError
    from cryptflow.parties import Parties as Parties
    from cryptflow.parties import local as local
    from cryptflow.program import Program as Program
    from cryptflow.program import load as load
    from cryptflow.site import DeployedModel as DeployedModel
    from cryptflow.site import Site as Site

# Where each name is. Nothing is imported before it is wanted: the parties' processes want none of it.
_PLACES = {
    "__version__": "_native",
    "BoundsWarning": "errors",
    "Check": "checking",
    "CompileError": "errors",
    "CompileWarning": "errors",
    "DeployedModel": "site",
    "Error": "errors",
    "InputError": "errors",
    "InternalError": "errors",
    "MissingError": "errors",
    "ModelError": "errors",
    "Node": "errors",
    "OptionError": "errors",
    "Parties": "parties",
    "PartyError": "errors",
    "Program": "program",
    "ProgramError": "errors",
    "Site": "site",
    "SiteError": "errors",
    "UnsupportedError": "errors",
    "check": "checking",
    "compile": "compiling",
    "load": "program",
    "local": "parties",
}

__all__ = [
    "BoundsWarning",
    "Check",
    "CompileError",
    "CompileWarning",
    "DeployedModel",
    "Error",
    "InputError",
    "InternalError",
    "MissingError",
    "ModelError",
    "Node",
    "OptionError",
    "Parties",
    "PartyError",
    "Program",
    "ProgramError",
    "Site",
    "SiteError",
    "UnsupportedError",
    "check",
    "compile",
    "load",
    "local",
    "sklearn",
]


def __getattr__(name: str) -> Any:
    if name == "sklearn":
        return importlib.import_module("cryptflow.sklearn")
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'cryptflow' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"cryptflow.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
