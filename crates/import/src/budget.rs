//! How much importing may make of a file. Small files can say a lot: a constant of one number and a
//! large shape, a chain of nodes that each double the one before, a product of two large constants.

use super::value::{Fault, Ints, fits};
use cryptflow_graph::{Graph, Op};

/// A result that is known while importing, and larger than what it is made of, has at most so many
/// elements.
pub(super) const MAX_GROWN: usize = 1 << 24;

/// The elements of a shape, or why no constant of that shape is made of less.
pub(super) fn check_made(shape: &[usize]) -> Result<usize, Fault> {
    let n = fits(shape)?;
    if n > MAX_GROWN {
        return Err(format!("makes a constant of {n} elements: too many").into());
    }
    Ok(n)
}

/// What may still be made of a file.
#[derive(Debug)]
pub(super) struct Budget {
    /// Elements of constants.
    elements: usize,
    /// Multiplications and the like, to compute constants.
    work: usize,
}

impl Budget {
    /// The budget of a file of so many bytes: 256 MiB of constants (as f32) and 64 bytes for each
    /// of the file's; seconds of work, and a thousand steps for each byte.
    pub(super) fn of_file(length: usize) -> Budget {
        Budget {
            elements: (1 << 26) + length.saturating_mul(16),
            work: (1 << 32) + length.saturating_mul(1 << 10),
        }
    }

    /// Adds what so many elements justify, which lie in a file of their own.
    pub(super) fn add_elements(&mut self, elements: usize) {
        self.elements = self.elements.saturating_add(elements.saturating_mul(16));
        self.work = self.work.saturating_add(elements.saturating_mul(1 << 10));
    }

    /// Takes the elements of a node's results: `ints`, and the constants that came to `graph`
    /// behind its first `before` nodes.
    pub(super) fn take_results<'a>(
        &mut self,
        graph: &Graph,
        before: usize,
        ints: impl Iterator<Item = &'a Ints>,
    ) -> Result<(), Fault> {
        let constants = graph.nodes.iter().skip(before).map(|node| match &node.op {
            Op::Constant(array) => array.data.len(),
            // What computes holds nothing.
            _ => 0,
        });
        // Integers are of 64 bits.
        let made = constants.sum::<usize>() + ints.map(|i| 2 * i.data.len()).sum::<usize>();
        self.elements = self.elements.checked_sub(made).ok_or(
            "makes more of constants than the file's size justifies: with it, the known values of the graph take over 256 MiB, \
             and over 64 bytes for each byte of the file. Is the model damaged? If not, make the large constant an input",
        )?;
        Ok(())
    }

    /// Takes the work of an operation on constants of these shapes, with a result of `elements`
    /// elements.
    pub(super) fn take_evaluation(
        &mut self,
        op: &Op,
        shapes: &[&[usize]],
        elements: usize,
    ) -> Result<(), Fault> {
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let given: usize = shapes.iter().map(|s| size(s)).sum();
        if elements > MAX_GROWN.max(given) {
            return Err(format!("its result is a constant of {elements} elements: too many").into());
        }
        let each = op.work(shapes, elements);
        self.take_work(elements.saturating_mul(each).saturating_add(given))
    }

    /// Takes so much work.
    pub(super) fn take_work(&mut self, work: usize) -> Result<(), Fault> {
        self.work = self.work.checked_sub(work).ok_or(
            "computes on constants for longer than the file's size justifies. Is the model damaged? If not, let TensorFlow compute \
             it: freeze the graph again with constant folding",
        )?;
        Ok(())
    }
}
