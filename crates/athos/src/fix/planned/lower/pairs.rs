//! The polynomials of a table's pieces, whose coefficients are secret, in as few products after each other as there can
//! be: see [`Table`].

use cryptflow_graph::NodeId;
use cryptflow_operation::Bounds;
use cryptflow_ring::Movement;

use super::super::plan::{self, Operation};
use super::Lowering;
use crate::functions::Table;

/// What a polynomial is made of; values have a row for each power or coefficient, of so many elements.
pub(super) struct Pairs<'a> {
    pub(super) id: NodeId,
    pub(super) table: &'a Table,
    pub(super) count: usize,
    /// U.
    pub(super) first: usize,
    /// The coefficients from that of U on.
    pub(super) factors: usize,
}

impl Pairs<'_> {
    /// Rows whose products with each other add up to the polynomial, less its constant: those of powers, and those of
    /// what they are multiplied with.
    pub(super) fn sum(&self, lowering: &mut Lowering<'_>) -> (usize, usize) {
        let degree = self.table.degree;
        // U · (U, c_3, c_5, c_7).
        let odd: Vec<usize> =
            (2..degree).step_by(2).map(|i| self.rows(lowering, self.factors, i, 1)).collect();
        let right = self.together(lowering, &[&[self.first][..], &odd].concat());
        let products = self.products(lowering, self.first, right);
        let square = self.rows(lowering, products, 0, 1);
        let pairs: Vec<usize> = (1..=degree / 2)
            .map(|j| {
                let even = self.rows(lowering, self.factors, 2 * j - 1, 1);
                if 2 * j < degree {
                    let product = self.rows(lowering, products, j, 1);
                    self.added(lowering, product, even)
                } else {
                    even
                }
            })
            .collect();
        let slope = self.rows(lowering, self.factors, 0, 1);
        let (powers, factors) = match pairs.as_slice() {
            [] => (vec![self.first], vec![slope]),
            &[pair] => (vec![self.first, square], vec![slope, pair]),
            &[pair, last] => {
                let last = self.products(lowering, square, last);
                let pair = self.added(lowering, last, pair);
                (vec![self.first, square], vec![slope, pair])
            }
            &[pair, other, last, ..] => {
                let right = self.together(lowering, &[square, last]);
                let products = self.products(lowering, square, right);
                let fourth = self.rows(lowering, products, 0, 1);
                let last = self.rows(lowering, products, 1, 1);
                let other = self.added(lowering, last, other);
                (vec![self.first, square, fourth], vec![slope, pair, other])
            }
        };
        (self.together(lowering, &powers), self.together(lowering, &factors))
    }

    /// Some rows of a value.
    fn rows(&self, lowering: &mut Lowering<'_>, x: usize, begin: usize, rows: usize) -> usize {
        if lowering.shape(x)[0] == rows {
            return x;
        }
        let slice =
            Movement::Slice { begin: vec![begin, 0], size: vec![rows, self.count], stride: vec![1, 1] };
        lowering.moved(self.id, slice, x)
    }

    /// Rows of several values, one after another.
    fn together(&self, lowering: &mut Lowering<'_>, all: &[usize]) -> usize {
        if let &[x] = all {
            return x;
        }
        let rows = all.iter().map(|&x| lowering.shape(x)[0]).sum();
        let bounds = all.iter().map(|&x| lowering.bounds[x]).collect::<Vec<_>>();
        let value =
            lowering.integers(self.id, vec![rows, self.count], Bounds::hull(&bounds), self.table.power_scale);
        lowering.step_to(self.id, Operation::Movement(Movement::Concat { axis: 0 }), all, value)
    }

    /// A row times every row of a value.
    fn products(&self, lowering: &mut Lowering<'_>, row: usize, others: usize) -> usize {
        let shape = lowering.shape(others);
        let left = if shape[0] == 1 {
            row
        } else {
            lowering.moved(self.id, Movement::Broadcast { shape: shape.clone() }, row)
        };
        let square = self.table.reach + self.table.reach / 64 + 8;
        let bounds = Bounds::within(square.max(self.table.largest_pair()));
        let elements = shape.iter().product();
        let value = lowering.integers(self.id, shape, bounds, self.table.power_scale);
        lowering.step_to(self.id, plan::elementwise(elements), &[left, others], value)
    }

    /// A product and a coefficient.
    fn added(&self, lowering: &mut Lowering<'_>, product: usize, coefficient: usize) -> usize {
        let bounds = Bounds::within(self.table.largest_pair());
        let value = lowering.integers(self.id, vec![1, self.count], bounds, self.table.power_scale);
        lowering.step_to(self.id, Operation::Add, &[product, coefficient], value)
    }
}
