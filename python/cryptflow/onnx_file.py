"""Small ONNX models, written without the package onnx: protobuf messages, field by field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cryptflow.arrays import Array

#: Versions of the file's form and of the operators.
_IR_VERSION, _OPSET = 8, 17
#: The number of `float32` in ONNX's list of types.
_FLOAT = 1


class Builder:
    """A model that takes rows of columns, and computes one operator after another.

    Parameters
    ----------
    columns
        How many columns a row has.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._last = "x"

    def add(self, operator: str, *constants: Array, name: str) -> None:
        """Adds an operator on what came before, and on constants."""
        inputs = [self._last]
        for index, constant in enumerate(constants):
            inputs.append(f"{name}/{'abcdef'[index]}")
            self._constants.append(_tensor(inputs[-1], constant))
        node = b"".join(_text(1, i) for i in inputs) + _text(2, name) + _text(3, name) + _text(4, operator)
        self._nodes.append(node)
        self._last = name

    def linear(self, matrix: Array, offset: Array, name: str) -> None:
        """Adds `x @ matrix + offset`."""
        self.add("MatMul", matrix, name=f"{name}/product")
        self.add("Add", offset, name=name)

    def model(self, output: str, columns: int) -> bytes:
        """The file; what was added last is the output."""
        if self._last != output:
            self.add("Identity", name=output)
        graph = (
            b"".join(_message(1, node) for node in self._nodes)
            + _text(2, "model")
            + b"".join(_message(5, constant) for constant in self._constants)
            + _message(11, _value("x", self._columns))
            + _message(12, _value(output, columns))
        )
        return _number(1, _IR_VERSION) + _text(2, "cryptflow") + _message(7, graph) + _message(8, _number(2, _OPSET))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _tensor(name: str, array: Array) -> bytes:
    array = np.ascontiguousarray(array, dtype="<f4")
    dimensions = b"".join(_number(1, extent) for extent in array.shape)
    return dimensions + _number(2, _FLOAT) + _text(8, name) + _message(9, array.tobytes())


def _value(name: str, columns: int) -> bytes:
    dimensions: Sequence[bytes] = (_text(2, "rows"), _number(1, columns))
    shape = b"".join(_message(1, dimension) for dimension in dimensions)
    return _text(1, name) + _message(2, _message(1, _number(1, _FLOAT) + _message(2, shape)))
