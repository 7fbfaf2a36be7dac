//! Inputs of models with several: which file is for which.

use std::path::{Path, PathBuf};

use cryptflow::input::{InputSpec, columns};
use cryptflow_arrays::npy::{Tensor, write_npy, write_npz};

fn spec(name: &str, shape: &[usize]) -> InputSpec {
    InputSpec {
        factors: Vec::new(),
        classes: None,
        name: name.into(),
        shape: shape.to_vec(),
        low: -100.0,
        high: 100.0,
        preprocessing: Default::default(),
    }
}

/// An array that counts up from `first`.
fn tensor(shape: &[usize], first: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    Tensor { shape: shape.to_vec(), data: (0..count).map(|i| first + i as f32).collect() }
}

/// A folder with all files of these tests, and folders in it.
fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let array = |name: &str, tensor: Tensor| {
        let mut file = std::fs::File::create(at(name)).unwrap();
        write_npy(&mut file, &tensor).unwrap();
    };
    let archive = |name: &str, arrays: &[(&str, Tensor)]| {
        let file = std::fs::File::create(at(name)).unwrap();
        write_npz(file, arrays.iter().map(|(name, tensor)| (*name, tensor))).unwrap();
    };
    std::fs::create_dir(at("sets")).unwrap();
    array("a.npy", tensor(&[2, 2], 0.0));
    array("b.npy", tensor(&[2], 50.0));
    array("b3.npy", tensor(&[3], 50.0));
    array("a=a.npy", tensor(&[1, 2], 90.0));
    archive(
        "both.npz",
        &[("a", tensor(&[2, 2], 10.0)), ("b:0", tensor(&[2], 60.0)), ("other", tensor(&[7], 0.0))],
    );
    archive("uneven.npz", &[("a", tensor(&[2, 2], 0.0)), ("b:0", tensor(&[3], 0.0))]);
    archive("only_a.npz", &[("a", tensor(&[2, 2], 0.0))]);
    archive("sets/1.npz", &[("a", tensor(&[2], 20.0)), ("b:0", tensor(&[], 70.0))]);
    archive("sets/2.npz", &[("a", tensor(&[1, 2], 30.0)), ("b:0", tensor(&[1], 80.0))]);
    folder
}

/// What a user types, with the folder where it says `@`.
fn given(folder: &Path, arguments: &[&str]) -> Vec<PathBuf> {
    let folder = folder.to_str().unwrap();
    arguments.iter().map(|argument| argument.replace('@', folder).into()).collect()
}

#[test]
fn every_input_gets_its_rows() {
    let folder = files();
    let specs = [spec("a", &[2]), spec("b:0", &[])];
    // What is given; the first number of each row of a, each row of b, and the names of the rows.
    type Case = (&'static [&'static str], &'static [f32], &'static [f32], &'static [&'static str]);
    let table: [Case; 6] = [
        (&["@/both.npz"], &[10.0, 12.0], &[60.0, 61.0], &["both.npz[0]", "both.npz[1]"]),
        (&["a=@/a.npy", "b=@/b.npy"], &[0.0, 2.0], &[50.0, 51.0], &["a.npy[0]", "a.npy[1]"]),
        (&["b:0=@/b.npy", "@/a.npy"], &[0.0, 2.0], &[50.0, 51.0], &["a.npy[0]", "a.npy[1]"]),
        (&["b=@/both.npz", "a=@/a.npy"], &[0.0, 2.0], &[60.0, 61.0], &["a.npy[0]", "a.npy[1]"]),
        (&["@/sets"], &[20.0, 30.0], &[70.0, 80.0], &["1.npz", "2.npz"]),
        (
            &["@/sets", "@/both.npz"],
            &[20.0, 30.0, 10.0, 12.0],
            &[70.0, 80.0, 60.0, 61.0],
            &["1.npz", "2.npz", "both.npz[0]", "both.npz[1]"],
        ),
    ];
    for (arguments, a, b, names) in table {
        let columns = columns(&given(folder.path(), arguments), &specs).unwrap();
        let firsts = |column: usize| columns[column].iter().map(|row| row.data[0]).collect::<Vec<_>>();
        assert_eq!((firsts(0), firsts(1)), (a.to_vec(), b.to_vec()), "{arguments:?}");
        assert_eq!(
            columns[0].iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            names,
            "{arguments:?}"
        );
    }
}

#[test]
fn one_input_takes_what_it_always_took() {
    let folder = files();
    let table: [(&[&str], &[f32]); 6] = [
        (&["@/a.npy"], &[0.0, 2.0]),
        (&["@/only_a.npz"], &[0.0, 2.0]),
        (&["@/both.npz", "@/a.npy"], &[10.0, 12.0, 0.0, 2.0]),
        // A path that is there is a path.
        (&["@/a=a.npy"], &[90.0]),
        (&["a=@/a.npy"], &[0.0, 2.0]),
        (&["a:0=@/a=a.npy"], &[90.0]),
    ];
    for (arguments, expected) in table {
        let columns = columns(&given(folder.path(), arguments), &[spec("a", &[2])]).unwrap();
        let firsts: Vec<f32> = columns[0].iter().map(|row| row.data[0]).collect();
        assert_eq!(firsts, expected, "{arguments:?}");
    }
}

#[test]
fn what_does_not_go_together_is_said() {
    let folder = files();
    let one = [spec("a", &[2])];
    let two = [spec("a", &[2]), spec("b:0", &[])];
    let three = [spec("a", &[2]), spec("b:0", &[]), spec("c", &[])];
    let table: [(&[InputSpec], &[&str], &[&str]); 14] = [
        (&two, &["@/a.npy"], &["a.npy is for one input", "2 inputs from it (a, b:0)", "NAME=FILE"]),
        (&three, &["b=@/b.npy", "@/a.npy"], &["2 inputs from it (a, c)"]),
        (
            &two,
            &["@/only_a.npz"],
            &["only_a.npz holds the array a", "none for the input \"b:0\"", "b:0=FILE"],
        ),
        (&two, &["@/uneven.npz"], &["uneven.npz holds different numbers of rows", "a 2, b:0 3"]),
        (&two, &["a=@/a.npy", "b=@/b3.npy"], &["there are different numbers of rows", "a 2, b:0 3"]),
        (&two, &["a=@/a.npy"], &["nothing was given for the input \"b:0\"", "its inputs are a, b:0"]),
        (&two, &["c=@/a.npy", "b=@/b.npy"], &["no input \"c\"", "its inputs are a, b:0"]),
        (&one, &["c=@/a.npy"], &["there is no such file", "no input \"c\"", "its only input is \"a\""]),
        (&two, &["a=@/a.npy", "b=@/b.npy", "@/both.npz"], &["both.npz is for no input", "NAME="]),
        (&two, &["a=@/nothing.npy", "b=@/b.npy"], &["cannot read", "nothing.npy"]),
        (&two, &["@/nothing.npz"], &["cannot read", "nothing.npz"]),
        (&two, &["a=@/b3.npy", "b=@/b.npy"], &["the input \"a\" needs [N, 2]"]),
        (&two, &[], &["nothing was given for the input \"a\""]),
        (&one, &[], &["no input was given"]),
    ];
    for (specs, arguments, says) in table {
        let error = columns(&given(folder.path(), arguments), specs).unwrap_err().to_string();
        for part in says {
            assert!(error.contains(part), "{arguments:?}: {error}\nlacks {part:?}");
        }
    }
}
