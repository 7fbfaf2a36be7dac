//! What is said about files that do not become graphs.

use super::graph_def::{Builder, ints, numbers, outputs, shape, text};
use cryptflow_import::tensorflow::import;
use cryptflow_import::tensorflow::messages::{
    Attr, DataType, FunctionDef, FunctionDefLibrary, ListValue, NameAttrList, OpDef, TensorProto,
};
use cryptflow_import::{ImportError, ImportOptions, Lookalike, from_path};

fn fails(b: &Builder, options: &ImportOptions) -> String {
    import(&b.bytes(), options).unwrap_err().to_string()
}

/// A small network with a bit of everything.
fn network() -> Builder {
    let mut b = Builder::default();
    b.input("x", &[-1, 6, 6, 2]).floats("w", &[3, 3, 2, 4], &numbers(72)).floats("b", &[4], &numbers(4));
    let conv = [("strides", ints(&[1, 1, 1, 1])), ("padding", text("SAME"))];
    let pool = [("ksize", ints(&[1, 2, 2, 1])), ("strides", ints(&[1, 2, 2, 1])), ("padding", text("VALID"))];
    b.node("conv", "Conv2D", &["x", "w"], &conv).node("bias", "BiasAdd", &["conv", "b"], &[]);
    b.node("relu", "Relu", &["bias"], &[]).node("pool", "MaxPool", &["relu"], &pool);
    b.integers("flat", &[2], &[-1, 36]).node("reshape", "Reshape", &["pool", "flat"], &[]);
    b.floats("m", &[36, 3], &numbers(108)).node("logits", "MatMul", &["reshape", "m"], &[]);
    b.node("softmax", "Softmax", &["logits"], &[]).node("nothing", "NoOp", &[], &[]);
    b.node("Identity", "Identity", &["softmax:0", "^nothing"], &[]);
    b
}

#[test]
fn the_small_network_is_fine() {
    let graph = import(&network().bytes(), &ImportOptions::default()).unwrap();
    assert_eq!(graph.output_names, ["Identity"]);
    assert_eq!(graph.node(graph.inputs[0]).shape, [1, 6, 6, 2]);
    let batch = ImportOptions { batch: Some(5), ..outputs(&["logits:0", "relu"]) };
    let graph = import(&network().bytes(), &batch).unwrap();
    assert_eq!(graph.output_names, ["logits", "relu"]);
    assert_eq!(graph.node(graph.outputs[0]).shape, [5, 3]);
    // Cut in the middle: what a node computes becomes the input.
    let cut = ImportOptions { inputs: vec![("pool".into(), vec![2, 3, 3, 4])], ..outputs(&["logits"]) };
    let graph = import(&network().bytes(), &cut).unwrap();
    assert_eq!(graph.node(graph.inputs[0]).name, "pool");
    assert_eq!(graph.nodes.iter().filter(|n| n.op.name() == "conv").count(), 0);
}

#[test]
fn every_unsupported_node_is_reported() {
    let mut b = network();
    b.node("picture", "DecodeJpeg", &["logits"], &[]).node("gate", "Mul", &["picture", "logits"], &[]);
    b.node("product", "Pow", &["logits", "softmax"], &[]).node("made_up", "FooBar", &["product"], &[]);
    b.node("last", "AddN", &["gate", "made_up", "relu"], &[]).node("unneeded", "Tanh", &["x"], &[]);
    let error = import(&b.bytes(), &outputs(&["last"])).unwrap_err();
    let text = error.to_string();
    let ImportError::Unsupported(nodes) = error else { panic!("{text}") };
    let names: Vec<(&str, &str)> = nodes.iter().map(|n| (n.name.as_str(), n.op.as_str())).collect();
    // An operation that does not exist here is reported wherever it is; one that only depends on
    // such a node is not, nor is what no output needs.
    assert_eq!(names, [("picture", "DecodeJpeg"), ("product", "Pow"), ("made_up", "FooBar")]);
    assert!(
        text.starts_with(
            "3 nodes of the model are not supported:\n  picture (DecodeJpeg): prepares pictures"
        ),
        "{text}"
    );
}

#[test]
fn unsupported_nodes_say_what_to_do() {
    type Build = fn(&mut Builder);
    let table: [(&str, Build); 22] = [
        ("must be frozen", |b| {
            b.node("y", "ReadVariableOp", &["x"], &[]);
        }),
        ("decides by a value", |b| {
            b.node("y", "Switch", &["x", "x"], &[]);
        }),
        ("Inline functions", |b| {
            b.node("y", "StatefulPartitionedCall", &["x"], &[]);
        }),
        ("calls the function \"f_12\" of", |b| {
            let f = NameAttrList { name: "f_12".into(), ..NameAttrList::default() };
            b.node("y", "PartitionedCall", &["x"], &[("f", Attr::Func(f))]);
        }),
        ("calls the function \"my_function\" of", |b| {
            b.node("y", "my_function", &["x"], &[]);
            let signature = Some(OpDef { name: "my_function".into(), ..OpDef::default() });
            let function = vec![FunctionDef { signature, ..FunctionDef::default() }];
            b.0.library = Some(FunctionDefLibrary { function });
        }),
        ("part of a loop", |b| {
            b.node("y", "AddV2", &["x", "z"], &[]).node("z", "Relu", &["y"], &[]);
        }),
        ("there is no such operation here", |b| {
            b.node("y", "Quux", &["x"], &[]);
        }),
        ("training=False", |b| {
            b.node("y", "FusedBatchNormV3", &["x"; 5], &[]);
        }),
        ("result 1 of \"n\"", |b| {
            b.floats("g", &[2], &[1.0, 2.0]);
            b.node("n", "FusedBatchNormV3", &["x", "g", "g", "g", "g"], &[("is_training", Attr::B(false))]);
            b.node("y", "Relu", &["n:1"], &[]);
        }),
        ("not in the graph", |b| {
            b.node("y", "Relu", &["nowhere"], &[]);
        }),
        ("not in the graph", |b| {
            b.node("y", "Relu", &["x:one"], &[]);
        }),
        ("a power that depends on an input", |b| {
            b.node("y", "Pow", &["x", "x"], &[]);
        }),
        ("filter is computed from an input", |b| {
            b.node("y", "Conv2D", &["x", "x"], &[]);
        }),
        ("known when compiling", |b| {
            b.node("y", "Reshape", &["x", "x"], &[]);
        }),
        ("cannot become", |b| {
            b.integers("s", &[2], &[7, -1]).node("y", "Reshape", &["x", "s"], &[]);
        }),
        ("no axis 4", |b| {
            b.integers("s", &[], &[4]).node("y", "Mean", &["x", "s"], &[]);
        }),
        ("needs 1 operand", |b| {
            b.node("y", "Relu", &[], &[]);
        }),
        ("--input z=", |b| {
            b.node("z", "Placeholder", &[], &[("dtype", Attr::Type(1))]).node("y", "Relu", &["z"], &[]);
        }),
        ("only the first axis may be open", |b| {
            b.input("z", &[-1, -1, 3]).node("y", "Relu", &["z"], &[]);
        }),
        ("only numbers can be shared", |b| {
            b.node("z", "Placeholder", &[], &[("dtype", Attr::Type(DataType::Bool as i32))]).node(
                "y",
                "Relu",
                &["z"],
                &[],
            );
        }),
        ("does not fit an input of 6", |b| {
            let same = [
                ("ksize", ints(&[1, 9, 9, 1])),
                ("strides", ints(&[1, 1, 1, 1])),
                ("padding", text("VALID")),
            ];
            b.node("y", "MaxPool", &["x"], &same);
        }),
        ("more than", |b| {
            let tensor =
                TensorProto { dtype: 1, tensor_shape: Some(shape(&[1 << 40])), ..TensorProto::default() };
            b.node("c", "Const", &[], &[("value", Attr::Tensor(tensor))]).node(
                "y",
                "AddV2",
                &["x", "c"],
                &[],
            );
        }),
    ];
    for (reason, build) in table {
        let mut b = Builder::default();
        b.input("x", &[1, 6, 6, 2]);
        build(&mut b);
        let error = fails(&b, &outputs(&["y"]));
        let reason = if reason == "needs 1 operand" { "operand 0 is needed" } else { reason };
        assert!(error.contains(reason), "{reason:?} is not in {error}");
    }
}

/// What a reader has to type stands there, as far as the file says it.
#[test]
fn advice_has_names_and_shapes_filled_in() {
    let declared = |dims: &[i64]| {
        let list = ListValue { shape: vec![shape(dims)], ..ListValue::default() };
        ("_output_shapes", Attr::List(list))
    };
    let refused = |build: fn(&mut Builder), with: &[(&'static str, Attr)], batch: Option<usize>| {
        let mut b = Builder::default();
        b.input("x", &[-1, 6, 6, 2]);
        build(&mut b);
        b.node("prepare/odd", "NoSuchThing", &["h"], with).node("y", "Relu", &["prepare/odd"], &[]);
        fails(&b, &ImportOptions { batch, ..outputs(&["y"]) })
    };
    let relu: fn(&mut Builder) = |b| {
        b.node("h", "Relu", &["x"], &[]);
    };
    // Two that cannot be imported, one after the other.
    let chain: fn(&mut Builder) = |b| {
        b.node("first", "Relu", &["x"], &[]).node("h", "NoSuchThing", &["first"], &[]);
    };
    let table = [
        (refused(relu, &[], None), "behind it with --input prepare/odd=SHAPE; if"),
        (refused(relu, &[], None), "end the graph there with --output h"),
        (refused(relu, &[declared(&[-1, 6, 6, 2])], None), "--input prepare/odd=1,6,6,2;"),
        (refused(relu, &[declared(&[-1, 6, 6, 2])], Some(3)), "--input prepare/odd=3,6,6,2;"),
        (refused(relu, &[declared(&[-1, 6, -1, 2])], None), "--input prepare/odd=SHAPE;"),
        (
            refused(chain, &[], None),
            "--input h=SHAPE; if it comes after the logits, end the graph there with --output first",
        ),
        (
            refused(chain, &[], None),
            "--input prepare/odd=SHAPE; if it comes after the logits, end the graph there with --output first",
        ),
    ];
    for (error, part) in table {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    // As a shell takes it. An input is no end.
    let mut b = Builder::default();
    b.input("x", &[1, 3]).node("it's odd", "NoSuchThing", &["x"], &[declared(&[1, 3])]);
    let error = fails(&b, &outputs(&["it's odd"]));
    for part in [r"--input 'it'\''s odd=1,3';", "end the graph there with --output NAME"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn names_and_batches() {
    let b = network();
    let input = |name: &str, shape: &[usize]| ImportOptions {
        inputs: vec![(name.into(), shape.to_vec())],
        ..ImportOptions::default()
    };
    let fixed = {
        let mut b = Builder::default();
        b.input("x", &[1, 3]).node("y", "Relu", &["x"], &[]);
        b
    };
    let mut twice = network();
    twice.node("relu", "Relu", &["x"], &[]);
    let table = [
        (fails(&b, &outputs(&["logit"])), "no node \"logit\" to use as an output. Did you mean \"logits\"?"),
        (fails(&b, &input("input", &[1])), "The graph has: x"),
        (
            fails(&fixed, &ImportOptions { batch: Some(2), ..Default::default() }),
            "fixes the first dimension of \"x\" to 1",
        ),
        (fails(&twice, &ImportOptions::default()), "two nodes of the graph are called \"relu\""),
        (
            fails(
                &b,
                &ImportOptions { inputs: vec![("softmax".into(), vec![1, 3])], ..outputs(&["logits"]) },
            ),
            "no output depends on it",
        ),
        (fails(&Builder::default(), &ImportOptions::default()), "an empty file"),
    ];
    for (error, reason) in table {
        assert!(error.contains(reason), "{reason:?} is not in {error}");
    }
}

#[test]
fn a_file_that_is_cut_off_says_where() {
    let bytes = network().bytes();
    let mut seen = 0;
    for n in 0..bytes.len() {
        match import(&bytes[..n], &outputs(&["softmax"])) {
            Err(ImportError::Decode { offset, length, .. }) => {
                assert!(offset < n && length == n);
                seen += 1;
            }
            Err(ImportError::NotAGraph { found: Lookalike::Empty }) => assert_eq!(n, 0),
            // Cut between two nodes.
            Err(ImportError::Empty(_) | ImportError::UnknownName { .. } | ImportError::Unsupported(_)) => {}
            // Cut behind the softmax.
            Ok(_) => assert!(n > bytes.len() - 80),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(seen > bytes.len() / 2);
    let error = import(&bytes[..bytes.len() - 3], &ImportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("the file is cut off. Copy the file again"), "{error}");
}

#[test]
fn damaged_files_never_panic() {
    let bytes = network().bytes();
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for _ in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random(4) {
            let at = random(damaged.len());
            damaged[at] = random(256) as u8;
        }
        // Whatever it says, it says it without a panic and without taking all memory.
        let _ = import(&damaged, &ImportOptions::default());
    }
    for n in 0..2000 {
        let noise: Vec<u8> = (0..n % 64).map(|_| random(256) as u8).collect();
        let _ = import(&noise, &ImportOptions::default());
    }
}

#[test]
fn other_files_are_known() {
    let folder = std::env::temp_dir().join(format!("athos-errors-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("model")).unwrap();
    std::fs::write(folder.join("model/saved_model.pb"), [8, 1, 18, 0]).unwrap();
    std::fs::create_dir_all(folder.join("text")).unwrap();
    std::fs::write(folder.join("text/saved_model.pbtxt"), b"saved_model_schema_version: 1").unwrap();
    std::fs::write(folder.join("model.keras"), b"PK\x03\x04").unwrap();
    std::fs::write(folder.join("model.h5"), b"\x89HDF\r\n\x1a\n").unwrap();
    let mut good = Builder::default();
    good.input("x", &[1, 3]).node("y", "Relu", &["x"], &[]);
    std::fs::write(folder.join("good.pb"), good.bytes()).unwrap();
    let table = [
        ("model", "the SavedModel has no graph with the tag \"serve\""),
        ("text", "a SavedModel in text form (saved_model.pbtxt). Save it in binary form"),
        (".", "a directory without saved_model.pb. Give the folder of a SavedModel"),
        (
            "model/saved_model.pb",
            "the saved_model.pb of a SavedModel, which does not hold the weights. Give the folder",
        ),
        ("model.h5", "an HDF5 file (Keras .h5). If it is a Keras model, turn it into a SavedModel"),
        ("model.keras", "keras.models.load_model(\"model.keras\").export(\"folder\")"),
        ("missing.pb", "cannot read"),
    ];
    for (file, reason) in table {
        let error = from_path(&folder.join(file), &ImportOptions::default()).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason:?} is not in {error}");
    }
    assert_eq!(from_path(&folder.join("good.pb"), &ImportOptions::default()).unwrap().name, "good");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn near_names() {
    let mut b = Builder::default();
    b.input("x", &[1, 3]);
    for name in ["conv1/Relu", "logits", "prediction", "model/dense/Softmax"] {
        b.node(name, "Relu", &["x"], &[]);
    }
    for (asked, hint) in [
        ("logit", "Did you mean \"logits\"?"),
        ("Logits", "Did you mean \"logits\"?"),
        ("softmax", "Did you mean \"model/dense/Softmax\"?"),
        ("xyzxyz", "No name is near it"),
    ] {
        let error = fails(&b, &outputs(&[asked]));
        assert!(error.contains(hint), "{asked}: {error}");
    }
}

#[test]
fn first_bytes_tell_files_apart() {
    let zip = |name: &str| {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(26, 0);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes
    };
    let table: [(&[u8], Option<Lookalike>); 24] = [
        (b"", Some(Lookalike::Empty)),
        (b"\x89PNG\r\n\x1a\n\0", Some(Lookalike::Picture)),
        (b"\xff\xd8\xff\xe0", Some(Lookalike::Picture)),
        (b"RIFF\x1e\0\0\0WEBPVP8 ", Some(Lookalike::Picture)),
        (b"BM\xf6\0\0\0\0\0\0\0", Some(Lookalike::Picture)),
        (b"1,2,3\n4,5,6\n", Some(Lookalike::Text)),
        (b"\n\n1,2", None),
        (b"\x0a\x11\x0a\x01x", None),
        (b"\x89HDF\r\n\x1a\n\0\0", Some(Lookalike::Hdf5)),
        (b"PK\x03\x04\x14\0", Some(Lookalike::Zip)),
        (&zip("metadata.json"), Some(Lookalike::Keras)),
        (&zip("model/data.pkl"), Some(Lookalike::PyTorch)),
        (&zip("x.npy"), Some(Lookalike::Numpy)),
        (&zip("readme.txt"), Some(Lookalike::Zip)),
        (&zip("metadata.json")[..35], Some(Lookalike::Zip)),
        (b"\x08\x01\x12\x80\x02", Some(Lookalike::SavedModel)),
        (b"\x08\x07\x12\x07pytorch", Some(Lookalike::Onnx)),
        (b"\x1c\0\0\0TFL3", Some(Lookalike::TensorFlowLite)),
        (b"node {\n  name: \"x\"", Some(Lookalike::TextGraph)),
        (b"\xfd7zXZ\0\0\x04", Some(Lookalike::Compressed)),
        (b"\x93NUMPY\x01\0", Some(Lookalike::Numpy)),
        (b"version https://git-lfs.github.com/spec/v1", Some(Lookalike::LfsPointer)),
        (b"\x10\x20\0\0\0\0\0\0{\"__metadata__\"", Some(Lookalike::Safetensors)),
        (
            b"\x10\x20\0\0\0\0\0\0{\"__metadata__\":{\"content\":\"model\",\"format\":\"cryptflow\"",
            Some(Lookalike::Compiled),
        ),
    ];
    for (bytes, found) in table {
        assert_eq!(Lookalike::of(bytes), found, "{bytes:?}");
    }
}
