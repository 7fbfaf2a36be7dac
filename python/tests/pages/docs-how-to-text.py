# What the page takes for granted: the folder that exporting an encoder gives. This one has the nodes and names of BERT's export, small and with
# random weights, and a vocabulary of a few words.
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS = ["[PAD]", "[CLS]", "[SEP]", *"the my card was stolen lost how do i get a new one where is please".split()]
LENGTH, WIDTH, HEADS, LAYERS = 12, 32, 2, 2

rng = np.random.default_rng(0)
nodes, constants = [], []


def constant(name, value):
    constants.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def weight(name, *shape):
    return constant(name, (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32))


def node(kind, name, *operands, **attributes):
    nodes.append(helper.make_node(kind, list(operands), [f"{name}_output_0"], name, **attributes))
    return f"{name}_output_0"


def number(value):
    return constant(f"number_{len(constants)}", np.float32(value))


def dense(name, x, rows, columns):
    product = node("MatMul", f"{name}/MatMul", x, weight(f"{name}.weight", rows, columns))
    return node("Add", f"{name}/Add", weight(f"{name}.bias", columns), product)


def normal(name, x):
    mean = node("ReduceMean", f"{name}/ReduceMean", x, axes=[-1])
    centred = node("Sub", f"{name}/Sub", x, mean)
    squares = node("Pow", f"{name}/Pow", centred, number(2))
    deviation = node("Sqrt", f"{name}/Sqrt", node("Add", f"{name}/Add", node("ReduceMean", f"{name}/ReduceMean_1", squares, axes=[-1]), number(1e-12)))
    scaled = node("Mul", f"{name}/Mul", node("Div", f"{name}/Div", centred, deviation), constant(f"{name}.weight", np.ones(WIDTH, np.float32)))
    return node("Add", f"{name}/Add_1", scaled, constant(f"{name}.bias", np.zeros(WIDTH, np.float32)))


def heads(name, x, order):
    shape = constant(f"{name}.shape", np.array([0, LENGTH, HEADS, WIDTH // HEADS]))
    return node("Transpose", f"{name}/Transpose", node("Reshape", f"{name}/Reshape", x, shape), perm=order)


def layer(name, x, mask):
    q, k, v = (dense(f"{name}/attention/self/{part}", x, WIDTH, WIDTH) for part in ("query", "key", "value"))
    scores = node("MatMul", f"{name}/attention/self/MatMul", heads(f"{name}/q", q, [0, 2, 1, 3]), heads(f"{name}/k", k, [0, 2, 3, 1]))
    scores = node("Add", f"{name}/attention/self/Add", node("Div", f"{name}/attention/self/Div", scores, number((WIDTH // HEADS) ** 0.5)), mask)
    chances = node("Softmax", f"{name}/attention/self/Softmax", scores, axis=-1)
    mixed = node("MatMul", f"{name}/attention/self/MatMul_1", chances, heads(f"{name}/v", v, [0, 2, 1, 3]))
    mixed = node("Transpose", f"{name}/attention/self/Transpose_3", mixed, perm=[0, 2, 1, 3])
    mixed = node("Reshape", f"{name}/attention/self/Reshape_3", mixed, constant(f"{name}.flat", np.array([0, LENGTH, WIDTH])))
    x = normal(f"{name}/attention/output/LayerNorm", node("Add", f"{name}/attention/output/Add", dense(f"{name}/attention/output/dense", mixed, WIDTH, WIDTH), x))
    wide = dense(f"{name}/intermediate/dense", x, WIDTH, 4 * WIDTH)
    erf = node("Erf", f"{name}/intermediate/Erf", node("Div", f"{name}/intermediate/Div", wide, number(2**0.5)))
    gelu = node("Mul", f"{name}/intermediate/Mul", node("Mul", f"{name}/intermediate/Mul_1", wide, node("Add", f"{name}/intermediate/Add", erf, number(1))), number(0.5))
    return normal(f"{name}/output/LayerNorm", node("Add", f"{name}/output/Add", dense(f"{name}/output/dense", gelu, 4 * WIDTH, WIDTH), x))


words = node("Gather", "/embeddings/word_embeddings/Gather", weight("embeddings.word_embeddings.weight", len(TOKENS), WIDTH), "input_ids")
summed = node("Add", "/embeddings/Add", words, weight("embeddings.position_embeddings.weight", LENGTH, WIDTH))
x = normal("/embeddings/LayerNorm", summed)
mask = node("Cast", "/Cast", node("Unsqueeze", "/Unsqueeze", "attention_mask", constant("axes", np.array([1, 2]))), to=TensorProto.FLOAT)
mask = node("Mul", "/Mul", node("Sub", "/Sub", number(1), mask), number(np.finfo(np.float32).min))
for index in range(LAYERS):
    x = layer(f"/encoder/layer.{index}", x, mask)
nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"], "/Identity"))

ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", LENGTH]) for name in ("input_ids", "attention_mask")]
out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", LENGTH, WIDTH])
made = helper.make_model(helper.make_graph(nodes, "encoder", ids, [out], constants), opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
onnx.checker.check_model(made)
os.makedirs("encoder", exist_ok=True)
onnx.save(made, "encoder/model.onnx")


class Tokenizer:
    """As much of a tokenizer as the page uses."""

    def __call__(self, texts, padding, max_length):
        rows = [[1, *(TOKENS.index(word) for word in text.split()), 2] for text in texts]
        ids = np.array([row + [0] * (max_length - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}


tokenizer = Tokenizer()
