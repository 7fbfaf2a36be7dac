//! Weights in fixed point, each rounded once for each scale at which it is used. Biases that are the same
//! integers are one weight as well.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use cryptflow_program::{Weight, WeightId};
use rayon::prelude::*;

use crate::fix::planned::plan::Plan;
use crate::fix::units::exp2;

pub(crate) struct Weights<'a> {
    plan: &'a Plan,
    declared: Vec<Weight>,
    data: Vec<Vec<i64>>,
    known: HashMap<(usize, u32), WeightId>,
    /// Biases, by what they hold.
    biases: HashMap<u64, Vec<WeightId>>,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Weights<'a> {
        Weights {
            plan,
            declared: Vec::new(),
            data: Vec::new(),
            known: HashMap::new(),
            biases: HashMap::new(),
        }
    }

    /// Weight `index` of the plan with so many fractional bits.
    pub(crate) fn filter(&mut self, index: usize, scale: u32) -> WeightId {
        if let Some(&id) = self.known.get(&(index, scale)) {
            return id;
        }
        let weight = &self.plan.weights[index];
        let unit = exp2(scale);
        let data = weight.data.par_iter().map(|&w| (f64::from(w) * unit).round() as i64).collect();
        let id = self.push(Weight { name: weight.name.clone(), shape: weight.shape.clone(), scale }, data);
        self.known.insert((index, scale), id);
        id
    }

    /// A bias with so many fractional bits: those of the products.
    pub(crate) fn bias(&mut self, name: &str, bias: &[f64], scale: u32) -> WeightId {
        let unit = exp2(scale);
        let data: Vec<i64> = bias.iter().map(|b| (b * unit).round() as i64).collect();
        let mut hasher = DefaultHasher::new();
        (scale, &data).hash(&mut hasher);
        let hash = hasher.finish();
        let alike = self.biases.get(&hash).into_iter().flatten().copied();
        let same = |id: &WeightId| self.declared[id.0].scale == scale && self.data[id.0] == data;
        if let Some(there) = alike.into_iter().find(same) {
            return there;
        }
        let id = self.push(Weight { name: format!("{name}/bias"), shape: vec![bias.len()], scale }, data);
        self.biases.entry(hash).or_default().push(id);
        id
    }

    fn push(&mut self, weight: Weight, data: Vec<i64>) -> WeightId {
        self.declared.push(weight);
        self.data.push(data);
        WeightId(self.data.len() - 1)
    }

    pub(crate) fn finish(self) -> (Vec<Weight>, Vec<Vec<i64>>) {
        (self.declared, self.data)
    }
}
