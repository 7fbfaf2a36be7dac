#!/usr/bin/env python3
"""Makes the 132 unit cases that the first CrypTFlow's compiler had, those that it skipped too, with TensorFlow's answers.

    pip install tensorflow
    python3 models/conformance/athos_cases.py             # into crates/cryptflow/tests/data/athos_cases.npz
    python3 models/conformance/athos_cases.py --check     # makes them again, and compares with the committed ones

Operations, shapes and attributes are those of its tests for TensorFlow (arithmetic, batch normalisation, convolutions, non-linear functions,
movements, unary operations and reductions). The values are drawn anew, from the standard normal distribution as there. For a case NAME the file holds
NAME/graph (a GraphDef's bytes), NAME/fetch (the name of the result, bytes), NAME/input/PLACEHOLDER and NAME/output.
"""

import os
import sys
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
FILE = Path(__file__).resolve().parents[2] / "crates/cryptflow/tests/data/athos_cases.npz"
f32 = np.float32


class Case:
    """One graph, while it is built: placeholders, constants and their values."""

    def __init__(self, name):
        self.name = name
        self.inputs = {}
        # What is done to the graph after TensorFlow has run it.
        self.edit = lambda graph: None
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def draw(self, shape, dtype=f32, positive=False):
        values = self.rng.standard_normal(shape)
        return np.asarray(np.abs(values) if positive else values, dtype)

    def placeholder(self, values, name="a"):
        values = np.asarray(values)
        self.inputs[name] = values
        return v1.placeholder(tf.as_dtype(values.dtype), shape=values.shape, name=name)

    def a(self, shape, **how):
        return self.placeholder(self.draw(shape, **how))

    def b(self, shape, **how):
        return tf.constant(self.draw(shape, **how), name="b")


CASES = {}


def case(name, build):
    assert name not in CASES, name
    CASES[name] = build


def label(*parts):
    return "_".join("x".join(map(str, p)) or "scalar" if isinstance(p, (list, tuple)) else str(p) for p in parts)


def arithmetic():
    operations = [tf.math.add, tf.math.subtract, tf.math.multiply, tf.raw_ops.AddV2]
    for op in operations:
        for a, b in [((4, 4), (4, 4)), ((2, 2), (1,)), ((3, 1, 2, 1), (2, 1, 4)), ((2, 2), ())]:
            case(label(op.__name__, a, b), lambda c, op=op, a=a, b=b: op(x=c.a(a), y=c.b(b), name="output"))
    for a, b, data_format in [([4, 1, 4], [4], None), ([4, 1, 4], [4], "N..C"), ([4, 4, 1], [4], "NC..")]:
        def build(c, a=a, b=b, data_format=data_format):
            return tf.nn.bias_add(c.a(a), c.b(b), data_format=data_format, name="output")

        case(label("bias_add", a, data_format), build)
    divisions = [
        ("divide_ints", tf.divide, [7, -7], 5),
        ("divide", tf.divide, [7.0, -7.0], 5.0),
        ("truediv_ints", tf.truediv, [7, -7], 5),
        ("truediv", tf.truediv, [7.0], 5.0),
        ("divide_scalar", tf.divide, 7.0, 5.0),
        ("floordiv_ints", tf.math.floordiv, [7, -7], 5),
        ("floordiv", tf.math.floordiv, [7.0, -7.0], 5.0),
        ("truncatediv", tf.truncatediv, -7, 5),
    ]
    for name, op, value, divisor in divisions:
        def build(c, op=op, value=value, divisor=divisor):
            b = tf.constant(divisor, name="b")
            return op(c.placeholder(np.array(value, b.dtype.as_numpy_dtype)), b, name="output")

        case(name, build)
    for a in [[3, 2], [1, 2]]:
        case(label("matmul", a), lambda c, a=a: tf.matmul(c.a(a), c.b([2, 3]), name="output"))
    case("matmul_of_inputs", lambda c: tf.matmul(c.a([3, 2]), c.placeholder(c.draw([2, 3]), "b"), name="output"))
    for number, (a, b) in enumerate([([1.2, 1.3], [1.2, 1.3]), ([1.2, 1.3], [1.2, 1.2]), ([1.2, 1.3], [1.2])]):
        def build(c, a=a, b=b):
            return tf.math.equal(c.placeholder(f32(a)), tf.constant(f32(b), name="b"), name="output")

        case(f"equal_{number}", build)


def batch_norm():
    def build(c):
        vectors = dict(scale=[1.5], offset=[2.3], mean=[0.5], variance=[0.2])
        return tf.raw_ops.FusedBatchNorm(x=c.a([1, 2, 2, 1]), is_training=False, name="output", **vectors)[0]

    case("fused_batch_norm", build)


def convolutions():
    for op, a, kernel in [(tf.nn.conv2d, [1, 5, 5, 1], [2, 2, 1, 2]), (tf.nn.conv3d, [1, 5, 5, 5, 1], [2, 2, 2, 1, 2])]:
        for padding in ["SAME", "VALID"]:
            def build(c, op=op, a=a, kernel=kernel, padding=padding):
                return op(c.a(a), tf.constant(c.draw(kernel), name="filter"), [1] * len(a), padding, name="output")

            case(label(op.__name__, padding), build)
    for a, kernel, padding in [
        ([1, 5, 5, 1], [2, 2, 1, 3], "VALID"),
        ([1, 5, 5, 1], [2, 2, 1, 3], "SAME"),
        ([1, 5, 5, 3], [2, 2, 3, 2], "VALID"),
    ]:
        def build(c, a=a, kernel=kernel, padding=padding):
            return tf.nn.depthwise_conv2d(c.a(a), tf.constant(c.draw(kernel), name="filter"), [1] * 4, padding, name="output")

        case(label("depthwise_conv2d", a, padding), build)
    for a, padding in [([1, 4, 4, 4, 2], "VALID"), ([1, 5, 5, 5, 2], "SAME")]:
        def build(c, a=a, padding=padding):
            kernel = tf.constant(c.draw([2, 2, 2, 1, 2]), name="filter")
            return tf.nn.conv3d_transpose(c.a(a), kernel, [1, 5, 5, 5, 1], [1] * 5, padding, name="output")

        case(label("conv3d_transpose", padding), build)


def non_linear():
    for op in [tf.math.sqrt, tf.math.rsqrt, tf.math.sigmoid, tf.math.tanh, tf.nn.relu]:
        for a in [[4, 4], [1], []]:
            positive = op in (tf.math.sqrt, tf.math.rsqrt)
            case(label(op.__name__, a), lambda c, op=op, a=a, p=positive: op(c.a(a, positive=p), name="output"))
    for a, axis in [([2, 3], 1), ([1], 0)]:
        case(label("softmax", a), lambda c, a=a, axis=axis: tf.nn.softmax(c.a(a), axis=axis, name="output"))


def movements():
    reshapes = [([2, 3], [6]), ([6], [2, 3]), ([2, 3], [3, 2]), ([2, 3], [-1]), ([1], []), ([3, 2, 3], [2, -1]), ([3, 2, 3], [-1, 9])]
    for a, to in reshapes:
        case(label("reshape", a, to), lambda c, a=a, to=to: tf.reshape(c.a(a), to, name="output"))
    for a, perm in [([2, 3], [1, 0]), ([2, 4, 3], [0, 2, 1])]:
        case(label("transpose", a, perm), lambda c, a=a, perm=perm: tf.transpose(c.a(a), perm, name="output"))
    for a, pieces in [([2, 10], 5), ([5, 7], [1, 4, 2])]:
        case(label("split", a, pieces), lambda c, a=a, pieces=pieces: tf.split(c.a(a), pieces, 1, name="output")[-1])
    for axis in [None, [2, 4]]:
        case(label("squeeze", axis), lambda c, axis=axis: tf.squeeze(c.a([1, 2, 1, 3, 1, 1]), axis=axis, name="output"))
    for size in [[1, 1, 3], [1, 2, 3], [2, 1, 3]]:
        case(label("slice", size), lambda c, size=size: tf.slice(c.a([3, 2, 3]), [1, 0, 0], size, name="output"))
    for a, b, axis in [([2, 3], [3, 3], 0), ([2, 3, 2, 1], [2, 6, 2, 1], 1)]:
        def build(c, a=a, b=b, axis=axis):
            return tf.concat([c.a(a), c.placeholder(c.draw(b), "b")], axis, name="output")

        case(label("concat", a, b), build)
    for a, axis in [([3, 2, 3], 1), ([2, 5], 0)]:
        case(label("expand_dims", a), lambda c, a=a, axis=axis: tf.expand_dims(c.a(a), axis, name="output"))
    image, uneven = [1, 2, 2, 1], [[1, 1], [1, 2], [1, 1], [1, 3]]
    for name, a, paddings, mode, value in [
        ("pad", image, uneven, "CONSTANT", 0),
        ("pad_reflect", [3, 3, 3, 4], uneven, "REFLECT", 0),
        ("pad_symmetric", [2, 2, 2, 3], uneven, "SYMMETRIC", 0),
        ("pad_matrix", [2, 3], [[1, 1], [2, 2]], "CONSTANT", 0),
        ("pad_value", image, uneven, "CONSTANT", 1.2),
    ]:
        def build(c, a=a, paddings=paddings, mode=mode, value=value):
            return tf.pad(c.a(a), tf.constant(paddings, name="paddings"), mode=mode, constant_values=value, name="output")

        case(name, build)
    for multiples in [[1, 2], [2, 1], [2, 2]]:
        case(label("tile", multiples), lambda c, m=multiples: tf.tile(c.a([2, 3]), tf.constant(m, name="multiples"), name="output"))


def unary():
    for op in [tf.math.square, tf.math.negative, tf.math.floor, tf.shape, tf.identity, tf.zeros_like]:
        for a in [[2, 2], []]:
            case(label(op.__name__, a), lambda c, op=op, a=a: op(c.a(a), name="output"))
    reductions = [
        ([3, 2], None, False), ([3, 2], [0, 1], False), ([3, 2], 0, False), ([3, 2], 1, False),
        ([3, 2, 4], 1, False), ([3, 2, 4], [1, 2], False), ([3, 2, 4], [2, 1], False), ([3, 2], 0, True),
    ]
    for op in [tf.math.reduce_mean, tf.reduce_sum]:
        for a, axis, keep in reductions:
            name = label(op.__name__, a, "axis", "all" if axis is None else axis) + ("_kept" if keep else "")
            case(name, lambda c, op=op, a=a, axis=axis, keep=keep: op(c.a(a), axis=axis, keepdims=keep, name="output"))
    for number, (a, axis) in enumerate([([3, 2], None), ([3, 2], 0), ([3, 2], 1), ([3, 2, 3], 1), ([3, 2, 1, 1], 1), ([3, 2], 1)]):
        case(label("argmax", number, a, axis), lambda c, a=a, axis=axis: tf.math.argmax(c.a(a), axis=axis, name="output"))
    for op in [tf.nn.max_pool, tf.nn.avg_pool]:
        for padding in ["VALID", "SAME"]:
            def build(c, op=op, padding=padding):
                return op(c.a([1, 5, 5, 1]), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding=padding, data_format="NHWC", name="output")

            case(label(op.__name__, padding), build)
    for source, to in [(np.float32, np.float32), (np.float64, np.float32), (np.float32, np.int32)]:
        name = label("cast", source.__name__, to.__name__)
        case(name, lambda c, source=source, to=to: tf.cast(c.a([2, 2], dtype=source), to, name="output"))
    for shape, value in [([2, 2], 9.2), ([], 9.2), ([2, 2], 1)]:
        case(label("fill", shape, value), lambda c, shape=shape, value=value: tf.fill(shape, value, name="output"))


def answers(cases):
    """For each case its graph, the name of the result, TensorFlow's answer and the inputs, as arrays by name."""
    arrays = {}
    for name, build in cases.items():
        graph = tf.Graph()
        with graph.as_default():
            c = Case(name)
            output = build(c)
        with v1.Session(graph=graph) as session:
            feed = {f"{k}:0": v for k, v in c.inputs.items()}
            answer = session.run(output, feed_dict=feed)
        graph_def = graph.as_graph_def()
        c.edit(graph_def)
        arrays[f"{name}/graph"] = np.frombuffer(graph_def.SerializeToString(deterministic=True), np.uint8)
        arrays[f"{name}/fetch"] = np.frombuffer(output.name.removesuffix(":0").encode(), np.uint8)
        arrays[f"{name}/output"] = np.asarray(answer, f32)
        for k, v in c.inputs.items():
            arrays[f"{name}/input/{k}"] = np.asarray(v, f32)
    return arrays


def check(file, arrays):
    """Whether the committed cases are these. Answers may differ in their last bits between machines."""
    committed = np.load(file)
    wrong = sorted(set(committed.files) ^ set(arrays))
    for name in set(committed.files) & set(arrays):
        a, b = committed[name], arrays[name]
        # Graphs name TensorFlow's version; what they compute is what counts.
        if name.endswith("/graph"):
            continue
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-5, atol=1e-5):
            wrong.append(name)
    for name in wrong:
        print(f"{name}: TensorFlow {tf.__version__} gives something else than what is committed", file=sys.stderr)
    count = sum(name.endswith("/fetch") for name in arrays)
    print(f"{file.name}: {count} cases, made again with TensorFlow {tf.__version__}: {len(wrong)} differ")
    return not wrong


def main(file, cases):
    """Writes the cases, or compares them with the committed ones."""
    made = answers(cases)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if check(file, made) else 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **made)
    print(f"{file}: {len(cases)} cases, {file.stat().st_size} bytes")


if __name__ == "__main__":
    for family in [arithmetic, batch_norm, convolutions, non_linear, movements, unary]:
        family()
    assert len(CASES) == 132, len(CASES)
    main(FILE, CASES)
