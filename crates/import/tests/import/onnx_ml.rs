//! The operators of `ai.onnx.ml`: what becomes of names of classes, and what is said of damaged trees. What they
//! compute is compared with ONNX Runtime's answers (`small_models`).

use cryptflow_graph::{ClassNames, Graph, Op, Order};
use cryptflow_import::onnx::messages::{
    AttributeProto, AttributeType, DataType, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use cryptflow_import::{ImportError, ImportOptions, onnx};
use prost::Message;

use crate::onnx_errors::{model, output};

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), ints: values.to_vec(), r#type, ..AttributeProto::default() }
}

fn floats(name: &str, values: &[f32]) -> AttributeProto {
    let r#type = AttributeType::Floats as i32;
    AttributeProto { name: name.into(), floats: values.to_vec(), r#type, ..AttributeProto::default() }
}

fn texts(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|v| v.as_bytes().to_vec()).collect();
    let r#type = AttributeType::Strings as i32;
    AttributeProto { name: name.into(), strings, r#type, ..AttributeProto::default() }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    let names = |n: &[&str]| n.iter().map(|n| (*n).to_owned()).collect();
    NodeProto {
        domain: "ai.onnx.ml".into(),
        op_type: op.into(),
        name: format!("the_{op}"),
        input: names(inputs),
        output: names(outputs),
        attribute,
        ..NodeProto::default()
    }
}

/// A model of rows of three numbers, which says no version of ONNX's own operators.
fn classical(nodes: Vec<NodeProto>, outputs: &[&str]) -> ModelProto {
    let mut made = model(nodes);
    made.opset_import = vec![OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 3 }];
    if let Some(graph) = &mut made.graph {
        graph.output = outputs.iter().map(|name| output(name)).collect();
    }
    made
}

fn import(model: &ModelProto) -> Result<Graph, ImportError> {
    onnx::import(&model.encode_to_vec(), None, &ImportOptions::default())
}

fn linear(names: AttributeProto) -> NodeProto {
    let weights = floats("coefficients", &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    node("LinearClassifier", &["x"], &["label", "scores"], vec![names, weights])
}

fn names_of(values: &[&str]) -> ClassNames {
    ClassNames::Texts(values.iter().map(|v| (*v).to_owned()).collect())
}

#[test]
fn the_client_is_told_what_classes_are_called() {
    let own = |op: &str, inputs: &[&str], outputs: &[&str], attribute| NodeProto {
        domain: String::new(),
        ..node(op, inputs, outputs, attribute)
    };
    let fruit = ["apple", "fig", "plum"];
    let relabelled = node(
        "LabelEncoder",
        &["label"],
        &["other"],
        vec![texts("keys_strings", &["plum", "apple"]), texts("values_strings", &["Prunus", "Malus"])],
    );
    let zip = |names| node("ZipMap", &["scores"], &["zipped"], vec![names]);
    type Case = (Vec<NodeProto>, Vec<(&'static str, Option<ClassNames>)>);
    let table: Vec<Case> = vec![
        (
            vec![linear(texts("classlabels_strings", &fruit))],
            vec![("label", Some(names_of(&fruit))), ("scores", Some(names_of(&fruit)))],
        ),
        // Classes that are called after their indices have no names.
        (vec![linear(ints("classlabels_ints", &[0, 1, 2]))], vec![("label", None), ("scores", None)]),
        (
            vec![linear(ints("classlabels_ints", &[3, -1, 7]))],
            vec![("label", Some(ClassNames::Numbers(vec![3, -1, 7])))],
        ),
        (
            vec![linear(texts("classlabels_strings", &fruit)), zip(texts("classlabels_strings", &fruit))],
            vec![("zipped", Some(names_of(&fruit)))],
        ),
        (
            vec![linear(texts("classlabels_strings", &fruit)), relabelled],
            vec![("other", Some(names_of(&["Malus", "_Unused", "Prunus"])))],
        ),
        // As exporters write it: names picked by an arg-max.
        (
            vec![
                linear(ints("classlabels_ints", &[0, 1, 2])),
                node("ArrayFeatureExtractor", &["fruit", "label"], &["picked"], Vec::new()),
                own("Identity", &["picked"], &["named"], Vec::new()),
            ],
            vec![("named", Some(names_of(&fruit)))],
        ),
    ];
    for (nodes, expected) in table {
        let outputs: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let mut model = classical(nodes, &outputs);
        if let Some(graph) = &mut model.graph {
            graph.initializer.push(TensorProto {
                name: "fruit".into(),
                dims: vec![3],
                data_type: DataType::String as i32,
                string_data: fruit.iter().map(|f| f.as_bytes().to_vec()).collect(),
                ..TensorProto::default()
            });
        }
        let graph = import(&model).unwrap();
        for (name, names) in expected {
            assert_eq!(graph.class_names.get(name), names.as_ref(), "{name} of {outputs:?}");
        }
    }
}

#[test]
fn a_label_is_left_to_the_client() {
    let graph =
        import(&classical(vec![linear(texts("classlabels_strings", &["a", "b", "c"]))], &["label"])).unwrap();
    assert_eq!(graph.node(graph.outputs[0]).op, Op::Order(Order::ArgMax { axis: 1 }));
}

/// Exporters cast labels to floats and back: nothing is cut off of an index.
#[test]
fn an_index_that_is_cast_stays_one() {
    let cast = |from: &str, to: &str, dtype: DataType| {
        let dtype = AttributeProto {
            name: "to".into(),
            i: dtype as i64,
            r#type: AttributeType::Int as i32,
            ..AttributeProto::default()
        };
        NodeProto { domain: String::new(), ..node("Cast", &[from], &[to], vec![dtype]) }
    };
    let nodes = vec![
        linear(ints("classlabels_ints", &[0, 1, 2])),
        cast("label", "float", DataType::Float),
        cast("float", "whole", DataType::Int64),
    ];
    let graph = import(&classical(nodes, &["whole"])).unwrap();
    assert!(!graph.nodes.iter().any(|node| matches!(node.op, Op::Function(_))), "{graph:?}");
}

#[test]
fn nothing_computes_with_names() {
    let nodes = vec![
        linear(texts("classlabels_strings", &["a", "b", "c"])),
        NodeProto { domain: String::new(), ..node("Relu", &["label"], &["y"], Vec::new()) },
    ];
    let text = import(&classical(nodes, &["y"])).unwrap_err().to_string();
    assert!(text.contains("names of classes"), "{text}");
}

/// One tree: a split of a column, and two leaves.
fn stump() -> Vec<AttributeProto> {
    vec![
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[1, 0, 0]),
        texts("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
        floats("nodes_values", &[0.5, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        ints("target_treeids", &[0, 0]),
        ints("target_nodeids", &[1, 2]),
        ints("target_ids", &[0, 0]),
        floats("target_weights", &[1.0, 2.0]),
    ]
}

#[test]
fn damaged_trees_are_refused() {
    let table = [
        (ints("nodes_featureids", &[9, 0, 0]), "column 9 of 3"),
        (ints("nodes_featureids", &[-1, 0, 0]), "nodes_featureids"),
        (ints("nodes_truenodeids", &[0, 0, 0]), "in circles"),
        (ints("nodes_truenodeids", &[7, 0, 0]), "damaged"),
        (ints("nodes_nodeids", &[0, 1, 1]), "damaged"),
        (ints("nodes_treeids", &[0, 0]), "damaged"),
        (ints("target_nodeids", &[1, 0]), "damaged"),
        (ints("target_ids", &[0, 5]), "damaged"),
        (texts("nodes_modes", &["BRANCH_ODD", "LEAF", "LEAF"]), "nodes_modes"),
        (floats("nodes_values", &[f32::NAN, 0.0, 0.0]), "no number"),
    ];
    for (wrong, reason) in table {
        let mut attributes = stump();
        attributes.retain(|a| a.name != wrong.name);
        let name = wrong.name.clone();
        attributes.push(wrong);
        let found =
            import(&classical(vec![node("TreeEnsembleRegressor", &["x"], &["y"], attributes)], &["y"]));
        let text = found.unwrap_err().to_string();
        assert!(text.contains(reason), "{name}, {reason}: {text}");
    }
    let whole = classical(vec![node("TreeEnsembleRegressor", &["x"], &["y"], stump())], &["y"]);
    assert!(import(&whole).is_ok());
}

/// A threshold that all splits share would be public, as a number is with which values are compared.
#[test]
fn a_single_threshold_stays_a_constant_of_the_model() {
    let graph =
        import(&classical(vec![node("TreeEnsembleRegressor", &["x"], &["y"], stump())], &["y"])).unwrap();
    let thresholds = graph.nodes.iter().find(|n| n.name.ends_with("/thresholds")).unwrap();
    let Op::Constant(array) = &thresholds.op else { panic!("{thresholds:?}") };
    assert!(array.data.len() > 1 && array.data[0] == 0.5 && array.data[1] != 0.5, "{array:?}");
}

#[test]
fn what_there_is_no_rule_for_is_said() {
    let found = import(&classical(vec![node("DictVectorizer", &["x"], &["y"], Vec::new())], &["y"]));
    let text = found.unwrap_err().to_string();
    assert!(text.contains("works on text"), "{text}");
}
