//! The operations that compute, on several runs.

use cryptflow_operation::{Combine, Compare, Linear, MaxPool, Operation, Product, ScalePublic, SumPool};
use cryptflow_ring::LinearMap;

use super::form::{Form, Place, count};
use super::{NotRepeatable, Repeating, Sketch};
use crate::program::{Step, ValueId};

impl Repeating<'_> {
    /// Where the runs lie is of no matter, as long as it is the same for all operands.
    pub(super) fn element_by_element(&mut self, step: &Step) -> Result<Sketch, NotRepeatable> {
        let form = self.first_spread(step);
        let inputs = step.inputs.iter().map(|&id| self.as_form(id, form)).collect::<Result<_, _>>()?;
        Ok(Sketch { operation: step.operation.clone(), inputs, form: Some(form) })
    }

    /// The rows of all runs, or their pictures.
    pub(super) fn linear(&mut self, step: &Step, linear: &Linear) -> Result<Sketch, NotRepeatable> {
        let mut all = linear.clone();
        for term in &mut all.terms {
            term.map = self.of_rows(&term.map);
        }
        // A convolution has four axes, and the runs in the first; the other maps take the last as a row.
        let conv = linear.terms.iter().any(|term| matches!(term.map, LinearMap::Conv2d(_)));
        let shapes = step.inputs.iter().chain([&step.output]).map(|&id| self.shape(id));
        let forms = |outer: usize| -> Option<Vec<Form>> {
            let free = |shape: &[usize]| if conv { 1 } else { shape.len().saturating_sub(1) };
            shapes.clone().map(|shape| Form::of(shape, outer, free(shape), None)).collect()
        };
        let forms = forms(self.first_spread(step).outer).or_else(|| forms(1));
        let mut forms = forms.ok_or_else(|| NotRepeatable::Operands(step.name.clone()))?;
        let form = forms.pop();
        let mut inputs = Vec::with_capacity(step.inputs.len());
        for (&id, form) in step.inputs.iter().zip(forms) {
            inputs.push(self.as_form(id, form)?);
        }
        Ok(Sketch { operation: Operation::Linear(all), inputs, form })
    }

    pub(super) fn product(&mut self, step: &Step, product: &Product) -> Result<Sketch, NotRepeatable> {
        let [x, y] = self.operands(step)?;
        let outer = self.form(x).outer;
        let at_rows = |rows: usize| if rows.checked_rem(outer) == Some(0) { outer } else { 1 };
        let y_in_common = self.spread(y).is_none();
        let (map, [left, right]) = match &product.map {
            // y is a weight then.
            map @ (LinearMap::Scale { .. } | LinearMap::MatMul { .. } | LinearMap::Conv2d(_))
                if y_in_common =>
            {
                (self.of_rows(map), [Some(at_rows(rows_of(map))), None])
            }
            // Each row of x has all of y: within a row, the runs lie as they do in y.
            LinearMap::Scale { rows, channels } => {
                let within = self.form(y).outer;
                let map = LinearMap::Scale { rows: *rows, channels: channels.saturating_mul(self.runs) };
                (map, [Some(rows.saturating_mul(within)), Some(within)])
            }
            LinearMap::MatMul { rows, inner, columns } => {
                let [rows, inner, columns] = [*rows, *inner, *columns];
                (LinearMap::BatchMatMul { batch: self.runs, rows, inner, columns }, [Some(1); 2])
            }
            LinearMap::BatchMatMul { batch, rows, inner, columns } => {
                let outer = at_rows(*batch);
                let [rows, inner, columns] = [*rows, *inner, *columns];
                let batch = batch.saturating_mul(self.runs);
                (LinearMap::BatchMatMul { batch, rows, inner, columns }, [Some(outer); 2])
            }
            LinearMap::Conv2d(_) => return Err(NotRepeatable::Convolution(step.name.clone())),
        };
        let mut inputs = Vec::with_capacity(2);
        for (id, outer) in [(x, left), (y, right)] {
            inputs.push(match outer {
                Some(outer) => {
                    let form = self.any_form(id, outer);
                    self.as_form(id, form)?
                }
                None => self.known(id)?,
            });
        }
        let outer = left.unwrap_or(1);
        let result = self.shape(step.output);
        let form = Form::of(result, outer, result.len(), None);
        let form = form.unwrap_or(Form { outer, place: Place::Within(0) });
        Ok(Sketch {
            operation: Operation::Product(Product { map, ..product.clone() }),
            inputs,
            form: Some(form),
        })
    }

    /// Thresholds come before all axes.
    pub(super) fn compare(&mut self, step: &Step, compare: &Compare) -> Result<Sketch, NotRepeatable> {
        let [x] = self.operands(step)?;
        let form = self.form(x);
        let outer = form.outer.saturating_mul(compare.thresholds.len());
        let result = Form { outer, place: form.place.behind(1) };
        Ok(Sketch {
            operation: step.operation.clone(),
            inputs: vec![self.as_form(x, form)?],
            form: Some(result),
        })
    }

    /// Combinations are made along the first axis, which may be missing where there is one of it; the runs
    /// are behind it.
    pub(super) fn combine(&mut self, step: &Step, combine: &Combine) -> Result<Sketch, NotRepeatable> {
        let [x] = self.operands(step)?;
        let (shape, result) = (self.shape(x), self.shape(step.output));
        let (columns, rows) = (combine.columns(), combine.offsets.len());
        let rest = |shape: &'_ [usize], first: usize| {
            let behind =
                shape.split_first().filter(|(n, _)| **n == first).map(|(_, rest)| (1, rest.to_vec()));
            behind.into_iter().chain((first == 1).then(|| (0, shape.to_vec()))).collect::<Vec<_>>()
        };
        let after = rest(result, rows);
        let both = rest(shape, columns).into_iter().find_map(|(skipped, rest)| {
            let (kept, _) = after.iter().find(|(_, other)| *other == rest)?;
            Some((skipped, *kept, rest))
        });
        let (skipped, kept, rest) = both.ok_or_else(|| NotRepeatable::Operands(step.name.clone()))?;
        let now = self.form(x);
        let outer =
            now.outer.checked_div(columns).filter(|outer| outer.checked_mul(columns) == Some(now.outer));
        let found = outer.and_then(|outer| Form::of(&rest, outer, rest.len(), now.place.without(skipped)));
        let form = found.unwrap_or(Form::runs_first(&rest));
        let at = |first: usize, skipped: usize| Form {
            outer: form.outer.saturating_mul(first),
            place: form.place.behind(skipped),
        };
        let inputs = vec![self.as_form(x, at(columns, skipped))?];
        Ok(Sketch { operation: step.operation.clone(), inputs, form: Some(at(rows, kept)) })
    }

    /// Factors go with the last axes: with those behind the runs, or they are there once for each.
    pub(super) fn scale_public(
        &mut self,
        step: &Step,
        public: &ScalePublic,
    ) -> Result<Sketch, NotRepeatable> {
        let [x] = self.operands(step)?;
        let (shape, n) = (self.shape(x), public.factors.len());
        for form in [self.form(x), Form::runs_first(shape)] {
            let behind = count(shape).checked_div(form.outer).unwrap_or(0);
            let all = form.shape(shape, self.runs);
            let ends = |n: usize| (0..all.len()).any(|axis| count(all.get(axis..).unwrap_or_default()) == n);
            let factors = if n == 1 || (behind.checked_rem(n) == Some(0) && ends(n)) {
                public.factors.clone()
            } else if n.checked_rem(behind) == Some(0) && ends(n.saturating_mul(self.runs)) {
                let pieces = public.factors.chunks(behind.max(1));
                pieces.flat_map(|piece| piece.repeat(self.runs)).collect()
            } else {
                continue;
            };
            let operation = Operation::ScalePublic(ScalePublic { factors, ..public.clone() });
            return Ok(Sketch { operation, inputs: vec![self.as_form(x, form)?], form: Some(form) });
        }
        Err(NotRepeatable::Operands(step.name.clone()))
    }

    pub(super) fn max_pool(&mut self, step: &Step, pool: &MaxPool) -> Result<Sketch, NotRepeatable> {
        let input = self.pictures(pool.input);
        self.windows(step, Operation::MaxPool(MaxPool { input, ..pool.clone() }))
    }

    pub(super) fn sum_pool(&mut self, step: &Step, pool: &SumPool) -> Result<Sketch, NotRepeatable> {
        let input = self.pictures(pool.input);
        self.windows(step, Operation::SumPool(SumPool { input, ..pool.clone() }))
    }

    /// Pictures of all runs.
    fn pictures(&self, [batch, height, width, channels]: [usize; 4]) -> [usize; 4] {
        [batch.saturating_mul(self.runs), height, width, channels]
    }

    fn windows(&mut self, step: &Step, operation: Operation) -> Result<Sketch, NotRepeatable> {
        let [x] = self.operands(step)?;
        let outer = self.form(x).outer;
        let form = |shape: &[usize]| Form::of(shape, outer, 1, None).unwrap_or(Form::runs_first(shape));
        let inputs = vec![self.as_form(x, form(self.shape(x)))?];
        Ok(Sketch { operation, inputs, form: Some(form(self.shape(step.output))) })
    }

    /// The form of the first operand that has the runs.
    fn first_spread(&self, step: &Step) -> Form {
        step.inputs.iter().find_map(|&id| self.spread(id)).unwrap_or(Form::STACKED)
    }

    /// A form of so many pieces, wherever the shape has the runs: the one that the value has, if it is one.
    fn any_form(&self, id: ValueId, outer: usize) -> Form {
        let (shape, now) = (self.shape(id), self.spread(id));
        let now = now.filter(|form| form.outer == outer).map(|form| form.place);
        let form = Form::of(shape, outer, shape.len(), now);
        // Where no axis can have them, it is folded for the step.
        form.unwrap_or(Form { outer, place: Place::Within(0) })
    }

    /// The map of all runs' rows with the same weights.
    fn of_rows(&self, map: &LinearMap) -> LinearMap {
        let mut all = map.clone();
        match &mut all {
            LinearMap::MatMul { rows, .. } | LinearMap::Scale { rows, .. } => {
                *rows = rows.saturating_mul(self.runs);
            }
            LinearMap::BatchMatMul { batch, .. } => *batch = batch.saturating_mul(self.runs),
            LinearMap::Conv2d(conv) => conv.batch = conv.batch.saturating_mul(self.runs),
        }
        all
    }
}

/// What a map does one after another with the same weights.
fn rows_of(map: &LinearMap) -> usize {
    match map {
        LinearMap::MatMul { rows, .. } | LinearMap::Scale { rows, .. } => *rows,
        LinearMap::BatchMatMul { batch, .. } => *batch,
        LinearMap::Conv2d(conv) => conv.batch,
    }
}
