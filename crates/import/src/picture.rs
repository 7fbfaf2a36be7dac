//! Pictures: in the graph their channels come last, and in models they may come second.

use cryptflow_ring::Movement;

use crate::builder::Builder;
use crate::node::{Message, Node, Results, Value};
use crate::value::Fault;
use cryptflow_graph::{Linear, NodeId};

/// Where a node keeps its axes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    /// Batch, spatial axes, channels.
    ChannelsLast,
    /// Batch, channels, spatial axes.
    ChannelsFirst,
}

/// A transpose of the axes behind the batch.
fn turned(rank: usize, turn: impl FnOnce(&mut [usize])) -> Movement {
    let mut permutation: Vec<usize> = (0..rank).collect();
    match permutation.as_mut_slice() {
        [_, rest @ ..] if !rest.is_empty() => turn(rest),
        _ => {}
    }
    Movement::Transpose { permutation }
}

impl<M: Message> Node<'_, M> {
    /// An operand with its channels last.
    pub(crate) fn channels_last(&mut self, x: NodeId, format: Format) -> Result<NodeId, Fault> {
        match format {
            Format::ChannelsLast => Ok(x),
            Format::ChannelsFirst => {
                let movement = turned(self.shape(x).len(), |axes| axes.rotate_left(1));
                self.move_part("channels_last", movement, x)
            }
        }
    }

    /// A result with channels last, in the node's order of axes.
    pub(crate) fn in_format(&mut self, x: NodeId, format: Format) -> Results {
        Ok(vec![Value::Tensor(match format {
            Format::ChannelsLast => x,
            Format::ChannelsFirst => {
                let movement = turned(self.shape(x).len(), |axes| axes.rotate_right(1));
                self.add(movement, &[x])?
            }
        })])
    }

    /// Composes this node's result, with channels last.
    pub(crate) fn before_result(&mut self, format: Format) -> Builder<'_> {
        let name = match format {
            Format::ChannelsLast => self.name.clone(),
            Format::ChannelsFirst => format!("{}/result", self.name),
        };
        self.under(name)
    }

    /// Normalises a picture with channels last by the constants that operands 1 to 4 are. What comes
    /// before the result is called `part`.
    pub(crate) fn normalised(&mut self, x: NodeId, epsilon: f32, format: Format, part: &str) -> Results {
        let mut inputs = vec![x];
        for i in 1..5 {
            let vector = self.reals(i)?;
            if self.constant_of(vector).is_none() {
                return Err(format!("operand {i} is not constant: export the model for inference").into());
            }
            inputs.push(vector);
        }
        let part = (format == Format::ChannelsFirst).then_some(part);
        let y = self.add_part_or_result(part, Linear::BatchNorm { epsilon }, &inputs)?;
        self.in_format(y, format)
    }

    /// A filter, which must be constant, with so many axes beside those of its channels.
    pub(crate) fn filter(&mut self, i: usize, axes: usize) -> Result<NodeId, Fault> {
        let filter = self.reals(i)?;
        if self.constant_of(filter).is_none() {
            return Err("its filter is computed from an input. Only constant filters are supported: export the model for \
                        inference, with its weights as constants"
                .into());
        }
        let of = self.shape(filter);
        if of.len() != axes + 2 {
            return Err(format!("its filter {of:?} does not go with a picture of {axes} axes").into());
        }
        Ok(filter)
    }
}
