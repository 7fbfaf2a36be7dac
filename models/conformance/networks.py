#!/usr/bin/env python3
"""Whole networks with random, calibrated weights, in the forms in which users have them, compiled and run.

    pip install tensorflow tf2onnx onnxruntime
    python3 models/conformance/networks.py make DIR [NAME ...] [--size 64]    # makes the networks
    python3 models/conformance/networks.py run DIR target/release/cryptflow [NAME ...] [--protocol clear]

`make` leaves, for each network: NAME/saved_model (Keras' export), NAME/frozen.pb, NAME/model.onnx (channels first within), NAME/calibration.npy,
NAME/inputs.npy and NAME/expected.npy (TensorFlow's answers). Weights are random, from fixed seeds; batch normalisations get the statistics
of the calibration examples layer by layer, so that activations keep their size. `--size` is the side of the pictures, 224 as published;
a smaller one keeps every layer of the networks and is quicker.

`run` compiles each form with those examples, compares the answers to the inputs with TensorFlow's, and prints time and memory of the
compiler. It ends with 1 where a form does not compile, or does not agree.
"""

import argparse
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np

NETWORKS = {}


def network(build):
    NETWORKS[build.__name__] = build
    return build


# Networks of keras.applications.


def application(name, module, least=32, **arguments):
    def build(size):
        import keras

        make = getattr(getattr(keras.applications, module), name)
        side = max(size, least)
        return make(weights=None, input_shape=(side, side, 3), classes=100, classifier_activation="softmax", **arguments)

    NETWORKS[name] = build


for name, module, least in [
    ("MobileNet", "mobilenet", 32), ("MobileNetV2", "mobilenet_v2", 32), ("EfficientNetB0", "efficientnet", 32),
    ("ResNet50", "resnet", 32), ("ResNet50V2", "resnet_v2", 32), ("VGG16", "vgg16", 32),
    ("DenseNet121", "densenet", 32), ("InceptionV3", "inception_v3", 139),
]:
    application(name, module, least)


# Networks that are written here.


def residual(version):
    def build(size):
        import keras
        from keras import layers

        def norm_relu(x):
            return layers.ReLU()(layers.BatchNormalization()(x))

        def conv(x, n, kernel, stride=1):
            return layers.Conv2D(n, kernel, stride, padding="same", use_bias=False)(x)

        def block(x, n, stride):
            if version == 1:
                y = norm_relu(conv(x, n, 3, stride))
                y = layers.BatchNormalization()(conv(y, n, 3))
                if stride != 1 or x.shape[-1] != n:
                    x = layers.BatchNormalization()(conv(x, n, 1, stride))
                return layers.ReLU()(layers.Add()([x, y]))
            z = norm_relu(x)
            if stride != 1 or x.shape[-1] != n:
                x = conv(z, n, 1, stride)
            return layers.Add()([x, conv(norm_relu(conv(z, n, 3, stride)), n, 3)])

        given = x = keras.Input((size, size, 3))
        x = conv(x, 64, 7, 2)
        x = layers.MaxPooling2D(3, 2, padding="same")(norm_relu(x) if version == 1 else x)
        for stage, n in enumerate([64, 128, 256, 512]):
            for i in range(2):
                x = block(x, n, 2 if stage and not i else 1)
        x = layers.GlobalAveragePooling2D()(x if version == 1 else norm_relu(x))
        return keras.Model(given, layers.Dense(100, activation="softmax")(x))

    return build


NETWORKS["ResNet18"] = residual(1)
NETWORKS["ResNet18V2"] = residual(2)


def unet(dimensions, side, depth, first):
    def build(size):
        import keras
        from keras import layers

        conv = getattr(layers, f"Conv{dimensions}D")
        pool = getattr(layers, f"MaxPooling{dimensions}D")
        up = getattr(layers, f"Conv{dimensions}DTranspose")

        def twice(x, n):
            for _ in range(2):
                x = layers.ReLU()(layers.BatchNormalization()(conv(n, 3, padding="same", use_bias=False)(x)))
            return x

        extent = side(size)
        given = x = keras.Input((extent,) * dimensions + (1,))
        kept = []
        for i in range(depth):
            x = twice(x, first << i)
            kept.append(x)
            x = pool(2)(x)
        x = twice(x, first << depth)
        for i in reversed(range(depth)):
            x = up(first << i, 2, 2)(x)
            x = twice(layers.Concatenate()([kept[i], x]), first << i)
        return keras.Model(given, conv(2, 1)(x))

    return build


NETWORKS["UNet"] = unet(2, lambda size: max(16, size // 16 * 16), 4, 16)
NETWORKS["UNet3D"] = unet(3, lambda size: max(8, size // 8 // 4 * 4), 2, 8)


def attention(x, heads, keys):
    from keras import layers

    return layers.MultiHeadAttention(heads, keys)(x, x)


@network
def VisionTransformer(size):
    """A small one: patches of 8 by 8, a class token is left out in favour of the mean."""
    import keras
    from keras import layers

    width, patch = 64, 8
    given = keras.Input((size, size, 3))
    x = layers.Conv2D(width, patch, patch)(given)
    tokens = x.shape[1] * x.shape[2]
    x = layers.Reshape((tokens, width))(x)
    positions = layers.Embedding(tokens, width)(keras.ops.arange(tokens))
    x = x + keras.ops.expand_dims(positions, 0)
    for _ in range(2):
        x = layers.Add()([x, attention(layers.LayerNormalization(epsilon=1e-6)(x), 4, width // 4)])
        y = layers.Dense(2 * width)(layers.LayerNormalization(epsilon=1e-6)(x))
        y = keras.ops.gelu(y, approximate=True)
        x = layers.Add()([x, layers.Dense(width)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(given, layers.Dense(100, activation="softmax")(x))


@network
def TextEncoder(_):
    """An encoder over vectors of tokens: their embedding is looked up by who has the text."""
    import keras
    from keras import layers

    given = x = keras.Input((32, 64))
    for _ in range(2):
        x = layers.LayerNormalization(epsilon=1e-5)(layers.Add()([x, attention(x, 2, 32)]))
        y = layers.Dense(64)(layers.Dense(128, activation="relu")(x))
        x = layers.LayerNormalization(epsilon=1e-5)(layers.Add()([x, y]))
    return keras.Model(given, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


# Making them.


def smooth(rng, shape):
    """Examples of standard deviation 1 or so, that vary slowly along every axis but the last."""
    out = np.zeros(shape)
    for _ in range(8):
        wave = rng.uniform(0, 2 * np.pi, (shape[0],) + (1,) * (len(shape) - 2) + shape[-1:])
        for axis in range(1, len(shape) - 1):
            along = np.linspace(0, 1, shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
            wave = wave + 2 * np.pi * rng.uniform(-4, 4, (shape[0],) + (1,) * (len(shape) - 2) + shape[-1:]) * along
        out += 0.5 * np.sin(wave)
    return out.astype(np.float32)


def calibrate(model, examples):
    """Sets every batch normalisation to the statistics of its operand; weights, where there is none, to a scale that keeps activations."""
    import keras

    norms = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    for layer in model.layers:
        # Without normalisations it is the weights that keep the size of activations.
        if not norms and isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            layer.kernel.assign(keras.initializers.HeNormal(zlib.crc32(layer.name.encode()) % 2**31)(layer.kernel.shape))
    # A momentum of zero takes the statistics of the examples at hand. What comes before a layer is normalised already, in the same pass.
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(examples, training=True)
    if not np.isfinite(model.predict(examples, verbose=0)).all():
        raise SystemExit(f"{model.name}: its answers are not finite")


def sharpen(model, examples):
    """Scales a last dense layer so that the best class is clear: random networks are undecided."""
    last = model.layers[-1]
    if not hasattr(last, "kernel") or len(last.kernel.shape) != 2:
        return
    import keras

    before = keras.Model(model.inputs, last.input)(examples)
    logits = np.asarray(keras.ops.matmul(before, last.kernel))
    spread = logits.std() or 1.0
    centre = np.asarray(before).mean(axis=0)
    kernel = np.asarray(last.kernel) * (3.0 / max(np.std(logits - logits.mean(axis=0)), 0.05 * spread))
    last.kernel.assign(kernel)
    if last.bias is not None:
        last.bias.assign(-centre @ kernel)


def frozen(model, path):
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    shape = [1] + list(model.inputs[0].shape[1:])
    spec = tf.TensorSpec(shape, tf.float32, name="x")
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    constant = convert_variables_to_constants_v2(function)
    graph = constant.graph.as_graph_def()
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return graph, [t.name for t in constant.inputs], [t.name for t in constant.outputs]


def make(folder, size, names):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import keras
    import tf2onnx

    for name in names:
        begun = time.monotonic()
        keras.utils.set_random_seed(zlib.crc32(name.encode()) % 2**31)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        model = NETWORKS[name](size)
        shape = model.inputs[0].shape[1:]
        calibration, inputs = smooth(rng, (16, *shape)), smooth(rng, (4, *shape))
        if name == "EfficientNetB0":
            # It begins with a rescaling of pixels.
            calibration, inputs = [np.clip(128 + 50 * x, 0, 255).astype(np.float32) for x in (calibration, inputs)]
        calibrate(model, calibration)
        sharpen(model, calibration)
        to = folder / name
        to.mkdir(parents=True, exist_ok=True)
        model.export(to / "saved_model", verbose=False)
        graph, given, wanted = frozen(model, to / "frozen.pb")
        tf2onnx.convert.from_graph_def(graph, input_names=given, output_names=wanted, opset=17, output_path=str(to / "model.onnx"))
        np.save(to / "calibration.npy", calibration)
        np.save(to / "inputs.npy", inputs)
        np.save(to / "expected.npy", np.asarray(model(inputs, training=False)))
        megabytes = (to / "frozen.pb").stat().st_size / 1e6
        print(f"{name}: {megabytes:.1f} MB, input {tuple(shape)}, {time.monotonic() - begun:.0f} s", flush=True)


# Compiling and running them.

FORMS = {"SavedModel": "saved_model", "frozen graph": "frozen.pb", "ONNX": "model.onnx"}


def measured(command):
    """Runs a command; its time and the most memory that it held."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), text, time.monotonic() - begun, usage.ru_maxrss / 1024


def run(folder, cryptflow, names, protocol):
    failed = 0
    for name in names:
        here = folder / name
        expected = np.load(here / "expected.npy")
        for form, file in FORMS.items():
            compiled, out = here / "compiled.safetensors", here / "found.npy"
            command = [cryptflow, "compile", here / file, "-o", compiled, "--calibrate", here / "calibration.npy"]
            code, text, seconds, megabytes = measured([str(c) for c in command])
            where = f"{name:18} {form:12}"
            if code:
                print(f"{where} does not compile:\n{text}", flush=True)
                failed += 1
                continue
            said = f"compiled in {seconds:5.1f} s, {megabytes:6.0f} MB;"
            command = [cryptflow, "run", compiled, "--input", here / "inputs.npy", "--output", out, "--protocol", protocol]
            code, text, seconds, _ = measured([str(c) for c in command])
            if code:
                print(f"{where} {said} does not run:\n{text}", flush=True)
                failed += 1
                continue
            found = np.load(out).reshape(expected.shape)
            if np.allclose(expected.sum(axis=-1), 1, atol=1e-3):
                # What is opened are the logits.
                found = np.exp(found - found.max(axis=-1, keepdims=True))
                found /= found.sum(axis=-1, keepdims=True)
            far = np.abs(found - expected).max()
            agree = (found.argmax(-1) == expected.argmax(-1)).mean()
            allowed = max(0.02 * np.abs(expected).max(), 0.01)
            good = far <= allowed
            failed += not good
            print(f"{where} {said} {protocol} {seconds:5.1f} s, arg-max agrees on {100 * agree:.1f} %, largest difference {far:.4f} of {np.abs(expected).max():.3f}{'' if good else ': TOO FAR'}", flush=True)
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--size", type=int, default=224)
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("cryptflow", type=Path)
    running.add_argument("--protocol", default="mirror")
    for command in (making, running):
        command.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NETWORKS)}; all of them by default")
    arguments = parser.parse_args()
    names = arguments.names or list(NETWORKS)
    unknown = [n for n in names if n not in NETWORKS]
    if unknown:
        sys.exit(f"there is no network {unknown[0]}; there are {', '.join(NETWORKS)}")
    if arguments.command == "make":
        make(arguments.folder, arguments.size, names)
    else:
        sys.exit(1 if run(arguments.folder, arguments.cryptflow, names, arguments.protocol) else 0)
