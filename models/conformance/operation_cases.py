#!/usr/bin/env python3
"""Makes a small case, or several, for every TensorFlow operation on the page of operations, with TensorFlow's answers.

    pip install tensorflow
    python3 models/conformance/operation_cases.py             # into crates/cryptflow/tests/data/tensorflow_operations.npz
    python3 models/conformance/operation_cases.py --check     # makes them again, and compares with the committed ones

The file is that of athos_cases.py: NAME/graph, NAME/fetch, NAME/input/PLACEHOLDER and NAME/output. NAME is the operation's, with what else is to be said of the
case behind an underscore. Operations that TensorFlow no longer runs are put into the graph after a newer one has given the answer.
"""

import numpy as np

from athos_cases import FILE, f32, label, main, tf, v1

raw = tf.raw_ops
CASES = {}


def case(op, build, *variant):
    name = label(op, *variant)
    assert name not in CASES, name

    def checked(c):
        output = build(c)
        edit = c.edit

        def after(graph):
            edit(graph)
            assert op in {node.op for node in graph.node}, f"{name} has no {op}"

        c.edit = after
        return output

    CASES[name] = checked


def between(c, low, high, shape=(3, 4)):
    """An input whose values lie in a range."""
    return c.placeholder(np.asarray(c.rng.uniform(low, high, shape), f32))


def as_float(x):
    return tf.cast(x, tf.float32, name="output")


def elementary():
    for op, low, high in [
        ("Abs", -3, 3), ("Acos", -0.9, 0.9), ("Acosh", 2.2, 5), ("Asin", -0.9, 0.9), ("Asinh", -5, 5), ("Atan", -5, 5),
        ("Atanh", -0.8, 0.8), ("Ceil", -4, 4), ("Cos", -4, 4), ("Cosh", -3, 3), ("Erf", -3, 3), ("Erfc", -3, 3), ("Exp", -4, 2),
        ("Expm1", -4, 2), ("Floor", -4, 4), ("Log", 0.2, 5), ("Log1p", -0.5, 5), ("Neg", -3, 3), ("Reciprocal", 0.3, 4),
        ("Rint", -4, 4), ("Round", -4, 4), ("Rsqrt", 0.3, 4), ("Sigmoid", -6, 6), ("Sign", -3, 3), ("Sin", -4, 4), ("Sinh", -3, 3),
        ("Sqrt", 0.1, 4), ("Square", -3, 3), ("Tan", -1.2, 1.2), ("Tanh", -4, 4), ("Identity", -3, 3), ("OnesLike", -3, 3),
        ("ZerosLike", -3, 3),
    ]:
        case(op, lambda c, op=op, low=low, high=high: getattr(raw, op)(x=between(c, low, high), name="output")
             if op != "Identity" else raw.Identity(input=between(c, low, high), name="output"))
    case("Atan2", lambda c: raw.Atan2(
        y=c.placeholder(f32([[0.5, -2, 1, -1, 3, -0.5]])), x=c.placeholder(f32([[2, 0.5, -1, -3, 0, 1]]), "b"), name="output"))
    case("Bucketize", lambda c: as_float(raw.Bucketize(input=between(c, -3, 3), boundaries=[-2.5, -1, 0, 0, 1.5])))
    case("Reciprocal", lambda c: raw.Reciprocal(x=between(c, -4, -0.3), name="output"), "negative")
    for op in ["Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign", "LeakyRelu"]:
        case(op, lambda c, op=op: getattr(raw, op)(features=between(c, -8, 8), name="output"))
    case("LeakyRelu", lambda c: raw.LeakyRelu(features=between(c, -4, 4), alpha=0.05, name="output"), "alpha")

    def old_reciprocal(c):
        def edit(graph):
            for node in graph.node:
                node.op = "Inv" if node.op == "Reciprocal" else node.op

        c.edit = edit
        return raw.Reciprocal(x=between(c, 0.3, 4), name="output")

    case("Inv", old_reciprocal)


def arithmetic():
    for op in ["Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference"]:
        case(op, lambda c, op=op: getattr(raw, op)(x=c.a((3, 4)), y=c.placeholder(c.draw((4,)), "b"), name="output"))
        case(op, lambda c, op=op: getattr(raw, op)(x=c.a((3, 4)), y=c.b((3, 1)), name="output"), "constant")
    for op in ["Div", "RealDiv", "DivNoNan", "FloorDiv"]:
        case(op, lambda c, op=op: getattr(raw, op)(x=c.a((3, 4)), y=tf.constant(f32([0.5, -2, 3, 1.5])), name="output"), "constant")
    for op in ["Div", "RealDiv"]:
        case(op, lambda c, op=op: getattr(raw, op)(x=between(c, 0.5, 4), y=c.placeholder(f32([0.5, 2, 3, 1.5]), "b"), name="output"))
    case("FloorMod", lambda c: raw.FloorMod(x=between(c, 0.1, 3.9), y=tf.constant(f32(1.25)), name="output"))
    case("TruncateDiv", lambda c: as_float(raw.TruncateDiv(x=c.placeholder(np.int32([[7, -7, 9], [4, -5, 0]])), y=tf.constant(4))))
    case("AddN", lambda c: raw.AddN(inputs=[c.a((3, 4)), c.placeholder(c.draw((3, 4)), "b"), tf.constant(c.draw((3, 4)))], name="output"))
    case("Pow", lambda c: raw.Pow(x=between(c, 0.2, 2), y=tf.constant(f32(1.7)), name="output"))
    case("Pow", lambda c: raw.Pow(x=between(c, -2, 2), y=tf.constant(f32(3)), name="output"), "cube")
    for op in ["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"]:
        def build(c, op=op):
            # Differences of a quarter, and none: far from what rounding moves.
            x = c.placeholder(np.round(4 * c.draw((3, 4))) / 4)
            return as_float(getattr(raw, op)(x=x, y=c.placeholder(np.round(4 * c.draw((3, 4))) / 4, "b")))

        case(op, build)
    for op in ["LogicalAnd", "LogicalOr", "LogicalNot"]:
        def build(c, op=op):
            x, y = c.a((3, 4)) > 0, c.placeholder(c.draw((3, 4)), "b") > 0
            return as_float(raw.LogicalNot(x=x) if op == "LogicalNot" else getattr(raw, op)(x=x, y=y))

        case(op, build)
    case("Select", lambda c: raw.Select(condition=c.a((3, 4)) > 0, x=c.placeholder(c.draw((3, 4)), "b"), y=c.b((3, 4)), name="output"))
    case("SelectV2", lambda c: raw.SelectV2(condition=c.a((3, 4)) > 0, t=c.placeholder(c.draw((4,)), "b"), e=c.b((3, 1)), name="output"))
    case("SelectV2", lambda c: raw.SelectV2(condition=tf.constant([True, False, True, True]), t=c.a((3, 4)), e=c.b((3, 4)), name="output"), "public")
    case("ClipByValue", lambda c: raw.ClipByValue(t=c.a((3, 4)), clip_value_min=tf.constant(f32(-0.5)), clip_value_max=tf.constant(f32(0.75)), name="output"))
    case("BiasAdd", lambda c: raw.BiasAdd(value=c.a((2, 3, 4)), bias=c.b((4,)), name="output"))
    case("BiasAddV1", lambda c: raw.BiasAddV1(value=c.a((2, 3, 4)), bias=c.b((4,)), name="output"))


def linear():
    case("MatMul", lambda c: raw.MatMul(a=c.a((3, 4)), b=c.b((5, 4)), transpose_b=True, name="output"))
    for op in ["BatchMatMul", "BatchMatMulV2"]:
        case(op, lambda c, op=op: getattr(raw, op)(x=c.a((2, 3, 4)), y=c.placeholder(c.draw((2, 5, 4)), "b"), adj_y=True, name="output"))
        case(op, lambda c, op=op: getattr(raw, op)(x=c.a((2, 3, 4)), y=c.b((2, 4, 5)), name="output"), "constant")
    case("BatchMatMulV3", lambda c: raw.BatchMatMulV3(x=c.a((2, 3, 4)), y=c.b((2, 4, 5)), Tout=tf.float32, name="output"))
    case("Einsum", lambda c: raw.Einsum(inputs=[c.a((2, 3, 4)), c.placeholder(c.draw((2, 5, 4)), "b")], equation="bij,bkj->bik", name="output"))
    picture = (1, 5, 6, 4)
    for padding in ["SAME", "VALID"]:
        case("Conv2D", lambda c, p=padding: raw.Conv2D(input=c.a(picture), filter=c.b((3, 3, 4, 2)), strides=[1, 2, 2, 1], padding=p, name="output"), padding)
        case("DepthwiseConv2dNative", lambda c, p=padding: raw.DepthwiseConv2dNative(
            input=c.a(picture), filter=c.b((3, 3, 4, 2)), strides=[1, 1, 1, 1], padding=p, name="output"), padding)
        case("Conv3D", lambda c, p=padding: raw.Conv3D(input=c.a((1, 4, 5, 4, 2)), filter=c.b((2, 3, 2, 2, 2)), strides=[1, 1, 2, 1, 1], padding=p, name="output"), padding)
    case("Conv2DBackpropInput", lambda c: raw.Conv2DBackpropInput(
        input_sizes=tf.constant([1, 6, 6, 3]), filter=c.b((3, 3, 3, 2)), out_backprop=c.a((1, 3, 3, 2)), strides=[1, 2, 2, 1], padding="SAME", name="output"))
    case("Conv3DBackpropInputV2", lambda c: raw.Conv3DBackpropInputV2(
        input_sizes=tf.constant([1, 4, 4, 4, 2]), filter=c.b((2, 2, 2, 2, 1)), out_backprop=c.a((1, 2, 2, 2, 1)), strides=[1, 2, 2, 2, 1],
        padding="SAME", name="output"))
    for op in ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"]:
        def build(c, op=op):
            vectors = dict(scale=c.b((4,)), offset=tf.constant(c.draw((4,))), mean=tf.constant(c.draw((4,))), variance=tf.constant(c.draw((4,), positive=True) + 0.5))
            return getattr(raw, op)(x=c.a(picture), is_training=False, name="output", **vectors)[0]

        case(op, build)
    case("LRN", lambda c: raw.LRN(input=c.a((1, 3, 3, 6)), depth_radius=2, bias=1.5, alpha=0.3, beta=0.75, name="output"))
    case("Cumsum", lambda c: raw.Cumsum(x=c.a((3, 4)), axis=tf.constant(1), exclusive=True, reverse=True, name="output"))
    case("ResizeBilinear", lambda c: raw.ResizeBilinear(images=c.a((1, 3, 4, 2)), size=tf.constant([6, 8]), half_pixel_centers=True, name="output"))
    case("ResizeBilinear", lambda c: raw.ResizeBilinear(images=c.a((1, 3, 4, 2)), size=tf.constant([5, 7]), align_corners=True, name="output"), "corners")
    for op in ["ResizeBicubic", "ResizeArea"]:
        case(op, lambda c, op=op: getattr(raw, op)(images=c.a((1, 3, 4, 2)), size=tf.constant([6, 5]), name="output"))
        case(op, lambda c, op=op: getattr(raw, op)(images=c.a((1, 6, 5, 2)), size=tf.constant([4, 3]), name="output"), "smaller")
        case(op, lambda c, op=op: getattr(raw, op)(images=c.a((1, 3, 4, 2)), size=tf.constant([5, 7]), align_corners=True, name="output"), "corners")
    case("ResizeBicubic", lambda c: raw.ResizeBicubic(images=c.a((1, 3, 4, 2)), size=tf.constant([6, 9]), half_pixel_centers=True, name="output"), "centres")
    case("ResizeNearestNeighbor", lambda c: raw.ResizeNearestNeighbor(images=c.a((1, 3, 4, 2)), size=tf.constant([6, 8]), name="output"))


def pools_and_reductions():
    for op, kernel in [("MaxPool", (1, 5, 6, 2)), ("AvgPool", (1, 5, 6, 2)), ("MaxPool3D", (1, 4, 5, 4, 2)), ("AvgPool3D", (1, 4, 5, 4, 2))]:
        for padding in ["SAME", "VALID"]:
            def build(c, op=op, shape=kernel, padding=padding):
                window = [1] + [3 if len(shape) == 4 else 2] * (len(shape) - 2) + [1]
                stride = [1] + [2] * (len(shape) - 2) + [1]
                values = dict(value=c.a(shape)) if op == "AvgPool" else dict(input=c.a(shape))
                return getattr(raw, op)(**values, ksize=window, strides=stride, padding=padding, name="output")

            case(op, build, padding)
    for op in ["Sum", "Mean", "Max", "Min"]:
        case(op, lambda c, op=op: getattr(raw, op)(input=c.a((2, 3, 4)), axis=tf.constant([0, 2]), keep_dims=True, name="output"))
    case("Prod", lambda c: raw.Prod(input=between(c, 0.5, 1.5), axis=tf.constant([1]), name="output"))
    for op in ["All", "Any"]:
        case(op, lambda c, op=op: as_float(getattr(raw, op)(input=c.a((4, 3)) > -0.3, axis=tf.constant([1]))))
    case("L2Loss", lambda c: raw.L2Loss(t=c.a((3, 4)), name="output"))
    for op in ["ArgMax", "ArgMin"]:
        case(op, lambda c, op=op: getattr(raw, op)(input=c.a((3, 5)), dimension=tf.constant(1), name="output"))
        case(op, lambda c, op=op: 0.5 * tf.cast(getattr(raw, op)(input=c.a((2, 5, 3)), dimension=tf.constant(1)), tf.float32), "inside")
    case("TopKV2", lambda c: raw.TopKV2(input=c.a((3, 6)), k=tf.constant(2), name="output")[0])
    case("TopKV2", lambda c: raw.TopKV2(input=c.a((3, 6)), k=tf.constant(2), name="output")[1], "indices")

    def old_top_k(c):
        def edit(graph):
            for node in graph.node:
                if node.op == "TopKV2":
                    node.op = "TopK"
                    del node.input[1:]
                    node.attr["k"].i = 2
                    del node.attr["Tk"], node.attr["index_type"]

        c.edit = edit
        return raw.TopKV2(input=c.a((3, 6)), k=tf.constant(2), name="output")[0]

    case("TopK", old_top_k)
    for op in ["Softmax", "LogSoftmax"]:
        case(op, lambda c, op=op: getattr(raw, op)(logits=c.a((3, 5)), name="output"))
    case("Softmax", lambda c: 2.0 * raw.Softmax(logits=c.a((3, 5))), "inside")


def movements():
    square = (1, 4, 4, 4)
    case("Reshape", lambda c: raw.Reshape(tensor=c.a((2, 6)), shape=tf.constant([3, -1]), name="output"))
    case("Transpose", lambda c: raw.Transpose(x=c.a((2, 3, 4)), perm=tf.constant([2, 0, 1]), name="output"))
    case("Squeeze", lambda c: raw.Squeeze(input=c.a((1, 3, 1)), axis=[2], name="output"))
    case("ExpandDims", lambda c: raw.ExpandDims(input=c.a((2, 3)), axis=tf.constant(1), name="output"))
    case("Concat", lambda c: raw.Concat(concat_dim=tf.constant(1), values=[c.a((2, 3)), c.placeholder(c.draw((2, 2)), "b")], name="output"))
    case("ConcatV2", lambda c: raw.ConcatV2(values=[c.a((2, 3)), c.b((2, 2))], axis=tf.constant(1), name="output"))
    case("Pack", lambda c: raw.Pack(values=[c.a((2, 3)), c.placeholder(c.draw((2, 3)), "b")], axis=1, name="output"))
    case("Unpack", lambda c: raw.Unpack(value=c.a((2, 3)), num=3, axis=1, name="output")[1])
    case("Split", lambda c: raw.Split(axis=tf.constant(1), value=c.a((2, 6)), num_split=3, name="output")[2])
    case("SplitV", lambda c: raw.SplitV(value=c.a((2, 6)), size_splits=tf.constant([1, 3, 2]), axis=tf.constant(1), num_split=3, name="output")[1])
    case("Slice", lambda c: raw.Slice(input=c.a((3, 5)), begin=tf.constant([1, 2]), size=tf.constant([2, -1]), name="output"))
    case("StridedSlice", lambda c: c.a((4, 6))[::2, 4:0:-2])
    case("Pad", lambda c: raw.Pad(input=c.a((2, 3)), paddings=tf.constant([[1, 0], [2, 1]]), name="output"))
    case("PadV2", lambda c: raw.PadV2(input=c.a((2, 3)), paddings=tf.constant([[1, 0], [2, 1]]), constant_values=tf.constant(f32(0.7)), name="output"))
    case("MirrorPad", lambda c: raw.MirrorPad(input=c.a((3, 3)), paddings=tf.constant([[1, 0], [2, 1]]), mode="REFLECT", name="output"))
    case("Tile", lambda c: raw.Tile(input=c.a((2, 3)), multiples=tf.constant([2, 2]), name="output"))
    case("BroadcastTo", lambda c: raw.BroadcastTo(input=c.a((3, 1)), shape=tf.constant([2, 3, 4]), name="output"))
    case("ReverseV2", lambda c: raw.ReverseV2(tensor=c.a((2, 3)), axis=tf.constant([1]), name="output"))
    case("Gather", lambda c: raw.Gather(params=c.a((4, 3)), indices=tf.constant([3, 0, 3]), name="output"))
    case("GatherV2", lambda c: raw.GatherV2(params=c.a((2, 4)), indices=tf.constant([[3, 0], [1, 1]]), axis=tf.constant(1), name="output"))
    for op in ["DepthToSpace", "SpaceToDepth"]:
        case(op, lambda c, op=op: getattr(raw, op)(input=c.a(square), block_size=2, name="output"))
    case("SpaceToBatchND", lambda c: raw.SpaceToBatchND(
        input=c.a(square), block_shape=tf.constant([2, 2]), paddings=tf.constant([[0, 0], [1, 1]]), name="output"))
    case("BatchToSpaceND", lambda c: raw.BatchToSpaceND(
        input=c.a((4, 2, 3, 2)), block_shape=tf.constant([2, 2]), crops=tf.constant([[0, 0], [1, 1]]), name="output"))


def matrices():
    case("MatrixBandPart", lambda c: raw.MatrixBandPart(input=c.a((2, 3, 4)), num_lower=tf.constant(1), num_upper=tf.constant(0), name="output"))
    case("MatrixBandPart", lambda c: c.a((3, 3)) * raw.MatrixBandPart(
        input=tf.constant(np.ones((3, 3), f32)), num_lower=tf.constant(-1), num_upper=tf.constant(0)), "known")
    case("MatrixDiag", lambda c: raw.MatrixDiag(diagonal=c.a((2, 3)), name="output"))
    case("MatrixDiagPart", lambda c: raw.MatrixDiagPart(input=c.a((2, 3, 4)), name="output"))
    case("MatrixSetDiag", lambda c: raw.MatrixSetDiag(input=c.a((2, 3, 4)), diagonal=c.b((2, 3)), name="output"))
    band = [-1, 1]
    for version, more in [("V2", [{}]), ("V3", [{"align": a} for a in ["LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT"]])]:
        for kw in more:
            name = kw.get("align", "several").lower()
            case(f"MatrixDiag{version}", lambda c, v=version, kw=kw: getattr(raw, f"MatrixDiag{v}")(
                diagonal=c.a((2, 3, 3)), k=tf.constant(band), num_rows=tf.constant(3), num_cols=tf.constant(4), padding_value=tf.constant(f32(0)), name="output", **kw), name)
            case(f"MatrixDiagPart{version}", lambda c, v=version, kw=kw: getattr(raw, f"MatrixDiagPart{v}")(
                input=c.a((2, 3, 4)), k=tf.constant(band), padding_value=tf.constant(f32(0)), name="output", **kw), name)
            case(f"MatrixSetDiag{version}", lambda c, v=version, kw=kw: getattr(raw, f"MatrixSetDiag{v}")(
                input=c.a((2, 3, 4)), diagonal=c.b((2, 3, 3)), k=tf.constant(band), name="output", **kw), name)
        case(f"MatrixDiag{version}", lambda c, v=version: getattr(raw, f"MatrixDiag{v}")(
            diagonal=c.a((3,)), k=tf.constant(1), num_rows=tf.constant(-1), num_cols=tf.constant(-1), padding_value=tf.constant(f32(0.5)), name="output"), "above")


def known():
    """What needs no value, or passes it on."""
    x = (2, 3)
    case("Const", lambda c: c.a(x) + c.b(x))
    case("Fill", lambda c: c.a(x) * raw.Fill(dims=tf.constant(x), value=tf.constant(f32(1.5))))
    case("Range", lambda c: c.a(x) + raw.Range(start=tf.constant(f32(0.5)), limit=tf.constant(f32(3)), delta=tf.constant(f32(1))))
    case("OneHot", lambda c: c.a(x) + raw.OneHot(
        indices=tf.constant([2, 0]), depth=tf.constant(3), on_value=tf.constant(f32(1)), off_value=tf.constant(f32(-0.5))))
    ids = np.asarray([[3, 0, 1], [2, 2, 0]], np.int32)
    table = lambda c: tf.constant(c.draw((4, 5)))
    case("GatherV2", lambda c: raw.GatherV2(params=table(c), indices=c.placeholder(ids, "ids"), axis=tf.constant(0), name="output"), "ids")
    case("GatherV2", lambda c: raw.GatherV2(
        params=tf.constant(c.draw((2, 4, 3))), indices=c.placeholder(ids, "ids")[:, 1], axis=tf.constant(1), name="output"), "ids", "axis")
    case("GatherV2", lambda c: raw.GatherV2(
        params=table(c), indices=raw.ArgMax(input=c.a((3, 4)), dimension=tf.constant(1)), axis=tf.constant(0), name="output"), "found")

    case("GatherV2", lambda c: raw.GatherV2(
        params=c.a((2, 3, 4, 2)), indices=tf.constant([[3, 0, 1], [2, 2, 0]]), axis=tf.constant(2), batch_dims=1, name="output"), "batch")
    case("Roll", lambda c: raw.Roll(input=c.a((3, 5)), shift=tf.constant([2, -1]), axis=tf.constant([1, 0]), name="output"))
    # So fine a grid that nobody sees it.
    fine = dict(num_bits=16, name="output")
    case("FakeQuantWithMinMaxArgs", lambda c: raw.FakeQuantWithMinMaxArgs(inputs=between(c, -1, 1), min=-0.5, max=0.45, **fine))
    case("FakeQuantWithMinMaxArgs", lambda c: raw.FakeQuantWithMinMaxArgs(inputs=between(c, -1, 1), min=0.0, max=0.45, **fine), "from_zero")
    case("FakeQuantWithMinMaxVars", lambda c: raw.FakeQuantWithMinMaxVars(
        inputs=between(c, -1, 1), min=tf.constant(f32(-0.6)), max=tf.constant(f32(0.4)), **fine))
    case("FakeQuantWithMinMaxVars", lambda c: raw.MatMul(a=c.a((2, 3)), b=raw.FakeQuantWithMinMaxVars(
        inputs=tf.constant(c.draw((3, 4))), min=tf.constant(f32(-0.75)), max=tf.constant(f32(0.5)), num_bits=3, narrow_range=True), name="output"), "weights")
    case("FakeQuantWithMinMaxVarsPerChannel", lambda c: raw.FakeQuantWithMinMaxVarsPerChannel(
        inputs=between(c, -1, 1), min=tf.constant(f32([-0.2, -0.4, 0, -0.6])), max=tf.constant(f32([0.2, 0.1, 0.6, 0.4])), **fine), "of_inputs")
    case("FakeQuantWithMinMaxVarsPerChannel", lambda c: raw.MatMul(a=c.a((2, 3)), b=raw.FakeQuantWithMinMaxVarsPerChannel(
        inputs=tf.constant(c.draw((3, 2))), min=tf.constant(f32([-0.5, 0])), max=tf.constant(f32([0.5, 1])), num_bits=4), name="output"))

    def resource(c):
        def edit(graph):
            for node in graph.node:
                if node.op == "GatherV2":
                    node.op = "ResourceGather"
                    del node.input[2]
                    node.attr["dtype"].CopyFrom(node.attr["Tparams"])
                    for name in ["Taxis", "Tparams"]:
                        del node.attr[name]

        c.edit = edit
        return raw.GatherV2(params=table(c), indices=c.placeholder(ids, "ids"), axis=tf.constant(0), name="output")

    case("ResourceGather", resource)
    case("OneHot", lambda c: raw.OneHot(
        indices=c.placeholder(ids, "ids"), depth=tf.constant(4), on_value=tf.constant(f32(2)), off_value=tf.constant(f32(-0.5)), axis=1, name="output"), "ids")
    case("OneHot", lambda c: raw.OneHot(
        indices=raw.ArgMax(input=c.a((3, 4)), dimension=tf.constant(1)), depth=tf.constant(4), on_value=tf.constant(f32(1)), off_value=tf.constant(f32(0)),
        name="output"), "found")
    case("Shape", lambda c: raw.Reshape(tensor=c.a((3, 2)), shape=raw.Shape(input=c.placeholder(c.draw(x), "b"))))
    case("ShapeN", lambda c: raw.Reshape(tensor=c.a((3, 2)), shape=raw.ShapeN(input=[c.placeholder(c.draw((4,)), "b"), c.placeholder(c.draw(x), "d")])[1]))
    for op in ["Rank", "Size"]:
        def build(c, op=op):
            a = c.a(x)
            return a * tf.cast(getattr(raw, op)(input=a), tf.float32)

        case(op, build)
    case("BroadcastArgs", lambda c: raw.BroadcastTo(
        input=c.a((3, 1)), shape=raw.BroadcastArgs(s0=tf.constant([2, 1, 1]), s1=tf.constant([3, 4])), name="output"))
    case("LinSpace", lambda c: c.a(x) + raw.LinSpace(start=tf.constant(f32(0.5)), stop=tf.constant(f32(2)), num=tf.constant(3)))
    case("InvertPermutation", lambda c: raw.Transpose(x=c.a((2, 3, 4)), perm=raw.InvertPermutation(x=tf.constant([1, 2, 0])), name="output"))
    numbers = np.asarray([[1.5, -2, 0.5], [0.25, 3, -1], [2, 0.5, 1]], f32)
    case("Cumprod", lambda c: c.a((3, 3)) + raw.Cumprod(x=tf.constant(numbers), axis=tf.constant(1), exclusive=True, reverse=True))
    case("MatrixInverse", lambda c: c.a((3, 3)) + raw.MatrixInverse(input=tf.constant(numbers), adjoint=True))
    case("MatrixDeterminant", lambda c: c.a(x) + raw.MatrixDeterminant(input=tf.constant(numbers)))
    case("Where", lambda c: raw.GatherV2(
        params=c.a((4, 3)), indices=tf.reshape(raw.Where(condition=tf.constant([True, False, True, True])), [-1]), axis=tf.constant(0), name="output"))
    special = np.asarray([[1, np.inf, np.nan], [-np.inf, 0, 2]], f32)
    for op in ["IsNan", "IsInf", "IsFinite"]:
        def asked(c, op=op):
            a = c.a(x)
            return raw.SelectV2(condition=getattr(raw, op)(x=a), t=c.b(x), e=a, name="output")

        case(op, asked)
        case(op, lambda c, op=op: c.a(x) + tf.cast(getattr(raw, op)(x=tf.constant(special)), tf.float32), "known")
    case("Cast", lambda c: tf.cast(between(c, 0.1, 5), tf.int32, name="output"))
    case("Placeholder", lambda c: raw.Neg(x=c.a(x)))

    def old_placeholder(c):
        def edit(graph):
            for node in graph.node:
                node.op = "PlaceholderV2" if node.op == "Placeholder" else node.op

        c.edit = edit
        return raw.Neg(x=c.a(x))

    case("PlaceholderV2", old_placeholder)

    case("PlaceholderWithDefault", lambda c: c.a(x) + v1.placeholder_with_default(c.draw(x), x))

    def after_nothing(c):
        with tf.control_dependencies([tf.no_op()]):
            return raw.Neg(x=c.a(x))

    case("NoOp", after_nothing)
    case("CheckNumerics", lambda c: raw.CheckNumerics(tensor=c.a(x), message="", name="output"))
    case("EnsureShape", lambda c: raw.EnsureShape(input=c.a(x), shape=x, name="output"))
    case("IdentityN", lambda c: raw.IdentityN(input=[c.a((2,)), c.placeholder(c.draw(x), "b")], name="output")[1])
    for op in ["StopGradient", "PreventGradient", "Snapshot"]:
        case(op, lambda c, op=op: getattr(raw, op)(input=c.a(x), name="output"))


def control():
    """Lists of tensors, loops and branches."""
    x, row = (3, 4), (4,)
    listed = lambda a: raw.TensorListFromTensor(tensor=a, element_shape=tf.constant(row))
    stacked = lambda handle: raw.TensorListStack(input_handle=handle, element_shape=tf.constant(row), element_dtype=tf.float32, name="output")
    item = lambda handle, i: raw.TensorListGetItem(
        input_handle=handle, index=tf.constant(i), element_shape=tf.constant(row), element_dtype=tf.float32, name="output")
    reserved = lambda n: raw.TensorListReserve(element_shape=tf.constant(row), num_elements=tf.constant(n), element_dtype=tf.float32)
    empty = lambda: raw.EmptyTensorList(element_shape=tf.constant(row), max_num_elements=tf.constant(-1), element_dtype=tf.float32)
    case("TensorListFromTensor", lambda c: item(listed(c.a(x)), 2))
    case("TensorListGetItem", lambda c: item(listed(c.a(x)), 0))
    case("TensorListGetItem", lambda c: item(reserved(2), 1) + c.a(row), "unwritten")
    case("TensorListStack", lambda c: stacked(listed(c.a(x))))
    case("TensorListReserve", lambda c: stacked(raw.TensorListSetItem(input_handle=reserved(3), index=tf.constant(1), item=c.a(row))))
    case("TensorListSetItem", lambda c: stacked(raw.TensorListSetItem(input_handle=listed(c.a(x)), index=tf.constant(2), item=c.b(row))))
    push = lambda c: raw.TensorListPushBack(input_handle=raw.TensorListPushBack(input_handle=empty(), tensor=c.b(row)), tensor=c.a(row))
    case("EmptyTensorList", lambda c: stacked(push(c)))
    case("TensorListPushBack", lambda c: item(push(c), 1))
    case("TensorListPopBack", lambda c: raw.TensorListPopBack(
        input_handle=push(c), element_shape=tf.constant(row), element_dtype=tf.float32, name="output")[1])
    case("TensorListResize", lambda c: stacked(raw.TensorListResize(input_handle=push(c), size=tf.constant(3))))

    def length(c):
        a = c.a(x)
        return a * tf.cast(raw.TensorListLength(input_handle=listed(a)), tf.float32)

    case("TensorListLength", length)

    def renamed(to):
        def edit(graph):
            for node in graph.node:
                if node.op.removeprefix("Stateless") == to.removeprefix("Stateless"):
                    node.op = to

        return edit

    def branches(c):
        v1.disable_control_flow_v2()
        a = c.a(x)
        y = v1.cond(tf.constant(False), lambda: a * 2.0, lambda: tf.constant(f32(3)) - a)
        v1.enable_control_flow_v2()
        return y

    case("Switch", branches)
    case("Merge", branches)
    for op in ["While", "StatelessWhile"]:
        def loop(c, op=op):
            c.edit = renamed(op)
            v1.enable_control_flow_v2()
            a = c.a(x)
            return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.5 + a), [tf.constant(0), a])[1]

        case(op, loop)
    for op in ["If", "StatelessIf"]:
        for kind in ["known", "secret", "otherwise"]:
            def branch(c, op=op, kind=kind):
                c.edit = renamed(op)
                v1.enable_control_flow_v2()
                a = c.a(x)
                total = tf.reduce_sum(a)
                condition = {"known": tf.size(a) > 5, "secret": total > -100.0, "otherwise": total > 100.0}[kind]
                return tf.cond(condition, lambda: a * 2.0, lambda: 1.0 - a)

            case(op, branch, kind)
    for op in ["Case", "StatelessCase"]:
        def choice(c, op=op):
            c.edit = renamed(op)
            v1.enable_control_flow_v2()
            a = c.a(x)
            return tf.switch_case(tf.rank(a), [lambda: a, lambda: a * 2.0, lambda: 1.0 - a])

        case(op, choice)


if __name__ == "__main__":
    for family in [elementary, arithmetic, linear, pools_and_reductions, movements, known, matrices, control]:
        family()
    main(FILE.with_name("tensorflow_operations.npz"), CASES)
