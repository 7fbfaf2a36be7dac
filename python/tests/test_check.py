"""What can be compiled, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import DIGITS

import cryptflow as cf
from cryptflow.errors import in_python


def test_a_model_that_compiles() -> None:
    check = cf.check(DIGITS / "model.pb")
    assert check and check.compiles and not check.unsupported
    assert "all of" in repr(check) and "All of it" in check._repr_html_()
    assert {o["operation"] for o in check.operations} >= {"Conv2D", "MatMul"}


def test_every_node_that_does_not() -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes = [
        helper.make_node("Unique", ["x"], ["u"], name="unique"),
        helper.make_node("Det", ["x"], ["d"], name="det"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "graph", [value("x", 1, [2, 2])], [value("u", 1, None), value("d", 1, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    check = cf.check(model)
    assert not check and {node.operation for node in check.unsupported} == {"Unique", "Det"}
    assert all(node.reason and node.kind for node in check.unsupported)
    assert "Det" in repr(check) and "Unsupported" in check._repr_html_()
    with pytest.raises(cf.UnsupportedError, match="2 nodes") as caught:
        cf.compile(model, np.zeros((4, 2, 2)))
    assert caught.value.code == "unsupported"
    assert {node.name for node in caught.value.nodes} == {node.name for node in check.unsupported}


def test_what_is_no_model(tmp_path: Path) -> None:
    for given in (tmp_path / "nothing.pb", b"no model", 7, {"a": 1}):
        with pytest.raises(cf.ModelError):
            cf.compile(given, np.zeros((1, 2)))
    with pytest.raises(cf.ModelError, match="there is no file"):
        cf.compile(tmp_path / "nothing.keras", np.zeros((1, 2)))


def test_advice_speaks_of_arguments() -> None:
    assert in_python("give examples (--calibrate), or the range (--range)") == "give examples (calibration=), or the range (range=)"
    assert in_python("Compile with --divide 255 (and --mean)") == "Compile with divide=255 (and mean=)"
    assert in_python("cut the graph with --input NAME=SHAPE.") == 'cut the graph with inputs={"NAME": SHAPE}.'
    assert in_python("give --input x=1,224,224,3") == 'give inputs={"x": (1,224,224,3)}'
    assert in_python("name it with --output NAME") == 'name it with outputs=["NAME"]'
    assert in_python("--hide-logits or --batch N") == "hide_logits= or batch=N"


def test_a_node_has_a_reason_and_advice() -> None:
    node = cf.Node.of("a", "B", "batch", "its rows mix", "Compile with --batch 1")
    assert (node.kind, node.reason, node.advice) == ("batch", "its rows mix", "Compile with batch=1")
    assert str(node) == "a (B): its rows mix. Compile with batch=1"
