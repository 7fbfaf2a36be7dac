//! Weights in fixed point, each rounded once for each scale at which it is used. Biases that are the same
//! integers are one weight as well. The integers of a weight are made when they are asked for: those of a large model take
//! twice the memory of its floats.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use cryptflow_program::{Weight, WeightId};
use rayon::prelude::*;

use crate::fix::planned::plan::Plan;
use crate::fix::units::exp2;

/// What the integers of a weight are made of.
#[derive(Clone, Debug)]
enum Source {
    /// A weight of the plan, with so many fractional bits.
    Filter { index: usize, scale: u32 },
    /// These integers.
    Bias(Vec<i64>),
}

impl Source {
    fn integers(&self, floats: impl Fn(usize) -> Option<Arc<Vec<f32>>>) -> Vec<i64> {
        match self {
            Source::Filter { index, scale } => {
                let (data, unit) = (floats(*index).unwrap_or_default(), exp2(*scale));
                data.par_iter().map(|&w| (f64::from(w) * unit).round() as i64).collect()
            }
            Source::Bias(integers) => integers.clone(),
        }
    }
}

/// The integers of all weights of a program, by id.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    plan: Rc<Plan>,
    sources: Vec<Source>,
}

impl Numbers {
    /// One weight after another.
    pub(crate) fn each(&self) -> impl Iterator<Item = Vec<i64>> + '_ {
        let floats = |index: usize| self.plan.weights.get(index).map(|weight| weight.data.clone());
        self.sources.iter().map(move |source| source.integers(floats))
    }

    /// All of them. Of floats that nobody else holds, each weight's go when its integers are made.
    pub(crate) fn into_all(self) -> Vec<Vec<i64>> {
        let Numbers { plan, sources } = self;
        let mut floats: Vec<Option<Arc<Vec<f32>>>> = match Rc::try_unwrap(plan) {
            Ok(plan) => plan.weights.into_iter().map(|weight| Some(weight.data)).collect(),
            Err(plan) => plan.weights.iter().map(|weight| Some(weight.data.clone())).collect(),
        };
        let mut uses = vec![0usize; floats.len()];
        let index = |source: &Source| match source {
            Source::Filter { index, .. } => Some(*index),
            Source::Bias(_) => None,
        };
        sources.iter().filter_map(index).for_each(|index| uses[index] += 1);
        // Twins of the same floats share them; what no weight is made of goes at once.
        floats.iter_mut().zip(&uses).filter(|(_, uses)| **uses == 0).for_each(|(floats, _)| *floats = None);
        let mut all = Vec::with_capacity(sources.len());
        for source in sources {
            all.push(source.integers(|index| floats.get(index).cloned().flatten()));
            if let Some(index) = index(&source) {
                uses[index] -= 1;
                if uses[index] == 0 {
                    floats[index] = None;
                }
            }
        }
        all
    }
}

pub(crate) struct Weights {
    plan: Rc<Plan>,
    declared: Vec<Weight>,
    sources: Vec<Source>,
    known: HashMap<(usize, u32), WeightId>,
    /// Biases, by what they hold.
    biases: HashMap<u64, Vec<WeightId>>,
}

impl Weights {
    pub(crate) fn new(plan: &Rc<Plan>) -> Weights {
        Weights {
            plan: plan.clone(),
            declared: Vec::new(),
            sources: Vec::new(),
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
        let declared = Weight { name: weight.name.clone(), shape: weight.shape.clone(), scale };
        let id = self.push(declared, Source::Filter { index, scale });
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
        let same = |id: &WeightId| {
            let there = self.sources.get(id.0);
            self.declared[id.0].scale == scale && matches!(there, Some(Source::Bias(there)) if *there == data)
        };
        if let Some(there) = alike.into_iter().find(same) {
            return there;
        }
        let id = self.push(
            Weight { name: format!("{name}/bias"), shape: vec![bias.len()], scale },
            Source::Bias(data),
        );
        self.biases.entry(hash).or_default().push(id);
        id
    }

    fn push(&mut self, weight: Weight, source: Source) -> WeightId {
        self.declared.push(weight);
        self.sources.push(source);
        WeightId(self.sources.len() - 1)
    }

    pub(crate) fn finish(self) -> (Vec<Weight>, Numbers) {
        (self.declared, Numbers { plan: self.plan, sources: self.sources })
    }
}
