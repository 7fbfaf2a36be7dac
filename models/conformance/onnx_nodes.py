#!/usr/bin/env python3
"""Collects the node tests of the ONNX package into one file, for crates/cryptflow/tests/onnx_nodes.rs.

    pip install onnx
    models/conformance/onnx_nodes.py FILE             # all of them; then CRYPTFLOW_ONNX_NODES=FILE cargo test …
    models/conformance/onnx_nodes.py --subset         # those that are committed

The file is a protocol buffer: `repeated Case case = 1`, and a Case is

    string name = 1; bytes model = 2;
    repeated TensorProto input = 3;     as the test has them
    repeated TensorProto value = 4;     the inputs as floats of single precision
    repeated TensorProto output = 5;    what must come out, as floats of single precision
    string skip = 6;                    why the test is none for tensors of numbers
    uint64 short = 7;                   1: computed in fewer bits than single precision

Only length-delimited fields and one number: it is written here by hand.
"""

import pathlib
import sys
import warnings

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

SUBSET = pathlib.Path(__file__).parents[2] / "crates/cryptflow/tests/data/onnx_nodes.pb"

# One or two of each family, the smallest that show something.
COMMITTED = """
abs acos argmax_keepdims_random averagepool_2d_ceil batchnorm_example basic_conv_with_padding cast_FLOAT_to_FLOAT16
clip_example compress_1 concat_2d_axis_1 constant_pad conv_with_strides_and_asymmetric_padding cumsum_1d div_bcast
edge_pad einsum_batch_matmul einsum_transpose exp expand_dim_changed flatten_axis2 gather_1 gather_elements_1 gathernd_example_int32
gelu_tanh_1 gemm_default_matrix_bias gemm_transposeB globalaveragepool greater_bcast hardswish instancenorm_example
layer_normalization_2d_axis1 leakyrelu logsoftmax_axis_1 matmul_3d max_float32 maxpool_2d_dilations mean_example
pow_bcast_scalar prelu_broadcast reduce_l2_keep_dims_example reduce_log_sum_exp_default_axes_keepdims_example
reduce_prod_do_not_keepdims_example reflect_pad reshape_negative_dim resize_downsample_scales_linear
resize_upsample_sizes_nearest_floor_align_corners scatternd shape_example sigmoid slice_neg_steps softmax_axis_1
split_variable_parts_1d_opset18 squeeze sub_bcast tanh tile top_k transpose_all_permutations_3 tril unsqueeze_two_axes
where_example xor2d dequantizelinear_axis quantizelinear qlinearmatmul_2D_uint8_float32 matmulinteger attention_3d attention_4d_causal rotary_embedding
col2im_pads gridsample_border_padding gridsample_bicubic dft_axis_opset19 stft scatternd_add scatter_elements_with_reduction_max
""".split()


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def unfit(values):
    """Why these are no tensors of numbers."""
    for value in values:
        if isinstance(value, TensorProto):
            value = numpy_helper.to_array(value)
        if not isinstance(value, np.ndarray) and not np.isscalar(value):
            return "lists and optional values"
        kind = np.asarray(value).dtype.kind
        if kind in "OUS":
            return "text"
        if kind == "c":
            return "complex numbers"
    return ""


# ONNX's reference implementation divides by the length before it is cut to a whole number; ONNX's text and ONNX Runtime take the whole one, as the importer does.
OTHERWISE = {f"test_resize_downsample_scales_{mode}_align_corners": "corners that are not aligned" for mode in ("linear", "cubic")}


def numbers(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def floats(name, value):
    return numpy_helper.from_array(numbers(value).astype(np.float32), name).SerializeToString()


def original(name, value):
    if isinstance(value, TensorProto):
        named = TensorProto.FromString(value.SerializeToString())
        named.name = name
        return named.SerializeToString()
    value = np.asarray(value)
    try:
        return numpy_helper.from_array(value, name).SerializeToString()
    except Exception:
        return numpy_helper.from_array(value.astype(np.float32), name).SerializeToString()


def encoded(case):
    inputs, outputs = case.data_sets[0]
    graph = case.model.graph
    fields = field(1, case.name) + field(2, case.model.SerializeToString(deterministic=True))
    reason = unfit([*inputs, *outputs]) or OTHERWISE.get(case.name, "")
    if {node.op_type for node in graph.node} & {"IsNaN", "IsInf"}:
        reason = "inputs that are not finite"
    if reason:
        return fields + field(6, reason)
    for info, value in zip(graph.input, inputs):
        fields += field(3, original(info.name, value)) + field(4, floats(info.name, value))
    for info, value in zip(graph.output, outputs):
        fields += field(5, floats(info.name, value))
    arrays = [numbers(v) for v in [*inputs, *outputs]]
    if any(a.dtype == np.float16 or a.dtype.kind == "V" or "float" in a.dtype.name and a.dtype.itemsize < 4 for a in arrays):
        fields += varint(7 << 3) + varint(1)
    return fields


def main():
    warnings.filterwarnings("ignore")
    np.random.seed(0)
    cases = [c for c in collect_testcases() if c.data_sets]
    path = pathlib.Path(sys.argv[1])
    if sys.argv[1] == "--subset":
        path = SUBSET
        wanted = {f"test_{name}" for name in COMMITTED}
        cases = [c for c in cases if c.name in wanted]
        missing = wanted - {c.name for c in cases}
        if missing:
            sys.exit(f"no such tests: {sorted(missing)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for case in sorted(cases, key=lambda c: c.name):
            file.write(field(1, encoded(case)))
    print(f"{len(cases)} tests, {path.stat().st_size} bytes: {path}")


if __name__ == "__main__":
    main()
