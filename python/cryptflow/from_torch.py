"""Models of PyTorch: exported to ONNX, by whichever of PyTorch's exporters makes a model that can be compiled."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from cryptflow import _native
from cryptflow.arrays import as_array
from cryptflow.errors import Error, ModelError
from cryptflow.sources import Source

#: Version of ONNX's operators.
_OPSET = 18


def export(model: Any, folder: str, examples: Any) -> Source:
    """Writes a `torch.nn.Module` as an ONNX model."""
    torch = importlib.import_module("torch")
    if examples is None:
        raise ModelError(
            "a PyTorch model does not say what its inputs are: give calibration=examples of them (as `examples` to check)", "model"
        )
    names, tensors = _inputs(torch, model, examples)
    name = type(model).__name__
    failures: list[str] = []
    first: Source | None = None
    with _inference(model), warnings.catch_warnings():
        # They are about exporters that are on their way in or out.
        warnings.simplefilter("ignore")
        for number, (exporter, attempt) in enumerate(_exporters(torch)):
            path = os.path.join(folder, f"model{number}.onnx")
            try:
                with torch.no_grad(), _quiet():
                    attempt(model, tensors, names, path)
            except Exception as error:  # Each exporter has its own, and there are many.
                failures.append(f"{exporter}: {_first_line(error)}")
                continue
            source = Source(path, name, temporary=True)
            if _compiles(path):
                return source
            first = first or source
    if first is None:
        raise ModelError("PyTorch cannot export this model to ONNX: " + "; ".join(failures), "model")
    # What cannot be compiled is said of the first form.
    return first


def _exporters(torch: Any) -> Iterator[tuple[str, Callable[[Any, Any, Any, str], None]]]:
    def dynamo(model: Any, tensors: Any, names: list[str], path: str) -> None:
        rows = torch.export.Dim("rows")
        shapes = tuple({0: rows} for _ in tensors)
        torch.onnx.export(
            model, tensors, path, input_names=names, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False
        )

    def traced(model: Any, tensors: Any, names: list[str], path: str) -> None:
        axes = {name: {0: "rows"} for name in names}
        torch.onnx.export(
            model, tensors, path, input_names=names, dynamo=False, dynamic_axes=axes, opset_version=_OPSET, verbose=False
        )

    def fixed(model: Any, tensors: Any, names: list[str], path: str) -> None:
        one = tuple(tensor[:1] for tensor in tensors)
        torch.onnx.export(model, one, path, input_names=names, dynamo=True, external_data=False, verbose=False)

    with contextlib.suppress(ImportError):
        importlib.import_module("onnxscript")
        yield "torch.export", dynamo
    yield "tracing", traced
    with contextlib.suppress(ImportError):
        importlib.import_module("onnxscript")
        yield "torch.export of one row", fixed


def _inputs(torch: Any, model: Any, examples: Any) -> tuple[list[str], Any]:
    """Names and values of what the model is called with: two rows, as one could be taken for a constant."""
    import inspect

    parameters = [p.name for p in inspect.signature(model.forward).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
    if isinstance(examples, dict):
        names = [name for name in parameters if name in examples] or list(examples)
        rows = [examples[name] for name in names]
    else:
        rows = list(examples) if isinstance(examples, tuple) else [examples]
        names = (parameters + [f"x{i}" for i in range(len(rows))])[: len(rows)] if len(parameters) >= len(rows) else [
            f"x{i}" for i in range(len(rows))
        ]
    tensors = []
    for array in map(as_array, rows):
        array = array[:2] if len(array) > 1 else array.repeat(2, axis=0)
        kind = torch.float32 if array.dtype.kind == "f" else None
        tensors.append(torch.as_tensor(array.copy(), dtype=kind))
    return names, tuple(tensors)


def _compiles(path: str) -> bool:
    options: dict[str, Any] = {"inputs": [], "outputs": [], "signature": None, "batch": None}
    try:
        return bool(json.loads(_native.check(path, json.dumps(options)))["compiles"])
    except Error:
        return False


@contextlib.contextmanager
def _inference(model: Any) -> Iterator[None]:
    """Has the model compute as after training, and puts it back as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print how they get on."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
