#!/usr/bin/env python3
"""Makes the networks of CrypTFlow's evaluation as frozen TensorFlow graphs, for `cryptflow bench paper`.

    pip install tensorflow
    python3 models/paper/make.py DIR               # all of them: 160 MB
    python3 models/paper/make.py DIR lenet logreg  # these

A network is three files: NAME.pb, a frozen GraphDef with one placeholder `x` of batch 1; NAME.calibration.npy, examples from
which the compiler takes its bounds; NAME.npy, other examples, which the benchmark runs. Weights are random, from fixed seeds,
He-scaled so that activations keep their size from layer to layer; batch normalisation has the statistics of the
calibration examples. What secure inference costs does not depend on the weights' values. Examples are smooth random
pictures: sums of a few waves.
"""

import os
import sys
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

v1 = tf.compat.v1
NETWORKS = {}
rng = np.random.default_rng(0)


def network(*shape, examples=16):
    """Registers a network: an input of this shape, without the batch; so many examples for calibration, as many to run."""

    def register(build):
        NETWORKS[build.__name__] = (build, shape, examples)
        return build

    return register


def pictures(n, height, width, channels):
    """Smooth pictures of standard deviation 1 or so."""
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    out = np.zeros((n, height, width, channels))
    for _ in range(8):
        fy, fx, phase, size = (rng.uniform(low, high, (n, 1, 1, channels)) for low, high in [(-6, 6), (-6, 6), (0, 2 * np.pi), (0.2, 0.8)])
        out += size * np.sin(2 * np.pi * (fy * y[None, :, :, None] + fx * x[None, :, :, None]) + phase)
    return out.astype(np.float32)


# Layers of graphs that are written node by node.


def weight(*shape):
    return tf.constant((rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32))


def bias(n):
    return tf.constant((0.05 * rng.normal(size=n)).astype(np.float32))


def dense(x, n):
    return tf.matmul(x, weight(x.shape[-1], n)) + bias(n)


def conv(x, channels, kernel, strides=1, padding="VALID"):
    y = tf.nn.conv2d(x, weight(kernel, kernel, x.shape[-1], channels), strides, padding)
    return tf.nn.relu(tf.nn.bias_add(y, bias(channels)))


def max_pool(x, kernel=2):
    return tf.nn.max_pool2d(x, kernel, 2, "VALID")


def mean_pool(x):
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def flat(x):
    return tf.reshape(x, [1, int(np.prod(x.shape[1:]))])


# The networks for MNIST: logistic regression, and the ones that papers before CrypTFlow compared.


@network(28, 28, 1)
def logreg(x):
    return dense(flat(x), 10)


@network(28, 28, 1)
def secureml(x):
    """Network A."""
    h = tf.nn.relu(dense(flat(x), 128))
    h = tf.nn.relu(dense(h, 128))
    return dense(h, 10)


@network(28, 28, 1)
def minionn(x):
    """Network B."""
    h = max_pool(conv(x, 16, 5))
    h = max_pool(conv(h, 16, 5))
    return dense(tf.nn.relu(dense(flat(h), 100)), 10)


@network(28, 28, 1)
def lenet(x):
    """Network C."""
    h = max_pool(conv(x, 20, 5))
    h = max_pool(conv(h, 50, 5))
    return dense(tf.nn.relu(dense(flat(h), 500)), 10)


@network(28, 28, 1)
def chameleon(x):
    """Network D."""
    h = conv(x, 5, 5, strides=2, padding="SAME")
    return dense(tf.nn.relu(dense(flat(h), 100)), 10)


@network(32, 32, 3)
def minionn_cifar10(x):
    h = mean_pool(conv(conv(x, 64, 3, padding="SAME"), 64, 3, padding="SAME"))
    h = mean_pool(conv(conv(h, 64, 3, padding="SAME"), 64, 3, padding="SAME"))
    h = conv(conv(conv(h, 64, 3, padding="SAME"), 64, 1), 16, 1)
    return dense(flat(h), 10)


# The networks for ImageNet.


def fire(x, squeezed, expanded):
    s = conv(x, squeezed, 1)
    return tf.concat([conv(s, expanded, 1), conv(s, expanded, 3, padding="SAME")], 3)


@network(227, 227, 3, examples=3)
def squeezenet(x):
    """SqueezeNet 1.1."""
    h = max_pool(conv(x, 64, 3, strides=2), 3)
    h = max_pool(fire(fire(h, 16, 64), 16, 64), 3)
    h = max_pool(fire(fire(h, 32, 128), 32, 128), 3)
    h = fire(fire(fire(fire(h, 48, 192), 48, 192), 64, 256), 64, 256)
    return tf.reduce_mean(conv(h, 1000, 1), [1, 2])


@network(224, 224, 3, examples=3)
def resnet50():
    return tf.keras.applications.ResNet50(weights=None, classifier_activation=None)


@network(224, 224, 3, examples=3)
def densenet121():
    return tf.keras.applications.DenseNet121(weights=None, classifier_activation=None)


def written(build, shape):
    """The frozen graph of a network that is written node by node."""
    graph = tf.Graph()
    with graph.as_default():
        build(v1.placeholder(tf.float32, [1, *shape], name="x"))
    return graph.as_graph_def()


def from_keras(build, shape, examples, seed):
    """The frozen graph of a Keras model, with the batch normalisation's statistics from the examples."""
    tf.keras.utils.set_random_seed(seed)
    model = build()
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(examples, training=True)
    inference = tf.function(lambda x: model(x, training=False))
    concrete = inference.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32, name="x"))
    return convert_variables_to_constants_v2(concrete).graph.as_graph_def()


def make(name, folder):
    global rng
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    build, shape, n = NETWORKS[name]
    calibration, examples = pictures(n, *shape), pictures(n, *shape)
    graph = from_keras(build, shape, calibration, seed) if build.__code__.co_argcount == 0 else written(build, shape)
    (folder / f"{name}.pb").write_bytes(graph.SerializeToString(deterministic=True))
    np.save(folder / f"{name}.calibration.npy", calibration)
    np.save(folder / f"{name}.npy", examples)
    print(f"{name}: {len(graph.node)} nodes", flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(NETWORKS)
    for name in names:
        if name not in NETWORKS:
            sys.exit(f"{name}: no such network; there are {', '.join(NETWORKS)}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        make(name, folder)


if __name__ == "__main__":
    main()
