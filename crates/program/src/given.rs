//! What a client is given for an input, and the integers that it makes of it.

use crate::program::{Input, Program};

impl Input {
    /// The shape of what is given for it; nothing where the program has no value for it.
    pub fn given_shape<'a>(&self, program: &'a Program) -> Option<&'a [usize]> {
        let shape = program.values.get(self.value.0)?.shape.as_slice();
        match self.classes {
            Some(_) => shape.split_last().map(|(_, ids)| ids),
            None => Some(shape),
        }
    }

    /// Numbers as the integers that parties compute on, to the nearest at this scale, columns times their
    /// factors; ids as rows, with a one at their place. What does not fit is cut off, and an id that there is
    /// not has a row of zeros: the reader of inputs has refused both already.
    pub fn integers(&self, given: &[f32], scale: u32) -> Vec<i64> {
        let unit = f64::from(scale).exp2();
        match (self.classes, self.factors.as_slice()) {
            (Some(classes), _) => one_hot(given, classes),
            (None, []) => given.iter().map(|&v| (f64::from(v) * unit).round() as i64).collect(),
            (None, factors) => {
                let products = given.iter().zip(factors.iter().cycle());
                products.map(|(&v, f)| (f64::from(v) * f * unit).round() as i64).collect()
            }
        }
    }
}

fn one_hot(ids: &[f32], classes: usize) -> Vec<i64> {
    let mut rows = vec![0; ids.len() * classes];
    for (&id, row) in ids.iter().zip(rows.chunks_mut(classes.max(1))) {
        if let Some(one) = (id >= 0.0).then(|| row.get_mut(id as usize)).flatten() {
            *one = 1;
        }
    }
    rows
}
