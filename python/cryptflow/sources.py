"""Where models come from: each kind becomes a file that the compiler reads, which is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptflow.errors import ModelError

#: A model, as people have it.
Model: TypeAlias = Any


@dataclass(frozen=True)
class Source:
    """A model's file, and what is known of it beside."""

    path: str
    #: What it is called in reports.
    name: str
    #: The file is gone when the model has been compiled.
    temporary: bool = False
    #: The nodes that are the outputs; empty where the file says it.
    outputs: tuple[str, ...] = ()


@contextlib.contextmanager
def opened(model: Model, examples: Any = None) -> Iterator[Source]:
    """The file of a model, for as long as it is needed.

    Parameters
    ----------
    model
        A path, the bytes of an ONNX model, a model of ONNX, Keras, TensorFlow, PyTorch or scikit-learn.
    examples
        Inputs of the model, which some of them have to see to be exported.
    """
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        if os.path.splitext(path)[1].lower() in (".keras", ".h5", ".hdf5"):
            from cryptflow import from_keras

            model = from_keras.load(path)
        else:
            yield Source(path, path)
            return
    with tempfile.TemporaryDirectory(prefix="cryptflow-") as folder:
        yield _exported(model, folder, examples)


def _exported(model: Model, folder: str, examples: Any) -> Source:
    if isinstance(model, (bytes, bytearray, memoryview)):
        return _written(bytes(model), folder, "model.onnx", "an ONNX model in memory")
    names = {f"{c.__module__}.{c.__qualname__}" for c in type(model).__mro__}
    if "torch.nn.modules.module.Module" in names:
        from cryptflow import from_torch

        return from_torch.export(model, folder, examples)
    if _is_keras(names):
        from cryptflow import from_keras

        return from_keras.export(model, folder, examples)
    if "tensorflow.python.module.module.Module" in names:
        from cryptflow import from_keras

        return from_keras.export_module(model, folder, examples)
    if "sklearn.base.BaseEstimator" in names:
        from cryptflow import sklearn

        return sklearn.export(model, folder, examples)
    if hasattr(model, "SerializeToString"):
        kind = type(model).__name__
        file = "model.pb" if kind == "GraphDef" else "model.onnx"
        return _written(model.SerializeToString(), folder, file, f"a {kind} in memory")
    raise ModelError(
        f"this is a {type(model).__module__}.{type(model).__qualname__}, and no model that is known here. Give the path of a "
        "SavedModel, of a frozen graph (.pb), of an ONNX, .keras or .h5 file, the bytes of an ONNX model, or a model of "
        "Keras, TensorFlow, PyTorch or scikit-learn",
        "model-kind",
    )


def _is_keras(names: set[str]) -> bool:
    models = ("Model", "Sequential", "Functional")
    packages = ("keras.", "tf_keras.", "tensorflow.python.keras.")
    return any(name.startswith(packages) and name.rpartition(".")[2] in models for name in names)


def _written(content: bytes, folder: str, file: str, name: str) -> Source:
    path = os.path.join(folder, file)
    with open(path, "wb") as written:
        written.write(content)
    return Source(path, name, temporary=True)

