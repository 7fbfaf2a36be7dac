//! Bands and diagonals of matrices: movements, by the shapes alone.

use cryptflow_ring::Movement;

use super::{Fault, Node, Results, Row, Value, row};
use crate::budget::check_made;
use crate::docs as doc;
use crate::value::Ints;
use cryptflow_graph::{Arithmetic, Array};

pub(super) const TABLE: &[Row] = &[
    row("MatrixBandPart", band, doc::MOVEMENT),
    row("MatrixDiag", |n| diagonals(n, Version::First), doc::MOVEMENT),
    row("MatrixDiagV2", |n| diagonals(n, Version::Second), doc::MOVEMENT),
    row("MatrixDiagV3", |n| diagonals(n, Version::Third), doc::MOVEMENT),
    row("MatrixDiagPart", |n| diagonal_part(n, Version::First), doc::MOVEMENT),
    row("MatrixDiagPartV2", |n| diagonal_part(n, Version::Second), doc::MOVEMENT),
    row("MatrixDiagPartV3", |n| diagonal_part(n, Version::Third), doc::MOVEMENT),
    row("MatrixSetDiag", |n| set_diagonals(n, Version::First), doc::MOVEMENT),
    row("MatrixSetDiagV2", |n| set_diagonals(n, Version::Second), doc::MOVEMENT),
    row("MatrixSetDiagV3", |n| set_diagonals(n, Version::Third), doc::MOVEMENT),
];

/// The first has the main diagonal alone, the second aligns diagonals to the left, and the third as
/// it is told.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    First,
    Second,
    Third,
}

/// Diagonals of a matrix, one row each, the uppermost first.
struct Diagonals {
    lowest: i64,
    highest: i64,
    rows: usize,
    columns: usize,
    /// Whether rows of those above and below begin at the left, where they are shorter than the
    /// longest.
    left: [bool; 2],
}

impl Diagonals {
    fn read(
        node: &Node<'_>,
        operand: usize,
        version: Version,
        [rows, columns]: [usize; 2],
    ) -> Result<Diagonals, Fault> {
        let numbers = if version == Version::First { vec![0] } else { node.ints(operand)?.data };
        let (lowest, highest) = match *numbers.as_slice() {
            [one] => (one, one),
            [low, high] if low <= high => (low, high),
            _ => return Err(format!("has the impossible diagonals {numbers:?}").into()),
        };
        let left = match version {
            Version::First | Version::Second => [true, true],
            Version::Third => match node.attr_text("align", "RIGHT_LEFT")? {
                "RIGHT_LEFT" => [false, true],
                "LEFT_RIGHT" => [true, false],
                "LEFT_LEFT" => [true, true],
                "RIGHT_RIGHT" => [false, false],
                _ => return Err(Node::wrong("align")),
            },
        };
        Ok(Diagonals { lowest, highest, rows, columns, left })
    }

    fn count(&self) -> usize {
        (self.highest - self.lowest + 1) as usize
    }

    fn length(&self, number: i64) -> usize {
        let rows = self.rows as i64 + number.min(0);
        rows.min(self.columns as i64 - number.max(0)).max(0) as usize
    }

    /// The length of the longest.
    fn longest(&self) -> usize {
        (self.lowest..=self.highest).map(|k| self.length(k)).max().unwrap_or(0)
    }

    /// The row of a diagonal and the place in it of an element of the matrix that lies on one.
    fn place(&self, row: usize, column: usize) -> Option<(usize, usize)> {
        let number = column as i64 - row as i64;
        if number < self.lowest || number > self.highest {
            return None;
        }
        let left = (number >= 0 && self.left[0]) || (number <= 0 && self.left[1]);
        let shift = if left { 0 } else { self.longest().saturating_sub(self.length(number)) };
        Some(((self.highest - number) as usize, row.min(column) + shift))
    }

    /// The elements of the matrix that lie on the diagonals, with their places there.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let longest = self.longest();
        (0..self.rows).flat_map(move |r| {
            let on = move |c: usize| {
                self.place(r, c).map(|(row, place)| (r * self.columns + c, row * longest + place))
            };
            (0..self.columns).filter_map(on)
        })
    }

    fn check(&self) -> Result<(), Fault> {
        let matrix = check_made(&[self.rows, self.columns])?;
        check_made(&[self.count(), self.longest()])?;
        if self.longest() == 0 && matrix > 0 {
            let Diagonals { lowest, highest, rows, columns, .. } = self;
            return Err(format!("names the diagonals {lowest} to {highest} of {rows} × {columns}").into());
        }
        Ok(())
    }
}

/// The rows and columns of matrices, and the shape of what they are stacked in.
fn matrices(shape: &[usize]) -> Result<(Vec<usize>, [usize; 2]), Fault> {
    match shape {
        [outer @ .., rows, columns] => Ok((outer.to_vec(), [*rows, *columns])),
        _ => Err(format!("its operand {shape:?} has no matrices").into()),
    }
}

/// Zeros beside a band.
fn band(node: &mut Node<'_>) -> Results {
    let (value, shape) = node.shaped(0)?;
    let (_, [rows, columns]) = matrices(&shape)?;
    check_made(&[rows, columns])?;
    let (lower, upper) = (node.int(1)?, node.int(2)?);
    let kept = |i: usize| {
        let above = (i % columns) as i64 - (i / columns) as i64;
        i64::from((lower < 0 || -above <= lower) && (upper < 0 || above <= upper))
    };
    let mask = Ints { shape: vec![rows, columns], data: (0..rows * columns).map(kept).collect() };
    filled_beside(node, &mask, &value, 0.0)
}

/// A value where a mask is set, a number elsewhere.
fn filled_beside(node: &mut Node<'_>, mask: &Ints, value: &Value, number: f32) -> Results {
    if let Value::Int(ints) = value {
        return Ok(vec![Value::Int(mask.choose(ints, &Ints::scalar(number as i64))?)]);
    }
    let x = node.tensor_of(value, "operand")?;
    let mask = node.add_integers("mask", mask)?;
    let number = node.add_number("number", number);
    node.result(Arithmetic::Select, &[mask, x, number])
}

/// Matrices of their diagonals.
fn diagonals(node: &mut Node<'_>, version: Version) -> Results {
    let (value, shape) = node.shaped(0)?;
    let several = version != Version::First && node.ints(1)?.data.len() == 2;
    let read = Diagonals::read(node, 1, version, [0, 0])?;
    let (longest, outer) = match (shape.as_slice(), several) {
        ([outer @ .., _, longest], true) | ([outer @ .., longest], false) => (*longest, outer.to_vec()),
        _ => return Err(format!("its operand {shape:?} has no diagonals").into()),
    };
    // The smallest matrix that has them, square where nothing is said.
    let least = [
        longest.saturating_add((-read.highest).max(0) as usize),
        longest.saturating_add(read.lowest.max(0) as usize),
    ];
    let asked = if version == Version::First { [-1, -1] } else { [node.int(2)?, node.int(3)?] };
    let [rows, columns] = match asked.map(|n| usize::try_from(n).ok()) {
        [None, None] => [least[0].max(least[1]); 2],
        [rows, columns] => [rows.unwrap_or(least[0]), columns.unwrap_or(least[1])],
    };
    let all = Diagonals { rows, columns, ..read };
    all.check()?;
    let beside = if version == Version::First { 0.0 } else { node.known_number(4)? };
    if all.longest() != longest || (several && shape.get(outer.len()) != Some(&all.count())) {
        return Err(format!("makes matrices of {rows} × {columns} of the diagonals {shape:?}").into());
    }
    let given = all.count() * longest;
    let mut indices = vec![given; rows * columns];
    for (at, place) in all.places() {
        indices[at] = place;
    }
    let mask =
        Ints { shape: vec![rows, columns], data: indices.iter().map(|&i| i64::from(i < given)).collect() };
    let steps = picked(&outer, given, indices, &[rows, columns]);
    if beside == 0.0 {
        return node.moved(&value, steps);
    }
    let matrices = node.move_value_as(format!("{}/zeros", node.name), &value, steps)?;
    filled_beside(node, &mask, &matrices, beside)
}

/// Diagonals of matrices; zeros where one is shorter than the longest.
fn diagonal_part(node: &mut Node<'_>, version: Version) -> Results {
    let (value, shape) = node.shaped(0)?;
    let (outer, [rows, columns]) = matrices(&shape)?;
    let all = Diagonals::read(node, 1, version, [rows, columns])?;
    all.check()?;
    if version != Version::First && node.known_number(2)? != 0.0 && all.count() > 1 {
        return Err("fills short diagonals with another number than zero. Choose it with SelectV2".into());
    }
    let mut indices = vec![rows * columns; all.count() * all.longest()];
    for (at, place) in all.places() {
        indices[place] = at;
    }
    let to = if all.count() > 1 { vec![all.count(), all.longest()] } else { vec![all.longest()] };
    node.moved(&value, picked(&outer, rows * columns, indices, &to))
}

/// Matrices with other diagonals.
fn set_diagonals(node: &mut Node<'_>, version: Version) -> Results {
    let (value, shape) = node.shaped(0)?;
    let (outer, [rows, columns]) = matrices(&shape)?;
    let all = Diagonals::read(node, 2, version, [rows, columns])?;
    all.check()?;
    let (diagonals, given) = (node.operand(1)?.clone(), all.count() * all.longest());
    let stacked: usize = outer.iter().product();
    let flat = |n: usize| [Movement::Reshape { shape: vec![stacked, n] }];
    let matrices = node.move_value_as(format!("{}/flat", node.name), &value, flat(rows * columns))?;
    let name = format!("{}/diagonals", node.name);
    let diagonals = node.move_value_as(name, &diagonals, flat(given))?;
    let mut indices: Vec<usize> = (0..rows * columns).collect();
    for (at, place) in all.places() {
        indices[at] = rows * columns + place;
    }
    let both = match (&matrices, &diagonals) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.moved(&Movement::Concat { axis: 1 }, &[b])?),
        _ => {
            let both = [node.tensor_of(&matrices, "flat")?, node.tensor_of(&diagonals, "diagonals")?];
            Value::Tensor(node.add_part("both", Movement::Concat { axis: 1 }, &both)?)
        }
    };
    node.moved(&both, [Movement::Gather { axis: 1, indices }, Movement::Reshape { shape }])
}

/// Of each of the stacked parts of so many elements these, in this shape; the number behind the last
/// one stands for a zero.
fn picked(outer: &[usize], elements: usize, indices: Vec<usize>, to: &[usize]) -> [Movement; 4] {
    [
        Movement::Reshape { shape: vec![outer.iter().product(), elements] },
        Movement::Pad { before: vec![0, 0], after: vec![0, 1] },
        Movement::Gather { axis: 1, indices },
        Movement::Reshape { shape: [outer, to].concat() },
    ]
}

/// The inverse of a known square matrix, by elimination with the largest pivots; nothing where it has
/// none. With the determinant.
pub(super) fn inverse(matrix: &Array) -> Result<(Vec<f64>, f64), Fault> {
    let &[n, columns] = matrix.shape.as_slice() else {
        return Err(
            format!("its operand has the shape {:?}, and one matrix is supported", matrix.shape).into()
        );
    };
    if n != columns || n > 512 {
        return Err(format!("its matrix of {n} × {columns} is not square, or too large").into());
    }
    let mut a: Vec<f64> = matrix.data.iter().map(|&v| v.into()).collect();
    let mut result: Vec<f64> = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    let mut determinant = 1.0;
    for column in 0..n {
        let size = |r: usize| a[r * n + column].abs();
        let pivot = (column..n).fold(column, |best, r| if size(r) > size(best) { r } else { best });
        let value = a[pivot * n + column];
        if pivot != column {
            determinant = -determinant;
            for c in 0..n {
                a.swap(pivot * n + c, column * n + c);
                result.swap(pivot * n + c, column * n + c);
            }
        }
        determinant *= value;
        if value == 0.0 {
            return Ok((Vec::new(), 0.0));
        }
        for c in 0..n {
            a[column * n + c] /= value;
            result[column * n + c] /= value;
        }
        for r in (0..n).filter(|&r| r != column) {
            let factor = a[r * n + column];
            for c in 0..n {
                a[r * n + c] -= factor * a[column * n + c];
                result[r * n + c] -= factor * result[column * n + c];
            }
        }
    }
    Ok((result, determinant))
}
