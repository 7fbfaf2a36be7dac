#!/usr/bin/env python3
"""Makes the small ONNX models in crates/import/tests/data/onnx, each with ONNX Runtime's answer beside it.

    pip install onnx onnxruntime
    models/testgraphs/onnx_models.py [NAME ...]

Every model has a random generator of its own, so that a change of one leaves the others byte for byte.
"""

import pathlib
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parents[2] / "crates/import/tests/data/onnx"
MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


class Builder:
    """A graph under construction; every method returns the name of a value."""

    def __init__(self, name, opset=17):
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.name, self.opset = name, opset
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.feeds, self.functions, self.external = {}, [], False
        self.extra_opsets = []
        self.as_it_is = False
        self.count = 0

    def input(self, shape, name="x", symbolic=None, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, symbolic or shape))
        self.feeds[name] = self.random.uniform(-1, 1, shape).astype(np.float32)
        if dtype == TensorProto.INT64:
            self.feeds[name] = self.random.integers(0, 4, shape)
        return name

    def weight(self, *shape, scale=None, positive=False):
        scale = scale or 1 / np.sqrt(max(1, np.prod(shape[1:])))
        value = self.random.normal(0, scale, shape).astype(np.float32)
        return self.constant(np.abs(value) + 0.5 if positive else value)

    def constant(self, value, name=None):
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def node(self, op, *inputs, n=1, domain="", **attributes):
        self.count += 1
        outputs = [f"{op.lower()}_{self.count}" + (f"_{i}" if i else "") for i in range(n)]
        self.nodes.append(helper.make_node(op, inputs, outputs, f"{op}_{self.count}", domain=domain, **attributes))
        return outputs[0] if n == 1 else outputs

    def conv(self, x, channels_in, channels_out, kernel=3, bias=True, group=1, **attributes):
        kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        operands = [x, self.weight(channels_out, channels_in // group, *kernel)]
        if bias:
            operands.append(self.weight(channels_out, scale=0.3))
        return self.node("Conv", *operands, group=group, **attributes)

    def batch_norm(self, x, channels, **attributes):
        vectors = [self.weight(channels, positive=i in (0, 3), scale=0.3) for i in range(4)]
        return self.node("BatchNormalization", x, *vectors, **attributes)

    def output(self, *names):
        self.outputs += [helper.make_empty_tensor_value_info(n) for n in names]

    def save(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)] + self.extra_opsets
        whole = helper.make_model(graph, opset_imports=opsets, functions=self.functions, ir_version=8 if self.opset < 21 else 10)
        whole.producer_name = "testgraphs"
        path = OUT / f"{self.name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.external:
            onnx.save_model(
                whole, path, save_as_external_data=True, all_tensors_to_one_file=True,
                location=f"{self.name}.weights", size_threshold=64,
            )
        else:
            path.write_bytes(whole.SerializeToString(deterministic=True))
        options = onnxruntime.SessionOptions()
        if self.as_it_is:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        answers = session.run([o.name for o in self.outputs], self.feeds)
        arrays = self.feeds | {o.name: a for o, a in zip(self.outputs, answers)}
        arrays = {k: v.astype(np.float32) if v.dtype in (np.float16, np.float64, bool) else v for k, v in arrays.items()}
        np.savez_compressed(path.with_suffix(".npz"), **arrays)
        print(f"{self.name}: {path.stat().st_size} bytes")


@model
def convolutions(b):
    x = b.input((2, 4, 9, 7))
    outputs = [
        b.conv(x, 4, 6, pads=[1, 1, 1, 1]),
        b.conv(x, 4, 6, (3, 2), strides=[2, 3], pads=[0, 1, 2, 1]),
        b.conv(x, 4, 6, dilations=[2, 1], pads=[2, 0, 2, 1], bias=False),
        b.conv(x, 4, 8, group=2, auto_pad="SAME_UPPER", strides=[2, 2]),
        b.conv(x, 4, 4, 2, group=4, auto_pad="SAME_LOWER"),
        b.conv(x, 4, 8, group=4, auto_pad="VALID"),
        b.conv(x, 4, 3, 1, strides=[2, 2]),
    ]
    b.output(*outputs)


@model
def convolution_of_a_line(b):
    x = b.input((2, 3, 11))
    y = b.node("Relu", b.batch_norm(b.conv(x, 3, 5, (3,), pads=[1, 1]), 5))
    y = b.conv(y, 5, 4, (4,), strides=[2], dilations=[2])
    y = b.node("MaxPool", y, kernel_shape=[2], strides=[1])
    b.output(b.node("ReduceMean", y, axes=[2], keepdims=0))


@model
def pools(b):
    x = b.input((1, 3, 8, 7))
    max_pool = lambda **a: b.node("MaxPool", x, **a)
    average = lambda **a: b.node("AveragePool", x, **a)
    b.output(
        max_pool(kernel_shape=[2, 3], strides=[2, 2]),
        max_pool(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        max_pool(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        max_pool(kernel_shape=[2, 2], dilations=[2, 3]),
        max_pool(kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        average(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        average(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
        average(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        average(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1], ceil_mode=1, count_include_pad=1),
        b.node("GlobalAveragePool", x),
        b.node("GlobalMaxPool", x),
    )


def block(b, x, channels, after, stride=1):
    """Two convolutions and a shortcut, as in a ResNet."""
    y = b.node("Relu", b.batch_norm(b.conv(x, channels, after, strides=[stride] * 2, pads=[1] * 4, bias=False), after))
    y = b.batch_norm(b.conv(y, after, after, pads=[1] * 4, bias=False), after)
    if channels != after or stride != 1:
        x = b.batch_norm(b.conv(x, channels, after, 1, strides=[stride] * 2, bias=False), after)
    return b.node("Relu", b.node("Add", y, x))


@model
def residual(b):
    """As PyTorch exports a small ResNet."""
    x = b.input((1, 3, 16, 16), symbolic=["batch", 3, 16, 16])
    y = b.node("Relu", b.batch_norm(b.conv(x, 3, 4, pads=[1] * 4, bias=False), 4))
    y = b.node("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    y = block(b, y, 4, 4)
    y = block(b, y, 4, 8, 2)
    y = b.node("Flatten", b.node("GlobalAveragePool", y), axis=1)
    b.output(b.node("Gemm", y, b.weight(5, 8), b.weight(5), transB=1))


@model
def residual_from_keras(b):
    """As a converter writes a Keras model: pictures with channels last."""
    x = b.input((1, 16, 16, 3), symbolic=["unk__1", 16, 16, 3])
    y = b.node("Transpose", x, perm=[0, 3, 1, 2])
    y = b.node("Relu", b.conv(y, 3, 4, strides=[2, 2], pads=[0, 0, 1, 1]))
    y = block(b, y, 4, 4)
    y = b.node("Pad", y, b.ints(0, 0, 1, 1, 0, 0, 1, 1))
    y = b.conv(y, 4, 6, strides=[2, 2])
    y = b.node("Concat", y, b.node("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4), axis=1)
    y = b.node("Squeeze", b.node("GlobalAveragePool", y), b.ints(2, 3))
    b.output(b.node("Softmax", b.node("Gemm", y, b.weight(12, 5), b.weight(5))))


@model
def mobile(b):
    """Depth-wise convolutions, clips, squeeze and excitation."""
    x = b.input((1, 4, 8, 8))
    clip = lambda v: b.node("Clip", v, zero, six)
    zero, six = b.constant(np.float32(0)), b.constant(np.float32(6))
    y = clip(b.batch_norm(b.conv(x, 4, 8, 1, bias=False), 8))
    y = clip(b.batch_norm(b.conv(y, 8, 8, group=8, pads=[1] * 4, bias=False), 8))
    gate = b.node("ReduceMean", y, axes=[2, 3], keepdims=1)
    gate = b.node("Relu", b.conv(gate, 8, 2, 1))
    gate = b.node("HardSigmoid", b.conv(gate, 2, 8, 1), alpha=1 / 6)
    y = b.node("Mul", y, gate)
    y = b.batch_norm(b.conv(y, 8, 4, 1, bias=False), 4)
    b.output(b.node("Add", x, y))


@model
def shape_arithmetic(b):
    """The chains of shapes that PyTorch exports for view(x.size(0), -1) and the like."""
    x = b.input((2, 3, 4, 5), symbolic=["N", 3, 4, 5])
    shape = b.node("Shape", x)
    first = b.node("Gather", shape, b.constant(np.array(0, np.int64)), axis=0)
    first = b.node("Unsqueeze", first, b.ints(0))
    last = b.node("Slice", shape, b.ints(-1), b.ints(2**62), b.ints(0))
    half = b.node("Div", b.node("Mul", last, b.ints(4)), b.ints(2))
    flat = b.node("Reshape", x, b.node("Concat", first, b.ints(-1), half, axis=0))
    condition = b.node("Equal", b.node("ReduceProd", shape, keepdims=0), b.constant(np.array(120, np.int64)))
    chosen = b.node("Where", condition, b.ints(2), b.ints(3))
    wide = b.node("Expand", b.node("Unsqueeze", flat, b.ints(0)), b.node("Concat", chosen, b.ints(1, 1, 1), axis=0))
    filled = b.node("ConstantOfShape", b.node("Shape", wide))
    count = b.node("Cast", b.node("Size", x), to=TensorProto.FLOAT)
    b.output(b.node("Div", b.node("Add", wide, filled), count))


@model
def old_version(b):
    """Attributes that later became operands."""
    b.opset = 9
    x = b.input((1, 3, 6, 6))
    y = b.node("Pad", x, pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5)
    y = b.node("Clip", y, min=-0.5, max=0.75)
    y = b.node("Slice", y, starts=[1, 0], ends=[7, 100], axes=[2, 3])
    y = b.node("Unsqueeze", b.node("Squeeze", y, axes=[0]), axes=[0])
    a, c = b.node("Split", y, n=2, split=[1, 2], axis=1)
    d = b.node("Dropout", b.node("ReduceSum", c, axes=[1], keepdims=1), ratio=0.3)
    y = b.node("Softmax", b.node("Add", a, d), axis=2)
    b.output(b.node("Upsample", y, b.constant(np.array([1, 1, 2, 3], np.float32)), mode="nearest"))


@model
def attention(b):
    """One head of a transformer's encoder."""
    b.opset = 17
    x = b.input((2, 5, 8))
    q, k, v = (b.node("Add", b.node("MatMul", x, b.weight(8, 8)), b.weight(8)) for _ in range(3))
    heads = lambda t, perm: b.node("Transpose", b.node("Reshape", t, b.ints(0, 0, 2, 4)), perm=perm)
    scores = b.node("MatMul", heads(q, [0, 2, 1, 3]), heads(k, [0, 2, 3, 1]))
    weights = b.node("Softmax", b.node("Mul", scores, b.constant(np.float32(0.5))), axis=-1)
    y = b.node("Transpose", b.node("MatMul", weights, heads(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    y = b.node("Add", x, b.node("Reshape", y, b.ints(0, 0, 8)))
    y = b.node("LayerNormalization", y, b.weight(8, positive=True), b.weight(8))
    y = b.node("Mul", y, b.node("Sigmoid", y))
    b.output(b.node("ReduceMean", y, axes=[1]))


@model
def inlined(b):
    """A function of the model, with an attribute, and a condition that is known."""
    x = b.input((1, 4, 3, 3))
    b.extra_opsets = [helper.make_opsetid("test", 1)]
    leaky = helper.make_node("LeakyRelu", ["a"], ["c"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    b.functions = [
        helper.make_function(
            "test", "Twice", ["a", "b"], ["d"],
            [leaky, helper.make_node("Add", ["c", "b"], ["d"])], [helper.make_opsetid("", 17)], ["slope"],
        )
    ]
    y = b.node("Twice", x, b.weight(4, 1, 1), domain="test", slope=0.25)
    y = b.node("Twice", y, x, domain="test", slope=0.5)
    empty = lambda n: [helper.make_empty_tensor_value_info(n)]
    then = helper.make_graph([helper.make_node("Relu", [y], ["t"])], "then", [], empty("t"))
    other = helper.make_graph([helper.make_node("Neg", [y], ["e"])], "other", [], empty("e"))
    rank = b.node("Size", b.node("Shape", y))
    condition = b.node("Equal", rank, b.constant(np.array(4, np.int64)))
    b.output(b.node("If", condition, then_branch=then, else_branch=other))


@model
def external(b):
    """Weights in a file beside the model."""
    b.external = True
    x = b.input((1, 6))
    y = b.node("Relu", b.node("Gemm", x, b.weight(6, 8), b.weight(8)))
    b.output(b.node("Gemm", y, b.weight(8, 3), b.weight(3)))


@model
def half_precision(b):
    x = b.input((1, 2, 5, 5))
    w = b.constant(b.random.normal(0, 0.3, (3, 2, 3, 3)).astype(np.float16))
    y = b.node("Conv", x, b.node("Cast", w, to=TensorProto.FLOAT))
    b.output(b.node("Mul", y, b.node("Cast", b.constant(np.float64([[[[0.5]]]])), to=TensorProto.FLOAT)))


@model
def segmentation(b):
    """Down, up by a resize, and beside each other, as in a U-Net."""
    x = b.input((1, 2, 8, 8))
    down = b.node("Relu", b.conv(x, 2, 4, pads=[1] * 4))
    low = b.node("Relu", b.conv(b.node("MaxPool", down, kernel_shape=[2, 2], strides=[2, 2]), 4, 6, pads=[1] * 4))
    scales = b.constant(np.array([1, 1, 2, 2], np.float32))
    nearest = b.node("Resize", low, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric",
                     nearest_mode="floor")
    linear = b.node("Resize", low, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    y = b.node("Concat", down, nearest, linear, axis=1)
    b.output(b.conv(y, 16, 1, 1))


@model
def volumes(b):
    """Convolutions and pools along three axes, and transposed convolutions along one to three."""
    x = b.input((1, 4, 5, 6, 7))
    y = b.node("Relu", b.node("Conv", x, b.weight(4, 2, 3, 2, 3), b.weight(4), group=2, strides=[2, 1, 2],
                              pads=[1, 0, 1, 1, 1, 1]))
    pooled = b.node("MaxPool", y, kernel_shape=[2, 2, 2])
    up = b.node("ConvTranspose", pooled, b.weight(4, 3, 2, 3, 2), b.weight(6), group=2, strides=[2, 2, 2],
                pads=[0, 1, 0, 1, 1, 0], output_padding=[1, 0, 1])
    plane = b.node("Squeeze", b.node("ReduceMean", up, axes=[2]), b.ints(2))
    plane = b.node("ConvTranspose", plane, b.weight(6, 2, 3, 3), strides=[2, 3], dilations=[2, 1], pads=[1, 1, 1, 1])
    line = b.node("ReduceMax", plane, axes=[2], keepdims=0)
    b.output(up, plane, b.node("ConvTranspose", line, b.weight(2, 2, 3), strides=[2]),
             b.node("AveragePool", x, kernel_shape=[2, 3, 2], strides=[2, 2, 2], pads=[1, 1, 0, 0, 1, 1]))


@model
def recurrent(b):
    x = b.input((4, 2, 3))
    lstm = b.node("LSTM", x, b.weight(2, 20, 3), b.weight(2, 20, 5), b.weight(2, 40), hidden_size=5, n=3,
                  direction="bidirectional")
    gru = b.node("GRU", x, b.weight(1, 12, 3), b.weight(1, 12, 4), b.weight(1, 24), hidden_size=4, n=2,
                 linear_before_reset=1, direction="reverse")
    rnn = b.node("RNN", x, b.weight(1, 4, 3), b.weight(1, 4, 4), hidden_size=4, n=2)
    b.output(*lstm, *gru, rnn[1])


@model
def sums(b):
    """Einstein's summation with one and two operands."""
    x = b.input((2, 3, 4))
    einsum = lambda equation, *operands: b.node("Einsum", *operands, equation=equation)
    y = einsum("bij,bkj->bik", x, x)
    b.output(y, einsum("bij,jk", x, b.weight(4, 5)), einsum("...ij->...ji", x), einsum("bii->bi", y),
             einsum("bij,b->j", x, b.weight(2)))


@model
def norms(b):
    """Pools of p-norms, which ONNX's own tests have in part."""
    x = b.input((1, 3, 6, 5))
    b.output(b.node("GlobalLpPool", x, p=2), b.node("GlobalLpPool", x, p=1), b.node("LpPool", x, kernel_shape=[2, 3], p=2))


@model
def integers(b):
    """A picture of whole numbers, and a class."""
    x = b.input((1, 3, 4), dtype=TensorProto.INT64)
    y = b.node("Cast", x, to=TensorProto.FLOAT)
    y = b.node("MatMul", y, b.weight(4, 5))
    b.output(b.node("ArgMax", y, axis=2, keepdims=0), b.node("Div", x, b.ints(2)))


def body(name, inputs, outputs, *nodes):
    """The graph of a loop or a branch; inputs have the types that ONNX wants, or none."""
    known = lambda n: helper.make_tensor_value_info(n, *inputs[n]) if inputs.get(n) else helper.make_empty_tensor_value_info(n)
    nodes = [helper.make_node(op, operands, results, **attributes) for op, operands, results, attributes in nodes]
    return helper.make_graph(nodes, name, [known(n) for n in inputs], [helper.make_empty_tensor_value_info(n) for n in outputs])


@model
def loops(b):
    """Loops over sequences: backwards and along another axis, as often as a shape says, and until a known condition."""
    x = b.input((1, 5, 3))
    w, r, zeros = b.weight(3, 4), b.weight(4, 4), b.constant(np.zeros((1, 4), np.float32))
    cell = [("MatMul", ["row", w], ["a"], {}), ("MatMul", ["h", r], ["c"], {}), ("Add", ["a", "c"], ["s"], {}),
            ("Tanh", ["s"], ["next"], {}), ("Neg", ["next"], ["out"], {})]
    step = body("step", {"h": None, "row": None}, ["next", "out"], *cell)
    scanned = b.node("Scan", zeros, x, n=2, body=step, num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1],
                     scan_output_axes=[1], scan_output_directions=[1])
    given = {"i": (TensorProto.INT64, []), "go": (TensorProto.BOOL, []), "h": None}
    step = body("step", given, ["still", "next", "out"], ("Gather", [x, "i"], ["row"], {"axis": 1}), *cell,
                ("Identity", ["go"], ["still"], {}))
    steps = b.node("Gather", b.node("Shape", x), b.constant(np.array(1)))
    looped = b.node("Loop", steps, "", zeros, n=2, body=step)
    given = {"i": (TensorProto.INT64, []), "go": (TensorProto.BOOL, []), "v": None, "n": (TensorProto.INT64, [])}
    step = body("step", given, ["still", "v2", "n2"], ("Mul", ["v", b.constant(np.float32(1.5))], ["v2"], {}),
                ("Add", ["n", b.constant(np.array(1))], ["n2"], {}), ("Less", ["n2", b.constant(np.array(4))], ["still"], {}))
    ended = b.node("Loop", "", b.constant(np.array(True)), x, b.constant(np.array(0)), n=2, body=step)
    b.output(*scanned, *looped, ended[0])


@model
def branches(b):
    """Branches on a known condition and on secret ones, with values of the graph around them."""
    x = b.input((2, 3))
    y = b.node("Mul", x, b.constant(np.float32(2)))
    one = body("one", {}, ["p", "q"], ("Relu", [x], ["p"], {}), ("Add", [y, y], ["q"], {}))
    other = body("other", {}, ["p2", "q2"], ("Neg", [y], ["p2"], {}), ("Add", [y, y], ["q2"], {}))
    sum_of = lambda v: b.node("ReduceSum", v, keepdims=0)
    zero = b.constant(np.float32(0))
    secret = b.node("If", b.node("Greater", sum_of(x), zero), n=2, then_branch=one, else_branch=other)
    against = b.node("If", b.node("LessOrEqual", sum_of(x), zero), n=2, then_branch=one, else_branch=other)
    known = b.node("If", b.node("Greater", b.node("Size", x), b.constant(np.array(7))), n=2, then_branch=one, else_branch=other)
    low, high = b.node("ReduceMin", y, axes=[1], keepdims=1), b.node("ReduceMean", y, axes=[1], keepdims=1)
    b.output(*secret, *against, known[0], b.node("Min", b.node("Max", x, low), high))


@model
def clipped(b):
    """Limits that are computed."""
    x = b.input((4, 5))
    low = b.node("ReduceMean", x, keepdims=0)
    high = b.node("Add", low, b.constant(np.float32(0.25)))
    b.output(b.node("Clip", x, low, high), b.node("Clip", x, low), b.node("Clip", x, "", high),
             b.node("Clip", x, b.constant(np.float32(-0.5)), high))


def ml(b, op, *inputs, **attributes):
    """An operator of classical machine learning."""
    b.extra_opsets = [helper.make_opsetid("ai.onnx.ml", 5 if op == "TreeEnsemble" else 3)]
    given = {k: v for k, v in attributes.items() if not (isinstance(v, list) and not v)}
    return b.node(op, *inputs, domain="ai.onnx.ml", **given)


def trees(random, count, depth, columns, targets, kind, modes=("BRANCH_LEQ",), positive=True):
    """Attributes of trees that are full, but for the last branch of each, which ends one level above."""
    keys = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    nodes, leaves = {k: [] for k in keys}, {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(count):
        ends = (1 << depth) - 2
        for node in range((1 << depth + 1) - 1):
            level = (node + 1).bit_length() - 1
            if node > 2 * ends:
                continue
            leaf = level == depth or node == ends
            row = (tree, node, 0, "LEAF", 0.0, 0, 0)
            if not leaf:
                row = (tree, node, int(random.integers(columns)), modes[(node + tree) % len(modes)],
                       float(np.float32(random.uniform(-0.8, 0.8))), 2 * node + 1, 2 * node + 2)
            for key, value in zip(keys, row):
                nodes[key].append(value)
            for target in range(targets if leaf else 0):
                weight = random.uniform(0, 1) if positive else random.normal()
                for key, value in zip(leaves, (tree, node, target, float(np.float32(weight)))):
                    leaves[key].append(value)
    return {f"nodes_{k}": v for k, v in nodes.items()} | {f"{kind}_{k}": v for k, v in leaves.items()}


@model
def tree_regressors(b):
    """Every question that a split can ask, and everything that can be made of what trees give."""
    x = b.input((6, 4))
    modes = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")
    outputs = [ml(b, "TreeEnsembleRegressor", x, aggregate_function=aggregate, n_targets=targets, base_values=base,
                  **trees(b.random, 5, 3, 4, targets, "target", modes, positive=False))
               for aggregate, targets, base in
               [("SUM", 1, [0.5]), ("AVERAGE", 2, [0.25, -1.0]), ("MIN", 1, []), ("MAX", 1, [1.0]), ("SUM", 3, [])]]
    # Numbers that are equal to thresholds, or not.
    whole = b.node("Floor", b.node("Mul", x, b.constant(np.float32(3))))
    equal = trees(b.random, 3, 2, 4, 1, "target", ("BRANCH_EQ", "BRANCH_NEQ", "BRANCH_LEQ"))
    equal["nodes_values"] = [float(round(v * 2)) for v in equal["nodes_values"]]
    outputs.append(ml(b, "TreeEnsembleRegressor", whole, n_targets=1, **equal))
    stump = trees(b.random, 4, 1, 4, 1, "target")
    outputs.append(ml(b, "TreeEnsembleRegressor", x, n_targets=1, **stump))
    b.output(*outputs)


@model
def tree_classifiers(b):
    """Probabilities that are sums of leaves, and scores that become probabilities."""
    x = b.input((6, 4))
    outputs = []
    for post, classes, targets, base in [("NONE", 3, 3, []), ("SOFTMAX", 3, 3, [0.1, 0.2, -0.3]), ("LOGISTIC", 3, 3, []),
                                         ("LOGISTIC", 2, 1, [0.2]), ("NONE", 2, 1, [])]:
        made = trees(b.random, 4, 3, 4, targets, "class", positive=post == "NONE")
        if post == "NONE":
            made["class_weights"] = [w / 8 for w in made["class_weights"]]
        outputs += ml(b, "TreeEnsembleClassifier", x, n=2, post_transform=post, classlabels_int64s=list(range(classes)),
                      base_values=base, **made)
    b.output(*outputs)


@model
def tree_ensemble(b):
    """Trees in tensors, and sets of numbers."""
    x = b.input((6, 3))
    whole = b.node("Floor", b.node("Mul", x, b.constant(np.float32(4))))
    floats = lambda *v: numpy_helper.from_array(np.array(v, np.float32), "t")
    modes = numpy_helper.from_array(np.array([0, 6, 4, 3], np.uint8), "modes")
    b.output(ml(b, "TreeEnsemble", whole, n_targets=2, aggregate_function=1, post_transform=0, tree_roots=[0, 3],
                nodes_featureids=[0, 1, 2, 0], nodes_modes=modes, nodes_splits=floats(0, 0, 1, -1),
                nodes_truenodeids=[1, 0, 1, 4], nodes_falsenodeids=[2, 1, 3, 5], nodes_trueleafs=[0, 1, 1, 1],
                nodes_falseleafs=[0, 1, 1, 1], leaf_targetids=[0, 1, 0, 1, 0, 1], leaf_weights=floats(1, 2, -3, 4, 0.5, 0.25),
                membership_values=floats(-2, 0, 3, np.nan)))


@model
def linear_machines(b):
    """Linear models, and what stands before them."""
    x = b.input((5, 4))
    floats = lambda n: [float(v) for v in b.random.normal(0, 1, n).astype(np.float32)]
    scaled = ml(b, "Scaler", x, offset=floats(4), scale=[0.5, 2.0, 1.0, 3.0])
    # ONNX Runtime takes the largest number, not the largest absolute value as ONNX's reference and scikit-learn do.
    outputs = [ml(b, "Normalizer", b.node("Abs", x), norm="MAX")] + [ml(b, "Normalizer", x, norm=norm) for norm in ("L1", "L2")]
    outputs.append(ml(b, "LinearRegressor", scaled, targets=2, coefficients=floats(8), intercepts=floats(2)))
    for post, classes, rows in [("NONE", 3, 3), ("SOFTMAX", 3, 3), ("LOGISTIC", 3, 3), ("LOGISTIC", 2, 1)]:
        label, scores = ml(b, "LinearClassifier", scaled, n=2, post_transform=post, classlabels_ints=list(range(classes)),
                           coefficients=floats(4 * rows), intercepts=floats(rows), multi_class=1)
        outputs += [label, ml(b, "Normalizer", scores, norm="L1") if classes == 3 and post != "NONE" else scores]
    b.output(*outputs)


@model
def kernel_machines(b):
    """Support vectors, with each kernel."""
    x = b.input((5, 3))
    floats = lambda n: [float(v) for v in b.random.normal(0, 1, n).astype(np.float32)]
    outputs = []
    for kernel, parameters in [("LINEAR", [0, 0, 0]), ("POLY", [0.5, 1, 3]), ("RBF", [0.7, 0, 0]), ("SIGMOID", [0.5, 0.25, 0])]:
        outputs.append(ml(b, "SVMRegressor", x, kernel_type=kernel, kernel_params=list(map(float, parameters)), n_supports=6,
                          coefficients=floats(6), support_vectors=floats(18), rho=floats(1)))
        outputs += ml(b, "SVMClassifier", x, n=2, kernel_type=kernel, kernel_params=list(map(float, parameters)),
                      classlabels_ints=[0, 1, 2], vectors_per_class=[2, 1, 3], coefficients=floats(12), support_vectors=floats(18),
                      rho=floats(3), post_transform="NONE")
    for extra in ({}, {"prob_a": [-1.5], "prob_b": [0.25]}):
        outputs += ml(b, "SVMClassifier", x, n=2, kernel_type="RBF", kernel_params=[0.7, 0.0, 0.0], classlabels_ints=[0, 1],
                      vectors_per_class=[2, 3], coefficients=floats(5), support_vectors=floats(15), rho=floats(1),
                      post_transform="NONE", **extra)[:1 if extra else 2]
    b.output(*outputs)


@model
def prepared_columns(b):
    """Columns picked, encoded and put together."""
    x = b.input((5, 4))
    whole = b.node("Floor", b.node("Mul", x, b.constant(np.float32(2))))
    picked = ml(b, "ArrayFeatureExtractor", x, b.ints(2, 0))
    hot = ml(b, "OneHotEncoder", whole, cats_int64s=[-2, -1, 0, 1], zeros=1)
    imputed = ml(b, "Imputer", whole, imputed_value_floats=[0.5, 1.5, 2.5, 3.5], replaced_value_float=-1.0)
    b.output(picked, hot, imputed, ml(b, "Binarizer", x, threshold=0.25), ml(b, "FeatureVectorizer", picked, imputed, inputdimensions=[2, 4]),
             ml(b, "LabelEncoder", whole, keys_floats=[-1.0, 0.0, 1.0], values_floats=[3.0, 0.5, -2.0], default_float=7.0))


@model
def embeddings(b):
    """Words and their kinds, looked up in tables; a mask from where words are; elements and classes that are looked up; counts."""
    ids, kinds = b.input((1, 6), dtype=TensorProto.INT64), b.input((1, 6), "kinds", dtype=TensorProto.INT64)
    b.feeds["x"][:, -2:] = 0
    words = b.node("Gather", b.weight(30, 8, scale=1), ids)
    both = b.node("Add", words, b.node("Gather", b.weight(4, 8, scale=1), b.node("Unsqueeze", b.node("Squeeze", kinds, b.ints(0)), b.ints(0))))
    placed = b.node("Add", both, b.weight(1, 6, 8))
    there = b.node("Cast", b.node("Not", b.node("Equal", ids, b.ints(0))), to=TensorProto.FLOAT)
    mask = b.node("Mul", b.node("Sub", b.constant(np.float32(1)), b.node("Unsqueeze", there, b.ints(1))), b.constant(np.float32(-10000)))
    scores = b.node("Add", b.node("MatMul", placed, b.node("Transpose", placed, perm=[0, 2, 1])), mask)
    mixed = b.node("MatMul", b.node("Softmax", scores, axis=-1), placed)
    positions = b.node("Mul", b.node("CumSum", b.node("Cast", there, to=TensorProto.INT64), b.constant(np.array(1))),
                       b.node("Cast", there, to=TensorProto.INT64))
    placed = b.node("Gather", b.weight(8, 3, scale=1), positions)
    elements = b.node("GatherElements", b.weight(1, 7, scale=1), ids, axis=1)
    one_hot = b.node("OneHot", kinds, b.constant(np.array(4)), b.constant(np.array([0, 1], np.float32)), axis=1)
    first = b.node("Gather", b.weight(3, 5, scale=1), b.node("Squeeze", b.node("Slice", ids, b.ints(0), b.ints(1), b.ints(1)), b.ints(1)), axis=1)
    b.output(b.node("Mul", mixed, b.constant(np.float32(0.5))), placed, elements, one_hot, first)


def numbers(b, low, high, *shape):
    return b.random.integers(low, high + 1, shape)


@model
def quantised(b):
    """Integers on grids: whole numbers that fit them, so that nothing is rounded that is not on the grid already."""
    b.as_it_is = True
    x = b.input((1, 3, 4, 4))
    b.feeds["x"] = numbers(b, -3, 3, 1, 3, 4, 4).astype(np.float32) / 2
    scale, zero = lambda v: b.constant(np.float32(v)), lambda v, dtype=np.uint8: b.constant(dtype(v))
    grid = [scale(0.5), zero(128)]
    on = b.node("QuantizeLinear", x, *grid)
    w = b.constant(numbers(b, -1, 1, 4, 3, 3, 3).astype(np.int8))
    steps, none = b.constant(np.array([1, 0.5, 1, 0.5], np.float32)), b.constant(np.zeros(4, np.int8))
    bias = b.constant(numbers(b, -3, 3, 4).astype(np.int32) * 2)
    wide = [scale(0.25), zero(0)]
    y = b.node("QLinearConv", on, *grid, w, steps, none, *wide, bias, pads=[1] * 4)
    y = b.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    real = b.node("DequantizeLinear", y, *wide)
    weights = b.node("DequantizeLinear", b.constant(numbers(b, -2, 2, 16, 5).astype(np.int8)), b.constant(np.array([0.5, 1, 1, 0.5, 1], np.float32)),
                     b.constant(np.array([0, 1, 0, -1, 0], np.int8)), axis=1)
    dense = b.node("MatMul", b.node("Flatten", real), weights)
    integers = b.node("MatMulInteger", b.node("Reshape", on, b.ints(3, 16)), b.constant(numbers(b, -2, 2, 16, 2).astype(np.int8)), zero(128))
    convolved = b.node("ConvInteger", on, b.constant(numbers(b, 0, 2, 2, 3, 2, 2).astype(np.uint8)), zero(128), zero(1))
    flat = b.node("QLinearMatMul", b.node("Reshape", on, b.ints(3, 16)), *grid, b.constant(numbers(b, -1, 1, 16, 4).astype(np.int8)), scale(1), zero(0, np.int8),
                  scale(0.5), zero(120))
    flat = b.node("DequantizeLinear", flat, scale(0.5), zero(120))
    b.output(dense, b.node("Cast", integers, to=TensorProto.FLOAT), b.node("Cast", convolved, to=TensorProto.FLOAT), flat)


@model
def of_onnx_runtime(b):
    """What ONNX Runtime's quantisation makes of layers: the same whole numbers."""
    b.as_it_is = True
    b.extra_opsets = [helper.make_opsetid("com.microsoft", 1)]
    x = b.input((4, 8))
    b.feeds["x"] = numbers(b, -8, 8, 4, 8).astype(np.float32)
    b.feeds["x"][0, :2] = [-128, 127]
    scale, zero = lambda v: b.constant(np.float32(v)), lambda v, dtype=np.uint8: b.constant(dtype(v))
    own = lambda op, *inputs, **attributes: b.node(op, *inputs, domain="com.microsoft", **attributes)
    w = b.constant(numbers(b, -2, 2, 8, 3).astype(np.int8))
    columns, none = b.constant(np.array([0.5, 1, 2], np.float32)), b.constant(np.zeros(3, np.int8))
    bias = b.constant(numbers(b, -3, 3, 3).astype(np.float32))
    dynamic = own("DynamicQuantizeMatMul", x, w, columns, none, bias)
    q, s, z = b.node("DynamicQuantizeLinear", x, n=3)
    floats = own("MatMulIntegerToFloat", q, w, s, columns, z, none, bias)
    written = b.node("Mul", b.node("Cast", b.node("MatMulInteger", q, w, z), to=TensorProto.FLOAT), b.node("Mul", s, scale(0.5)))
    packed = b.constant(numbers(b, 0, 255, 5, 1, 8).astype(np.uint8))
    few = own("MatMulNBits", x, packed, b.constant(np.array([0.5, 1, 0.25, 1, 2], np.float32)), b.constant(numbers(b, 0, 15, 5, 1).astype(np.uint8)),
              K=8, N=5, bits=4, block_size=16)
    small = b.node("Slice", x, b.ints(1), b.ints(4), b.ints(0))
    on = b.node("QuantizeLinear", b.node("Mul", small, scale(0.125)), scale(0.125), zero(128))
    at = [scale(0.125), zero(128)]
    eighths = [scale(0.125), zero(100)]
    halves = own("QLinearAdd", on, *at, b.constant(numbers(b, 120, 130, 8).astype(np.uint8)), *at, *eighths)
    products = own("QLinearMul", on, *at, b.constant(numbers(b, 0, 2, 8).astype(np.uint8)), scale(1), zero(0), *eighths)
    joined = own("QLinearConcat", *eighths, halves, *eighths, products, *eighths, axis=1)
    finer, finest = [scale(1 / 16), zero(60)], [scale(1 / 64), zero(100)]
    leaky = own("QLinearLeakyRelu", joined, *eighths, *finer, alpha=0.5)
    picture = b.node("Reshape", leaky, b.ints(1, 3, 4, 4))
    pooled = own("QLinearAveragePool", picture, *finer, *finest, kernel_shape=[2, 2], strides=[2, 2])
    picture = b.node("Reshape", leaky, b.ints(1, 12, 2, 2))
    means = own("QLinearGlobalAveragePool", picture, *finer, *finest)
    dense = own("QGemm", on, *at, b.constant(numbers(b, -1, 1, 5, 8).astype(np.int8)), scale(0.5), zero(0, np.int8),
                b.constant(numbers(b, -5, 5, 5).astype(np.int32)), *finer, transB=1)
    ends = b.input((4, 4), "ends")
    b.feeds["ends"] = numbers(b, -1, 0, 4, 4).astype(np.float32) * 16
    halved = own("QLinearSigmoid", b.node("QuantizeLinear", ends, *at), *at, scale(1 / 256), zero(0))
    # No state comes back, so that none is rounded.
    layers = own("DynamicQuantizeLSTM", b.node("Reshape", x, b.ints(4, 1, 8)), b.constant(numbers(b, -3, 3, 1, 8, 12).astype(np.int8)),
                 b.constant(np.zeros((1, 3, 12), np.int8)), "", "", "", "", "", b.constant(np.array([1 / 128], np.float32)), b.constant(np.zeros(1, np.int8)),
                 b.constant(np.array([1], np.float32)), b.constant(np.zeros(1, np.int8)), hidden_size=3)
    b.output(dynamic, floats, written, few, b.node("DequantizeLinear", joined, *eighths), b.node("DequantizeLinear", leaky, *finer),
             b.node("DequantizeLinear", pooled, *finest), b.node("DequantizeLinear", means, *finest), b.node("DequantizeLinear", dense, *finer),
             b.node("DequantizeLinear", halved, scale(1 / 256), zero(0)), layers)


@model
def ends_of_grids(b):
    """Activations that are left to the ends of grids, and weights of four bits in blocks. What lies between the ends lies on the grid."""
    b.opset = 21
    b.as_it_is = True
    scale, zero = lambda v: b.constant(np.float32(v)), lambda v, dtype=np.uint8: b.constant(dtype(v))
    def through(x, *grid):
        return b.node("DequantizeLinear", b.node("QuantizeLinear", x, *grid), *grid)
    x = b.input((4, 8))
    b.feeds["x"] = numbers(b, -20, 20, 4, 8).astype(np.float32) / 4
    relu6 = through(x, scale(1 / 64), zero(0))
    signed = through(x, scale(1 / 64), zero(0, np.int8))
    beside = through(x, scale(1 / 64), zero(192))
    rectified = through(b.node("Relu", x), scale(1 / 32), zero(20, np.int8))
    below = b.node("Relu", through(x, scale(1 / 64), zero(20, np.int8)))
    twice = through(through(x, scale(1 / 32), zero(0, np.int8)), scale(1 / 64), zero(0, np.int8))
    few = b.node("QuantizeLinear", b.node("Mul", x, scale(2)), scale(0.5), four(b, [], [5]))
    few = b.node("DequantizeLinear", few, scale(0.5), four(b, [], [5]))
    by_column = b.node("DequantizeLinear", b.node("QuantizeLinear", x, *columns(b), axis=1), *columns(b), axis=1)
    picture = b.node("Reshape", signed, b.ints(1, 2, 4, 4))
    pooled = b.node("MaxPool", picture, kernel_shape=[2, 2], strides=[2, 2])
    convolved = b.node("QLinearConv", b.node("QuantizeLinear", picture, scale(1 / 64), zero(128)), scale(1 / 64), zero(128),
                       b.constant(numbers(b, -1, 1, 3, 2, 1, 1).astype(np.int8)), b.constant(np.array([1, 0.5, 0.5], np.float32)), b.constant(np.zeros(3, np.int8)), scale(1 / 128), zero(0))
    convolved = b.node("DequantizeLinear", convolved, scale(1 / 128), zero(0))
    blocks = b.constant((numbers(b, 1, 4, 2, 5) / 8).astype(np.float32))
    weights = b.node("DequantizeLinear", four(b, [8, 5], numbers(b, -8, 7, 40)), blocks, axis=0, block_size=4)
    dense = b.node("MatMul", signed, weights)
    b.output(relu6, signed, beside, rectified, below, twice, few, by_column, pooled, convolved, dense)


@model
def sorted_inside(b):
    """The largest of several, which something else uses."""
    x = b.input((2, 3, 7))
    values, places = b.node("TopK", x, b.ints(3), n=2, axis=2)
    low, where = b.node("TopK", b.node("Relu", x), b.ints(2), n=2, axis=1, largest=0)
    found = b.node("GatherElements", x, places, axis=2)
    b.output(b.node("Mul", values, b.constant(np.float32(0.5))), b.node("Add", b.node("Cast", where, to=TensorProto.FLOAT), low), b.node("Neg", found))


@model
def picked_by_secret_places(b):
    """As CLIP picks the place of the last word: rows by computed places, and the place of the row."""
    x = b.input((2, 4, 3))
    best = b.node("ArgMax", b.node("ReduceSum", x, b.ints(2), keepdims=0), axis=1, keepdims=1)
    places = b.node("Concat", b.constant(np.array([[0], [1]], np.int64)), best, axis=1)
    rows = b.node("GatherND", x, places)
    first = b.node("GatherND", b.node("Transpose", x, perm=[1, 0, 2]), b.node("Reshape", best, b.ints(2, 1, 1)))
    b.output(b.node("Mul", rows, b.constant(np.float32(2))), b.node("Neg", first))


def four(b, shape, values):
    """Integers of four bits."""
    name = f"constant_{len(b.constants)}"
    b.constants.append(helper.make_tensor(name, TensorProto.INT4, shape, values))
    return name


def columns(b):
    """Grids for each of eight columns."""
    return [b.constant(np.array([1 / 64, 1 / 32, 1 / 16, 1 / 8] * 2, np.float32)), b.constant(np.array([0, 10, -10, 100, -128, 127, 0, 5], np.int8))]


@model
def fused_by_onnx_runtime(b):
    """What ONNX Runtime's optimiser and its builder of language models make of transformers."""
    b.as_it_is = True
    b.extra_opsets = [helper.make_opsetid("com.microsoft", 1)]
    own = lambda op, *inputs, **attributes: b.node(op, *inputs, domain="com.microsoft", **attributes)
    x = b.input((2, 5, 8))
    batch, length = 2, 5
    ones = lambda: b.weight(8, positive=True)
    summed = own("SkipLayerNormalization", x, b.weight(5, 8, scale=1), ones(), b.weight(8), b.weight(8), epsilon=1e-5, n=4)
    simple = b.node("SimplifiedLayerNormalization", summed[3], ones(), epsilon=1e-6)
    again = own("SkipSimplifiedLayerNormalization", simple, x, ones(), epsilon=1e-5, n=4)
    words = b.input((batch, length), "words", dtype=TensorProto.INT32)
    b.feeds["words"] = numbers(b, 0, 6, batch, length).astype(np.int32)
    embedded = own("EmbedLayerNormalization", words, b.constant(numbers(b, 0, 1, batch, length).astype(np.int32)), b.weight(7, 8, scale=1), b.weight(6, 8, scale=1),
                   b.weight(2, 8, scale=1), ones(), b.weight(8), epsilon=1e-5, n=2)[0]
    fast = own("FastGelu", x, b.weight(8))
    biased = own("BiasGelu", x, b.weight(8))
    bare = own("Gelu", x)
    quick = own("QuickGelu", x, alpha=1.5)
    product = own("FusedMatMul", x, simple, alpha=0.25, transB=1)
    seen = b.input((batch, length), "seen", dtype=TensorProto.INT32)
    b.feeds["seen"] = np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32)
    packed = own("Attention", x, b.weight(8, 24, scale=0.5), b.weight(24), seen, num_heads=2)
    causal = own("Attention", x, b.weight(8, 20, scale=0.5), b.weight(20), num_heads=2, unidirectional=1, qkv_hidden_sizes=[8, 8, 4])
    lengths = b.input((batch,), "lengths", dtype=TensorProto.INT32)
    b.feeds["lengths"] = np.array([2, 5], np.int32)
    of_heads = own("MultiHeadAttention", x, simple, again[3], b.weight(24), lengths, b.weight(1, 2, 5, 5, scale=0.5), num_heads=2)
    plain = own("MultiHeadAttention", x, simple, again[0], num_heads=4, scale=0.5)
    table = [b.constant(f(np.outer(np.arange(9), [1, 0.3])).astype(np.float32)) for f in (np.cos, np.sin)]
    turned = own("RotaryEmbedding", x, b.ints(2), *table)
    sides = own("RotaryEmbedding", x, b.constant(np.tile(np.arange(5) + 1, (2, 1))), *table, interleaved=1)
    q, k, v = [b.node("MatMul", x, b.weight(8, n, scale=0.5)) for n in (32, 16, 16)]
    nothing = [b.constant(np.zeros((batch, 1, 0, 16), np.float32)) for _ in range(2)]
    wider = [b.constant(f(np.outer(np.arange(9), 0.7 ** np.arange(8))).astype(np.float32)) for f in (np.cos, np.sin)]
    total = [b.constant(np.array([length - 1] * batch, np.int32)), b.constant(np.int32(length))]
    grouped = own("GroupQueryAttention", q, k, v, *nothing, *total, *wider, num_heads=2, kv_num_heads=1, do_rotary=1, n=3)[0]
    all_of_it = b.node("Concat", q, k, v, axis=2)
    window = own("GroupQueryAttention", all_of_it, "", "", *nothing, *total, num_heads=2, kv_num_heads=1, local_window_size=2, softcap=2.0, n=3)[0]
    b.output(summed[0], summed[3], simple, again[0], embedded, fast, biased, bare, quick, product, packed, causal, of_heads, plain, turned, sides, grouped, window)


def main():
    for name in sys.argv[1:] or MODELS:
        b = Builder(name)
        MODELS[name](b)
        b.save()


if __name__ == "__main__":
    main()
