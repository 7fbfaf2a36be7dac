//! Loops, branches, and inputs that are bound to public values: what is refused of them, and why. What they
//! compute is compared with TensorFlow and with ONNX Runtime (`small_models.rs`).

use super::graph_def::Builder;
use super::onnx_errors::{model, output};
use cryptflow_graph::{Graph, float};
use cryptflow_import::onnx::messages::{AttributeProto, GraphProto, NodeProto};
use cryptflow_import::tensorflow::messages::{
    ArgDef, Attr, AttrValue, DataType, FunctionDef, FunctionDefLibrary, NameAttrList, NodeDef, OpDef,
};
use cryptflow_import::{ImportError, ImportOptions, onnx, tensorflow};
use prost::Message;

/// A function of two arguments, `i` and `v`, with these nodes and results.
fn function(name: &str, nodes: &[(&str, &str, &[&str])], results: &[&str]) -> FunctionDef {
    let argument = |name: &str| ArgDef { name: name.into(), ..ArgDef::default() };
    let node = |(name, op, inputs): &(&str, &str, &[&str])| NodeDef {
        name: (*name).into(),
        op: (*op).into(),
        input: inputs.iter().map(|&i| i.into()).collect(),
        attr: match *op {
            "While" => [("cond", "goes_on"), ("body", name)].map(|(k, f)| (k.to_string(), of(f))).into(),
            _ => Default::default(),
        },
    };
    let names: Vec<String> = (0..results.len()).map(|i| format!("r{i}")).collect();
    FunctionDef {
        signature: Some(OpDef {
            name: name.into(),
            input_arg: vec![argument("i"), argument("v")],
            output_arg: names.iter().map(|name| argument(name)).collect(),
        }),
        node_def: nodes.iter().map(node).collect(),
        ret: names.into_iter().zip(results.iter().map(|&r| r.into())).collect(),
    }
}

fn of(function: &str) -> AttrValue {
    let function = NameAttrList { name: function.into(), ..NameAttrList::default() };
    AttrValue { value: Some(Attr::Func(function)) }
}

/// A loop from 0 on over `x`, with this condition and this body.
fn looped(condition: FunctionDef, body: FunctionDef) -> Builder {
    let mut b = Builder::default();
    b.input("x", &[1, 3]).integers("zero", &[], &[0]);
    let attrs = ["cond", "body"]
        .map(|name| (name, of(if name == "cond" { "goes_on" } else { "step" }).value.unwrap()));
    b.node("loop", "While", &["zero", "x"], &attrs).node("y", "Identity", &["loop:1"], &[]);
    b.0.library = Some(FunctionDefLibrary { function: vec![condition, body] });
    b
}

fn refused(found: Result<Graph, ImportError>, part: &str) {
    let error = found.map(|graph| graph.nodes.len()).unwrap_err().to_string();
    assert!(error.contains(part), "{part:?} is not in {error}");
}

#[test]
fn loops_of_tensorflow_end_or_are_refused() {
    let always = || function("goes_on", &[("n", "OnesLike", &["i"])], &["n:y:0"]);
    let by_value =
        || function("goes_on", &[("s", "Sign", &["v"]), ("q", "Squeeze", &["s:y:0"])], &["q:output:0"]);
    let same = || function("step", &[("w", "Identity", &["v"])], &["i", "w:output:0"]);
    let table = [
        ("does not end within", looped(always(), same())),
        ("depends on an input, which would show it", looped(by_value(), same())),
        (
            "gives 2 operands",
            looped(
                always(),
                FunctionDef { signature: Some(OpDef { name: "step".into(), ..OpDef::default() }), ..same() },
            ),
        ),
        (
            "its part odd (NoSuchThing) there is no such operation",
            looped(always(), function("step", &[("odd", "NoSuchThing", &["v"])], &["i", "odd"])),
        ),
        ("does not give what it takes", looped(always(), function("step", &[], &["i"]))),
        ("\"step\", which is not in the file", looped(always(), function("other", &[], &["i", "v"]))),
        ("leads nowhere", looped(always(), function("step", &[("w", "Identity", &["lost"])], &["i", "w"]))),
        (
            "waits for itself",
            looped(always(), function("step", &[("a", "Relu", &["b"]), ("b", "Relu", &["a"])], &["i", "a"])),
        ),
        // A loop whose body is the loop.
        (
            "without an end",
            looped(always(), function("step", &[("step", "While", &["i", "v"])], &["i", "step:output:1"])),
        ),
    ];
    for (part, b) in table {
        refused(tensorflow::import(&b.bytes(), &ImportOptions::default()), part);
    }
}

fn set(name: &str, value: &str) -> ImportOptions {
    ImportOptions { set: vec![(name.into(), value.into())], ..ImportOptions::default() }
}

#[test]
fn inputs_are_bound_to_public_values() {
    let mut b = Builder::default();
    b.input("x", &[1, 3]).input("factor", &[]);
    b.node("flag", "Placeholder", &[], &[("dtype", Attr::Type(DataType::Bool as i32))]);
    b.node("s", "Switch", &["x", "flag"], &[]).node("a", "Relu", &["s"], &[]).node("c", "Neg", &["s:1"], &[]);
    b.node("m", "Merge", &["a", "c"], &[]).node("y", "Mul", &["m", "factor"], &[]);
    let import = |options: &ImportOptions| tensorflow::import(&b.bytes(), options);
    let both = |flag: &str, factor: &str| ImportOptions {
        set: vec![("flag".into(), flag.into()), ("factor:0".into(), factor.into())],
        ..ImportOptions::default()
    };
    for (flag, expected) in [("true", [-2.0, 4.0, -6.0]), ("0", [2.0, 0.0, 6.0])] {
        let graph = import(&both(flag, "2")).unwrap();
        assert_eq!(graph.inputs.len(), 1);
        let x = cryptflow_graph::Array::new(vec![1, 3], vec![1.0, -2.0, 3.0]).unwrap();
        let y = float::run(&graph, &[x], &mut |_, _| ()).unwrap().remove(0);
        assert_eq!(y.data.as_slice(), expected, "{flag}");
    }
    refused(import(&ImportOptions::default()), "--set flag=false");
    refused(import(&both("maybe", "2")), "which is no integer");
    refused(import(&both("true", "1,2")), "bound to 2 numbers, and has the shape []");
    refused(import(&set("flog", "true")), "Did you mean \"flag\"?");
    refused(import(&set("y", "1")), "an input to bind");
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], body: Option<(&str, GraphProto)>) -> NodeProto {
    let names = |n: &[&str]| n.iter().map(|n| (*n).to_owned()).collect();
    let attribute = body.map(|(name, graph)| AttributeProto {
        name: name.into(),
        g: Some(graph),
        ..AttributeProto::default()
    });
    NodeProto {
        op_type: op.into(),
        input: names(inputs),
        output: names(outputs),
        attribute: attribute.into_iter().collect(),
        ..NodeProto::default()
    }
}

/// A body that takes and gives values of these names.
fn body(inputs: &[&str], outputs: &[&str], node: Vec<NodeProto>) -> GraphProto {
    let values = |names: &[&str]| names.iter().map(|name| output(name)).collect();
    GraphProto { input: values(inputs), output: values(outputs), node, ..GraphProto::default() }
}

#[test]
fn loops_of_onnx_end_or_are_refused() {
    let same = |nodes| body(&["i", "c", "v"], &["c", "v"], nodes);
    let table = [
        (
            "does not end within",
            model(vec![node("Loop", &["", "", "x"], &["y"], Some(("body", same(vec![]))))]),
        ),
        (
            "runs as often as a value says",
            model(vec![node("Loop", &["x", "", "x"], &["y"], Some(("body", same(vec![]))))]),
        ),
        (
            "runs as often as a value says",
            model(vec![node(
                "Loop",
                &["", "", "x"],
                &["y"],
                Some((
                    "body",
                    body(&["i", "c", "v"], &["d", "v"], vec![node("ReduceMax", &["v"], &["d"], None)]),
                )),
            )]),
        ),
        (
            "does not take or give",
            model(vec![node("Loop", &["", "", "x"], &["y"], Some(("body", body(&["i"], &["i"], vec![]))))]),
        ),
    ];
    for (part, model) in table {
        refused(onnx::import(&model.encode_to_vec(), None, &ImportOptions::default()), part);
    }
}

#[test]
fn inputs_of_onnx_are_bound_to_public_values() {
    let mut model = model(vec![node("Add", &["x", "offset"], &["y"], None)]);
    let graph = model.graph.as_mut().unwrap();
    let mut offset = graph.input[0].clone();
    offset.name = "offset".into();
    graph.input.push(offset);
    let import = |options: &ImportOptions| onnx::import(&model.encode_to_vec(), None, options);
    assert_eq!(import(&ImportOptions::default()).unwrap().inputs.len(), 2);
    for (text, expected) in [("2.5", [2.5, 2.5, 2.5]), ("1,2,3", [1.0, 2.0, 3.0])] {
        let graph = import(&set("offset", text)).unwrap();
        let x = cryptflow_graph::Array::filled(vec![1, 3], 0.0).unwrap();
        assert_eq!(float::run(&graph, &[x], &mut |_, _| ()).unwrap()[0].data.as_slice(), expected);
    }
    refused(import(&set("offset", "1,2")), "bound to 2 numbers, and has the shape [1, 3]");
    refused(import(&set("offset", "many")), "which is no number");
    refused(import(&set("ofset", "1")), "an input to bind");
}
