#!/usr/bin/env python3
"""Trains the network that the project ships: handwritten digits of 8×8 pixels, ten classes.

    pip install tensorflow scikit-learn pillow
    python3 models/digits/train.py

The data set is the one that comes inside scikit-learn (`load_digits`, 1,797 pictures; nothing is downloaded). It writes
beside itself:

    model.pb         frozen GraphDef: placeholder `x` [batch, 8, 8, 1], outputs `logits` and `prediction` (arg-max)
    inputs.npy       20 test pictures, float32 [20, 8, 8, 1], pixels from 0 to 1
    expected.npy     TensorFlow's logits for them, float32 [20, 10]
    classes.npy      what the 20 pictures show, int64 [20]
    calibration.npy  100 training pictures, float32 [100, 8, 8, 1]
    digit_*.png      two of the test pictures, 8×8 grey pixels from 0 to 255 (divide by 255)
    labels.txt       the names of the classes

Seeds are fixed: the same versions on the same kind of machine write the same files.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
NAMES = "zero one two three four five six seven eight nine".split()


def net(x, w):
    """conv-relu-maxpool-conv-relu-maxpool-dense-relu-dense."""
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w["conv1/kernel"], 1, "SAME", name="conv1"), w["conv1/bias"]))
    y = tf.nn.max_pool2d(y, 2, 2, "VALID", name="pool1")
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(y, w["conv2/kernel"], 1, "SAME", name="conv2"), w["conv2/bias"]))
    y = tf.nn.max_pool2d(y, 2, 2, "VALID", name="pool2")
    y = tf.reshape(y, [-1, 2 * 2 * 32])
    y = tf.nn.relu(tf.matmul(y, w["dense1/kernel"], name="dense1") + w["dense1/bias"])
    return tf.add(tf.matmul(y, w["dense2/kernel"], name="dense2"), w["dense2/bias"], name="logits")


def weights(rng):
    """He's initialisation."""
    shapes = {"conv1": (3, 3, 1, 16), "conv2": (3, 3, 16, 32), "dense1": (128, 64), "dense2": (64, 10)}
    w = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        w[f"{name}/kernel"] = tf.Variable((rng.normal(size=shape) * scale).astype(np.float32))
        w[f"{name}/bias"] = tf.Variable(np.zeros(shape[-1], np.float32))
    return w


def train(w, x, y, rng, epochs=60, batch=64):
    optimizer = tf.keras.optimizers.Adam(1e-3)
    variables = list(w.values())

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, net(x, w)))
            loss += 1e-4 * tf.add_n([tf.nn.l2_loss(v) for v in variables if v.shape.rank > 1])
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    for epoch in range(epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x) - batch + 1, batch):
            pick = order[at : at + batch]
            loss = step(tf.constant(x[pick]), tf.constant(y[pick]))
    return float(loss)


def freeze(w, path):
    """A GraphDef with the weights as constants and nothing else."""
    values = {name: variable.numpy() for name, variable in w.items()}
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 1], name="x")
        logits = net(x, {name: tf.constant(value, name=name) for name, value in values.items()})
        tf.argmax(logits, -1, name="prediction")
    definition = graph.as_graph_def()
    path.write_bytes(definition.SerializeToString(deterministic=True))
    return definition


def run(definition, x):
    """TensorFlow's logits, one picture at a time, from the frozen graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        return np.concatenate([session.run("logits:0", {"x:0": row[None]}) for row in x])


def main():
    tf.keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    digits = load_digits()
    x, y = (digits.images[..., None] / 16).astype(np.float32), digits.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, random_state=1, stratify=y)

    w = weights(rng)
    loss = train(w, x, y, rng)
    definition = freeze(w, HERE / "model.pb")
    logits = run(definition, x_test)
    correct = int((logits.argmax(-1) == y_test).sum())
    print(f"loss {loss:.4f}; {correct} of {len(y_test)} test pictures right ({100 * correct / len(y_test):.2f} %)")

    np.save(HERE / "inputs.npy", x_test[:20])
    np.save(HERE / "expected.npy", logits[:20])
    np.save(HERE / "classes.npy", y_test[:20])
    np.save(HERE / "calibration.npy", x[:100])
    (HERE / "labels.txt").write_text("\n".join(NAMES) + "\n")
    for row in (0, 1):
        pixels = np.round(x_test[row, ..., 0] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(HERE / f"digit_{NAMES[y_test[row]]}.png")


if __name__ == "__main__":
    main()
