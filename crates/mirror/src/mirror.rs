//! A party of Mirror: the [`Protocol`] trait, each operation handed to the step that computes it.

use cryptflow_mpc::keys::{Keys, Scope, Variant};
use cryptflow_mpc::turn::alone;
use cryptflow_mpc::{Cost, Definition, Error, Operand, Operands, Party, Protocol};
use cryptflow_operation::{Bounds, Operation, Rectifier};
use cryptflow_ring::pack::pack;
use cryptflow_ring::{Movement, Window, Words, pool};
use cryptflow_wire::Links;

use crate::MirrorDefinition;
use crate::session::Session;
use crate::share::{
    Expanded, Masked, MirroredWeight, Part, WeightPart, expand, mirrored, read_part, read_weight, unpacked,
};
use crate::tuning::Tuning;

/// What keys are derived for.
pub(crate) fn variant(parameters: &[u64]) -> Variant<'_> {
    Variant { name: MirrorDefinition::FACTS.name, parameters }
}

/// P0 and P1 evaluate, P2 helps.
pub(crate) const PARTIES: usize = 3;

/// A party of the Mirror protocol, in a session of its own.
pub struct Mirror {
    pub(crate) session: Session,
    /// The run is dealt ahead: inputs are masked anew.
    pub(crate) ahead: bool,
    start: Cost,
}

impl Mirror {
    /// Begins a session: agrees on fresh pairwise keys over the links, which must be authenticated
    /// and confidential.
    pub fn new(links: Links, scope: &Scope, tuning: Tuning) -> Result<Mirror, Error> {
        let keys = Keys::agree(&links, scope, &variant(&tuning.parameters()))?;
        Mirror::insecure_with_keys(links, keys, scope.ring_bits, tuning)
    }

    /// A party of a session over Z_2^ring_bits, with keys that were not agreed on in it. Keys must
    /// never serve twice, and all parties must have the same ring and tuning.
    pub fn insecure_with_keys(
        links: Links,
        keys: Keys,
        ring_bits: u32,
        tuning: Tuning,
    ) -> Result<Mirror, Error> {
        if !(2..=64).contains(&ring_bits) {
            return Err(Error::Range { operation: "session", reason: format!("a ring of {ring_bits} bits") });
        }
        tuning.check()?;
        if links.parties() != PARTIES {
            return Err(Error::parties(links.parties(), PARTIES));
        }
        let session = Session::new(links, keys, ring_bits, tuning);
        let start = Cost::seen(session.links());
        Ok(Mirror { session, ahead: false, start })
    }

    /// The links of the session, for whoever must abort it.
    pub fn links(&self) -> &Links {
        self.session.links()
    }
}

impl Protocol for Mirror {
    type Value = Masked;
    type Weight = MirroredWeight;

    fn party(&self) -> Party {
        self.session.party
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Masked, Error> {
        if self.ahead {
            return alone(self.take_ahead(name, len, part));
        }
        let bits = self.session.ring_bits;
        let [a, b] = match read_part(name, &part, self.session.is_dealer(), len, bits)? {
            Part::Evaluator(seed, m) => [unpacked(m, len, bits), expand(&seed, len, bits)],
            Part::Dealer(seeds) => seeds.map(|seed| expand(&seed, len, bits)),
        };
        Ok(Masked { a, b, bits })
    }

    fn receive_weight(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
        bits: u32,
    ) -> Result<MirroredWeight, Error> {
        let ring = self.session.ring_bits;
        let bits = bits.min(ring);
        let (part, from) = read_weight(name, &part, self.session.is_dealer(), len, [ring, bits])?;
        let part = match part {
            Part::Evaluator(seed, m) => WeightPart::Evaluator(mirrored(&seed, m, len, [from, bits])),
            Part::Dealer(seeds) => WeightPart::Dealer(Box::new(Expanded::new(seeds, bits))),
        };
        Ok(MirroredWeight { part, len, bits })
    }

    fn take_weight(&mut self, words: Words) -> Result<MirroredWeight, Error> {
        let (len, bits) = (words.len(), words.borrowed().bits());
        let dealer = self.session.is_dealer();
        let part = if dealer { WeightPart::Difference(words) } else { WeightPart::Evaluator(words) };
        Ok(MirroredWeight { part, len, bits })
    }

    fn require_within(&mut self, inputs: &[(&Masked, Bounds)]) -> Result<(), Error> {
        alone(self.within(inputs))
    }

    async fn find_within(&mut self, inputs: &[(&Masked, Bounds)]) -> Result<(), Error> {
        self.within(inputs).await
    }

    fn beside(&self) -> Option<Mirror> {
        let beside =
            || Mirror { session: self.session.beside(), ahead: self.ahead, start: self.start.clone() };
        self.session.tuning.beside.then(beside)
    }

    /// A share of P0's or P1's, re-randomised by a zero share from the key that P2 does not have;
    /// P2 sends nothing.
    fn reveal(&mut self, x: &Masked) -> Result<Vec<u8>, Error> {
        let share = self.session.rerandomised(x);
        planted!(self.session.tuning, RewoundBatches: self.session.begin_again());
        let Some(share) = share else { return Ok(Vec::new()) };
        let mut out = vec![x.bits as u8];
        pack(&share, x.bits, &mut out);
        Ok(out)
    }

    fn apply(&mut self, operation: &Operation, on: &Operands<'_, Mirror>) -> Result<Masked, Error> {
        alone(self.step(operation, on))
    }

    async fn step(&mut self, operation: &Operation, on: &Operands<'_, Mirror>) -> Result<Masked, Error> {
        let done = match operation {
            Operation::Linear(o) => self.linear(&on.terms(o)?, on.bias(o)?, o.shift, on.ring_bits).await,
            Operation::Product(o) => self.product(&o.map, on.x()?, on.y()?, o.shift).await,
            Operation::Compare(o) => self.compare(on.x()?, &o.thresholds, o.looks(), on.ring_bits).await,
            Operation::Combine(o) => on.x()?.combined(&o.factors, &o.offsets, self.session.is_dealer()),
            Operation::ScalePublic(o) => self.scale_public(on.x()?, &o.factors, o.shift).await,
            Operation::Widen => self.widen(on.x()?, on.ring_bits).await,
            Operation::Activation(o) => {
                let widen = o.widen.then_some(on.ring_bits);
                match o.function {
                    Rectifier::Relu => self.relu(on.x()?, o.looks(), widen).await,
                    Rectifier::ClippedRelu { limit } => {
                        self.clipped_relu(on.x()?, limit, o.looks(), widen).await
                    }
                }
            }
            Operation::MaxPool(o) => self.max_pool(on.x()?, o.input, &o.window, o.looks()).await,
            Operation::SumPool(o) => on.x()?.sum_pooled(o.input, &o.window),
            Operation::Add => same_length(on.x()?, on.y()?).map(|(x, y)| x.add(y)),
            Operation::Sub => same_length(on.x()?, on.y()?).map(|(x, y)| x.sub(y)),
            Operation::Movement(o) => moved(o, &on.inputs, self.session.ring_bits),
        };
        planted!(self.session.tuning, RewoundByErrors: self.session.back_if(done.is_err()));
        done
    }

    fn metered(&self) -> Cost {
        Cost::seen(self.session.links()).since(&self.start)
    }
}

/// Both operands of a sum or a difference, if they go together.
fn same_length<'a>(x: &'a Masked, y: &'a Masked) -> Result<(&'a Masked, &'a Masked), Error> {
    if x.len() == y.len() {
        return Ok((x, y));
    }
    Err(Error::Range { operation: "add", reason: format!("{} and {} elements", x.len(), y.len()) })
}

/// What is masked and the masks move alike.
fn moved(movement: &Movement, inputs: &[Operand<'_, Mirror>], ring: u32) -> Result<Masked, Error> {
    let bits = inputs.iter().map(|x| x.value.bits).min().unwrap_or(ring);
    let a: Vec<(&[usize], &[u64])> = inputs.iter().map(|x| (x.shape, x.value.a.as_slice())).collect();
    let b: Vec<(&[usize], &[u64])> = inputs.iter().map(|x| (x.shape, x.value.b.as_slice())).collect();
    let moved = Masked { a: movement.apply(&a)?, b: movement.apply(&b)?, bits };
    let narrowed = inputs.iter().any(|x| x.value.bits != bits);
    Ok(if narrowed { moved.reduced(bits) } else { moved })
}

impl Masked {
    /// What is masked and the masks are summed alike.
    fn sum_pooled(&self, input: [usize; 4], window: &Window) -> Result<Masked, Error> {
        let sum = |v: &[u64]| pool::sum_pool(v, input, window);
        Ok(Masked { a: sum(&self.a)?, b: sum(&self.b)?, bits: self.bits }.reduced(self.bits))
    }
}
