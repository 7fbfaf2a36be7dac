"""Models of Keras and TensorFlow: traced for inference, with their weights in them, as a frozen graph.

Layers that augment do nothing then, and recurrent layers are written out step by step, as what loops
cannot be compiled.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cryptflow.arrays import as_array
from cryptflow.errors import MissingError, ModelError
from cryptflow.sources import Source


def load(path: str) -> Any:
    """The model of a `.keras` or `.h5` file."""
    if not os.path.exists(path):
        raise ModelError(f"there is no file {path}", "model")
    failures = []
    # Keras 2 goes on as `tf_keras`; a file of it is often not one that Keras 3 reads.
    for name in ("keras", "tf_keras"):
        try:
            package = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return package.models.load_model(path, compile=False)
        except Exception as error:  # Keras raises whatever its layers do.
            failures.append(f"{name} {package.__version__}: {error}")
    if not failures:
        raise MissingError(
            f"{path} is a file of Keras, which is needed to read it: pip install tensorflow. Or export the model where "
            "Keras is installed: model.export('saved_model')"
        )
    raise ModelError(f"Keras cannot load {path}: " + "; ".join(failures), "model")


def export(model: Any, folder: str, examples: Any) -> Source:
    """Writes a Keras model as a frozen graph."""
    backend = getattr(importlib.import_module(type(model).__module__.partition(".")[0]), "config", None)
    if backend is not None and hasattr(backend, "backend") and backend.backend() != "tensorflow":
        raise ModelError(
            f"this model runs on Keras' backend {backend.backend()!r}, and only that of TensorFlow can be exported. Save it "
            "(model.save('model.keras')), and compile that file in a process with KERAS_BACKEND=tensorflow",
            "model",
        )
    tf = _tensorflow()
    inputs = _keras_inputs(model)
    if inputs:
        structure = _structure(model, len(inputs))
        names = [_name(tensor) for tensor in inputs]
        shapes = [tuple(tensor.shape) for tensor in inputs]
        kinds = [tf.as_dtype(tensor.dtype) for tensor in inputs]
    else:
        # A model of a class of one's own knows its inputs when it is called.
        rows = _rows(examples, "a Keras model that is built when it is called")
        structure = 0 if len(rows) == 1 else tuple(range(len(rows)))
        names = [f"x{i}" if len(rows) > 1 else "x" for i in range(len(rows))]
        shapes = [(None, *array.shape[1:]) for array in rows]
        kinds = [tf.as_dtype("float32" if array.dtype.kind == "f" else array.dtype) for array in rows]
    if examples is not None:
        shapes = [_filled(shape, array) for shape, array in zip(shapes, _aligned(examples, names, shapes))]

    def infer(*tensors: Any) -> Any:
        return model(tf.nest.pack_sequence_as(structure, tensors), training=False)

    specs = [tf.TensorSpec(s, k, name=_plain(n)) for s, k, n in zip(shapes, kinds, names)]
    with _unrolled(model, [shape[1] if len(shape) > 1 else None for shape in shapes]):
        return _frozen(tf, infer, specs, folder, f"{model.name}", _output_names(model))


def export_module(module: Any, folder: str, examples: Any) -> Source:
    """Writes a `tf.Module` as a frozen graph."""
    tf = _tensorflow()
    call = getattr(module, "serve", None) or getattr(module, "__call__", None)
    if call is None:
        raise ModelError("this tf.Module cannot be called: give it a method __call__", "model")
    signature = getattr(call, "input_signature", None)
    if signature is not None:
        specs = list(signature)
    else:
        rows = _rows(examples, "a tf.Module without an input_signature")
        specs = [
            tf.TensorSpec((None, *a.shape[1:]), "float32" if a.dtype.kind == "f" else a.dtype, name=f"x{i}" if i else "x")
            for i, a in enumerate(rows)
        ]
    return _frozen(tf, lambda *tensors: call(*tensors), specs, folder, module.name or type(module).__name__, [])


def _frozen(tf: Any, function: Any, specs: list[Any], folder: str, name: str, outputs: Sequence[str]) -> Source:
    constants = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    keys: list[str] = []

    def flat(*tensors: Any) -> Any:
        given = function(*tensors)
        if isinstance(given, dict):
            keys[:] = list(given)
            return [given[key] for key in keys]
        return tf.nest.flatten(given)

    concrete = tf.function(flat, autograph=False).get_concrete_function(*specs)
    frozen = constants.convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    called = [_plain(key) for key in keys or outputs]
    if len(called) != len(frozen.outputs):
        called = ["output"] if len(frozen.outputs) == 1 else [f"output_{i}" for i in range(len(frozen.outputs))]
    taken = {node.name for node in graph.node}
    for index, tensor in enumerate(frozen.outputs):
        while called[index] in taken:
            called[index] += "_output"
        taken.add(called[index])
        node = graph.node.add(name=called[index], op="Identity", input=[tensor.name])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
    path = os.path.join(folder, "model.pb")
    with open(path, "wb") as file:
        file.write(graph.SerializeToString())
    return Source(path, name, temporary=True, outputs=tuple(called))


def _tensorflow() -> Any:
    try:
        return importlib.import_module("tensorflow")
    except ImportError:
        raise MissingError("models of Keras and TensorFlow need TensorFlow: pip install tensorflow") from None


def _keras_inputs(model: Any) -> list[Any]:
    try:
        return list(model.inputs or [])
    except (AttributeError, ValueError):
        return []


def _structure(model: Any, count: int) -> Any:
    """How the inputs are handed to the model: one alone, or in lists and dicts."""
    try:
        return model.input
    except (AttributeError, ValueError):
        # A stack of layers that was never called has one.
        return 0 if count == 1 else tuple(range(count))


def _name(tensor: Any) -> str:
    """The name of an input, as the user gave it: that of its layer."""
    history = getattr(tensor, "_keras_history", None)
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    return str(layer.name if layer is not None else tensor.name)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _output_names(model: Any) -> list[str]:
    try:
        output = model.output if _keras_inputs(model) else None
    except (AttributeError, ValueError):
        output = None
    if isinstance(output, dict):
        return [str(key) for key in output]
    names = getattr(model, "output_names", None)
    if names:
        return [str(name) for name in names]
    return [_name(tensor) for tensor in (getattr(model, "outputs", None) or [])]


def _rows(examples: Any, what: str) -> list[Any]:
    """Examples as arrays, one an input."""
    if examples is None:
        raise ModelError(f"{what} does not say what its inputs are: give calibration=examples of them", "model")
    if isinstance(examples, dict):
        return [as_array(rows) for rows in examples.values()]
    return [as_array(rows) for rows in (examples if isinstance(examples, tuple) else (examples,))]


def _aligned(examples: Any, names: list[str], shapes: list[Any]) -> list[Any]:
    """The examples of each input, where they can be told apart; what is wrong with them is said elsewhere."""
    if isinstance(examples, (str, os.PathLike)):
        return [None] * len(names)
    if isinstance(examples, dict):
        return [as_array(examples[name]) if name in examples else None for name in names]
    rows = _rows(examples, "the model")
    return rows if len(rows) == len(shapes) else [None] * len(names)


def _filled(shape: Any, array: Any) -> Any:
    """The shape of an input, with what examples say of the extents that the model leaves open."""
    if array is None or array.ndim != len(shape):
        return shape
    return (shape[0], *(own if own is not None else seen for own, seen in zip(shape[1:], array.shape[1:])))


@contextlib.contextmanager
def _unrolled(model: Any, steps: list[Any]) -> Iterator[None]:
    """Has recurrent layers write out their steps, and puts them back as they were."""
    changed = []
    try:
        for layer in _layers(model):
            if getattr(layer, "unroll", None) is False:
                layer.unroll = True
                changed.append(layer)
        if changed and None in steps:
            names = ", ".join(layer.name for layer in changed)
            raise ModelError(
                f"the recurrent layers {names} take any number of steps, and a program has a fixed one. Give calibration=examples "
                "of the length that is wanted",
                "model",
            )
        yield
    finally:
        for layer in changed:
            layer.unroll = False


def _layers(model: Any) -> list[Any]:
    found = model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers
    return list(found)
