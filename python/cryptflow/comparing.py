"""How secure answers compare with the float model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cryptflow.arrays import Array, as_array
from cryptflow.errors import InputError

if TYPE_CHECKING:
    from cryptflow.program import Port

#: The probability above which a decision is yes.
_HALF = 0.5


@dataclass(frozen=True)
class Comparison:
    """How the answers of one output compare.

    Attributes
    ----------
    output
        Its name.
    kind
        What rows are about, as `Program.outputs` says.
    rows
        Rows.
    same, choices
        What is decided alike, of all that is decided: classes, sides of 0.5; 0 of 0 where rows hold numbers.
    largest_difference
        The largest difference of two numbers of what is opened.
    measure
        What `plain` and `secure` are: `accuracy`, or `mean absolute error` where rows hold numbers.
    plain, secure
        The float model's and the secure answers' measure against the truth; `None` where it is not known.
    others
        The other outputs, where there are several.
    """

    output: str
    kind: str
    rows: int
    same: int
    choices: int
    largest_difference: float
    measure: str
    plain: float | None
    secure: float | None
    others: tuple[Comparison, ...] = ()

    def __str__(self) -> str:
        text = f"{self.output}: "
        if self.choices:
            text += f"decides as the float model {self.same} of {self.choices} times; "
        text += f"largest difference {self.largest_difference:.3g}"
        if self.plain is not None:
            text += f"; {self.measure} {self.secure:.4g}, and {self.plain:.4g} of the float model"
        return "\n".join([text, *map(str, self.others)])

    __repr__ = __str__


def compare(ports: Sequence[Port], secure: Any, plain: Any, y: Any = None) -> Comparison:
    """Compares the opened outputs of two models; `y` is the truth of the only output, or a dict of truths."""
    if not isinstance(secure, dict):
        secure, plain = {ports[0].name: secure}, {ports[0].name: plain}
        y = {} if y is None else {ports[0].name: y}
    elif y is None:
        y = {}
    elif not isinstance(y, dict):
        raise InputError("the model has several outputs: give a dict with the right answers of some of them", "input-name")
    found = [_one(port, secure[port.name], plain[port.name], y.get(port.name)) for port in ports]
    first, *others = found
    return first if not others else Comparison(**{**first.__dict__, "others": tuple(others)})


def _one(port: Port, secure: Array, plain: Array, y: Any) -> Comparison:
    ours, theirs = _choices(port.kind, secure), _choices(port.kind, plain)
    measure, of_plain, of_secure = "accuracy", None, None
    if y is not None:
        truth = as_array(y, "y")
        if ours is None or theirs is None:
            measure = "mean absolute error"
            truth = np.broadcast_to(truth.reshape(secure.shape), secure.shape)
            of_secure, of_plain = (float(np.mean(np.abs(a.astype(np.float64) - truth))) for a in (secure, plain))
        else:
            truth = _truth(truth, ours, secure)
            of_secure, of_plain = (float(np.mean(a == truth)) for a in (ours, theirs))
    same, choices = (0, 0) if ours is None or theirs is None else (int(np.sum(ours == theirs)), int(ours.size))
    difference = np.abs(secure.astype(np.float64) - plain.astype(np.float64))
    return Comparison(
        output=port.name,
        kind=port.kind,
        rows=len(secure) if secure.ndim else 1,
        same=same,
        choices=choices,
        largest_difference=float(difference.max(initial=0.0)),
        measure=measure,
        plain=of_plain,
        secure=of_secure,
    )


def _choices(kind: str, opened: Array) -> Array | None:
    """What rows decide; nothing where they hold numbers."""
    if kind in ("classes", "class_map"):
        return np.asarray(opened.argmax(axis=-1))
    if kind in ("class", "index_map", "indices"):
        return np.rint(opened).astype(np.int64)
    if kind in ("decision", "probabilities", "mask", "flags"):
        return np.asarray(opened > _HALF)
    return None


def _truth(truth: Array, choices: Array, opened: Array) -> Array:
    """The right choices: as they are, or one of several columns that is one."""
    if truth.size == choices.size:
        return np.asarray(truth.reshape(choices.shape) > _HALF) if choices.dtype == bool else truth.reshape(choices.shape)
    if truth.size == opened.size:
        return np.asarray(truth.reshape(opened.shape).argmax(axis=-1))
    raise InputError(f"y has the shape {list(truth.shape)}, and there are {choices.size} answers", "input-shape")
