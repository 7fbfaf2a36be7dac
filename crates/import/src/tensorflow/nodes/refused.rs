//! What to say about operations that have no function here.

use crate::table::{self, Advice};

/// Why operations are not supported, and what to do.
const ADVICE: Advice = &[
    (
        "HashTable HashTableV2 MutableHashTableV2 LookupTableFind LookupTableFindV2 LookupTableImport \
         LookupTableImportV2 InitializeTableFromTextFileV2",
        "looks something up in a table. Do that before the input: cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "Enter Exit NextIteration LoopCond \
         TensorListConcatV2 TensorListGather TensorListElementShape \
         TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3 \
         TensorArraySizeV3",
        "is part of a loop, as recurrent layers (LSTM, GRU, RNN) have one over their time steps. Unroll it: build the \
         layer with unroll=True, as in keras.layers.LSTM(units, unroll=True), for sequences of a fixed length, take the \
         trained weights over (set_weights), and export the model again",
    ),
    (
        "RefSwitch RefMerge Where",
        "decides what to compute. Data-dependent control flow would show secrets: export the model for \
         inference (training=False), so that branches on the training phase disappear",
    ),
    (
        "CropAndResize DecodeJpeg DecodePng",
        "prepares pictures. Do that before the input: cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "InTopK InTopKV2 Unique UniqueV2 NonMaxSuppressionV3 NonMaxSuppressionV5",
        "sorts or picks by secret values. End the model before it (--output NAME): the client can do that \
         with what it opens",
    ),
    (
        "RandomUniform RandomStandardNormal TruncatedNormal StatelessRandomUniformV2 Dropout",
        "draws random numbers, as in training. Export the model for inference (training=False)",
    ),
    (
        "QuantizeV2 Dequantize QuantizedConv2D QuantizeAndDequantizeV2",
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

/// What a graph was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A frozen graph.
    Frozen,
    /// A SavedModel, whose functions stand in the places of their calls, and whose variables are
    /// constants.
    SavedModel,
}

/// Operations that keep or read variables.
const VARIABLES: &[&str] = &[
    "VarHandleOp",
    "ReadVariableOp",
    "Variable",
    "VariableV2",
    "AssignVariableOp",
    "VarIsInitializedOp",
    "Assign",
    "RestoreV2",
];

/// What the table says of an operation.
pub(super) fn advice_on(op: &str) -> &'static str {
    table::advice(ADVICE, op)
}

/// What is said of an operation without a row.
pub(in crate::tensorflow) fn advice(op: &str, origin: Origin) -> String {
    match (op, origin) {
        ("PartitionedCall" | "StatefulPartitionedCall" | "RemoteCall" | "SymbolicGradient", _) => {
            function_call("that its attribute f names", origin)
        }
        (op, Origin::Frozen) if VARIABLES.contains(&op) => {
            "keeps or reads a variable, and the file has no values of \
            variables. Give the folder of the SavedModel, which has them; or the graph must be frozen \
            (convert_variables_to_constants_v2)"
                .into()
        }
        (op, Origin::SavedModel) if VARIABLES.contains(&op) => {
            "keeps a variable that is not only read, but given to \
            what uses it (a loop, say). What uses it is refused, too: see what is to be done about that"
                .into()
        }
        (op, _) => advice_on(op).into(),
    }
}

/// About nodes that call a function of the graph's library.
pub(in crate::tensorflow) fn function_call(name: &str, origin: Origin) -> String {
    match origin {
        Origin::Frozen => format!(
            "calls the function {name} of the graph's library. Give the folder of the SavedModel. Or: Inline functions when \
             freezing: convert_variables_to_constants_v2 does so (lower_control_flow=True is its default)"
        ),
        Origin::SavedModel => format!(
            "calls the function {name} in a way in which it cannot be put in the place of its call. Export the model for \
             inference alone: model.export(\"folder\") in Keras, or tf.saved_model.save of a tf.function of it"
        ),
    }
}
