//! Values that follow from shapes and from other known values, as operations of both frameworks
//! are.

use crate::budget::{MAX_GROWN, check_made};
use crate::compose::{self, Ids, count_floats, count_integers};
use crate::movement::reshape_to;
use crate::node::{Message, Node, Results, Value};
use crate::value::{Ints, axis};
use cryptflow_graph::{Arithmetic, Array};
use cryptflow_ring::Movement;

impl<M: Message> Node<'_, M> {
    /// How many elements operand 0 has.
    pub(crate) fn size(&mut self) -> Results {
        let shape = self.shape_of(0)?;
        Ok(vec![Value::Int(Ints::scalar(shape.iter().product::<usize>() as i64))])
    }

    /// Numbers from operand 0 to operand 1 in steps of operand 2: integers, where all are.
    pub(crate) fn counted(&mut self) -> Results {
        if (0..3).all(|i| matches!(self.operand(i), Ok(Value::Int(_)))) {
            let data = count_integers(self.int(0)?, self.int(1)?, self.int(2)?, MAX_GROWN)?;
            return Ok(vec![Value::Int(Ints::vector(data))]);
        }
        let [start, limit, step] = [self.known_number(0)?, self.known_number(1)?, self.known_number(2)?];
        let data = count_floats(start, limit, step, MAX_GROWN)?;
        Ok(vec![Value::Tensor(self.add_known(Array::vector(data)))])
    }

    /// A tensor of this shape, all of whose elements are one known number.
    pub(crate) fn filled(&mut self, shape: Vec<usize>, value: &Value) -> Results {
        let n = check_made(&shape)?;
        let number = match value {
            Value::Int(Ints { data, .. }) if data.len() == 1 => {
                return Ok(vec![Value::Int(Ints { shape, data: vec![data[0]; n] })]);
            }
            Value::Tensor(id) => self.number_of(*id),
            Value::Int(_)
            | Value::List(_)
            | Value::Opaque(_)
            | Value::Label(..)
            | Value::Absent
            | Value::Dead
            | Value::Unknown => None,
        };
        let number = number.ok_or(
            "fills a tensor with a value that is not one constant. Broadcasting (BroadcastTo, Expand) repeats what depends on \
             an input",
        )?;
        let array = Array::filled(shape, number)?;
        Ok(vec![Value::Tensor(self.add_known(array))])
    }

    /// Of two values, "off" and "on", the latter at each known index along a new axis, the former
    /// elsewhere.
    pub(crate) fn one_hot(&mut self, indices: &Ints, values: &Value) -> Results {
        let depth = usize::try_from(self.int(1)?).map_err(|_| "has a negative depth")?;
        let at = axis(self.attr_int("axis", -1)?, indices.shape.len() + 1)?;
        let mut shape = indices.shape.clone();
        shape.insert(at, depth);
        let n = check_made(&shape)?;
        let inner: usize = indices.shape[at..].iter().product();
        let on = |i: usize| {
            let index = indices.data.get(i / (inner * depth) * inner + i % inner);
            usize::from(index.copied() == Some((i / inner % depth) as i64))
        };
        let indices = (0..n).map(on).collect();
        self.moved(values, [Movement::Gather { axis: 0, indices }, reshape_to(shape)])
    }

    /// The same of ids that are secret: two known numbers, off and on.
    pub(crate) fn one_hot_of(&mut self, ids: Ids, [off, on]: [f32; 2]) -> Results {
        let depth = usize::try_from(self.int(1)?).map_err(|_| "has a negative depth")?;
        let rank = self.shape(ids.node).len();
        let at = axis(self.attr_int("axis", -1)?, rank + 1)?;
        self.composed(|c| {
            let mut rows = compose::rows(c, ids, depth)?;
            for (op, number, neutral) in [(Arithmetic::Mul, on - off, 1.0), (Arithmetic::Add, off, 0.0)] {
                if number != neutral {
                    let number = c.add_numbered_constant(Array::scalar(number));
                    rows = c.add_numbered(op, &[rows, number])?;
                }
            }
            c.transpose((0..at).chain([rank]).chain(at..rank).collect(), rows)
        })
    }
}
