"""What goes wrong, and what is to be known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A node of a model, and what is the matter with it.

    Attributes
    ----------
    name
        Its name in the model.
    operation
        Its operation, as the model's framework calls it.
    reason
        What is the matter.
    advice
        What to do; empty where nothing is known that helps.
    kind
        What kind of reason it is, in a word for programs: `operation` where the operation is not supported at all.
    """

    name: str
    operation: str
    reason: str
    advice: str = ""
    kind: str = ""

    @classmethod
    def of(cls, name: str, operation: str, kind: str, reason: str, advice: str | None) -> Node:
        """As the compiler says it."""
        return cls(name, operation, in_python(reason), in_python(advice or ""), kind)

    def __str__(self) -> str:
        text = f"{self.name} ({self.operation}): {self.reason}"
        return f"{text}. {self.advice}" if self.advice else text


class Error(Exception):
    """Anything that this package raises.

    Attributes
    ----------
    code
        What kind of error it is, in a word for programs.
    nodes
        The nodes of the model that it is about.
    """

    code: str
    nodes: tuple[Node, ...]

    def __init__(self, text: str, code: str = "", nodes: Iterable[Node] = ()) -> None:
        super().__init__(text)
        self.code = code or type(self).__name__.removesuffix("Error").lower()
        self.nodes = tuple(nodes)

    def __reduce__(self) -> tuple[type[Error], tuple[str, str, tuple[Node, ...]]]:
        return type(self), (str(self), self.code, self.nodes)


class ModelError(Error, ValueError):
    """This is no model, or not one that can be compiled as it is."""


class UnsupportedError(ModelError):
    """Nodes of the model cannot be compiled: all of them are in `nodes`."""


class OptionError(Error, ValueError):
    """An option that makes no sense, or one that is missing."""


class InputError(Error, ValueError):
    """An input that does not go with the model."""


class CompileError(Error):
    """The model could not be brought into fixed point."""


class ProgramError(Error):
    """A compiled model that cannot be read, written or run."""


class PartyError(Error, RuntimeError):
    """A party did not start, failed, refuses, or is gone."""

    @property
    def word(self) -> str:
        """What the parties call it, as `cryptflow --json` prints it: `busy`, `unreachable`, `unknown-model`, … Empty where
        there is no word for it. `code` is `party-` and this word."""
        return self.code.partition("-")[2]


class SiteError(Error, ValueError):
    """A site's configuration, or a file that it names, is missing or wrong."""


class MissingError(Error, ImportError):
    """A package that is needed for this is not installed."""


class InternalError(Error, RuntimeError):
    """A mistake of this package. Please report it."""


class CompileWarning(UserWarning):
    """What is to be known of a compiled model."""


class BoundsWarning(UserWarning):
    """A value left the bounds that the model was compiled for: the answer may be wrong."""


_CLASSES: dict[str, type[Error]] = {
    "compile": CompileError,
    "input": InputError,
    "internal": InternalError,
    "model": ModelError,
    "no-bounds": OptionError,
    "option": OptionError,
    "party": PartyError,
    "program": ProgramError,
    "rows-mixed": ModelError,
    "site": SiteError,
    "unsupported": UnsupportedError,
}


def of(code: str, text: str, nodes: Sequence[tuple[str, str, str, str, str | None]]) -> Error:
    """The exception of a code: `input-shape` is an `input`."""
    kind = _CLASSES.get(code) or _CLASSES.get(code.partition("-")[0], InternalError)
    found = [Node.of(*node) for node in nodes]
    text = in_python(text)
    if found:
        text = "\n".join([text + ":", *(f"  {node}" for node in found)])
    return kind(text, code, found)


# What the command line calls an option, and what it is called here.
_NAMES = {"calibrate": "calibration", "input": "inputs", "output": "outputs"}
_OPTION = re.compile(r"--(?P<name>[a-z]+(?:-[a-z]+)*)(?: (?P<value>[\w/.:-]+=[\w,]*\w|[A-Z0-9][\w.:/,]*\w|[A-Z0-9]))?")


def _option(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"]
    known = _NAMES.get(name, name.replace("-", "_"))
    if value is None:
        return f"{known}="
    if name == "input" and "=" in value:
        which, _, shape = value.rpartition("=")
        return f'inputs={{"{which}": {"SHAPE" if shape == "SHAPE" else f"({shape})"}}}'
    if name == "output":
        return f'outputs=["{value}"]'
    if name == "signature":
        return f'signature="{value}"'
    return f"{known}={value}"


def in_python(text: str) -> str:
    """A text that speaks of the command's options, speaking of arguments."""
    return _OPTION.sub(_option, text)
