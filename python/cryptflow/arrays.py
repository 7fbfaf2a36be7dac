"""What goes in: arrays of any origin, as the compiled part takes them; and what comes out."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cryptflow.errors import InputError

Array: TypeAlias = npt.NDArray[Any]
#: One input: an array of rows, or anything that becomes one.
Rows: TypeAlias = Any
#: What a model is run on: rows, a tuple of as many as there are inputs, or a mapping from names.
Inputs: TypeAlias = Any
#: What a model gives: the only output, or all of them by name.
Outputs: TypeAlias = Any

_Bytes: TypeAlias = tuple["str | None", str, bytes]


def given(x: Inputs, label: str = "x") -> list[_Bytes]:
    """Inputs, for the compiled part: the input that each is for, what it is called, its bytes.

    Parameters
    ----------
    x
        Rows of the only input; a tuple with rows for each input, in the model's order; or a mapping
        from the inputs' names to rows. Rows are an array `[n, ...]` (or one row without `n`), or what
        becomes one: whatever has `__array__` or `__dlpack__`, lists, pandas' frames, PIL's pictures,
        the path of a `.npy` or `.npz` file.
    label
        What it is called in errors.
    """
    if isinstance(x, (str, os.PathLike)):
        x = _read(x)
    if isinstance(x, Mapping):
        return [(str(name), f"{label}[{name!r}]", _bytes(rows, f"{label}[{name!r}]")) for name, rows in x.items()]
    if isinstance(x, tuple):
        return [(None, f"{label}[{i}]", _bytes(rows, f"{label}[{i}]")) for i, rows in enumerate(x)]
    return [(None, label, _bytes(x, label))]


def _read(path: str | os.PathLike[str]) -> Any:
    try:
        read = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} is no array that can be read: {error}", "input-file") from error
    if isinstance(read, np.ndarray):
        return read
    with read:
        arrays = {name: read[name] for name in read.files}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _bytes(rows: Rows, label: str) -> bytes:
    array = as_array(rows, label)
    file = io.BytesIO()
    # Anything else is refused there, by what it is.
    if array.dtype.kind not in "biuf":
        raise InputError(f"{label} holds {_kind(array)}, and only numbers can be shared", "input-type")
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def _kind(array: Array) -> str:
    names = {"O": "objects", "U": "text", "S": "text", "c": "complex numbers", "M": "times", "m": "times"}
    return names.get(array.dtype.kind, f"elements of type {array.dtype}")


def as_array(rows: Rows, label: str = "x") -> Array:
    """An array of numbers, whoever holds them."""
    if isinstance(rows, np.ndarray):
        return rows
    if _is(rows, "PIL.Image", "Image"):
        return _picture(rows)
    if _is(rows, "torch", "Tensor"):
        tensor = rows.detach().cpu()
        # NumPy has no type for the others.
        return np.asarray(tensor.float().numpy() if not _has_type(tensor) else tensor.numpy())
    if _is(rows, "pandas", "DataFrame") or _is(rows, "pandas", "Series"):
        return _table(rows, label)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes, bytearray)) and len(rows) > 0:
        return _stack([as_array(row, f"{label}[{i}]") for i, row in enumerate(rows)], label)
    if hasattr(rows, "__array__"):
        return np.asarray(rows)
    if hasattr(rows, "__dlpack__"):
        return np.from_dlpack(rows)
    try:
        return np.asarray(rows)
    except (TypeError, ValueError) as error:
        raise InputError(f"{label} is no array of numbers: {error}", "input-type") from error


def _is(x: object, module: str, name: str) -> bool:
    """Whether something is of a class of a package that may not be there."""
    return any(c.__name__ == name and _within(c.__module__, module) for c in type(x).__mro__)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _has_type(tensor: Any) -> bool:
    return str(tensor.dtype).removeprefix("torch.") in {
        *("float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"),
    }


def _picture(picture: Any) -> Array:
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("L" if picture.mode in ("1", "LA") else "RGB")
    return np.asarray(picture, dtype=np.uint8)


def _table(table: Any, label: str) -> Array:
    try:
        return np.asarray(table.to_numpy(dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{label} has columns that are no numbers ({error}). Encode them first, as in training", "input-type"
        ) from error


def _stack(rows: list[Array], label: str) -> Array:
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        listed = ", ".join(str(list(shape)) for shape in sorted(shapes)[:4])
        raise InputError(
            f"the rows of {label} have different shapes ({listed}). For several inputs give a tuple or a dict; scale "
            "pictures to one size first",
            "input-shape",
        )
    return np.stack(rows)


def outputs(arrays: Sequence[tuple[str, bytes]]) -> Outputs:
    """What a run gave: the only output, or all of them by name."""
    read = {name: np.lib.format.read_array(io.BytesIO(data), allow_pickle=False) for name, data in arrays}
    return next(iter(read.values())) if len(read) == 1 else read
