//! Constants, and their elements as files of either framework hold them: as bytes, or as a list of
//! numbers.

use std::rc::Rc;

use crate::value::{Fault, Ints, MAX_ELEMENTS};
use cryptflow_arrays::{Encoding, Numbers};
use cryptflow_graph::Array;

/// A constant of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Float(Array),
    /// Integers and flags.
    Int(Ints),
    /// Strings, complex numbers and the like: they may be there, but nothing can compute on them.
    Opaque(Opaque),
}

/// Elements on which nothing can be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opaque {
    /// Their type.
    pub(crate) dtype: String,
    /// What they are, where they are texts that can name something.
    pub(crate) texts: Rc<Vec<String>>,
}

impl Opaque {
    /// Elements of a type that are not looked at.
    pub(crate) fn of(dtype: impl Into<String>) -> Opaque {
        Opaque { dtype: dtype.into(), texts: Rc::default() }
    }
}

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.dtype)
    }
}

impl Constant {
    /// The constant of this shape and of these elements, as many as the shape has.
    pub(crate) fn new(shape: Vec<usize>, elements: Numbers) -> Result<Constant, Fault> {
        Ok(match elements {
            Numbers::Floats(data) => Constant::Float(Array::new(shape, data)?),
            Numbers::Integers(data) => Constant::Int(Ints { shape, data }),
        })
    }
}

/// Lengths of axes as usable numbers, with their product, which is no more than a constant may
/// have.
pub(crate) fn checked_shape(dims: &[i64]) -> Result<(Vec<usize>, usize), Fault> {
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| format!("the constant has the shape {dims:?}"))?;
    let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS);
    let n = n.ok_or_else(|| {
        format!("the constant claims the shape {dims:?}: more than {MAX_ELEMENTS} elements")
    })?;
    Ok((shape, n))
}

/// Numbers as they are in memory: exactly `n` of them.
pub(crate) fn read(encoding: Encoding, bytes: &[u8], n: usize) -> Result<Numbers, Fault> {
    let width = encoding.width();
    if n.checked_mul(width) != Some(bytes.len()) {
        return Err(format!(
            "the constant's shape needs {n} elements of {width} bytes, but the file holds {} bytes",
            bytes.len()
        )
        .into());
    }
    Ok(encoding.read(bytes))
}

/// Floats that a file lists.
pub(crate) fn floats<T: Copy>(listed: &[T], value: impl Fn(T) -> f32) -> Numbers {
    Numbers::Floats(listed.iter().map(|&v| value(v)).collect())
}

/// Integers that a file lists.
pub(crate) fn integers<T: Copy>(listed: &[T], value: impl Fn(T) -> i64) -> Numbers {
    Numbers::Integers(listed.iter().map(|&v| value(v)).collect())
}

/// These elements, where there are as many.
pub(crate) fn exactly(elements: Numbers, n: usize) -> Result<Numbers, Fault> {
    match elements.len() {
        held if held == n => Ok(elements),
        held => Err(format!("the constant's shape needs {n} elements, but the file holds {held}").into()),
    }
}

/// `n` elements, of which the last one that is there stands for those that are not; zero, where
/// there are none.
pub(crate) fn repeating_last(elements: Numbers, n: usize) -> Numbers {
    fn repeat<T: Copy + Default>(mut data: Vec<T>, n: usize) -> Vec<T> {
        let last = data.last().copied().unwrap_or_default();
        data.resize(n, last);
        data
    }
    match elements {
        Numbers::Floats(data) => Numbers::Floats(repeat(data, n)),
        Numbers::Integers(data) => Numbers::Integers(repeat(data, n)),
    }
}

/// `n` elements that are zero, but for these at their places.
pub(crate) fn scattered(elements: &Numbers, n: usize, places: &[i64]) -> Result<Numbers, Fault> {
    fn scatter<T: Copy + Default>(n: usize, places: &[i64], values: &[T]) -> Result<Vec<T>, Fault> {
        if places.len() != values.len() {
            let (values, places) = (values.len(), places.len());
            return Err(format!("the sparse constant has {values} values, but {places} places").into());
        }
        let mut data = vec![T::default(); n];
        for (&place, &value) in places.iter().zip(values) {
            let at = usize::try_from(place).ok().and_then(|i| data.get_mut(i));
            *at.ok_or("the sparse constant has an element outside of its shape")? = value;
        }
        Ok(data)
    }
    Ok(match elements {
        Numbers::Floats(values) => Numbers::Floats(scatter(n, places, values)?),
        Numbers::Integers(values) => Numbers::Integers(scatter(n, places, values)?),
    })
}
