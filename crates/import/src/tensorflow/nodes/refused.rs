//! What to say about operations that have no function here.

use crate::table::{self, Advice};

/// Why operations are not supported, and what to do.
const ADVICE: Advice = &[
    (
        "VarHandleOp ReadVariableOp Variable VariableV2 AssignVariableOp ResourceGather VarIsInitializedOp \
         Assign RestoreV2 HashTableV2 LookupTableFindV2",
        "keeps or reads a variable or a table. Give the folder of the SavedModel, which has the variables' \
         values; or the graph must be frozen (convert_variables_to_constants_v2). Tables and look-ups by \
         an input are not supported",
    ),
    (
        "Switch Merge RefSwitch Enter Exit NextIteration LoopCond If StatelessIf While StatelessWhile Case \
         Where",
        "decides what to compute. Data-dependent control flow would show secrets: freeze the graph for \
         inference, so that branches on the training phase disappear, and unroll loops",
    ),
    (
        "ResizeBicubic ResizeArea CropAndResize DecodeJpeg DecodePng",
        "prepares pictures. Do that before the input: cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "InTopK InTopKV2 Unique UniqueV2 NonMaxSuppressionV3 NonMaxSuppressionV5",
        "sorts or picks by secret values. End the model before it (--output NAME): the client can do that \
         with what it opens",
    ),
    (
        "RandomUniform RandomStandardNormal TruncatedNormal StatelessRandomUniformV2 Dropout",
        "draws random numbers, as in training. Freeze the graph for inference (training=False)",
    ),
    (
        "QuantizeV2 Dequantize FakeQuantWithMinMaxVars FakeQuantWithMinMaxArgs QuantizedConv2D \
         FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2",
        "belongs to a quantised model. Export the float model: CrypTFlow chooses its own fixed point",
    ),
    (
        "_FusedConv2D _FusedMatMul _FusedBatchNormEx",
        "was made by TensorFlow's own optimiser. Export the graph before it is optimised",
    ),
    (
        "IteratorGetNext IteratorV2 QueueDequeueV2 FIFOQueueV2 ParseExample ParseExampleV2",
        "reads the data. Cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "",
        "there is no such operation here. If it prepares the input, cut the graph behind it with --input \
         NAME=SHAPE; if it comes after the logits, end the graph there with --output NAME",
    ),
];

/// What is said of an operation without a row.
pub(in crate::tensorflow) fn advice(op: &str) -> String {
    match op {
        "PartitionedCall" | "StatefulPartitionedCall" | "RemoteCall" | "SymbolicGradient" => {
            function_call("that its attribute f names")
        }
        _ => table::advice(ADVICE, op).into(),
    }
}

/// About nodes that call a function of the graph's library.
pub(in crate::tensorflow) fn function_call(name: &str) -> String {
    format!(
        "calls the function {name} of the graph's library. Give the folder of the SavedModel. Or: Inline functions when \
         freezing: convert_variables_to_constants_v2 does so (lower_control_flow=True is its default)"
    )
}
