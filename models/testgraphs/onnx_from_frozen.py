#!/usr/bin/env python3
"""Writes a frozen graph of a Keras network as an ONNX model, layer by layer, with the very same weights.

    pip install tensorflow onnx onnxruntime
    models/testgraphs/onnx_from_frozen.py FROZEN.pb MODEL.onnx

Converters fuse and fold while they convert, and round weights. This one does not, so that a test can ask for the same program,
weight by weight. As converters do, it takes the pictures with channels last, and puts a transpose behind the input. It
knows the operations of ResNets, and compares ONNX Runtime with TensorFlow on one random picture.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


class Converter:
    def __init__(self, graph):
        self.graph = {n.name: n for n in graph.node}
        self.nodes, self.constants = [], []
        self.done = {}

    def value(self, name):
        """An array, or the name of a value in the model and its shape with channels last."""
        name = name.split(":")[0]
        if name not in self.done:
            self.done[name] = self.convert(self.graph[name])
        return self.done[name]

    def constant(self, array):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def emit(self, op, inputs, name, rank, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name, rank

    def broadcast(self, array, rank):
        """A constant beside a value with channels first."""
        return self.constant(array.reshape(-1, 1, 1) if rank == 4 and array.size > 1 else array)

    def convert(self, n):
        operands = [self.value(i) for i in n.input if not i.startswith("^")]
        if n.op == "Const":
            return tf.make_ndarray(n.attr["value"].tensor)
        if n.op == "Placeholder":
            self.input = [n.name, [d.size for d in n.attr["shape"].shape.dim]]
            return self.emit("Transpose", [n.name], f"{n.name}/channels_first", 4, perm=FIRST)
        if n.op == "Identity":
            return operands[0]
        if all(isinstance(o, np.ndarray) for o in operands):
            return self.known(n, operands)
        x, rank = next(o for o in operands if not isinstance(o, np.ndarray))
        if n.op == "Conv2D":
            return self.conv(n, x, operands[1])
        if n.op == "FusedBatchNormV3":
            vectors = [self.constant(v) for v in operands[1:]]
            return self.emit("BatchNormalization", [x, *vectors], n.name, rank, epsilon=n.attr["epsilon"].f)
        if n.op == "Pad":
            pads = self.constant(operands[1][[0, 3, 1, 2]].T.reshape(-1).astype(np.int64))
            return self.emit("Pad", [x, pads], n.name, rank)
        if n.op == "MaxPool":
            return self.emit("MaxPool", [x], n.name, rank, **self.window(n), kernel_shape=list(n.attr["ksize"].list.i)[1:3])
        if n.op == "Mean":
            pooled, _ = self.emit("GlobalAveragePool", [x], f"{n.name}/pool", 4)
            return self.emit("Flatten", [pooled], n.name, 2)
        if n.op == "MatMul":
            return self.emit("MatMul", [x, self.constant(operands[1])], n.name, 2)
        if n.op in ("BiasAdd", "AddV2", "Mul"):
            names = [self.broadcast(o, rank) if isinstance(o, np.ndarray) else o[0] for o in operands]
            return self.emit("Mul" if n.op == "Mul" else "Add", names, n.name, rank)
        if n.op in ("Relu", "Softmax"):
            return self.emit(n.op, [x], n.name, rank)
        sys.exit(f"{n.name}: no rule for {n.op}")

    def known(self, n, operands):
        rules = {
            "AddV2": np.add, "Sub": np.subtract, "Mul": np.multiply,
            "Rsqrt": lambda v: (1 / np.sqrt(v.astype(np.float64))).astype(np.float32),
            "Reshape": lambda v, shape: v.reshape(shape), "Squeeze": np.squeeze,
        }
        return rules[n.op](*operands)

    def window(self, n):
        strides = list(n.attr["strides"].list.i)[1:3]
        return {"strides": strides, "auto_pad": "SAME_UPPER" if n.attr["padding"].s == b"SAME" else "VALID"}

    def conv(self, n, x, filter):
        w = self.constant(filter.transpose(3, 2, 0, 1))
        dilations = list(n.attr["dilations"].list.i)[1:3] or [1, 1]
        return self.emit("Conv", [x, w], n.name, 4, **self.window(n), dilations=dilations)


def main():
    frozen, target = sys.argv[1:]
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(open(frozen, "rb").read())
    used = {i.split(":")[0].lstrip("^") for n in definition.node for i in n.input}
    last = [n.name for n in definition.node if n.name not in used and n.op not in ("NoOp", "Const")][-1]
    converter = Converter(definition)
    result, _ = converter.value(last)
    name, shape = converter.input
    shape = [d if d > 0 else "batch" for d in shape]
    graph = helper.make_graph(
        converter.nodes, "converted",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(result)], converter.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name = "testgraphs"
    open(target, "wb").write(model.SerializeToString(deterministic=True))

    picture = np.random.default_rng(1).uniform(-1, 1, [d if isinstance(d, int) else 1 for d in shape]).astype(np.float32)
    answer = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"]).run(None, {name: picture})[0]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.import_graph_def(definition, name="")
        expected = session.run(f"{last}:0", {f"{name}:0": picture})
    print(f"{target}: {os.path.getsize(target)} bytes, differs by {np.abs(answer - expected).max():.1e}")


if __name__ == "__main__":
    main()
