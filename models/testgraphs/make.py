#!/usr/bin/env python3
"""Makes tiny frozen graphs, one for each thing that an importer or a pass can get wrong, with TensorFlow's answers.

    pip install tensorflow
    python3 models/testgraphs/make.py                      # all graphs, into crates/import/tests/data
    python3 models/testgraphs/make.py resnet 32 DIR        # a ResNet for CIFAR-10 (20, 32, 44, 56, 110), not committed

A graph is two files: NAME.pb, a frozen GraphDef whose placeholders have static shapes, and NAME.npz, an array for each
placeholder and one for each output, under the node's name. Outputs are the nodes that nothing uses. Seeds are fixed.
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
DATA = Path(__file__).resolve().parents[2] / "crates/import/tests/data"
GRAPHS = {}
rng = np.random.default_rng(0)


def graph(*shapes, low=-1.0, high=1.0):
    """Registers a builder: placeholders of these shapes in, the output (or several) out."""

    def register(build):
        GRAPHS[build.__name__] = (build, shapes, (low, high))
        return build

    return register


def weight(*shape):
    """He-scaled random weights on a grid of 1/256 (a frozen graph holds them as constants)."""
    values = rng.normal(size=shape) * np.sqrt(2 / max(1, np.prod(shape[:-1])))
    return tf.constant((np.round(values * 256) / 256).astype(np.float32))


def vector(n):
    return (np.round(rng.normal(size=n) * 64) / 256).astype(np.float32)


def bias(n):
    return tf.constant(vector(n))


def session():
    """Without TensorFlow's own rewriting of graphs, which fuses nodes that its kernels then cannot run."""
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return v1.Session(config=config)


def conv(x, kernel, channels, strides=1, padding="SAME", dilations=1, groups=1):
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    w = weight(*kernel, x.shape[-1] // groups, channels)
    return tf.nn.conv2d(x, w, strides, padding, dilations=dilations)


def depthwise(x, kernel, multiplier, strides=1, padding="SAME", dilations=None):
    return tf.nn.depthwise_conv2d(x, weight(kernel, kernel, x.shape[-1], multiplier), [1, strides, strides, 1], padding, dilations=dilations)


def batch_norm(x, epsilon=1e-3):
    n = x.shape[-1]
    variance = (0.5 + rng.random(n)).astype(np.float32)
    values = (vector(n) + 1, vector(n), vector(n), variance)
    return v1.nn.fused_batch_norm(x, *(tf.constant(v) for v in values), epsilon=epsilon, is_training=False)[0]


def dense(x, n):
    return tf.matmul(x, weight(x.shape[-1], n)) + bias(n)


def pool(kind, x, k, s, padding):
    return {"max": tf.nn.max_pool2d, "avg": tf.nn.avg_pool2d}[kind](x, k, s, padding)


# Convolutions: for every padding, even and odd extents, so that SAME pads on one side, on both, or not at all.
CONVOLUTIONS = {
    "conv_same": dict(kernel=3, channels=4),
    "conv_same_even_kernel": dict(kernel=2, channels=3),
    "conv_same_stride_2": dict(kernel=3, channels=4, strides=2),
    "conv_same_5_stride_3": dict(kernel=5, channels=2, strides=3),
    "conv_valid": dict(kernel=3, channels=4, padding="VALID"),
    "conv_valid_stride_2": dict(kernel=3, channels=4, strides=2, padding="VALID"),
    "conv_pointwise_stride_2": dict(kernel=1, channels=5, strides=2),
    "conv_rectangular": dict(kernel=(3, 5), channels=3, strides=[2, 1]),
    "conv_explicit_padding": dict(kernel=3, channels=3, strides=2, padding=[[0, 0], [1, 2], [0, 1], [0, 0]]),
    "conv_dilated_same": dict(kernel=3, channels=3, dilations=2),
    "conv_dilated_valid": dict(kernel=3, channels=3, dilations=[2, 3], padding="VALID"),
    "conv_grouped": dict(kernel=3, channels=6, groups=2),
    "conv_grouped_stride_2": dict(kernel=3, channels=4, groups=4, strides=2),
}
for name, attributes in CONVOLUTIONS.items():
    for suffix, extents in (("", (8, 8)), ("_odd", (9, 7))):

        def build(x, attributes=attributes):
            return tf.nn.bias_add(conv(x, **attributes), bias(attributes["channels"]))

        build.__name__ = name + suffix
        graph((1, *extents, 4))(build)


@graph((1, 8, 7, 3))
def depthwise_same(x):
    return depthwise(x, 3, 1)


@graph((1, 8, 7, 3))
def depthwise_multiplier_stride_2(x):
    return depthwise(x, 3, 2, strides=2)


@graph((1, 8, 8, 2))
def depthwise_dilated_valid(x):
    return depthwise(x, 3, 1, padding="VALID", dilations=[2, 2])


@graph((1, 9, 9, 2))
def conv_between_space_and_batch(x):
    """Dilation as older exports write it: SpaceToBatchND, Conv2D, BatchToSpaceND."""
    y = tf.space_to_batch(x, [2, 2], [[2, 3], [2, 3]])
    y = conv(y, 3, 3, padding="VALID")
    return tf.batch_to_space(y, [2, 2], [[0, 1], [0, 1]])


# Pooling: values below zero only, so that a padding that wins or counts shows.
for kind in ("max", "avg"):
    for name, (k, s, padding) in {
        "same_3_2": (3, 2, "SAME"),
        "same_2_1": (2, 1, "SAME"),
        "valid_3_2": (3, 2, "VALID"),
        "valid_2_2": (2, 2, "VALID"),
    }.items():

        def build(x, kind=kind, k=k, s=s, padding=padding):
            return pool(kind, x, k, s, padding)

        build.__name__ = f"{kind}_pool_{name}"
        graph((1, 7, 8, 3), low=-2.0, high=-0.5)(build)


@graph((1, 8, 8, 3))
def pool_between_convolutions(x):
    """Average pooling whose factor can go into the next weights; max pooling after a ReLU."""
    y = tf.nn.relu(conv(x, 3, 4))
    y = pool("max", y, 3, 2, "SAME")
    y = tf.nn.relu(conv(y, 3, 4))
    y = pool("avg", y, 2, 2, "VALID")
    return conv(y, 1, 3)


@graph((1, 6, 6, 2))
def relu_with_two_uses(x):
    """The ReLU before the pooling has another use: it may not move behind it."""
    y = tf.nn.relu(conv(x, 3, 3))
    return tf.concat([pool("max", y, 2, 2, "VALID"), conv(y, 2, 3, strides=2)], -1)


@graph((1, 8, 8, 4))
def residual_add(x):
    y = tf.nn.relu(batch_norm(conv(x, 3, 4)))
    y = batch_norm(conv(y, 3, 4))
    return tf.nn.relu(y + x)


@graph((1, 8, 8, 3))
def residual_projection(x):
    y = tf.nn.relu(batch_norm(conv(x, 3, 6, strides=2)))
    y = batch_norm(conv(y, 3, 6))
    return tf.nn.relu(y + batch_norm(conv(x, 1, 6, strides=2)))


@graph((1, 8, 8, 3))
def residual_slice_and_pad(x):
    """The parameter-free shortcut of ResNets for CIFAR-10: every second pixel, zeros for the new channels."""
    y = conv(tf.nn.relu(conv(x, 3, 6, strides=2)), 3, 6)
    return tf.nn.relu(y + tf.pad(x[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [1, 2]]))


@graph((1, 8, 8, 3))
def concat_of_branches(x):
    a = tf.nn.relu(conv(x, 1, 2))
    b = tf.nn.relu(conv(x, 3, 3))
    return conv(tf.concat([a, b, pool("max", x, 3, 1, "SAME")], -1), 1, 4)


@graph((1, 6, 6, 3))
def dense_block(x):
    """As in DenseNet: batch norm and ReLU before the convolution, after a concatenation."""
    for _ in range(2):
        y = conv(tf.nn.relu(batch_norm(x)), 3, 2)
        x = tf.concat([x, y], -1)
    return tf.nn.relu(batch_norm(x))


@graph((1, 6, 6, 3))
def batch_norm_alone(x):
    return batch_norm(x, epsilon=1.001e-5)


@graph((1, 6, 6, 3))
def batch_norm_before_convolution(x):
    return conv(batch_norm(x), 3, 4)


@graph((1, 8, 8, 3))
def pad_before_convolution(x):
    y = tf.nn.relu(conv(tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]]), 7, 4, strides=2, padding="VALID"))
    return pool("max", tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")


@graph((1, 8, 8, 3), low=-4.0, high=4.0)
def relu6_block(x):
    """As in MobileNet v2: expansion, depth-wise, linear projection."""
    y = tf.nn.relu6(batch_norm(conv(x, 1, 6)))
    y = tf.nn.relu6(batch_norm(depthwise(y, 3, 1)))
    return batch_norm(conv(y, 1, 3)) + x


@graph((2, 5))
def dense_layers(x):
    return dense(tf.nn.relu(dense(x, 7)), 4)


@graph((2, 5))
def dense_transposed(x):
    return tf.matmul(x, weight(3, 5), transpose_b=True)


@graph((2, 4, 4, 2))
def flatten_and_dense(x):
    return dense(tf.reshape(x, [-1, 32]), 4)


@graph((1, 4, 4, 3))
def mean_head(x):
    return dense(tf.reduce_mean(tf.nn.relu(x), [1, 2]), 5)


@graph((1, 4, 4, 3))
def squeeze_head(x):
    """As in SqueezeNet: convolution, average over everything, axes of length 1 taken away."""
    return tf.squeeze(pool("avg", tf.nn.relu(conv(x, 1, 5)), 4, 1, "VALID"), [1, 2])


@graph((2, 6))
def softmax_head(x):
    return tf.nn.softmax(dense(x, 5))


@graph((2, 6))
def arg_max_head(x):
    return tf.argmax(dense(x, 5), -1)


@graph((1, 4, 4, 3))
def scale_and_shift(x):
    return (x * tf.constant([0.5, -2.0, 1.25]) + tf.constant([1.0, 0.25, -0.5]) - 0.125) / 4.0


@graph((1, 4, 4, 2))
def movements(x):
    y = tf.transpose(tf.reverse(x, [2]), [0, 2, 1, 3])
    y = tf.concat([y[:, 1:3], y[:, ::-2]], 1)
    return dense(tf.reshape(y, [1, -1]), 3)


@graph((1, 4, 4, 2), (1, 4, 4, 2))
def two_inputs(a, b):
    return tf.nn.relu(conv(a, 3, 3) - conv(b, 1, 3))


@graph((1, 4, 4, 2))
def two_outputs(x):
    y = tf.nn.relu(conv(x, 3, 2))
    return conv(y, 1, 2), tf.reduce_mean(y, [1, 2])


@graph((1, 3, 16), low=-4.0, high=4.0)
def activations(x):
    hard = tf.nn.relu6(x + 3.0) * x / 6.0
    return tf.stack([tf.sigmoid(x), tf.tanh(x), tf.nn.elu(x), tf.nn.selu(x), tf.nn.softplus(x), tf.nn.softsign(x),
                     tf.nn.gelu(x), tf.nn.gelu(x, approximate=True), x * tf.sigmoid(x), tf.nn.leaky_relu(x, 0.3), hard,
                     tf.clip_by_value(x, -1.5, 2.0)], 1)


@graph((1, 3, 16), low=0.5, high=3.0)
def functions(x):
    return tf.stack([tf.exp(x), tf.math.log(x), tf.sqrt(x), tf.math.rsqrt(x), 1.0 / x, x ** 1.5, tf.square(x), tf.sin(x), tf.cos(x),
                     tf.math.erf(x), tf.math.log1p(x), tf.math.expm1(x), tf.abs(x - 2.0), x / (x + 1.0)], 1)


@graph((1, 4, 6), (1, 4, 6), low=-2.0, high=2.0)
def choices(a, b):
    both = tf.logical_and(a > 0.0, b < 1.0)
    picked = tf.where(both, a, b) + tf.where(tf.logical_not(both), 0.5, -0.5)
    return tf.stack([picked, tf.maximum(a, b), tf.minimum(a, b * 0.5), tf.cast(tf.greater_equal(a, b), tf.float32), tf.floor(a * 2.0),
                     tf.round(b), tf.sign(a), tf.math.cumsum(b, 2), tf.gather(a, [5, 0, 0, 2, 4, 1], axis=2)], 1)


@graph((1, 4, 6), low=-2.0, high=2.0)
def extremes(x):
    return tf.concat([tf.reduce_max(x, 1), tf.reduce_min(x, 1), tf.reduce_prod(x, 1), tf.reduce_max(x, [1, 2])[:, None],
                      tf.reshape(tf.nn.log_softmax(x), [1, 24]), tf.reshape(tf.nn.softmax(x, axis=1) * 2.0, [1, 24])], 1)[:, None]


@graph((1, 4, 5, 2))
def resized(x):
    nearest = v1.image.resize_nearest_neighbor(x, (7, 10), half_pixel_centers=True)
    return tf.concat([nearest, v1.image.resize_bilinear(x, (7, 10), half_pixel_centers=True),
                      v1.image.resize_bilinear(x, (7, 10), align_corners=True)], 3)


@graph((2, 9))
def top_k_head(x):
    return tf.math.top_k(dense(x, 7), 3)[0]


def layer_norm(x):
    n = x.shape[-1]
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, tf.constant(vector(n)), tf.constant(vector(n) + 1), 1e-5)


def project(x, n):
    return tf.einsum("btc,cd->btd", x, weight(x.shape[-1], n)) + bias(n)


@graph((1, 6, 8))
def transformer_block(x):
    """An encoder block: attention with two heads, a layer of GELUs, a normalisation before each."""
    def heads(y):
        return tf.transpose(tf.reshape(y, [1, 6, 2, 4]), [0, 2, 1, 3])

    y = layer_norm(x)
    query, key, value = (heads(project(y, 8)) for _ in range(3))
    scores = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * 0.5)
    y = x + project(tf.reshape(tf.transpose(tf.matmul(scores, value), [0, 2, 1, 3]), [1, 6, 8]), 8)
    return y + project(tf.nn.gelu(project(layer_norm(y), 16)), 8)


@graph((2, 3))
def branches(x):
    """Branches of TensorFlow 1 on known conditions; what is constant in the one that is not taken is dead."""
    v1.disable_control_flow_v2()
    never, always = v1.placeholder_with_default(False, ()), tf.constant(True)
    y = v1.cond(never, lambda: tf.nn.relu(x) * 7.0, lambda: x + tf.constant([[0.5, -0.25, 2.0]]))
    z = v1.cond(always, lambda: tf.constant(3.0), lambda: tf.constant(-100.0))
    v1.enable_control_flow_v2()
    return y * z


def freeze(build, shapes):
    """The frozen GraphDef, with placeholders x (x0, x1 if several) and outputs y (y0, y1)."""
    with tf.Graph().as_default() as g:
        names = ["x"] if len(shapes) == 1 else [f"x{i}" for i in range(len(shapes))]
        outputs = build(*(v1.placeholder(tf.float32, s, name=n) for n, s in zip(names, shapes)))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        out = ["y"] if len(outputs) == 1 else [f"y{i}" for i in range(len(outputs))]
        for y, name in zip(outputs, out):
            tf.identity(y, name=name)
        return g.as_graph_def(), names, out


def answers(definition, values, outputs):
    with tf.Graph().as_default(), session() as running:
        tf.import_graph_def(definition, name="")
        return running.run([f"{o}:0" for o in outputs], {f"{n}:0": v for n, v in values.items()})


def write(folder, name, definition, values, outputs):
    arrays = dict(values, **dict(zip(outputs, answers(definition, values, outputs))))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pb").write_bytes(definition.SerializeToString(deterministic=True))
    np.savez(folder / f"{name}.npz", **arrays)


def keras_small(folder):
    """A Keras model, frozen as users freeze one (convert_variables_to_constants_v2)."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(1)
    model = tf.keras.Sequential([
        tf.keras.Input((12, 12, 3)),
        layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.SeparableConv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.5),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="softmax"),
    ])
    norm = model.layers[1]
    norm.set_weights([np.float32(1 + 0.1 * rng.normal(size=4)), np.float32(rng.normal(size=4)),
                      np.float32(0.1 * rng.normal(size=4)), np.float32(0.5 + rng.random(4))])
    call = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, 12, 12, 3), tf.float32, "x")])
    frozen = convert_variables_to_constants_v2(call.get_concrete_function())
    definition, output = frozen.graph.as_graph_def(), frozen.outputs[0].op.name
    write(folder, "keras_small", definition, {"x": rng.uniform(-1, 1, (1, 12, 12, 3)).astype(np.float32)}, [output])


def keras_transformer(folder):
    """A small classifier of sequences, of Keras' own layers for transformers."""
    from tensorflow.keras import layers
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    tf.keras.utils.set_random_seed(2)
    x = layers.Input((6, 8))
    y = layers.LayerNormalization()(x)
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    z = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(y))
    y = layers.Add()([y, layers.Dense(8)(z)])
    y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))
    model = tf.keras.Model(x, layers.Dense(4, activation="softmax")(y))
    call = tf.function(lambda x: model(x, training=False), input_signature=[tf.TensorSpec((1, 6, 8), tf.float32, "x")])
    frozen = convert_variables_to_constants_v2(call.get_concrete_function())
    definition, output = frozen.graph.as_graph_def(), frozen.outputs[0].op.name
    write(folder, "keras_transformer", definition, {"x": rng.uniform(-1, 1, (1, 6, 8)).astype(np.float32)}, [output])


def loop(folder):
    """A loop over the steps of a sequence and a branch, frozen with their functions."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    w, r = tf.Variable(vector(12).reshape(3, 4)), tf.Variable(vector(16).reshape(4, 4))

    @tf.function(input_signature=[tf.TensorSpec((1, 5, 3), tf.float32, "x")])
    def call(x):
        h, rows = tf.zeros((1, 4)), tf.TensorArray(tf.float32, 5)
        for t in tf.range(5):
            h = tf.sigmoid(x[:, t] @ w + h @ r)
            rows = rows.write(t, tf.cond(tf.reduce_sum(h) > 2.0, lambda: h, lambda: -h))
        return rows.stack()

    frozen = convert_variables_to_constants_v2(call.get_concrete_function(), lower_control_flow=False)
    definition, output = frozen.graph.as_graph_def(), frozen.outputs[0].op.name
    write(folder, "loop", definition, {"x": rng.uniform(-1, 1, (1, 5, 3)).astype(np.float32)}, [output])


def resnet(depth, folder):
    """ResNet for CIFAR-10 of 6n + 2 layers with seeded random weights; batch norms keep the activations near 1."""
    assert (depth - 2) % 6 == 0, "the depth must be 6n + 2"

    def build(x):
        def norm(y):
            with session() as running:
                value = running.run(y, {x: sample})
            mean, variance = value.mean((0, 1, 2)), value.var((0, 1, 2))
            c = len(mean)
            constants = (1 + 0.1 * rng.normal(size=c), 0.1 * rng.normal(size=c), mean, variance)
            return v1.nn.fused_batch_norm(y, *(tf.constant(v.astype(np.float32)) for v in constants), epsilon=1e-5, is_training=False)[0]

        y = tf.nn.relu(norm(conv(x, 3, 16)))
        for channels, first in ((16, 1), (32, 2), (64, 2)):
            for block in range((depth - 2) // 6):
                stride = first if block == 0 else 1
                z = norm(conv(tf.nn.relu(norm(conv(y, 3, channels, stride))), 3, channels))
                if stride == 2:
                    extra = channels // 4
                    y = tf.pad(y[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [extra, extra]])
                y = tf.nn.relu(z + y)
        return dense(tf.reduce_mean(y, [1, 2]), 10)

    sample = rng.normal(size=(1, 32, 32, 3)).astype(np.float32)
    definition, names, outputs = freeze(build, [(1, 32, 32, 3)])
    write(folder, f"resnet{depth}", definition, {"x": sample}, outputs)


def main():
    global rng
    if sys.argv[1:2] == ["resnet"]:
        return resnet(int(sys.argv[2]), Path(sys.argv[3]))
    for name, (build, shapes, (low, high)) in GRAPHS.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))  # adding a graph leaves the others as they are
        definition, names, outputs = freeze(build, shapes)
        values = {n: rng.uniform(low, high, s).astype(np.float32) for n, s in zip(names, shapes)}
        write(DATA, name, definition, values, outputs)
    rng = np.random.default_rng(0)
    keras_small(DATA)
    rng = np.random.default_rng(1)
    keras_transformer(DATA)
    rng = np.random.default_rng(2)
    loop(DATA)
    files = list(DATA.glob("*.pb"))
    print(f"{len(files)} graphs, the largest of {max(f.stat().st_size for f in files)} bytes")


if __name__ == "__main__":
    main()
