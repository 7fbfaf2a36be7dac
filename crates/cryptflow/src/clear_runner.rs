//! Runs programs on plain integers for the compiler: the engine over [`Clear`], with every value shown on the way.

use std::cell::RefCell;

use cryptflow_athos::fix::{FixedRunner, LoadedProgram, RunError};
use cryptflow_engine::{Silent, execute};
use cryptflow_mpc::clear::{Clear, ClearValue};
use cryptflow_mpc::{Cost, Error, Party, Protocol, Term};
use cryptflow_program::{Program, ValueId};
use cryptflow_ring::{LinearMap, Movement, Window};

/// The engine over [`Clear`], as the compiler wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearRunner;

impl FixedRunner for ClearRunner {
    fn run(
        &self,
        program: &Program,
        weights: &[Vec<i64>],
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        self.load(program, weights)?.run(inputs, observe)
    }

    fn load<'a>(
        &'a self,
        program: &'a Program,
        weights: &'a [Vec<i64>],
    ) -> Result<Box<dyn LoadedProgram + 'a>, RunError> {
        let weights = weights.iter().map(|data| ClearValue::from_signed(data, program.ring_bits)).collect();
        Ok(Box::new(Loaded { program, weights }))
    }
}

/// A program with its weights as ring elements.
struct Loaded<'a> {
    program: &'a Program,
    weights: Vec<ClearValue>,
}

impl LoadedProgram for Loaded<'_> {
    fn run(
        &self,
        inputs: &[Vec<i64>],
        observe: &mut dyn FnMut(ValueId, &[i64]),
    ) -> Result<Vec<Vec<i64>>, RunError> {
        let Loaded { program, weights } = self;
        let ring = program.ring_bits;
        let inputs = inputs.iter().map(|data| ClearValue::from_signed(data, ring)).collect();
        let mut made = program.steps.iter().map(|step| step.output);
        let show = RefCell::new(|value: &ClearValue| {
            if let Some(id) = made.next() {
                observe(id, &value.signed());
            }
        });
        let mut tap = Tap { clear: Clear::new(Party::P0, ring), show: &show };
        let outputs = execute(&mut tap, program, weights, inputs, &mut Silent).map_err(RunError::new)?;
        Ok(outputs.iter().map(ClearValue::signed).collect())
    }
}

/// [`Clear`], showing the result of every operation. The engine makes one call for each step, in order.
struct Tap<'a, F: FnMut(&ClearValue)> {
    clear: Clear,
    show: &'a RefCell<F>,
}

impl<F: FnMut(&ClearValue)> Tap<'_, F> {
    fn shown(&self, result: Result<ClearValue, Error>) -> Result<ClearValue, Error> {
        if let Ok(value) = &result {
            (self.show.borrow_mut())(value);
        }
        result
    }
}

impl<F: FnMut(&ClearValue)> Protocol for Tap<'_, F> {
    type Value = ClearValue;
    type Weight = ClearValue;

    fn name(&self) -> &'static str {
        self.clear.name()
    }

    fn party(&self) -> Party {
        self.clear.party()
    }

    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<ClearValue, Error> {
        self.clear.receive_value(name, len, part)
    }

    fn receive_weight(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<ClearValue, Error> {
        self.clear.receive_weight(name, len, part)
    }

    fn reveal(&mut self, x: &ClearValue) -> Result<Vec<u8>, Error> {
        self.clear.reveal(x)
    }

    fn linear(
        &mut self,
        terms: &[Term<'_, Self>],
        bias: Option<&ClearValue>,
        shift: u32,
    ) -> Result<ClearValue, Error> {
        let terms: Vec<Term<'_, Clear>> = terms.iter().map(|t| Term { map: t.map, x: t.x, w: t.w }).collect();
        let result = self.clear.linear(&terms, bias, shift);
        self.shown(result)
    }

    fn product(
        &mut self,
        map: &LinearMap,
        x: &ClearValue,
        y: &ClearValue,
        shift: u32,
    ) -> Result<ClearValue, Error> {
        let result = self.clear.product(map, x, y, shift);
        self.shown(result)
    }

    fn compare(
        &mut self,
        x: &ClearValue,
        thresholds: &[i64],
        compare_bits: u32,
    ) -> Result<ClearValue, Error> {
        let result = self.clear.compare(x, thresholds, compare_bits);
        self.shown(result)
    }

    fn combine(&mut self, x: &ClearValue, factors: &[i64], offsets: &[i64]) -> Result<ClearValue, Error> {
        let result = self.clear.combine(x, factors, offsets);
        self.shown(result)
    }

    fn scale_public(&mut self, x: &ClearValue, factors: &[u64], shift: u32) -> Result<ClearValue, Error> {
        let result = self.clear.scale_public(x, factors, shift);
        self.shown(result)
    }

    fn widen(&mut self, x: &ClearValue) -> Result<ClearValue, Error> {
        let result = self.clear.widen(x);
        self.shown(result)
    }

    fn relu(&mut self, x: &ClearValue, compare_bits: u32, widen: bool) -> Result<ClearValue, Error> {
        let result = self.clear.relu(x, compare_bits, widen);
        self.shown(result)
    }

    fn clipped_relu(
        &mut self,
        x: &ClearValue,
        limit: u64,
        compare_bits: u32,
        widen: bool,
    ) -> Result<ClearValue, Error> {
        let result = self.clear.clipped_relu(x, limit, compare_bits, widen);
        self.shown(result)
    }

    fn max_pool(
        &mut self,
        x: &ClearValue,
        input: [usize; 4],
        window: &Window,
        compare_bits: u32,
    ) -> Result<ClearValue, Error> {
        let result = self.clear.max_pool(x, input, window, compare_bits);
        self.shown(result)
    }

    fn sum_pool(&mut self, x: &ClearValue, input: [usize; 4], window: &Window) -> Result<ClearValue, Error> {
        let result = self.clear.sum_pool(x, input, window);
        self.shown(result)
    }

    fn add(&mut self, x: &ClearValue, y: &ClearValue) -> Result<ClearValue, Error> {
        let result = self.clear.add(x, y);
        self.shown(result)
    }

    fn sub(&mut self, x: &ClearValue, y: &ClearValue) -> Result<ClearValue, Error> {
        let result = self.clear.sub(x, y);
        self.shown(result)
    }

    fn movement(
        &mut self,
        movement: &Movement,
        inputs: &[(&[usize], &ClearValue)],
    ) -> Result<ClearValue, Error> {
        let result = self.clear.movement(movement, inputs);
        self.shown(result)
    }

    fn metered(&self) -> Cost {
        self.clear.metered()
    }
}
