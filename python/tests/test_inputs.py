"""What goes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DIGITS

import cryptflow as cf
from cryptflow.arrays import as_array, given


class Held:
    """Something that holds an array, and is none."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.array


class Shared:
    """Something that shares its memory by dlpack alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("kind", ["float64", "float16", ">f4", "list", "tuple of one", "dict", "fortran", "held", "dlpack", "file", "archive"])
def test_whatever_holds_an_array(kind: str, program: cf.Program, digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    x = np.round(digits["inputs"][:3], 2).astype(np.float32)
    expected = program.simulate(x.astype(np.float16) if kind == "float16" else x)
    name = program.inputs[0].name
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", **{name: x})
    forms: dict[str, Any] = {
        "float64": x.astype(np.float64),
        "float16": x.astype(np.float16),
        ">f4": x.astype(">f4"),
        "list": x.tolist(),
        "tuple of one": (x,),
        "dict": {name: x},
        "fortran": np.asfortranarray(x),
        "held": Held(x),
        "dlpack": Shared(x),
        "file": tmp_path / "x.npy",
        "archive": str(tmp_path / "x.npz"),
    }
    np.testing.assert_array_equal(program.simulate(forms[kind]), expected)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda x: x[:, :3], "input-shape", r"x holds an array of shape \[20, 3"),
        (lambda x: x[:0], "input-shape", "x holds no rows"),
        (lambda x: x * np.nan, "input-not-finite", r"x\[0\]: element 0 is NaN"),
        (lambda x: x + 1e4, "input-range", r"x\[\d+\]: element \d+ is .* outside of the range"),
        (lambda x: x.astype(complex), "input-type", "complex numbers"),
        (lambda x: np.array(["a"]), "input-type", "text"),
        (lambda x: {"else": x}, "input-name", 'no input "else"'),
        (lambda x: (x, x), "input-name", "2 arrays were given"),
        (lambda x: {}, "input-name", "no array was given"),
        (lambda x: [x[0], x[0][:1]], "input-shape", "different shapes"),
        (lambda x: "nothing.npy", "input-file", "nothing.npy"),
    ],
)
def test_what_is_wrong_is_said(
    change: Any, code: str, text: str, program: cf.Program, digits: dict[str, np.ndarray], parties: cf.Parties
) -> None:
    for run in (program.simulate, lambda x: program.run(x, parties), program.plain):
        with pytest.raises(cf.InputError, match=text) as caught:
            run(change(digits["inputs"]))
        assert caught.value.code == code
    # The parties go on.
    assert program.run(digits["inputs"][:1], parties).shape == (1,)


def test_pandas_rows(digits: dict[str, np.ndarray]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    assert as_array(frame).tolist() == [[1, 0.5], [2, 1.5]]
    assert as_array(frame.iloc[0]).tolist() == [1, 0.5]
    with pytest.raises(cf.InputError, match="no numbers"):
        as_array(pandas.DataFrame({"a": ["text"]}))


def test_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    colours = image.new("RGB", (4, 3), (10, 20, 30))
    assert as_array(colours).shape == (3, 4, 3) and as_array(colours).dtype == np.uint8
    assert as_array(image.new("L", (4, 3))).shape == (3, 4)
    assert as_array(colours.convert("RGBA")).shape == (3, 4, 3)
    assert as_array([colours, colours]).shape == (2, 3, 4, 3)
    with pytest.raises(cf.InputError, match="one size"):
        as_array([colours, colours.resize((5, 3))])


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 3, requires_grad=True)
    assert as_array(tensor).tolist() == [[1, 1, 1]] * 2
    assert as_array(tensor.to(torch.bfloat16)).dtype == np.float32
    assert as_array([tensor, tensor]).shape == (2, 2, 3)


def test_tensorflow_tensors() -> None:
    tf = pytest.importorskip("tensorflow")
    assert as_array(tf.ones((2, 3))).tolist() == [[1, 1, 1]] * 2


def test_calibration_is_called_so(digits: dict[str, np.ndarray]) -> None:
    with pytest.raises(cf.InputError, match="calibration holds an array"):
        cf.compile(DIGITS / "model.pb", digits["calibration"][:, :2], progress=False)
    assert given((1.0, 2.0), "calibration")[1][1] == "calibration[1]"
