"""Models of Keras and TensorFlow, as they live, held against what they give themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import close

import cryptflow as cf

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

layers = keras.layers


def seeded() -> None:
    keras.utils.set_random_seed(5)


def picture_classifier() -> Any:
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="picture"),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.Rescaling(1 / 2.0),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="class"),
        ]
    )


def residual() -> Any:
    x = keras.Input((10,), name="features")
    h = layers.Dense(10, activation="gelu")(x)
    h = layers.LayerNormalization()(layers.Add()([x, h]))
    return keras.Model(x, layers.Dense(2, name="numbers")(h))


def recurrent(cell: str) -> Callable[[], Any]:
    def model() -> Any:
        x = keras.Input((5, 3), name="steps")
        h = getattr(layers, cell)(6, return_sequences=True)(x)
        h = layers.Bidirectional(getattr(layers, cell)(4))(h)
        return keras.Model(x, layers.Dense(1, activation="sigmoid", name="yes")(h))

    return model


def attention() -> Any:
    x = keras.Input((4, 8), name="tokens")
    h = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(h)))


MODELS: dict[str, Callable[[], Any]] = {
    "pictures": picture_classifier,
    "residual": residual,
    "LSTM": recurrent("LSTM"),
    "GRU": recurrent("GRU"),
    "SimpleRNN": recurrent("SimpleRNN"),
    "attention": attention,
}


@pytest.mark.parametrize("name", MODELS)
def test_live_models(name: str, parties: cf.Parties) -> None:
    seeded()
    model = MODELS[name]()
    x = np.random.default_rng(3).uniform(-1, 1, (64, *model.input_shape[1:])).astype(np.float32)
    expected = model(x, training=False).numpy()
    program = cf.compile(model, x, progress=False)
    close(program.plain(x), expected, 1e-4)
    close(program.simulate(x), expected)
    close(program.run(x[:2], parties), expected[:2])
    assert program.inputs[0].name == model.inputs[0]._keras_history.operation.name
    # The model is as it was.
    np.testing.assert_array_equal(model(x, training=False).numpy(), expected)
    assert not any(getattr(layer, "unroll", False) for layer in model._flatten_layers())


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_files_of_keras(ending: str, tmp_path: Path) -> None:
    seeded()
    model = residual()
    x = np.random.default_rng(3).normal(size=(64, 10)).astype(np.float32)
    path = tmp_path / f"model{ending}"
    model.save(path)
    program = cf.compile(path, x, progress=False)
    close(program.simulate(x), model(x).numpy())
    assert cf.check(path)


def test_keras_2() -> None:
    old = pytest.importorskip("tf_keras")
    old.utils.set_random_seed(5)
    model = old.Sequential([old.layers.Input((6,)), old.layers.Dense(4, "tanh"), old.layers.Dense(2, "softmax", name="pair")])
    x = np.random.default_rng(3).normal(size=(64, 6)).astype(np.float32)
    program = cf.compile(model, x, progress=False)
    close(program.simulate(x), model(x).numpy())
    assert program.outputs[0].name == "pair"


def test_several_inputs_and_outputs() -> None:
    seeded()
    a, b = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    both = layers.Concatenate()([a, b])
    outputs = [layers.Dense(2, name="numbers")(both), layers.Dense(3, activation="softmax", name="classes")(both)]
    model = keras.Model([a, b], outputs)
    random = np.random.default_rng(3)
    left, right = random.normal(size=(64, 4)).astype(np.float32), random.normal(size=(64, 3)).astype(np.float32)
    expected = [y.numpy() for y in model([left, right])]
    program = cf.compile(model, (left, right), progress=False)
    answer = program.simulate({"left": left, "right": right})
    assert list(answer) == ["numbers", "classes"]
    close(answer["numbers"], expected[0])
    close(answer["classes"], expected[1])
    raw = program.simulate((left, right), raw=True)
    assert not np.allclose(raw["classes"].sum(axis=1), 1, atol=0.05)


def test_outputs_of_a_dict() -> None:
    seeded()
    x = keras.Input((4,), name="x")
    model = keras.Model(x, {"b": layers.Dense(1)(x), "a": layers.Dense(2)(x)})
    rows = np.random.default_rng(3).normal(size=(64, 4)).astype(np.float32)
    answer = cf.compile(model, rows, progress=False).simulate(rows)
    for name, expected in model(rows).items():
        close(answer[name], expected.numpy())


def test_a_model_of_a_class_of_ones_own() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.last = layers.Dense(5, activation="relu"), layers.Dense(2)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.last(self.hidden(x))

    seeded()
    x = np.random.default_rng(3).normal(size=(64, 4)).astype(np.float32)
    model = Own()
    expected = model(x).numpy()
    close(cf.compile(model, x, progress=False).simulate(x), expected)


def test_any_number_of_steps() -> None:
    seeded()
    x = keras.Input((None, 3), name="steps")
    model = keras.Model(x, layers.Dense(1)(layers.LSTM(4)(x)))
    rows = np.random.default_rng(3).normal(size=(64, 6, 3)).astype(np.float32)
    close(cf.compile(model, rows, progress=False).simulate(rows), model(rows).numpy())
    with pytest.raises(cf.ModelError, match="any number of steps"):
        cf.compile(model, range=(-1.0, 1.0))
    assert not any(getattr(layer, "unroll", False) for layer in model._flatten_layers())


def test_modules_of_tensorflow() -> None:
    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="own")
            self.weight = tf.Variable(np.random.default_rng(3).normal(size=(4, 2)).astype(np.float32))

        def __call__(self, x: Any) -> Any:
            return tf.nn.relu(x @ self.weight)

    class Signed(Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="rows")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return super().__call__(x)

    x = np.random.default_rng(4).normal(size=(64, 4)).astype(np.float32)
    for module in (Module(), Signed()):
        expected = module(tf.constant(x)).numpy()
        close(cf.compile(module, x, progress=False).simulate(x), expected)
    with pytest.raises(cf.ModelError, match="does not say what its inputs are"):
        cf.compile(Module(), range=(-1.0, 1.0))


def test_saved_models(tmp_path: Path) -> None:
    seeded()
    model = residual()
    x = np.random.default_rng(3).normal(size=(64, 10)).astype(np.float32)
    model.export(str(tmp_path / "saved"), verbose=False)
    program = cf.compile(tmp_path / "saved", x, progress=False)
    close(program.simulate(x), model(x).numpy())
    close(program.plain(x), model(x).numpy(), 1e-4)


def test_layers_that_cannot_be_compiled_are_named() -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Lambda(lambda t: tf.cast(tf.strings.length(tf.strings.as_string(t)), tf.float32), name="odd")(x))
    with pytest.raises(cf.UnsupportedError) as caught:
        cf.compile(model, np.ones((4, 4), np.float32))
    assert any("odd" in node.name for node in caught.value.nodes)
    assert not cf.check(model)


def test_a_picture_through_preprocessing() -> None:
    image = pytest.importorskip("PIL.Image")
    seeded()
    model = picture_classifier()
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
    pictures = [image.fromarray(p) for p in pixels]
    program = cf.compile(model, pictures, divide=255, progress=False)
    close(program.simulate(pictures[:5]), model(pixels[:5] / np.float32(255), training=False).numpy())
    close(program.simulate(pictures[0]), model(pixels[:1] / np.float32(255), training=False).numpy())
