//! Rows and batches, what becomes of them, and how it is compared and written.

use std::path::Path;

use cryptflow::batches::Batches;
use cryptflow::compare::Comparison;
use cryptflow::fixed::{decode, encode};
use cryptflow::input::Row;
use cryptflow::output::{is_archive, write_npy, write_npz};
use cryptflow::results::Results;
use cryptflow_arrays::npy::Tensor;

#[test]
fn the_batch_is_the_first_axis_that_all_have() {
    // Shapes of the inputs, rows of a run, shape of a row of each.
    type Shapes = &'static [&'static [usize]];
    let table: [(Shapes, usize, Shapes); 6] = [
        (&[&[4, 28, 28]], 4, &[&[28, 28]]),
        (&[&[4, 3], &[4]], 4, &[&[3], &[]]),
        (&[&[4, 3], &[5, 3]], 1, &[&[4, 3], &[5, 3]]),
        (&[&[1, 8], &[]], 1, &[&[1, 8], &[]]),
        (&[&[]], 1, &[&[]]),
        (&[], 1, &[]),
    ];
    for (shapes, size, rows) in table {
        let batches = Batches::of(shapes.iter().copied());
        assert_eq!(batches.rows_a_run(), size, "{shapes:?}");
        let found: Vec<&[usize]> = shapes.iter().map(|shape| batches.row(shape).0).collect();
        assert_eq!(found, rows, "{shapes:?}");
    }
}

#[test]
fn the_last_run_is_filled() {
    let rows: Vec<Row> = (0..5).map(|i| Row { name: String::new(), data: vec![i as f32] }).collect();
    let batches = Batches::of([&[2, 1][..]]);
    assert_eq!(batches.runs(rows.len()), 3);
    let runs: Vec<Vec<f32>> = (0..3).map(|run| batches.fill(run, &rows)).collect();
    assert_eq!(runs, [[0.0, 1.0], [2.0, 3.0], [4.0, 0.0]]);
    assert_eq!(Batches::of([&[7, 1][..]]).fill(0, &rows), [0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 1.0]);
    assert!(batches.fill(0, &[]).is_empty());
}

#[test]
fn results_fall_into_rows() {
    // Shape of the input, rows, shape of the output, shape of the array that comes out.
    type Shape = &'static [usize];
    let table: [(Shape, usize, Shape, Result<Shape, &str>); 10] = [
        (&[2, 9], 5, &[2, 3], Ok(&[5, 3])),
        (&[2, 9], 1, &[2, 3], Ok(&[1, 3])),
        (&[2, 9], 3, &[2], Ok(&[3])),
        (&[2, 9], 3, &[2, 0], Ok(&[3, 0])),
        // A run for each row: what it gives is the row's.
        (&[1, 9], 3, &[1, 4], Ok(&[3, 4])),
        (&[1, 9], 3, &[4], Ok(&[3, 4])),
        (&[1, 9], 3, &[], Ok(&[3])),
        // One result for a whole batch.
        (&[2, 9], 2, &[3], Ok(&[3])),
        (&[2, 9], 4, &[3], Err("\"y\" has the shape [3]")),
        (&[2, 9], 1, &[], Err("Give exactly 2 rows")),
    ];
    for (input, rows, shape, expected) in table {
        let case = format!("{input:?}, {rows} rows, {shape:?}");
        let batches = Batches::of([input]);
        match (Results::expect("y", shape, &batches, rows), expected) {
            (Ok(mut results), Ok(expected)) => {
                let len = shape.iter().product::<usize>();
                for run in 0..batches.runs(rows) {
                    let opened: Vec<f32> = (0..len).map(|i| (run * len + i) as f32).collect();
                    results.add(&opened);
                }
                let tensor = results.tensor();
                assert_eq!(tensor.shape, expected, "{case}");
                // Rows that count up: nothing is lost, nothing is there twice.
                let counting: Vec<f32> = (0..expected.iter().product()).map(|i| i as f32).collect();
                assert_eq!(tensor.data, counting, "{case}");
            }
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{case}: {error}")
            }
            (found, expected) => panic!("{case}: {found:?} where {expected:?} was due"),
        }
    }
}

#[test]
fn differences_are_counted_by_row() {
    let secure = [vec![0.0, 1.0], vec![2.0, 1.5], vec![-3.0, 0.0]];
    let float = [vec![0.0, 1.0], vec![1.0, 1.5], vec![-3.5, 0.0]];
    assert_eq!(
        Comparison::new(&secure, &float),
        Comparison {
            same_top1: Some(2),
            rows: 3,
            same_choices: 2,
            choices: 3,
            largest_difference: 1.0,
            largest_logit: 3.5,
            different: vec![1],
            top1: vec![]
        }
    );
}

#[test]
fn numbers_go_there_and_back() {
    for (x, scale, fixed) in
        [(1.0, 12, 4096), (-1.0, 12, -4096), (0.1, 12, 410), (-0.1, 4, -2), (3.0, 0, 3), (1e-9, 12, 0)]
    {
        assert_eq!(encode(&[x], scale), [fixed], "{x} at scale {scale}");
        let error = (decode(&[fixed], scale)[0] - x).abs();
        assert!(f64::from(error) <= 0.5 / f64::from(scale).exp2(), "{x} at scale {scale}: {error}");
    }
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = Tensor { shape: vec![1, 2], data: vec![1.0, 2.0] };
    let file = folder.path().join("y.npy");
    write_npy(&file, &tensor).unwrap();
    assert!(std::fs::read(&file).unwrap().starts_with(b"\x93NUMPY"));
    let archive = folder.path().join("y.NPZ");
    write_npz(&archive, &[("a", (&tensor).into()), ("b", (&tensor).into())]).unwrap();
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PK"));
    assert!(is_archive(&archive) && !is_archive(&file) && !is_archive(Path::new("npz")));
    let error = write_npy(&folder.path().join("no/such/folder.npy"), &tensor).unwrap_err().to_string();
    assert!(error.contains("folder.npy"), "{error}");
}
