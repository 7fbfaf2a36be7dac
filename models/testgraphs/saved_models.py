#!/usr/bin/env python3
"""Makes small SavedModels, one for each way in which they are written, with TensorFlow's answers.

    pip install tensorflow
    python3 models/testgraphs/saved_models.py              # into crates/import/tests/data/saved_models
    python3 models/testgraphs/saved_models.py sharded      # this one only

A model is a folder NAME and NAME.npz, with an array for each input and output of each signature: SIGNATURE.in.NAME and
SIGNATURE.out.NAME. `partitioned` and `no_signature` have no answers: they must be refused. `keras.pb` is `keras` as a frozen graph.
"""

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
DATA = Path(__file__).resolve().parents[2] / "crates/import/tests/data/saved_models"
TWO_DEVICES = v1.ConfigProto(device_count={"CPU": 2})
rng = np.random.default_rng(5)


def normal(*shape):
    return (np.round(rng.normal(size=shape) * 64) / 128).astype(np.float32)


def keras(folder):
    """A model inside a model, a residual sum, batch norms; Keras exports it with functions in functions."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(1)
    block_in = tf.keras.Input((None, None, 4))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(block_in)
    y = layers.BatchNormalization()(y)
    block = tf.keras.Model(block_in, layers.ReLU()(layers.Add()([y, block_in])), name="block")
    x = tf.keras.Input((8, 8, 2), name="picture")
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = block(block(y))
    y = layers.Dense(3, activation="softmax", name="classes")(layers.GlobalAveragePooling2D()(layers.Dropout(0.5)(y)))
    model = tf.keras.Model(x, y)
    block.layers[2].set_weights([1 + normal(4) / 4, normal(4), normal(4), 1 + np.abs(normal(4))])
    model.export(str(folder), verbose=False)


class Module(tf.Module):
    """Two variables of one name, a function that is called twice, results in a row, a variable that no signature needs."""

    def __init__(self):
        super().__init__()
        self.a = tf.Variable(normal(5, 6), name="w")
        self.b = tf.Variable(normal(6, 4), name="w")
        self.offset = tf.Variable(normal(4).astype(np.float64), name="offset")
        self.half = tf.Variable(normal(4).astype(np.float16), name="half")
        self.unneeded = tf.Variable(normal(50), name="unneeded")
        self.constant = tf.constant(normal(4))

    @tf.function(autograph=False)
    def twice(self, x, y):
        return y, tf.nn.relu(x) * 2.0

    @tf.function(input_signature=[tf.TensorSpec((None, 5), tf.float32, "rows")])
    def call(self, x):
        y, z = self.twice(x @ self.a, x)
        _, z = self.twice(z @ self.b, y)
        top, bottom = tf.split(z + self.constant, 2, axis=-1)
        return {"top": top, "bottom": tf.nn.relu(bottom), "sum": z + tf.cast(self.half, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec((2, 4), tf.float32, "p"), tf.TensorSpec((2, 4), tf.float32, "a")])
    def add(self, p, a):
        return {"result": tf.nn.relu(p) - a + tf.cast(self.offset, tf.float32)}


def module(folder):
    m = Module()
    tf.saved_model.save(m, str(folder), signatures={"serving_default": m.call, "add": m.add})


def variable(name, value, resource):
    return v1.get_variable(name, initializer=tf.constant(value), use_resource=resource)


def simple_save(folder):
    """TensorFlow 1: variables by reference; names of the signature that other nodes have."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 6), name="features")
        with v1.variable_scope("dense"):
            hidden = tf.nn.relu(tf.matmul(x, variable("w", normal(6, 5), False)) + variable("b", normal(5), False), name="x")
        logits = tf.matmul(hidden, variable("out", normal(5, 3), False), name="logits")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"logits": logits, "probabilities": tf.nn.softmax(logits)})


def builder(folder):
    """TensorFlow 1: resource variables, two graphs, a signature that begins in the middle of the graph, a switch for training."""
    with tf.Graph().as_default(), v1.Session() as session:
        text = v1.placeholder(tf.string, (), name="file")
        picture = tf.reshape(tf.io.decode_raw(text, tf.float32), (1, 4, 4, 1), name="decoded")
        training = v1.placeholder_with_default(False, (), name="training")
        y = tf.nn.conv2d(picture, variable("kernel", normal(3, 3, 1, 2), True), 1, "SAME")
        norm = [variable(n, np.abs(normal(2)) + 0.5, True) for n in ("gamma", "beta", "mean", "variance")]
        y = tf.nn.relu(v1.nn.fused_batch_norm(y, *norm, is_training=False)[0])
        y = tf.reduce_mean(y, [1, 2], name="features")
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def({"picture": info(picture), "training": info(training)}, {"features": info(y)}, "predict")
        saver = v1.saved_model.Builder(str(folder))
        saver.add_meta_graph_and_variables(session, ["train"], {})
        saver.add_meta_graph(["serve", "tpu"], {"wrong": signature})
        saver.add_meta_graph(["serve"], {"serving_default": signature})
        saver.save()


def partitioned(folder):
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (1, 4), name="x")
        w = v1.get_variable("w", (4, 2), partitioner=v1.fixed_size_partitioner(2))
        y = tf.matmul(x, tf.convert_to_tensor(w))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def sharded(folder):
    """TensorFlow 1: variables on two devices, saved in a file each."""
    with tf.Graph().as_default(), v1.Session(config=TWO_DEVICES) as session:
        x = v1.placeholder(tf.float32, (None, 6), name="x")
        with tf.device("/cpu:0"):
            first = variable("first", normal(6, 5), True)
        with tf.device("/cpu:1"):
            second = variable("second", normal(5, 3), True)
        y = tf.matmul(tf.nn.relu(tf.matmul(x, first)), second, name="y")
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def({"x": info(x)}, {"y": info(y)}, "predict")
        saver = v1.saved_model.Builder(str(folder))
        saver.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=v1.train.Saver(sharded=True))
        saver.save()


def no_signature(folder):
    m = tf.Module()
    m.w = tf.Variable(normal(2))
    tf.saved_model.save(m, str(folder))


def recurrent(folder):
    """Keras' recurrent layers as they are exported by default, with loops over lists of tensors."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(4)
    x = tf.keras.Input((5, 3), name="series")
    y = layers.LSTM(4, return_sequences=True)(x)
    y = layers.Bidirectional(layers.GRU(3))(y)
    model = tf.keras.Model(x, layers.Dense(2)(y))
    model.export(str(folder), verbose=False)


class Loops(tf.Module):
    """A loop that reads variables and ends by a known count, a branch on a known flag, and one on a secret."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(normal(3, 4), name="w")
        self.r = tf.Variable(normal(4, 4), name="r")

    @tf.function(input_signature=[tf.TensorSpec((1, 6, 3), tf.float32, "series")])
    def call(self, series):
        h, rows = tf.zeros((1, 4)), tf.TensorArray(tf.float32, 6)
        for t in tf.range(6):
            h = tf.tanh(series[:, t] @ self.w + h @ self.r)
            rows = rows.write(t, h)
        low = tf.cond(tf.reduce_sum(h) > 0.0, lambda: h * 2.0, lambda: tf.nn.relu(h) - 1.0)
        known = tf.cond(tf.size(series) > 4, lambda: h + 1.0, lambda: h @ self.r)
        return {"rows": rows.stack(), "chosen": low, "known": known}


def loops(folder):
    m = Loops()
    tf.saved_model.save(m, str(folder), signatures={"serving_default": m.call})


def answers(folder):
    """TensorFlow's answers to random inputs, from what was saved."""
    arrays = {}
    with tf.Graph().as_default(), v1.Session(config=TWO_DEVICES) as session:
        meta = v1.saved_model.load(session, ["serve"], str(folder))
        for name, signature in meta.signature_def.items():
            if name == "__saved_model_init_op":
                continue
            feed = {}
            for key, info in signature.inputs.items():
                if info.dtype == tf.float32.as_datatype_enum:
                    shape = [1 if d.size < 0 else d.size for d in info.tensor_shape.dim]
                    feed[info.name] = arrays[f"{name}.in.{key}"] = normal(*shape)
            for key, info in signature.outputs.items():
                arrays[f"{name}.out.{key}"] = session.run(info.name, feed)
    np.savez(folder.with_suffix(".npz"), **arrays)


def frozen(folder):
    """The same network as a frozen graph, NAME.pb."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = tf.saved_model.load(str(folder))
    graph = convert_variables_to_constants_v2(model.signatures["serving_default"]).graph.as_graph_def()
    graph.library.Clear()
    folder.with_suffix(".pb").write_bytes(graph.SerializeToString(deterministic=True))


def main():
    """All of them, or those that are named."""
    makes = (keras, module, simple_save, builder, sharded, recurrent, loops, partitioned, no_signature)
    for make in [m for m in makes if len(sys.argv) == 1 or m.__name__ in sys.argv]:
        folder = DATA / make.__name__
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        if make not in (partitioned, no_signature):
            answers(folder)
        if make is keras:
            frozen(folder)
        for unneeded in ("assets", "fingerprint.pb"):
            path = folder / unneeded
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    files = [f for f in DATA.rglob("*") if f.is_file()]
    print(f"{len(files)} files of {sum(f.stat().st_size for f in files)} bytes")


if __name__ == "__main__":
    main()
