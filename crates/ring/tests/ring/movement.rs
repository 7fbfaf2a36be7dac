//! Movements against an element-by-element definition.

use cryptflow_ring::Movement;
use cryptflow_ring::movement::elements;

use super::random::Random;

/// The coordinates of each element of a shape, row-major.
fn points(shape: &[usize]) -> Vec<Vec<usize>> {
    let n: usize = shape.iter().product();
    let point = |mut i: usize| {
        let mut p = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            p[axis] = i % shape[axis];
            i /= shape[axis];
        }
        p
    };
    (0..n).map(point).collect()
}

fn at(shape: &[usize], data: &[u32], point: &[usize]) -> u32 {
    let i = point.iter().zip(shape).fold(0, |i, (p, n)| i * n + p);
    data[i]
}

fn value(movement: &Movement, inputs: &[(&[usize], &[u32])], out: &[usize], point: &[usize]) -> u32 {
    let (shape, data) = inputs[0];
    match movement {
        Movement::Reshape { .. } => data[point.iter().zip(out).fold(0, |i, (p, n)| i * n + p)],
        Movement::Transpose { permutation } => {
            let mut source = vec![0; point.len()];
            for (i, &axis) in permutation.iter().enumerate() {
                source[axis] = point[i];
            }
            at(shape, data, &source)
        }
        Movement::Pad { before, .. } => {
            let source: Option<Vec<usize>> =
                (0..point.len()).map(|i| point[i].checked_sub(before[i]).filter(|&p| p < shape[i])).collect();
            source.map_or(0, |source| at(shape, data, &source))
        }
        Movement::Slice { begin, stride, .. } => {
            let source: Vec<usize> = (0..point.len())
                .map(|i| (begin[i] as isize + point[i] as isize * stride[i]) as usize)
                .collect();
            at(shape, data, &source)
        }
        Movement::Concat { axis } => {
            let mut source = point.to_vec();
            for (shape, data) in inputs {
                if source[*axis] < shape[*axis] {
                    return at(shape, data, &source);
                }
                source[*axis] -= shape[*axis];
            }
            unreachable!()
        }
        Movement::Broadcast { .. } => {
            let new = point.len() - shape.len();
            let source: Vec<usize> =
                (0..shape.len()).map(|i| if shape[i] == 1 { 0 } else { point[new + i] }).collect();
            at(shape, data, &source)
        }
        Movement::Gather { axis, indices } => {
            let mut source = point.to_vec();
            source[*axis] = indices[point[*axis]];
            at(shape, data, &source)
        }
    }
}

fn random_case(random: &mut Random) -> (Movement, Vec<Vec<usize>>) {
    let rank = random.within(0, 5);
    let high = if random.within(0, 9) == 0 { 40 } else { 5 };
    let mut shape: Vec<usize> = (0..rank).map(|_| random.within(1, 4)).collect();
    if rank > 0 {
        let axis = random.within(0, rank - 1);
        shape[axis] = random.within(0, high);
    }
    match random.within(0, 6) {
        0 => (Movement::Reshape { shape: vec![shape.iter().product(), 1] }, vec![shape]),
        1 => {
            let mut permutation: Vec<usize> = (0..rank).collect();
            for i in (1..rank).rev() {
                permutation.swap(i, random.within(0, i));
            }
            (Movement::Transpose { permutation }, vec![shape])
        }
        2 => {
            let mut side = || (0..rank).map(|_| random.within(0, 2)).collect();
            (Movement::Pad { before: side(), after: side() }, vec![shape])
        }
        3 => {
            let (mut begin, mut size, mut stride) = (vec![], vec![], vec![]);
            for &n in &shape {
                if n == 0 {
                    begin.push(0);
                    size.push(0);
                    stride.push(1);
                    continue;
                }
                let b = random.within(0, n - 1);
                let s = random.within(1, 3);
                let backwards = random.within(0, 1) == 1;
                let room = if backwards { b } else { n - 1 - b };
                begin.push(b);
                size.push(random.within(0, room / s + 1));
                stride.push(if backwards { -(s as isize) } else { s as isize });
            }
            (Movement::Slice { begin, size, stride }, vec![shape])
        }
        4 if rank > 0 => {
            let axis = random.within(0, rank - 1);
            let inputs = (0..random.within(1, 4)).map(|_| {
                let mut shape = shape.clone();
                shape[axis] = random.within(0, 4);
                shape
            });
            (Movement::Concat { axis }, inputs.collect())
        }
        5 if rank > 0 => {
            let axis = random.within(0, rank - 1);
            let most = if shape[axis] == 0 { 0 } else { 6 };
            let indices = (0..random.within(0, most)).map(|_| random.within(0, shape[axis] - 1)).collect();
            (Movement::Gather { axis, indices }, vec![shape])
        }
        _ => {
            let mut out: Vec<usize> = (0..random.within(0, 2)).map(|_| random.within(1, 3)).collect();
            for n in &mut shape {
                if *n == 1 || random.within(0, 2) == 0 {
                    *n = 1;
                    out.push(random.within(0, 4));
                } else {
                    out.push(*n);
                }
            }
            (Movement::Broadcast { shape: out }, vec![shape])
        }
    }
}

#[test]
fn random_movements_place_every_element() {
    let mut random = Random(1);
    for _ in 0..3000 {
        let (movement, shapes) = random_case(&mut random);
        let data: Vec<Vec<u32>> = shapes
            .iter()
            .map(|s| (0..elements(s).unwrap()).map(|_| random.word() as u32 | 1).collect())
            .collect();
        let inputs: Vec<(&[usize], &[u32])> =
            shapes.iter().zip(&data).map(|(s, d)| (s.as_slice(), d.as_slice())).collect();
        let shape_refs: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let out_shape = movement.output_shape(&shape_refs).unwrap();
        let out = movement.apply(&inputs).unwrap();
        let must: Vec<u32> =
            points(&out_shape).iter().map(|p| value(&movement, &inputs, &out_shape, p)).collect();
        assert_eq!(out, must, "{movement:?} of {shapes:?}");
    }
}

#[test]
fn large_transpose() {
    let (rows, columns) = (77, 130);
    let data: Vec<u32> = (0..rows * columns).collect();
    let movement = Movement::Transpose { permutation: vec![0, 2, 1] };
    let out = movement.apply(&[(&[1, rows as usize, columns as usize], data.as_slice())]).unwrap();
    for r in 0..rows {
        for c in 0..columns {
            assert_eq!(out[(c * rows + r) as usize], r * columns + c);
        }
    }
}

#[test]
fn attributes_that_do_not_fit_are_errors() {
    let huge = usize::MAX / 2;
    let cases: Vec<(Movement, Vec<Vec<usize>>, &str)> = vec![
        (Movement::Reshape { shape: vec![5] }, vec![vec![2, 3]], "cannot become"),
        (Movement::Reshape { shape: vec![huge, 4] }, vec![vec![2, 3]], "too many"),
        (Movement::Reshape { shape: vec![6] }, vec![], "takes one input"),
        (Movement::Reshape { shape: vec![6] }, vec![vec![6], vec![6]], "takes one input"),
        (Movement::Transpose { permutation: vec![0, 0] }, vec![vec![2, 3]], "not a permutation"),
        (Movement::Transpose { permutation: vec![0, 2] }, vec![vec![2, 3]], "not a permutation"),
        (Movement::Transpose { permutation: vec![0] }, vec![vec![2, 3]], "1 axes"),
        (Movement::Pad { before: vec![0], after: vec![0, 0] }, vec![vec![2, 3]], "1 axes"),
        (Movement::Pad { before: vec![usize::MAX, 0], after: vec![1, 0] }, vec![vec![2, 3]], "too many"),
        (Movement::Pad { before: vec![huge, huge], after: vec![0, 0] }, vec![vec![2, 3]], "too many"),
        (Movement::Slice { begin: vec![1], size: vec![3], stride: vec![1] }, vec![vec![3]], "reach outside"),
        (Movement::Slice { begin: vec![1], size: vec![3], stride: vec![-1] }, vec![vec![3]], "reach outside"),
        (Movement::Slice { begin: vec![1], size: vec![1], stride: vec![0] }, vec![vec![3]], "zero"),
        (Movement::Slice { begin: vec![4], size: vec![0], stride: vec![1] }, vec![vec![3]], "begins at"),
        (
            Movement::Slice { begin: vec![0], size: vec![huge], stride: vec![isize::MAX] },
            vec![vec![3]],
            "reach outside",
        ),
        (Movement::Concat { axis: 0 }, vec![], "needs an input"),
        (Movement::Concat { axis: 1 }, vec![vec![2], vec![2]], "no axis"),
        (Movement::Concat { axis: 0 }, vec![vec![2, 3], vec![2, 4]], "cannot be concatenated"),
        (Movement::Concat { axis: 0 }, vec![vec![2, 3], vec![2]], "cannot be concatenated"),
        (Movement::Broadcast { shape: vec![2, 4] }, vec![vec![2, 3]], "cannot be broadcast"),
        (Movement::Broadcast { shape: vec![3] }, vec![vec![2, 3]], "cannot be broadcast"),
        (Movement::Gather { axis: 2, indices: vec![] }, vec![vec![2, 3]], "no axis 2"),
        (Movement::Gather { axis: 1, indices: vec![0, 3] }, vec![vec![2, 3]], "element 3 of 3"),
    ];
    for (movement, shapes, says) in cases {
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let error = movement.output_shape(&shapes).unwrap_err().to_string();
        assert!(error.contains(says), "{movement:?}: {error}");
    }
    let short: &[u32] = &[1, 2, 3];
    let error = Movement::Reshape { shape: vec![4] }.apply(&[(&[2, 2], short)]).unwrap_err();
    assert!(error.to_string().contains("3 elements"), "{error}");
}
