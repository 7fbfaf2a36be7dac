"""ONNX models, as paths, bytes and objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import close

import cryptflow as cf

onnx = pytest.importorskip("onnx")


def model() -> tuple["onnx.ModelProto", np.ndarray]:
    """Two inputs, and two outputs that end in a softmax and an arg-max."""
    random = np.random.default_rng(7)
    helper = onnx.helper
    weight = random.normal(size=(6, 3)).astype(np.float32)
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Add", ["left", "right"], ["sum"]),
        helper.make_node("MatMul", ["sum", "weight"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["scores"], ["class"], axis=-1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [value("left", 1, ["n", 6]), value("right", 1, ["n", 6])],
        [value("probabilities", 1, ["n", 3]), value("class", 7, ["n"])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), weight


@pytest.mark.parametrize("form", ["object", "bytes", "path"])
def test_every_form_of_a_model(form: str, tmp_path: Path, parties: cf.Parties) -> None:
    proto, weight = model()
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    given = {"object": proto, "bytes": proto.SerializeToString(), "path": path}[form]
    random = np.random.default_rng(8)
    left, right = random.normal(size=(2, 100, 6)).astype(np.float32)
    program = cf.compile(given, {"left": left, "right": right}, progress=False)
    assert [port.name for port in program.inputs] == ["left", "right"]
    scores = (left + right) @ weight
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    sure = np.sort(scores, axis=1)[:, -1] - np.sort(scores, axis=1)[:, -2] > 0.1
    for answer in (program.simulate((left, right)), program.run((left[:5], right[:5]), parties)):
        n = len(answer["class"])
        close(answer["probabilities"], probabilities[:n], 0.02)
        assert answer["class"].dtype == np.int64
        assert np.array_equal(answer["class"][sure[:n]], scores[:n].argmax(axis=1)[sure[:n]])
    assert program.plain({"left": left, "right": right})["class"].tolist() == scores.argmax(axis=1).tolist()
    truth = {"class": scores.argmax(axis=1)}
    assert program.check((left, right), truth).others[0].plain == 1.0
