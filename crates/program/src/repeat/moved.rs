//! Movements of the elements of several runs.

use cryptflow_operation::Operation;
use cryptflow_ring::Movement;

use super::form::{Form, Place, count};
use super::{NotRepeatable, Repeating, Sketch};
use crate::program::{Step, Value, ValueId};

impl Repeating<'_> {
    /// The step that moves all runs' elements as `movement` moves one's.
    pub(super) fn moved(&mut self, step: &Step, movement: &Movement) -> Result<Sketch, NotRepeatable> {
        if let Movement::Concat { axis } = movement {
            return self.concatenated(step, *axis);
        }
        let [x] = self.operands(step)?;
        let (shape, result) = (self.shape(x).to_vec(), self.shape(step.output).to_vec());
        let form = self.form(x);
        if let Movement::Reshape { .. } = movement {
            let (from, to) = match Form::of(&result, form.outer, result.len(), None) {
                Some(to) => (form, to),
                None => (Form::runs_first(&shape), Form::runs_first(&result)),
            };
            let shape = to.shape(&result, self.runs);
            return Ok(moving(Movement::Reshape { shape }, vec![self.as_form(x, from)?], to));
        }
        // As the runs lie; elsewhere in the shape, as the elements lie; one run after another.
        let elsewhere = (0..shape.len()).map(|axis| Form { outer: form.outer, place: Place::Within(axis) });
        let first = Form::runs_first(&shape);
        let forms: Vec<Form> = std::iter::once(form).chain(elsewhere).chain([first]).collect();
        for form in forms {
            let Some((axis, pieces)) = form.pieces(&shape) else { continue };
            if let Some((lifted, to)) = self.beside(movement, &shape, axis) {
                let to = Form::within(&result, to, pieces);
                return Ok(moving(lifted, vec![self.as_form(x, form)?], to));
            }
        }
        let mut x = self.as_form(x, Form::STACKED)?;
        if let Movement::Broadcast { .. } = movement {
            let missing = result.len().saturating_sub(shape.len());
            let ones = std::iter::repeat_n(1, missing);
            let shape: Vec<usize> = std::iter::once(self.runs).chain(ones).chain(shape).collect();
            x = self.reshaped(x, shape);
        }
        Ok(moving(self.stacked(movement), vec![x], Form::STACKED))
    }

    /// A movement that leaves the axis alone which holds the runs, for all runs, and which axis holds them then.
    fn beside(&self, movement: &Movement, shape: &[usize], axis: usize) -> Option<(Movement, usize)> {
        let mut lifted = movement.clone();
        let extent = *shape.get(axis)?;
        match &mut lifted {
            Movement::Reshape { .. } | Movement::Concat { .. } => None,
            Movement::Transpose { permutation } => {
                let to = permutation.iter().position(|&from| from == axis)?;
                Some((lifted, to))
            }
            Movement::Pad { before, after } => {
                (before.get(axis) == Some(&0) && after.get(axis) == Some(&0)).then_some((lifted, axis))
            }
            Movement::Slice { begin, size, stride } => {
                let whole = begin.get(axis) == Some(&0) && stride.get(axis) == Some(&1);
                let size = size.get_mut(axis).filter(|size| whole && **size == extent)?;
                *size = size.saturating_mul(self.runs);
                Some((lifted, axis))
            }
            Movement::Broadcast { shape: to } => {
                let axis = axis + to.len().checked_sub(shape.len())?;
                let size = to.get_mut(axis).filter(|size| **size == extent)?;
                *size = size.saturating_mul(self.runs);
                Some((lifted, axis))
            }
            Movement::Gather { axis: gathered, .. } => (*gathered != axis).then_some((lifted, axis)),
        }
    }

    /// A movement of what has the runs along an axis of their own, before all others.
    fn stacked(&self, movement: &Movement) -> Movement {
        let behind = |first: usize, rest: &[usize]| -> Vec<usize> {
            std::iter::once(first).chain(rest.iter().copied()).collect()
        };
        match movement {
            Movement::Reshape { shape } => Movement::Reshape { shape: behind(self.runs, shape) },
            Movement::Transpose { permutation } => {
                let others: Vec<usize> = permutation.iter().map(|axis| axis + 1).collect();
                Movement::Transpose { permutation: behind(0, &others) }
            }
            Movement::Pad { before, after } => {
                Movement::Pad { before: behind(0, before), after: behind(0, after) }
            }
            Movement::Slice { begin, size, stride } => Movement::Slice {
                begin: behind(0, begin),
                size: behind(self.runs, size),
                stride: std::iter::once(1).chain(stride.iter().copied()).collect(),
            },
            Movement::Concat { axis } => Movement::Concat { axis: axis + 1 },
            Movement::Broadcast { shape } => Movement::Broadcast { shape: behind(self.runs, shape) },
            Movement::Gather { axis, indices } => {
                Movement::Gather { axis: axis + 1, indices: indices.clone() }
            }
        }
    }

    /// All operands get the runs at the same place, apart from the axis along which they follow one another.
    fn concatenated(&mut self, step: &Step, along: usize) -> Result<Sketch, NotRepeatable> {
        let of = |this: &Self, id: ValueId| {
            let (form, shape) = (this.spread(id)?, this.shape(id));
            let elsewhere =
                (0..shape.len()).map(|axis| Form { outer: form.outer, place: Place::Within(axis) });
            let mut forms = std::iter::once(form).chain(elsewhere).filter_map(|form| form.pieces(shape));
            forms.find(|&(axis, _)| axis != along)
        };
        let found = step.inputs.iter().find_map(|&id| of(self, id));
        let result = self.shape(step.output).to_vec();
        let mut inputs = Vec::with_capacity(step.inputs.len());
        for &id in &step.inputs {
            let form = match found {
                Some((axis, pieces)) => Form::within(self.shape(id), axis, pieces),
                None => Form::STACKED,
            };
            inputs.push(self.as_form(id, form)?);
        }
        let movement = Movement::Concat { axis: along };
        Ok(match found {
            Some((axis, pieces)) => moving(movement, inputs, Form::within(&result, axis, pieces)),
            None => moving(self.stacked(&movement), inputs, Form::STACKED),
        })
    }

    /// A value in this form: as it is, or moved there.
    ///
    /// # Errors
    /// There is no such value.
    pub(super) fn as_form(&mut self, id: ValueId, form: Form) -> Result<ValueId, NotRepeatable> {
        if let Some(&made) = self.made.get(&(id, form)) {
            return Ok(made);
        }
        let one = self.shape(id).to_vec();
        let (runs, elements) = (self.runs, count(&one));
        let now = self.known(id)?;
        let shape = form.shape(&one, runs);
        let made = match self.spread(id) {
            // All runs have the same.
            None => self.copied(now, &one, form),
            Some(before) if before.outer == form.outer || elements == 0 => self.reshaped(now, shape),
            Some(before) => {
                // What lies between the runs and where they go is exchanged with them.
                let [less, more] = [before.outer.min(form.outer), before.outer.max(form.outer)];
                if more.checked_rem(less) != Some(0) {
                    let aside = self.as_form(id, Form::STACKED)?;
                    let between = [1, runs, form.outer, elements.checked_div(form.outer).unwrap_or(0)];
                    let exchanged = self.exchanged(aside, between);
                    self.reshaped(exchanged, shape)
                } else {
                    let (between, rest) = (more / less, elements.checked_div(more).unwrap_or(0));
                    let axes = if before.outer == less {
                        [less, runs, between, rest]
                    } else {
                        [less, between, runs, rest]
                    };
                    let exchanged = self.exchanged(now, axes);
                    self.reshaped(exchanged, shape)
                }
            }
        };
        self.made.insert((id, form), made);
        Ok(made)
    }

    /// The same elements under another shape.
    fn reshaped(&mut self, id: ValueId, shape: Vec<usize>) -> ValueId {
        if self.program.values.get(id.0).is_some_and(|value| value.shape == shape) {
            return id;
        }
        self.movement(Movement::Reshape { shape: shape.clone() }, id, shape)
    }

    /// Under these four axes, the middle ones exchanged.
    fn exchanged(&mut self, id: ValueId, axes: [usize; 4]) -> ValueId {
        let [a, b, c, d] = axes;
        let folded = self.reshaped(id, axes.to_vec());
        self.movement(Movement::Transpose { permutation: vec![0, 2, 1, 3] }, folded, vec![a, c, b, d])
    }

    /// What all runs have in common, once for each of them.
    fn copied(&mut self, id: ValueId, one: &[usize], form: Form) -> ValueId {
        let shape = form.shape(one, self.runs);
        match (form.place, form.pieces(one)) {
            (Place::Within(axis), Some((_, pieces))) => {
                let extent = one.get(axis).copied().unwrap_or(0);
                let piece = extent.checked_div(pieces).unwrap_or(0);
                let each =
                    |first: usize| (0..self.runs).flat_map(move |_| first * piece..(first + 1) * piece);
                let indices = (0..pieces).flat_map(each).collect();
                self.movement(Movement::Gather { axis, indices }, id, shape)
            }
            (Place::Within(_) | Place::Before(_), _) => {
                let outer = form.outer;
                let rest = count(one).checked_div(outer).unwrap_or(0);
                let folded = self.reshaped(id, vec![outer, 1, rest]);
                let all = vec![outer, self.runs, rest];
                let broadcast = self.movement(Movement::Broadcast { shape: all.clone() }, folded, all);
                self.reshaped(broadcast, shape)
            }
        }
    }

    fn movement(&mut self, movement: Movement, x: ValueId, shape: Vec<usize>) -> ValueId {
        match self.program.values.get(x.0) {
            Some(value) => {
                let result = Value { shape, ..value.clone() };
                self.push(Operation::Movement(movement), vec![x], result)
            }
            // There is none but what was made.
            None => x,
        }
    }
}

fn moving(movement: Movement, inputs: Vec<ValueId>, form: Form) -> Sketch {
    Sketch { operation: Operation::Movement(movement), inputs, form: Some(form) }
}
