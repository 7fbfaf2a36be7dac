//! What the importer of ONNX says about models that it cannot import, and what options do.

use cryptflow_graph::{Array, Graph, float};
use cryptflow_import::onnx::messages::{
    AttributeProto, AttributeType, DataType, Dimension, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use cryptflow_import::{ImportError, ImportOptions, Lookalike, onnx};
use prost::Message;

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |n: &[&str]| n.iter().map(|n| (*n).to_owned()).collect();
    NodeProto {
        op_type: op.into(),
        name: format!("the_{op}"),
        input: names(inputs),
        output: names(outputs),
        ..NodeProto::default()
    }
}

/// An input with these axes; a text that is no number is a name.
fn input(name: &str, dtype: DataType, axes: &[&str]) -> ValueInfoProto {
    let dim = |a: &&str| match a.parse() {
        Ok(n) => Dimension { dim_value: Some(n), dim_param: String::new() },
        Err(_) => Dimension { dim_value: None, dim_param: (*a).into() },
    };
    let shape = Some(TensorShapeProto { dim: axes.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: dtype as i32, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

pub(crate) fn output(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), r#type: None }
}

pub(crate) fn model(nodes: Vec<NodeProto>) -> ModelProto {
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(GraphProto {
            input: vec![input("x", DataType::Float, &["1", "3"])],
            output: vec![output("y")],
            node: nodes,
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn import(model: &ModelProto, options: &ImportOptions) -> Result<Graph, ImportError> {
    onnx::import(&model.encode_to_vec(), None, options)
}

fn plain(model: &ModelProto) -> Result<Graph, ImportError> {
    import(model, &ImportOptions::default())
}

#[test]
fn nodes_that_cannot_be_imported_are_all_reported() {
    let found = plain(&model(vec![
        node("SequenceMap", &["x"], &["a"]),
        node("Relu", &["a"], &["b"]),
        node("NoSuchThing", &["x"], &["c"]),
        node("Det", &["x"], &["unused"]),
        NodeProto { domain: "com.microsoft".into(), ..node("FusedConv", &["x"], &["d"]) },
        node("Sum", &["b", "c", "d"], &["y"]),
    ]));
    let Err(ImportError::Unsupported(nodes)) = &found else { panic!("{found:?}") };
    let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["the_SequenceMap", "the_NoSuchThing", "the_FusedConv"]);
    let text = found.unwrap_err().to_string();
    for part in ["3 nodes", "Unroll it", "no such operator", "\"com.microsoft\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn advice_has_names_and_shapes_filled_in() {
    let nodes = || {
        vec![
            node("Relu", &["x"], &["h"]),
            node("NoSuchThing", &["h"], &["odd"]),
            node("AffineGrid", &["odd"], &["more"]),
            node("Relu", &["more"], &["y"]),
        ]
    };
    let mut declared = model(nodes());
    if let Some(graph) = &mut declared.graph {
        graph.value_info =
            vec![input("odd", DataType::Float, &["n", "5"]), input("more", DataType::Float, &["2", "k"])];
    }
    let batch = ImportOptions { batch: Some(1), ..ImportOptions::default() };
    let table = [
        (
            import(&model(nodes()), &batch),
            "--input odd=SHAPE; if it comes after the logits, end the graph there with --output h",
        ),
        (
            import(&declared, &batch),
            "--input odd=1,5; if it comes after the logits, end the graph there with --output h",
        ),
        (import(&declared, &batch), "--input more=SHAPE"),
    ];
    for (found, part) in table {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    let foreign = |domain: &str| {
        let node = NodeProto { domain: domain.into(), ..node("Scaler", &["x"], &["y"]) };
        plain(&model(vec![node])).unwrap_err().to_string()
    };
    for (domain, says) in [("com.microsoft", "ONNX Runtime"), ("my.own", "not ONNX's own")] {
        let error = foreign(domain);
        assert!(error.contains(&format!("the operators {domain:?}")) && error.contains(says), "{error}");
        assert_eq!(error.contains("optimiser"), domain == "com.microsoft", "{error}");
    }
}

#[test]
fn damaged_models_are_refused() {
    let relu = || node("Relu", &["x"], &["y"]);
    let whole = model(vec![relu()]).encode_to_vec();
    plain(&model(vec![relu()])).unwrap();
    for n in 0..whole.len() {
        // What is cut off is no model, or one without what its outputs need.
        let _ = onnx::import(&whole[..n], None, &ImportOptions::default());
    }
    let table: [(&[u8], &str); 3] = [
        (b"\x08\x07\x3a\xff\xff\x01", "cut off or damaged"),
        (b"", "an empty file"),
        (b"\x08\x07", "holds no graph"),
    ];
    for (bytes, reason) in table {
        let error = onnx::import(bytes, None, &ImportOptions::default()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let keras = onnx::import(b"\x89HDF\r\n\x1a\n", None, &ImportOptions::default());
    assert!(matches!(keras, Err(ImportError::NotAGraph { found: Lookalike::Hdf5 })), "{keras:?}");
}

#[test]
fn faults_of_nodes_say_what_is_wrong() {
    let attribute = |name: &str, r#type: AttributeType| AttributeProto {
        name: name.into(),
        r#type: r#type as i32,
        ..AttributeProto::default()
    };
    let with = |n: NodeProto, a: AttributeProto| NodeProto { attribute: vec![a], ..n };
    let ints = |name: &str, values: &[i64]| AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, AttributeType::Ints)
    };
    let bytes = |name: &str, value: &str| AttributeProto {
        s: value.into(),
        ..attribute(name, AttributeType::String)
    };
    let table: Vec<(&str, NodeProto)> = vec![
        ("not computed before it", node("Relu", &["nothing"], &["y"])),
        ("operand 0 is needed", node("Relu", &[], &["y"])),
        ("operand 0 is needed", node("Relu", &[""], &["y"])),
        (
            "\"alpha\" has a value",
            with(node("LeakyRelu", &["x"], &["y"]), attribute("alpha", AttributeType::Int)),
        ),
        ("there is no axis 5", with(node("ReduceSum", &["x"], &["y"]), ints("axes", &[5]))),
        ("names an axis twice", with(node("ReduceSum", &["x"], &["y"]), ints("axes", &[1, -1]))),
        ("not a permutation", with(node("Transpose", &["x"], &["y"]), ints("perm", &[0, 0]))),
        ("cannot become", with(node("Reshape", &["x"], &["y"]), ints("shape", &[2, 2]))),
        ("would show them", node("Gather", &["x", "x"], &["y"])),
        ("lacks its then_branch", node("If", &["x"], &["y"])),
        ("lacks its body", node("Loop", &["", ""], &["y"])),
        ("lacks its body", node("Scan", &["x"], &["y"])),
        ("depends on an input", node("Reshape", &["x", "x"], &["y"])),
        ("one to three more axes", node("MaxPool", &["x"], &["y"])),
        (
            "half_pixel, half_pixel_symmetric",
            NodeProto {
                attribute: vec![bytes("coordinate_transformation_mode", "elsewhere")],
                ..node("Resize", &["x", "", "twice"], &["y"])
            },
        ),
        (
            "Export the layer with its usual functions",
            with(
                node("RNN", &["steps", "steps", "steps"], &["y"]),
                attribute("activation_beta", AttributeType::Floats),
            ),
        ),
    ];
    for (reason, node) in table {
        let mut model = model(vec![node.clone()]);
        let floats = |name: &str, dims: &[i64], data: &[f32]| TensorProto {
            name: name.into(),
            data_type: DataType::Float as i32,
            dims: dims.to_vec(),
            float_data: data.to_vec(),
            ..TensorProto::default()
        };
        let constants = vec![floats("twice", &[2], &[1.0, 2.0]), floats("steps", &[1, 1, 1], &[0.5])];
        model.graph.as_mut().unwrap().initializer = constants;
        let error = plain(&model).unwrap_err().to_string();
        assert!(error.contains(reason), "{}: {error}", node.op_type);
    }
}

#[test]
fn functions_that_call_themselves_are_refused() {
    let call =
        |input: &str, output: &str| NodeProto { domain: "own".into(), ..node("F", &[input], &[output]) };
    let mut recursive = model(vec![call("x", "y")]);
    let body = |nodes| FunctionProto {
        name: "F".into(),
        domain: "own".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: nodes,
        ..FunctionProto::default()
    };
    recursive.functions = vec![body(vec![call("a", "b")])];
    let error = plain(&recursive).unwrap_err().to_string();
    assert!(error.contains("without an end"), "{error}");
    // Sixteen calls in each of eight: more nodes than a model may have.
    let mut wide: Vec<FunctionProto> = Vec::new();
    for level in 0..8 {
        let name = |l: usize| format!("F{l}");
        let mut nodes: Vec<NodeProto> = (0..16)
            .map(|i| {
                let (from, to) = (if i == 0 { "a".into() } else { format!("v{i}") }, format!("v{}", i + 1));
                let op = if level == 7 { "Relu".into() } else { name(level + 1) };
                let domain = if level == 7 { String::new() } else { "own".into() };
                NodeProto { domain, ..node(&op, &[&from], &[&to]) }
            })
            .collect();
        nodes.last_mut().unwrap().output = vec!["b".into()];
        wide.push(FunctionProto { name: name(level), ..body(nodes) });
    }
    let mut bomb = model(vec![NodeProto { domain: "own".into(), ..node("F0", &["x"], &["y"]) }]);
    bomb.functions = wide;
    let error = plain(&bomb).unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
}

#[test]
fn options_choose_shapes_and_nodes() {
    let mut open = model(vec![node("Relu", &["x"], &["a"]), node("Exp", &["a"], &["y"])]);
    let graph = open.graph.as_mut().unwrap();
    graph.input = vec![input("x", DataType::Float, &["batch", "length"])];
    let options = |inputs: &[(&str, &[usize])], outputs: &[&str], batch| ImportOptions {
        inputs: inputs.iter().map(|(n, s)| ((*n).to_owned(), s.to_vec())).collect(),
        outputs: outputs.iter().map(|o| (*o).to_owned()).collect(),
        batch,
        ..ImportOptions::default()
    };
    let error = import(&open, &options(&[], &[], None)).unwrap_err().to_string();
    assert!(
        error.contains("axis 1, called \"length\"") && error.contains("a number for each N: --input x=1,N"),
        "{error}"
    );

    let whole = import(&open, &options(&[("x", &[2, 5])], &[], None)).unwrap();
    assert_eq!(whole.node(whole.inputs[0]).shape, [2, 5]);
    assert_eq!(whole.output_names, ["y"]);
    let cut = import(&open, &options(&[("a", &[4])], &[], None)).unwrap();
    assert_eq!((cut.inputs.len(), cut.nodes.len()), (1, 2));
    // A node is known by its own name, too.
    let first = import(&open, &options(&[("x", &[2, 5])], &["the_Relu"], None)).unwrap();
    assert_eq!(first.output_names, ["a"]);

    for (options, reason) in [
        (options(&[("z", &[1])], &[], None), "no node \"z\" to use as an input"),
        (options(&[], &["z"], None), "no node \"z\" to use as an output"),
        (options(&[("x", &[1, 1]), ("y", &[1])], &["a"], None), "a shape was given for \"y\""),
        (
            ImportOptions { signature: Some("s".into()), ..ImportOptions::default() },
            "only a SavedModel has any",
        ),
    ] {
        let error = import(&open, &options).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    // The same name is the same length everywhere; the first axis takes the batch.
    let graph = open.graph.as_mut().unwrap();
    graph.input.push(input("z", DataType::Float, &["batch", "length"]));
    graph.node.push(node("Add", &["y", "z"], &["sum"]));
    graph.output = vec![output("sum")];
    let both = import(&open, &options(&[("z", &[3, 7])], &[], Some(3))).unwrap();
    let shapes: Vec<&[usize]> = both.inputs.iter().map(|&i| both.node(i).shape.as_slice()).collect();
    assert_eq!(shapes, [[3, 7], [3, 7]]);

    let fixed = model(vec![node("Relu", &["x"], &["y"])]);
    let error = import(&fixed, &options(&[], &[], Some(4))).unwrap_err().to_string();
    assert!(error.contains("a batch of 4 was asked for") && error.contains("to 1"), "{error}");
}

#[test]
fn inputs_and_versions() {
    let relu = || vec![node("Relu", &["x"], &["y"])];
    for (dtype, fine) in [
        (DataType::Float16, true),
        (DataType::Uint8, true),
        (DataType::Bool, true),
        (DataType::String, false),
        (DataType::Complex64, false),
    ] {
        let mut typed = model(relu());
        typed.graph.as_mut().unwrap().input = vec![input("x", dtype, &["2"])];
        assert_eq!(plain(&typed).is_ok(), fine, "{dtype:?}");
    }
    for (version, fine) in [(6, false), (7, true), (22, true), (28, true), (29, false)] {
        let mut of = model(relu());
        of.opset_import[0].version = version;
        assert_eq!(plain(&of).is_ok(), fine, "{version}");
    }
    // Old files list constants among the inputs.
    let mut old = model(vec![node("Add", &["x", "w"], &["y"])]);
    let graph = old.graph.as_mut().unwrap();
    graph.input.push(input("w", DataType::Float, &["3"]));
    graph.initializer = vec![TensorProto {
        name: "w".into(),
        dims: vec![3],
        data_type: DataType::Float as i32,
        float_data: vec![1.0, 2.0, 3.0],
        ..TensorProto::default()
    }];
    assert_eq!(plain(&old).unwrap().inputs.len(), 1);
}

/// What TensorFlow's converter wrote for nearest neighbours in opset 11.
#[test]
fn nearest_neighbours_from_half_a_pixel() {
    let text = |name: &str, value: &str| AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..AttributeProto::default()
    };
    let mut resize = node("Resize", &["x", "", "scales"], &["y"]);
    resize.attribute =
        vec![text("coordinate_transformation_mode", "tf_half_pixel_for_nn"), text("nearest_mode", "floor")];
    let mut model = model(vec![resize]);
    let scales = TensorProto {
        name: "scales".into(),
        data_type: DataType::Float as i32,
        dims: vec![2],
        float_data: vec![1.0, 1.75],
        ..TensorProto::default()
    };
    model.graph.as_mut().unwrap().initializer = vec![scales];
    let graph = plain(&model).unwrap();
    let x = cryptflow_graph::Array::new(vec![1, 3], vec![10.0, 20.0, 30.0]).unwrap();
    let y = cryptflow_graph::float::run(&graph, &[x], &mut |_, _| ()).unwrap().remove(0);
    // Places 0.29, 0.86, 1.43, 2 and 2.57.
    assert_eq!(y.data.as_slice(), [10.0, 10.0, 20.0, 30.0, 30.0]);
}

/// A constant of floats whose shape is known integers is divided as floats are.
#[test]
fn floats_that_are_made_from_shapes_stay_floats() {
    let attribute = |name: &str, r#type: AttributeType| AttributeProto {
        name: name.into(),
        r#type: r#type as i32,
        ..AttributeProto::default()
    };
    let seven = TensorProto {
        data_type: DataType::Float as i32,
        dims: vec![1],
        float_data: vec![7.0],
        ..TensorProto::default()
    };
    let value = AttributeProto { t: Some(seven), ..attribute("value", AttributeType::Tensor) };
    let shape = AttributeProto { ints: vec![1, 3], ..attribute("value_ints", AttributeType::Ints) };
    let graph = plain(&model(vec![
        NodeProto { attribute: vec![shape], ..node("Constant", &[], &["shape"]) },
        NodeProto { attribute: vec![value], ..node("ConstantOfShape", &["shape"], &["sevens"]) },
        node("Div", &["sevens", "x"], &["y"]),
    ]));
    let x = Array::new(vec![1, 3], vec![2.0, 4.0, 8.0]).unwrap();
    let y = float::run(&graph.unwrap(), &[x], &mut |_, _| ()).unwrap().remove(0);
    assert_eq!(y.data.as_slice(), [3.5, 1.75, 0.875]);
}

/// What comes out of a model, on `x` of 1 × 3.
fn computed(model: &ModelProto, options: &ImportOptions) -> Vec<Array> {
    let graph = import(model, options).unwrap_or_else(|e| panic!("{e}"));
    let x = Array::new(vec![1, 3], vec![1.0, 2.0, 4.0]).unwrap();
    float::run(&graph, &[x], &mut |_, _| ()).unwrap()
}

#[test]
fn secrets_are_finite() {
    let infinite = TensorProto {
        name: "c".into(),
        data_type: DataType::Float as i32,
        dims: vec![3],
        float_data: vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY],
        ..TensorProto::default()
    };
    let negative = AttributeProto {
        name: "detect_positive".into(),
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    };
    // (operator, its operand, whether only negative infinity counts, where it holds)
    for (op, of, attribute, holds) in [
        ("IsNaN", "x", None, [0.0; 3]),
        ("IsInf", "x", None, [0.0; 3]),
        ("IsNaN", "c", None, [1.0, 0.0, 0.0]),
        ("IsInf", "c", None, [0.0, 1.0, 1.0]),
        ("IsInf", "c", Some(negative), [0.0, 0.0, 1.0]),
    ] {
        let is = NodeProto { attribute: attribute.into_iter().collect(), ..node(op, &[of], &["is"]) };
        let mut model =
            model(vec![is, node("Sub", &["x", "x"], &["zero"]), node("Where", &["is", "x", "zero"], &["y"])]);
        model.graph.as_mut().unwrap().initializer = vec![infinite.clone()];
        let y = computed(&model, &ImportOptions::default()).remove(0);
        let wanted: Vec<f32> = holds.iter().zip([1.0, 2.0, 4.0]).map(|(h, x)| h * x).collect();
        assert_eq!(y.data.as_slice(), wanted, "{op} of {of}");
    }
}

/// With corners aligned, the last element is the last of the operand, whatever the scale.
#[test]
fn corners_are_aligned_at_scales_with_fractions() {
    let text = |name: &str, text: &str| AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: text.into(),
        ..AttributeProto::default()
    };
    for (mode, scale, wanted) in [
        ("linear", 1.75, vec![1.0, 1.5, 2.0, 3.0, 4.0]),
        ("nearest", 1.75, vec![1.0, 1.0, 2.0, 2.0, 4.0]),
        ("linear", 0.7, vec![1.0, 4.0]),
    ] {
        let attribute = vec![text("mode", mode), text("coordinate_transformation_mode", "align_corners")];
        let attribute = [attribute, vec![text("nearest_mode", "floor")]].concat();
        let resize = NodeProto { attribute, ..node("Resize", &["x", "", "scales"], &["y"]) };
        let mut model = model(vec![resize]);
        model.graph.as_mut().unwrap().initializer = vec![TensorProto {
            name: "scales".into(),
            data_type: DataType::Float as i32,
            dims: vec![2],
            float_data: vec![1.0, scale],
            ..TensorProto::default()
        }];
        let y = computed(&model, &ImportOptions::default()).remove(0);
        let near = y.data.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && y.data.len() == wanted.len(), "{mode} {scale}: {:?}", y.data);
    }
}

/// Behind a cut, an input whose shape alone is asked for is none; without one it stays.
#[test]
fn inputs_that_a_cut_leaves_nothing_to_do() {
    let model = model(vec![
        node("Relu", &["x"], &["before"]),
        node("Sigmoid", &["before"], &["middle"]),
        node("Neg", &["middle"], &["negative"]),
        node("Shape", &["before"], &["shape"]),
        node("Reshape", &["negative", "shape"], &["y"]),
    ]);
    let names = |graph: &Graph| -> Vec<String> {
        graph.inputs.iter().map(|&id| graph.node(id).name.clone()).collect()
    };
    let named = |names: &[&str]| ImportOptions {
        inputs: names.iter().map(|n| ((*n).into(), vec![1, 3])).collect(),
        ..ImportOptions::default()
    };
    assert_eq!(names(&plain(&model).unwrap()), ["x"]);
    assert_eq!(names(&import(&model, &named(&["middle"])).unwrap()), ["middle"]);
    assert_eq!(names(&import(&model, &named(&["x", "middle"])).unwrap()), ["x", "middle"]);
    let y = computed(&model, &named(&["middle"])).remove(0);
    assert_eq!(y.data.as_slice(), [-1.0, -2.0, -4.0]);
}

#[test]
fn an_output_may_be_a_constant() {
    let mut model = model(vec![node("Relu", &["x"], &["y"])]);
    let graph = model.graph.as_mut().unwrap();
    graph.initializer = vec![TensorProto {
        name: "z".into(),
        data_type: DataType::Float as i32,
        dims: vec![2],
        float_data: vec![5.0, 6.0],
        ..TensorProto::default()
    }];
    graph.output.push(output("z"));
    let named = ImportOptions { outputs: vec!["z".into(), "y".into()], ..ImportOptions::default() };
    for (options, place) in [(ImportOptions::default(), 1), (named, 0)] {
        assert_eq!(computed(&model, &options)[place].data.as_slice(), [5.0, 6.0]);
    }
}

/// Operations of integers give integers: what is left of a mean or a root is its whole part.
#[test]
fn integers_stay_integers() {
    let scalar = |name: &str, value: f32| TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        dims: vec![1],
        float_data: vec![value],
        ..TensorProto::default()
    };
    let graph = |nodes: Vec<NodeProto>, dtype| {
        let mut model = model(nodes);
        let graph = model.graph.as_mut().unwrap();
        graph.input = vec![input("x", dtype, &["1", "3"])];
        graph.initializer = vec![scalar("half", 0.5)];
        plain(&model)
    };
    let run = |graph: &Graph, x: [f32; 3]| {
        let x = Array::new(vec![1, 3], x.to_vec()).unwrap();
        float::run(graph, &[x], &mut |_, _| ()).unwrap().remove(0).data[0]
    };
    // (operator, its operands, of what, the result of integers, the result of floats)
    let table: [(&str, &[&str], [f32; 3], f32, f32); 4] = [
        ("ReduceMean", &["x"], [2.0, 3.0, 6.0], 3.0, 11.0 / 3.0),
        ("ReduceMean", &["x"], [-2.0, -3.0, 1.0], -1.0, -4.0 / 3.0),
        ("ReduceL2", &["x"], [1.0, 2.0, 3.0], 3.0, 14f32.sqrt()),
        ("Pow", &["x", "half"], [8.0, 0.0, 0.0], 2.0, 8f32.sqrt()),
    ];
    for (op, operands, x, integer, float) in table {
        let of =
            |dtype| graph(vec![node(op, operands, &["y"])], dtype).unwrap_or_else(|e| panic!("{op}: {e}"));
        let integers = of(DataType::Int64);
        assert_eq!(integers.integers, integers.inputs, "{op}");
        assert_eq!(run(&integers, x), integer, "{op} of {x:?}");
        let floats = of(DataType::Float);
        assert!(floats.integers.is_empty());
        assert!((run(&floats, x) - float).abs() < 1e-5, "{op} of {x:?}");
    }
    let mut model = model(vec![node("Pow", &["x", "power"], &["y"])]);
    let graph = model.graph.as_mut().unwrap();
    graph.input = vec![input("x", DataType::Int32, &["1", "3"])];
    graph.initializer = vec![scalar("power", 1.5)];
    let error = plain(&model).unwrap_err().to_string();
    assert!(error.contains("the_Pow") && error.contains("Cast them to floats first"), "{error}");
}

/// A label that is looked up by the class that was found: neither is shown.
#[test]
fn look_ups_behind_an_arg_max_are_products_with_one_hot_rows() {
    let mut model =
        model(vec![node("ArgMax", &["x"], &["class"]), node("Gather", &["labels", "class"], &["y"])]);
    model.graph.as_mut().unwrap().initializer = vec![TensorProto {
        name: "labels".into(),
        data_type: DataType::Float as i32,
        dims: vec![3],
        float_data: vec![7.0, 8.0, 9.0],
        ..TensorProto::default()
    }];
    let graph = plain(&model).unwrap();
    for best in 0..3 {
        let x = [0, 1, 2].map(|i| if i == best { 1.0 } else { 0.5 });
        let x = Array::new(vec![1, 3], x.to_vec()).unwrap();
        let found = float::run(&graph, &[x], &mut |_, _| ()).unwrap();
        // Along the first axis each element is the largest.
        assert_eq!(*found[0].data, [7.0; 3], "{best}");
    }
}
