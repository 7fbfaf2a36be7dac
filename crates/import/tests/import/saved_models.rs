//! The SavedModels in `tests/data/saved_models` (made by `models/testgraphs/saved_models.py`):
//! their signatures, their names, and what is said of those that are damaged.

use std::path::PathBuf;

use super::small_models::data;
use cryptflow_graph::{Array, Graph, Op};
use cryptflow_import::{ImportOptions, from_path};

fn folder(name: &str) -> PathBuf {
    data().join("saved_models").join(name)
}

fn signature(name: &str) -> ImportOptions {
    ImportOptions { signature: Some(name.into()), ..ImportOptions::default() }
}

fn fails(name: &str, options: &ImportOptions) -> String {
    from_path(&folder(name), options).unwrap_err().to_string()
}

fn names(graph: &Graph) -> (Vec<&str>, Vec<&str>) {
    let inputs = graph.inputs.iter().map(|&i| graph.node(i).name.as_str()).collect();
    (inputs, graph.output_names.iter().map(String::as_str).collect())
}

/// A SavedModel, a signature, its inputs and outputs.
type Row = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const TABLE: [Row; 6] = [
    ("keras", "serving_default", &["picture"], &["output_0"]),
    ("module", "serving_default", &["rows"], &["bottom", "sum", "top"]),
    ("module", "add", &["a", "p"], &["result"]),
    ("simple_save", "serving_default", &["x"], &["logits", "probabilities"]),
    ("builder", "serving_default", &["picture"], &["features"]),
    ("sharded", "serving_default", &["x"], &["y"]),
];

#[test]
fn signatures_name_inputs_and_outputs() {
    for (name, called, inputs, outputs) in TABLE {
        let graph = from_path(&folder(name), &signature(called)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(names(&graph), (inputs.to_vec(), outputs.to_vec()), "{name}");
        assert_eq!(graph.name, name);
    }
}

#[test]
fn names_of_nodes_lead_back_to_them() {
    // What is named in the compiled program must be found again when it is compared with the model.
    for (name, called, ..) in TABLE {
        let graph = from_path(&folder(name), &signature(called)).unwrap();
        for node in graph.nodes.iter().filter(|n| !matches!(n.op, Op::Input | Op::Constant(_))) {
            let options = ImportOptions { outputs: vec![node.name.clone()], ..signature(called) };
            // Parts of a node have names that only the graph knows.
            let Ok(part) = from_path(&folder(name), &options) else {
                assert!(node.name.contains(['/', ':']), "{name}: {}", node.name);
                continue;
            };
            assert_eq!(part.node(part.outputs[0]).shape, node.shape, "{name}: {}", node.name);
        }
    }
}

#[test]
fn options_name_inputs_and_outputs() {
    let batch = ImportOptions { batch: Some(3), ..ImportOptions::default() };
    let graph = from_path(&folder("keras"), &batch).unwrap();
    assert_eq!(graph.node(graph.outputs[0]).shape, [3, 3]);
    let options = ImportOptions {
        inputs: vec![("x".into(), vec![2, 6])],
        outputs: vec!["logits".into()],
        ..ImportOptions::default()
    };
    let graph = from_path(&folder("simple_save"), &options).unwrap();
    assert_eq!(names(&graph), (vec!["x"], vec!["logits"]));
    assert_eq!(graph.node(graph.outputs[0]).shape, [2, 3]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let default = ImportOptions::default();
    let output = |name: &str| ImportOptions { outputs: vec![name.into()], ..ImportOptions::default() };
    let table = [
        (
            fails("module", &signature("serve")),
            "has no signature \"serve\". Give one of these with --signature NAME:",
        ),
        (
            fails("module", &signature("serve")),
            "\n  add(a: Float [2, 4], p: Float [2, 4]) -> result: Float [2, 4]",
        ),
        (fails("module", &signature("serve")), "\n  serving_default(rows: Float [?, 5]) -> bottom: "),
        (fails("no_signature", &default), "It has none at all: save it again with one"),
        (fails("builder", &signature("wrong")), "has no signature \"wrong\""),
        (fails("partitioned", &default), "is stored in 2 slices"),
        (fails("simple_save", &output("logit")), "Did you mean \"logits\"?"),
        (fails(".", &default), "a directory without saved_model.pb. Give the folder of a SavedModel"),
        (fails("keras/saved_model.pb", &default), "Give the folder that it lies in"),
        (
            named("model.keras", b"PK\x03\x04\x14\0"),
            "keras.models.load_model(\"model.keras\").export(\"folder\")",
        ),
        (
            named("model.h5", b"\x89HDF\r\n\x1a\n\0\0"),
            "turn it into a SavedModel, and give that folder: import keras; keras.models",
        ),
        (
            from_path(&folder("../arg_max_head.pb"), &signature("x")).map(|_| ()).unwrap_err().to_string(),
            "only a SavedModel has any",
        ),
    ];
    for (error, reason) in table {
        assert!(error.contains(reason), "{reason:?} is not in {error}");
    }
}

/// What is said about a file of this name and beginning.
fn named(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    from_path(&path, &ImportOptions::default()).unwrap_err().to_string()
}

/// A copy of a model, one file of which can be damaged.
pub(crate) struct Copy(tempfile::TempDir);

impl Copy {
    const FILES: [&str; 3] =
        ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"];

    pub(crate) fn of(name: &str) -> Copy {
        let copy = Copy(tempfile::tempdir().unwrap());
        std::fs::create_dir(copy.0.path().join("variables")).unwrap();
        for file in Copy::FILES {
            copy.write(file, &std::fs::read(folder(name).join(file)).unwrap());
        }
        copy
    }

    pub(crate) fn write(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.0.path().join(file), bytes).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(file)).unwrap()
    }

    pub(crate) fn import(&self) -> Result<Graph, String> {
        from_path(self.0.path(), &ImportOptions::default()).map_err(|e| e.to_string())
    }
}

/// Constants in order: what damage must not change without being noticed.
pub(crate) fn constants(graph: &Graph) -> Vec<Array> {
    graph
        .nodes
        .iter()
        .filter_map(|n| if let Op::Constant(a) = &n.op { Some(a.clone()) } else { None })
        .collect()
}

#[test]
fn damaged_files_never_panic() {
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for name in ["keras", "module", "simple_save", "builder"] {
        let copy = Copy::of(name);
        let whole = constants(&copy.import().unwrap());
        for file in Copy::FILES {
            let bytes = std::fs::read(folder(name).join(file)).unwrap();
            let mut errors = 0;
            const DAMAGES: usize = 40;
            for i in 0..2 * DAMAGES {
                let mut damaged = bytes.clone();
                let cut = i < DAMAGES;
                if cut {
                    damaged.truncate(random(bytes.len()));
                } else {
                    for _ in 0..1 + random(3) {
                        damaged[random(bytes.len())] ^= 1 << random(8);
                    }
                }
                copy.write(file, &damaged);
                match copy.import() {
                    Err(_) => errors += 1,
                    // The graph has no checksum; the variables have.
                    Ok(graph) if file != "saved_model.pb" => {
                        assert_eq!(constants(&graph), whole, "{name} {file}")
                    }
                    Ok(_) => {}
                }
                if cut && file == "variables/variables.index" {
                    assert!(copy.import().is_err(), "{name} {file} of {} bytes", damaged.len());
                }
            }
            assert!(errors > DAMAGES / 2, "{name} {file}: {errors} errors");
            copy.write(file, &bytes);
        }
    }
}

#[test]
fn missing_files_are_named() {
    let table = [
        ("variables/variables.index", "variables.index: "),
        ("variables/variables.data-00000-of-00001", "variables.data-00000-of-00001: "),
    ];
    for (file, reason) in table {
        let copy = Copy::of("module");
        std::fs::remove_file(copy.0.path().join(file)).unwrap();
        let error = copy.import().unwrap_err();
        assert!(error.contains(reason) && error.contains("copy it with its folder \"variables\""), "{error}");
    }
    // A checkpoint in two files, of which one is missing.
    let copy = Copy::of("simple_save");
    for file in ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002"] {
        copy.write(file, &std::fs::read(folder("sharded").join(file)).unwrap());
    }
    let error = copy.import().unwrap_err();
    assert!(error.contains("variables.data-00001-of-00002: "), "{error}");
    // The data of another model.
    let copy = Copy::of("module");
    copy.write(Copy::FILES[2], &std::fs::read(folder("keras").join(Copy::FILES[2])).unwrap());
    let error = copy.import().unwrap_err();
    assert!(error.contains("its checksum is wrong") || error.contains("it is cut off"), "{error}");
}
