//! Constants, in every way in which files of either framework hold them.

use super::graph_def::{Builder, outputs, shape};
use super::onnx_errors;
use cryptflow_graph::{Graph, Op};
use cryptflow_import::onnx::messages as onnx;
use cryptflow_import::tensorflow::messages as tensorflow;
use cryptflow_import::{ImportError, ImportOptions};
use prost::Message;

type Read = Result<Vec<f32>, String>;

/// The elements of the constant that a graph is.
fn elements(graph: Result<Graph, ImportError>) -> Read {
    let graph = graph.map_err(|e| e.to_string())?;
    match &graph.node(graph.outputs[0]).op {
        Op::Constant(array) => Ok(array.data.to_vec()),
        other => Err(format!("{other:?}")),
    }
}

fn of_tensorflow(dims: &[i64], tensor: tensorflow::TensorProto) -> Read {
    let tensor = tensorflow::TensorProto { tensor_shape: Some(shape(dims)), ..tensor };
    let mut b = Builder::default();
    b.node("c", "Const", &[], &[("value", tensorflow::Attr::Tensor(tensor))]);
    elements(cryptflow_import::tensorflow::import(&b.bytes(), &outputs(&["c"])))
}

/// A model of a constant and nothing else.
fn model(change: impl FnOnce(&mut onnx::GraphProto)) -> Read {
    let mut model = onnx_errors::model(Vec::new());
    if let Some(graph) = &mut model.graph {
        graph.output[0].name = "c".into();
        change(graph);
    }
    elements(cryptflow_import::onnx::import(&model.encode_to_vec(), None, &ImportOptions::default()))
}

fn of_onnx(dims: &[i64], tensor: onnx::TensorProto) -> Read {
    let tensor = onnx::TensorProto { dims: dims.to_vec(), name: "c".into(), ..tensor };
    model(|graph| graph.initializer.push(tensor))
}

/// Tensors of a type, without elements.
fn empty(tf: tensorflow::DataType, on: onnx::DataType) -> (tensorflow::TensorProto, onnx::TensorProto) {
    let tf = tensorflow::TensorProto { dtype: tf as i32, ..tensorflow::TensorProto::default() };
    (tf, onnx::TensorProto { data_type: on as i32, ..onnx::TensorProto::default() })
}

#[test]
fn elements_as_they_are_in_memory() {
    use onnx::DataType as O;
    use tensorflow::DataType as T;
    let halves = [0x01, 0x00, 0x00, 0x84, 0xff, 0x7b, 0x00, 0x7c].to_vec();
    let limits = [2f32.powi(-24), -(2f32.powi(-14)), 65504.0, f32::INFINITY];
    let table: [(T, O, Vec<u8>, &[f32]); 15] = [
        (T::Float, O::Float, [1.5f32, -2.0].map(f32::to_le_bytes).concat(), &[1.5, -2.0]),
        (T::Double, O::Double, [1.5f64, -2.0].map(f64::to_le_bytes).concat(), &[1.5, -2.0]),
        (T::Half, O::Float16, vec![0, 0x3e, 0, 0xc0], &[1.5, -2.0]),
        (T::Half, O::Float16, halves, &limits),
        (T::Bfloat16, O::Bfloat16, vec![0xc0, 0x3f, 0, 0xc0], &[1.5, -2.0]),
        (T::Int64, O::Int64, [5i64, -3].map(i64::to_le_bytes).concat(), &[5.0, -3.0]),
        (T::Int32, O::Int32, [5i32, -3].map(i32::to_le_bytes).concat(), &[5.0, -3.0]),
        (T::Int16, O::Int16, [5i16, -3].map(i16::to_le_bytes).concat(), &[5.0, -3.0]),
        (T::Int8, O::Int8, vec![5, 253], &[5.0, -3.0]),
        (T::Uint64, O::Uint64, [5u64, 3].map(u64::to_le_bytes).concat(), &[5.0, 3.0]),
        (T::Uint32, O::Uint32, [5u32, 1 << 31].map(u32::to_le_bytes).concat(), &[5.0, 2147483648.0]),
        (T::Uint16, O::Uint16, [5u16, 65533].map(u16::to_le_bytes).concat(), &[5.0, 65533.0]),
        (T::Uint8, O::Uint8, vec![5, 253], &[5.0, 253.0]),
        (T::Bool, O::Bool, vec![1, 0], &[1.0, 0.0]),
        (T::Bool, O::Bool, vec![0, 7], &[0.0, 1.0]),
    ];
    for (tf, on, bytes, want) in table {
        let (dims, want) = ([want.len() as i64], Ok(want.to_vec()));
        let (a, b) = empty(tf, on);
        let found = of_tensorflow(&dims, tensorflow::TensorProto { tensor_content: bytes.clone(), ..a });
        assert_eq!(found, want, "{tf:?}");
        assert_eq!(of_onnx(&dims, onnx::TensorProto { raw_data: bytes, ..b }), want, "{on:?}");
    }
    let (a, b) = empty(T::Half, O::Float16);
    let tensor_content = vec![0x00, 0x7e];
    let nan = of_tensorflow(&[], tensorflow::TensorProto { tensor_content: tensor_content.clone(), ..a });
    assert!(nan.unwrap()[0].is_nan());
    assert!(of_onnx(&[], onnx::TensorProto { raw_data: tensor_content, ..b }).unwrap()[0].is_nan());
}

#[test]
fn elements_that_are_listed() {
    use onnx::DataType as O;
    use tensorflow::DataType as T;
    type Tensorflow = fn(&mut tensorflow::TensorProto);
    type Onnx = fn(&mut onnx::TensorProto);
    let table: [(T, Tensorflow, O, Onnx, [f32; 2]); 10] = [
        (
            T::Float,
            |t| t.float_val = vec![1.5, -2.0],
            O::Float,
            |t| t.float_data = vec![1.5, -2.0],
            [1.5, -2.0],
        ),
        (
            T::Double,
            |t| t.double_val = vec![1.5, -2.0],
            O::Double,
            |t| t.double_data = vec![1.5, -2.0],
            [1.5, -2.0],
        ),
        (
            T::Half,
            |t| t.half_val = vec![0x3e00, 0xc000],
            O::Float16,
            |t| t.int32_data = vec![0x3e00, 0xc000],
            [1.5, -2.0],
        ),
        (
            T::Bfloat16,
            |t| t.half_val = vec![0x3fc0, 0xc000],
            O::Bfloat16,
            |t| t.int32_data = vec![0x3fc0, 0xc000],
            [1.5, -2.0],
        ),
        (T::Int32, |t| t.int_val = vec![5, -3], O::Int32, |t| t.int32_data = vec![5, -3], [5.0, -3.0]),
        (T::Int8, |t| t.int_val = vec![5, -3], O::Int8, |t| t.int32_data = vec![5, -3], [5.0, -3.0]),
        (T::Int64, |t| t.int64_val = vec![5, -3], O::Int64, |t| t.int64_data = vec![5, -3], [5.0, -3.0]),
        (T::Uint32, |t| t.uint32_val = vec![5, 3], O::Uint32, |t| t.uint64_data = vec![5, 3], [5.0, 3.0]),
        (T::Uint64, |t| t.uint64_val = vec![5, 3], O::Uint64, |t| t.uint64_data = vec![5, 3], [5.0, 3.0]),
        (T::Bool, |t| t.bool_val = vec![true, false], O::Bool, |t| t.int32_data = vec![7, 0], [1.0, 0.0]),
    ];
    for (tf, list_tf, on, list_on, want) in table {
        let (mut a, mut b) = empty(tf, on);
        list_tf(&mut a);
        list_on(&mut b);
        assert_eq!(of_tensorflow(&[2], a), Ok(want.to_vec()), "{tf:?}");
        assert_eq!(of_onnx(&[2], b), Ok(want.to_vec()), "{on:?}");
    }
    // TensorFlow's last one repeats.
    let repeated: [(&[f32], [f32; 4]); 3] =
        [(&[], [0.0; 4]), (&[7.0], [7.0; 4]), (&[1.0, 2.0], [1.0, 2.0, 2.0, 2.0])];
    for (listed, want) in repeated {
        let (a, _) = empty(T::Float, O::Float);
        let found = of_tensorflow(&[2, 2], tensorflow::TensorProto { float_val: listed.to_vec(), ..a });
        assert_eq!(found, Ok(want.to_vec()));
    }
}

#[test]
fn sizes_are_checked() {
    // (shape, bytes, listed elements, what is said)
    let table: [(&[i64], usize, usize, &str); 7] = [
        (&[1 << 40], 0, 0, "more than"),
        (&[1 << 27], 0, 0, "but the file holds 0"),
        (&[i64::MAX, i64::MAX], 0, 0, "more than"),
        (&[-1], 0, 0, "the shape [-1]"),
        (&[2], 7, 0, "but the file holds 7 bytes"),
        (&[2], 4, 0, "but the file holds 4 bytes"),
        (&[2], 0, 3, "but the file holds 3"),
    ];
    let float = || empty(tensorflow::DataType::Float, onnx::DataType::Float);
    let said = |found: Read, reason: &str| {
        let error = found.unwrap_err();
        assert!(error.contains(reason), "{reason:?} is not in {error:?}");
    };
    for (dims, bytes, listed, reason) in table {
        let (a, b) = float();
        let (bytes, list) = (vec![0; bytes], vec![0.0; listed]);
        let a = tensorflow::TensorProto { tensor_content: bytes.clone(), float_val: list.clone(), ..a };
        said(of_tensorflow(dims, a), reason);
        said(of_onnx(dims, onnx::TensorProto { raw_data: bytes, float_data: list, ..b }), reason);
    }
    let (a, b) = float();
    said(of_tensorflow(&[2], tensorflow::TensorProto { dtype: 99, ..a.clone() }), "element type 99");
    let text = tensorflow::DataType::String as i32;
    said(of_tensorflow(&[2], tensorflow::TensorProto { dtype: text, ..a }), "does not depend on an input");
    said(of_onnx(&[2], onnx::TensorProto { data_location: 1, ..b.clone() }), "does not say in which");
    let text = onnx::DataType::String as i32;
    said(of_onnx(&[2], onnx::TensorProto { data_type: text, ..b.clone() }), "of the type String");
    said(of_onnx(&[2], onnx::TensorProto { data_type: 17, ..b }), "of the type number 17");
}

#[test]
fn sparse_constants_are_made_whole() {
    let sparse = |dims: &[i64], places: &[i64]| {
        let tensor = |data_type: onnx::DataType, dims: &[i64]| onnx::TensorProto {
            data_type: data_type as i32,
            dims: dims.to_vec(),
            name: "c".into(),
            ..onnx::TensorProto::default()
        };
        let values = onnx::TensorProto { float_data: vec![5.0, 7.0], ..tensor(onnx::DataType::Float, &[2]) };
        let indices =
            onnx::TensorProto { int64_data: places.to_vec(), ..tensor(onnx::DataType::Int64, dims) };
        model(|graph| {
            graph.sparse_initializer.push(onnx::SparseTensorProto {
                values: Some(values),
                indices: Some(indices),
                dims: vec![2, 3],
            });
        })
    };
    for (dims, places) in [(&[2][..], &[1, 5][..]), (&[2, 2], &[0, 1, 1, 2])] {
        assert_eq!(sparse(dims, places), Ok(vec![0.0, 5.0, 0.0, 0.0, 0.0, 7.0]), "{places:?}");
    }
    let wrong: [(&[i64], &[i64]); 4] =
        [(&[2], &[1, 6]), (&[2], &[-1, 1]), (&[1], &[1]), (&[2, 2], &[0, 3, 1, 2])];
    for (dims, places) in wrong {
        sparse(dims, places).unwrap_err();
    }
}

/// Elements in other files: what is there, and nothing else.
#[test]
fn elements_beside_the_model() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("model");
    std::fs::create_dir_all(folder.join("weights")).unwrap();
    std::fs::write(folder.join("weights/a.bin"), [0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    std::fs::write(temporary.path().join("secret"), [9; 8]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(temporary.path().join("secret"), folder.join("link")).unwrap();
    let tensor = |name: &str, length: i64, entries: &[(&str, &str)]| onnx::TensorProto {
        name: name.into(),
        dims: vec![length],
        data_type: onnx::DataType::Uint8 as i32,
        data_location: 1,
        external_data: entries
            .iter()
            .map(|(k, v)| onnx::StringStringEntryProto { key: (*k).into(), value: (*v).into() })
            .collect(),
        ..onnx::TensorProto::default()
    };
    let bytes = |constants: Vec<onnx::TensorProto>| {
        let mut model = onnx_errors::model(Vec::new());
        if let Some(graph) = &mut model.graph {
            graph.output = constants.iter().map(|c| onnx_errors::output(&c.name)).collect();
            graph.initializer = constants;
        }
        model.encode_to_vec()
    };
    let import = |constants, folder| {
        cryptflow_import::onnx::import(&bytes(constants), folder, &ImportOptions::default())
    };
    let inside = Some(folder.as_path());
    let read = |entries: &[(&str, &str)]| elements(import(vec![tensor("c", 4, entries)], inside));

    let a = "weights/a.bin";
    let whole = [("location", a), ("offset", "2"), ("length", "4")];
    assert_eq!(read(&whole), Ok(vec![2.0, 3.0, 4.0, 5.0]));
    assert_eq!(read(&[("location", "./weights/a.bin"), ("offset", "4")]), Ok(vec![4.0, 5.0, 6.0, 7.0]));

    let absolute = temporary.path().join("secret").to_string_lossy().into_owned();
    let mut table: Vec<(&[(&str, &str)], &str)> = vec![
        (&[], "does not say in which"),
        (&[("location", "")], "not in the model's folder"),
        (&[("location", "../secret")], "not in the model's folder"),
        (&[("location", "weights/../../secret")], "not in the model's folder"),
        (&[("location", "weights")], "not in the model's folder"),
        (&[("location", "missing")], "cannot be read"),
        (&[("location", "weights/a.bin"), ("offset", "x")], "impossible offset"),
        (&[("location", "weights/a.bin"), ("offset", "-1")], "impossible offset"),
        (&[("location", "weights/a.bin"), ("length", "5")], "needs 4 bytes"),
        (&[("location", "weights/a.bin"), ("offset", "5")], "has 8 bytes"),
        (&[("location", "weights/a.bin"), ("offset", "18446744073709551615")], "has 8 bytes"),
    ];
    let elsewhere = [("location", absolute.as_str())];
    table.push((&elsewhere, "not in the model's folder"));
    if cfg!(unix) {
        table.push((&[("location", "link")], "not in the model's folder"));
    }
    for (entries, reason) in table {
        let error = read(entries).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    // Eight bytes are read four times over, and no more.
    let names = ["a", "b", "c", "d", "e"];
    let all = |n: usize| names[..n].iter().map(|name| tensor(name, 8, &[("location", a)])).collect();
    assert_eq!(import(all(4), inside).unwrap().outputs.len(), 4);
    let error = import(all(5), inside).unwrap_err().to_string();
    assert!(error.contains("more than 4 times over"), "{error}");
    let error = import(vec![tensor("c", 4, &whole)], None).unwrap_err().to_string();
    assert!(error.contains("from its path"), "{error}");
}
