//! What decides by its operands, and does not change with them but there.

use cryptflow_graph::{Arithmetic, Op};

/// Whether an operation's result jumps: a comparison, the place of what is largest, what is rounded to
/// integers.
pub(crate) fn decides(op: &Op) -> bool {
    match op {
        Op::Arithmetic(Arithmetic::Compare(_)) | Op::Order(_) => true,
        Op::Function(function) => function.jumps(),
        Op::Input
        | Op::Constant(_)
        | Op::Identity
        | Op::Linear(_)
        | Op::Arithmetic(_)
        | Op::Activation(_)
        | Op::Pool(_)
        | Op::Reduce(_)
        | Op::Movement(_) => false,
    }
}
