"""An ONNX network of pictures as a function of JAX, with its weights as an argument, so that the same network, with the same
weights, runs with SPU and with CrypTFlow. Batch normalisations are folded into the convolutions before them, as CrypTFlow does."""

from __future__ import annotations

from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import numpy_helper


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def pads(a: dict[str, Any], spatial: int = 2) -> list[tuple[int, int]]:
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise SystemExit(f"auto_pad {a['auto_pad']!r} is not among what this script reads")
    p = a.get("pads", [0] * (2 * spatial))
    return [(p[i], p[i + spatial]) for i in range(spatial)]


def window(x: Any, a: dict[str, Any], start: float, function: Callable[..., Any]) -> Any:
    shape, strides = a["kernel_shape"], a.get("strides", [1, 1])
    return jax.lax.reduce_window(x, start, function, (1, 1, *shape), (1, 1, *strides), ((0, 0), (0, 0), *pads(a)))


def average(x: Any, a: dict[str, Any]) -> Any:
    if any(pad != (0, 0) for pad in pads(a)) and not a.get("count_include_pad", 0):
        raise SystemExit("an average pool that does not count its padding is not among what this script reads")
    return window(x, a, 0.0, jax.lax.add) / float(np.prod(a["kernel_shape"]))


def convolution(x: Any, w: Any, a: dict[str, Any]) -> Any:
    return jax.lax.conv_general_dilated(
        x,
        w,
        a.get("strides", [1, 1]),
        pads(a),
        rhs_dilation=a.get("dilations", [1, 1]),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=a.get("group", 1),
    )


class Network:
    """Weights, and the function of them and an input."""

    def __init__(self, path: str) -> None:
        self.graph = onnx.load(path).graph
        self.constants: dict[str, np.ndarray] = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(attributes(node)["value"])
        self.nodes = [node for node in self.graph.node if node.op_type not in ("Constant", "Dropout", "Identity")]
        self.alias = {n.output[0]: n.input[0] for n in self.graph.node if n.op_type in ("Dropout", "Identity")}
        self.fold()
        self.input = next(i.name for i in self.graph.input if i.name not in self.constants)
        # What the client applies, with either tool, is none of the run.
        while self.nodes[-1].op_type in ("Softmax", "ArgMax"):
            self.nodes.pop()
        self.output = self.nodes[-1].output[0]
        used = {self.name(name) for node in self.nodes for name in node.input}
        self.weights = {
            name: value.astype(np.float32)
            for name, value in self.constants.items()
            if name in used and value.dtype.kind == "f"
        }

    def name(self, name: str) -> str:
        while name in self.alias:
            name = self.alias[name]
        return name

    def fold(self) -> None:
        """Batch normalisations, into the convolutions that they stand behind."""
        made = {node.output[0]: node for node in self.nodes}
        readers: dict[str, int] = {}
        for node in self.nodes:
            for name in node.input:
                readers[self.name(name)] = readers.get(self.name(name), 0) + 1
        for node in list(self.nodes):
            if node.op_type != "BatchNormalization":
                continue
            before = made.get(self.name(node.input[0]))
            scale, shift, mean, variance = (self.constants[self.name(name)] for name in node.input[1:5])
            factor = scale / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
            if before is None or before.op_type != "Conv" or readers[before.output[0]] != 1:
                self.constants[node.output[0] + "/factor"] = factor.reshape(-1, 1, 1)
                self.constants[node.output[0] + "/shift"] = (shift - mean * factor).reshape(-1, 1, 1)
                continue
            weight = before.input[1] + "/" + before.output[0]
            self.constants[weight] = self.constants[self.name(before.input[1])] * factor.reshape(-1, 1, 1, 1)
            bias = self.constants[self.name(before.input[2])] if len(before.input) > 2 else np.zeros_like(mean)
            self.constants[weight + "/bias"] = (bias - mean) * factor + shift
            before.input[1:] = [weight, weight + "/bias"]
            self.alias[node.output[0]] = before.output[0]
            self.nodes.remove(node)

    def __call__(self, x: Any, weights: dict[str, Any]) -> Any:
        values: dict[str, Any] = {self.input: x}

        def value(name: str) -> Any:
            name = self.name(name)
            if name in values:
                return values[name]
            return weights[name] if name in weights else self.constants[name]

        for node in self.nodes:
            values[node.output[0]] = self.node(node, [value(name) for name in node.input if name])
        return values[self.output]

    def node(self, node: onnx.NodeProto, given: list[Any]) -> Any:
        a, x = attributes(node), given[0]
        match node.op_type:
            case "Conv":
                y = convolution(x, given[1], a)
                return y + given[2].reshape(1, -1, 1, 1) if len(given) > 2 else y
            case "Gemm":
                y = (x.T if a.get("transA") else x) @ (given[1].T if a.get("transB") else given[1]) * a.get("alpha", 1.0)
                return y + a.get("beta", 1.0) * given[2] if len(given) > 2 else y
            case "MatMul":
                return x @ given[1]
            case "BatchNormalization":
                factor, shift = (self.constants[node.output[0] + part] for part in ("/factor", "/shift"))
                return x * factor + shift
            case "Relu":
                return jnp.maximum(x, 0)
            case "Add":
                return x + given[1]
            case "Mul":
                return x * given[1]
            case "MaxPool":
                return window(x, a, -jnp.inf if not any(p != (0, 0) for p in pads(a)) else -1e4, jax.lax.max)
            case "AveragePool":
                return average(x, a)
            case "GlobalAveragePool":
                return jnp.mean(x, axis=(2, 3), keepdims=True)
            case "ReduceMean":
                axes = a.get("axes") or [int(axis) for axis in given[1]]
                return jnp.mean(x, axis=tuple(axes), keepdims=bool(a.get("keepdims", 1)))
            case "Concat":
                return jnp.concatenate(given, axis=a["axis"])
            case "Transpose":
                return jnp.transpose(x, a.get("perm"))
            case "Flatten":
                axis = a.get("axis", 1)
                return x.reshape(int(np.prod(x.shape[:axis])), -1)
            case "Reshape":
                shape = [x.shape[i] if extent == 0 else int(extent) for i, extent in enumerate(given[1])]
                return x.reshape(shape)
            case "Squeeze":
                axes = a.get("axes") or [int(axis) for axis in given[1]]
                return jnp.squeeze(x, tuple(axes))
            case "Unsqueeze":
                axes = a.get("axes") or [int(axis) for axis in given[1]]
                return jnp.expand_dims(x, tuple(axes))
            case "Pad":
                amounts = [int(n) for n in (a.get("pads") or given[1])]
                half = len(amounts) // 2
                return jnp.pad(x, list(zip(amounts[:half], amounts[half:])))
            case other:
                raise SystemExit(f"{node.name or other}: {other} is not among what this script reads")
