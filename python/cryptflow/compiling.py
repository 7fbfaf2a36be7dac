"""Compiling a model."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from cryptflow import _native
from cryptflow.arrays import Inputs, given
from cryptflow.errors import CompileWarning, OptionError
from cryptflow.program import Program
from cryptflow.progress import Progress, Wanted
from cryptflow.sources import Model, opened


def compile(
    model: Model,
    calibration: Inputs | None = None,
    *,
    range: tuple[float, float] | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] = (),
    signature: str | None = None,
    batch: int | None = None,
    rows: int = 64,
    accuracy: str = "exact",
    scale: int | None = None,
    ring: int | None = None,
    margin: float | None = None,
    tolerance: float | Mapping[str, float] | None = None,
    weight_bits: int | None = None,
    hide_logits: bool = False,
    guard: bool = False,
    network: str = "lan",
    name: str | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    bgr: bool = False,
    grey: bool = False,
    divide: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    channels_first: bool = False,
    progress: Wanted = None,
) -> Program:
    """Compiles a model for private inference.

    Parameters
    ----------
    model
        A Keras model, a `tf.Module`, a `torch.nn.Module`, a scikit-learn estimator, an ONNX model (as an
        object or as bytes), or the path of a SavedModel, a frozen graph (`.pb`), a `.onnx`, `.keras` or
        `.h5` file.
    calibration
        Examples of inputs, from which bounds and scale follow: an array `[n, ...]`; for a model with
        several inputs, a tuple or a dict of them. Arrays of `uint8`, and pictures, are prepared first (see
        `resize` and what follows it).
    range
        The smallest and the largest number of all inputs, where there are no examples.
    inputs
        Shapes of inputs, by name, where the model does not fix them. A name that is no input cuts the
        graph there.
    outputs
        The nodes to compute; those at the end of the graph, if none is named.
    signature
        The signature of the SavedModel to use (`serving_default`, if none is named).
    batch
        Rows that are computed at once.
    rows
        At most so many rows of the examples are used.
    accuracy
        `"exact"` keeps the numbers of the outputs, to within `tolerance`; `"labels"` keeps which class is the best,
        with the fewest bytes.
    scale
        Fractional bits of activations: the fewest that keep the float model's answers, if not given.
    ring
        Bits of the ring of all layers: for each the fewest that it needs, if not given.
    margin
        Bits by which bounds exceed the extremes of the examples (1, or 2 with fewer than 32 rows).
    tolerance
        How far outputs may be from the float model: as a part of what each column of an output spans over
        the examples (`0.01`), or as the largest error of outputs by name.
    weight_bits
        Bits of a layer's largest weight, 7 to 31.
    hide_logits
        Open the answer alone: the parties compute a softmax or an arg-max that ends the model.
    guard
        Have the parties compare every value with its bounds, and give no output where one is outside: an input
        unlike the calibration data gets an `InputError` (`input-held-back`) and never a wrong answer.
    network
        The network between the parties: `"lan"` (one room), `"wan"` (two cities: 40 ms and 100 Mbit/s), or its
        round trip in milliseconds and the Mbit/s of a link, as in `"40,200"`. The slower a round trip, the more bytes
        are spent on fewer rounds.
    name
        The model's name in reports.
    resize
        Height and width, in pixels, that pictures are scaled to. This and what follows, in this order, is how
        pictures and arrays of `uint8` become inputs; it is stored in the program.
    crop
        Height and width, in pixels, to cut from the middle.
    bgr
        Blue, green, red in place of red, green, blue.
    grey
        One channel of brightness.
    divide
        What pixels, 0 to 255, are divided by.
    mean
        What is then subtracted: one number, or one for each channel.
    std
        What that is divided by: one number, or one for each channel.
    channels_first
        Channels before height and width.
    progress
        Whom to tell how far it is: `True` for a bar (tqdm), `False` for nobody, or a function of how many of
        how many are done and of what happens. By default a bar, where somebody looks at one.

    Returns
    -------
    Program
        The compiled model, with its weights.

    Raises
    ------
    UnsupportedError
        Nodes of the model cannot be compiled; `error.nodes` has all of them.
    ModelError
        This is no model, or not one that can be compiled as it is.
    OptionError
        An option makes no sense, or one is missing.
    InputError
        An example does not go with the model.
    CompileError
        Fixed point cannot hold the model.
    MissingError
        The model's framework is not installed.

    Warns
    -----
    CompileWarning
        What is to be known of the compiled model before it is used.
    """
    tolerances = dict(tolerance) if isinstance(tolerance, Mapping) else {}
    shown: dict[str, Any] = {
        "calibration": "given" if calibration is not None else None,
        "range": range,
        "accuracy": accuracy if accuracy != "exact" else None,
        "scale": scale,
        "ring": ring,
        "margin": margin,
        "tolerance": tolerance,
        "weight-bits": weight_bits,
        "hide-logits": hide_logits or None,
        "guard": guard or None,
        "network": None if network == "lan" else network,
    }
    options: dict[str, Any] = {
        "import": imported(inputs, outputs, signature, batch),
        "rows": rows,
        "range": _pair(range, "range"),
        "accuracy": accuracy,
        "scale": scale,
        "ring": ring,
        "margin": margin,
        "tolerance": None if isinstance(tolerance, Mapping) else tolerance,
        "tolerances": [(output, float(error)) for output, error in tolerances.items()],
        "weight_bits": weight_bits,
        "hide_logits": hide_logits,
        "guard": guard,
        "network": network,
        "name": name,
        "preprocessing": {
            "resize": _pair(resize, "resize"),
            "crop": _pair(crop, "crop"),
            "bgr": bgr,
            "grey": grey,
            "divide": divide,
            "mean": [float(m) for m in mean],
            "std": [float(s) for s in std],
            "channels_first": channels_first,
        },
        "given": [(key, str(value)) for key, value in shown.items() if value is not None],
    }
    _sensible(rows, resize, crop, divide, std)
    examples = None if calibration is None else given(calibration, "calibration")
    with opened(model, calibration) as source, Progress(progress, logging.INFO) as bar:
        options["source"] = source.name
        if source.outputs and not outputs:
            options["import"]["outputs"] = list(source.outputs)
        options["keep_float"] = source.temporary
        if name is None and source.temporary:
            options["name"] = source.name
        native = _native.compile(source.path, json.dumps(options), examples, bar.callback())
        program = Program(native, source, signature)
    for text in program.report.warnings:
        warnings.warn(text, CompileWarning, stacklevel=2)
    return program


def imported(
    inputs: Mapping[str, Sequence[int]] | None, outputs: Sequence[str], signature: str | None, batch: int | None
) -> dict[str, Any]:
    """What a model's file does not say."""
    if isinstance(outputs, str):
        outputs = [outputs]
    return {
        "inputs": [(name, [int(extent) for extent in shape]) for name, shape in (inputs or {}).items()],
        "outputs": list(outputs),
        "signature": signature,
        "batch": batch,
    }


def _sensible(
    rows: int,
    resize: tuple[int, int] | None,
    crop: tuple[int, int] | None,
    divide: float | None,
    std: Sequence[float],
) -> None:
    """Refuses what the command refuses where it is typed."""
    if rows < 1:
        raise OptionError(f"rows={rows}: give a number of rows, at least 1")
    if divide == 0 or 0 in std:
        raise OptionError("nothing can be divided by 0: see divide and std")
    if resize and crop and (crop[0] > resize[0] or crop[1] > resize[1]):
        raise OptionError(f"crop={tuple(crop)} is larger than resize={tuple(resize)}, which comes before it")


def _pair(pair: Sequence[float] | None, option: str) -> list[float] | None:
    if pair is None:
        return None
    if len(pair) != 2:
        raise OptionError(f"{option}={pair!r}: give two numbers")
    return list(pair)
