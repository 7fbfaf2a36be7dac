//! What to say about operators that have no function here.

use crate::table::Advice;

/// Why operators are not supported, and what to do.
pub(in crate::onnx) const ADVICE: Advice = &[
    (
        "SequenceMap",
        "is a loop, for which there is no rule here. Unroll it: export the model with fixed lengths \
         (torch.onnx.export of a traced model does so), or simplify it with onnxsim",
    ),
    (
        "SwiGLU LinearAttention FlexAttention CausalConvWithState",
        "is one of the newer operators, for which there is no rule here. Export the model with opset 22 or \
         earlier: it is written out then, with MatMul and Softmax",
    ),
    (
        "SequenceAt SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceLength \
         SplitToSequence ConcatFromSequence Optional OptionalHasElement OptionalGetElement",
        "works on a list of tensors, and only tensors are supported. Split and Concat work on tensors",
    ),
    (
        "StringNormalizer StringConcat StringSplit RegexFullMatch TfIdfVectorizer \
         CategoryMapper DictVectorizer",
        "works on text. Do that before the input: cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "ImageDecoder AffineGrid RoiAlign MaxRoiPool MelWeightMatrix HannWindow \
         HammingWindow BlackmanWindow",
        "prepares data or samples by computed places, for which there is no rule here. If it prepares the \
         input, do that before: cut the graph behind it with --input NAME=SHAPE",
    ),
    (
        "NonMaxSuppression Unique",
        "gives a result whose length depends on the values, which would show them. End the model before it \
         (--output NAME): the client can go on with what it opens",
    ),
    (
        "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial",
        "draws random numbers, as in training. Export the model for inference",
    ),
    (
        "Adam Adagrad Momentum Gradient SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss",
        "belongs to training. Export the model for inference, and end it at its logits with --output NAME",
    ),
    (
        "BitShift BitwiseNot BitCast",
        "works on the bits of integers, which are not there in fixed point. Write it with arithmetic",
    ),
    ("Det", "is a determinant, for which there is no rule here. End the model before it with --output NAME"),
    ("MaxUnpool", "needs the places of maxima, which would show secrets. Up-sample with Resize in its place"),
    (
        "",
        "there is no such operator here. If it prepares the input, cut the graph behind it with --input \
         NAME=SHAPE; if it comes after the logits, end the graph there with --output NAME",
    ),
];

/// What is said of operators that are not ONNX's own.
pub(in crate::onnx) fn foreign(domain: &str) -> String {
    let more = match domain {
        "com.microsoft" | "com.microsoft.nchwc" => {
            "of ONNX Runtime, which its optimiser and its quantisation make. Give the model as it was exported, before they \
             changed it"
        }
        "ai.onnx.training" | "ai.onnx.preview.training" => "of training. Export the model for inference",
        _ => {
            "which are not ONNX's own. Export the model with ONNX's operators only, or with these as functions of the model"
        }
    };
    format!("belongs to the operators {domain:?}, {more}")
}
