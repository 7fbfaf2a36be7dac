//! Requests and answers in every form, and everything that can be wrong with them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::served::Served;

fn x(data: Value) -> Value {
    json!({ "name": "x", "shape": [2, 2], "datatype": "FP32", "data": data })
}

#[test]
fn what_there_is() {
    let served = Served::new();
    let (status, server) = served.get("/v2", &[]);
    assert_eq!((status, &server["extensions"]), (200, &json!(["binary_tensor_data"])));
    assert_eq!(served.get("/v2/health/live", &[]), (200, json!({ "live": true })));
    assert_eq!(served.get("/v2/health/ready", &[]), (200, json!({ "ready": true })));
    assert_eq!(served.get("/v2/models", &[]).1, json!({ "models": ["twice", "other"] }));
    let told = json!({
        "name": "twice", "versions": ["abc"], "platform": "test",
        "inputs": [{ "name": "x", "datatype": "FP32", "shape": [-1, 2] }],
        "outputs": [
            { "name": "y", "datatype": "FP32", "shape": [-1, 2] },
            { "name": "many", "datatype": "INT64", "shape": [] },
        ],
    });
    assert_eq!(served.get("/v2/models/twice", &[]), (200, told.clone()));
    assert_eq!(served.get("/v2/models/twice/versions/abc", &[]), (200, told));
    assert_eq!(served.get("/v2/models/twice/ready", &[]).1["ready"], true);
    assert_eq!(served.get("/v2/models/none", &[]).0, 404);
    assert_eq!(served.get("/v2/models/twice/versions/old", &[]).0, 404);
    assert_eq!(served.get("/elsewhere", &[]).0, 404);
    // The description speaks of every path that there is.
    let (_, described) = served.get("/openapi.json", &[]);
    for path in ["/v2", "/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/ready"] {
        assert!(described["paths"].get(path).is_some(), "{path}");
    }
}

#[test]
fn elements_in_json() {
    let served = Served::new();
    for data in [json!([1, 2.5, -3, 4]), json!([[1, 2.5], [-3, 4]])] {
        let (status, answer) = served.infer(&json!({ "id": "7", "inputs": [x(data)] }));
        let outputs = json!([
            { "name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 5.0, -6.0, 8.0] },
            { "name": "many", "datatype": "INT64", "shape": [], "data": [3] },
        ]);
        let wanted = json!({ "id": "7", "model_name": "twice", "model_version": "abc", "outputs": outputs });
        assert_eq!((status, answer), (200, wanted));
    }
    let (_, answer) =
        served.infer(&json!({ "inputs": [x(json!([7, 1, 1, 1]))], "outputs": [{ "name": "many" }] }));
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(answer["parameters"]["warning"], "a seven");
}

#[test]
fn elements_in_bytes() {
    let served = Served::new();
    // The same four numbers in every type.
    let types: [(&str, Vec<u8>); 9] = [
        ("FP32", [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("FP64", [1.0f64, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("FP16", [0x3c00u16, 0x4000, 0x4200, 0x4400].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("BF16", [0x3f80u16, 0x4000, 0x4040, 0x4080].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("UINT8", vec![1, 2, 3, 4]),
        ("INT8", vec![1, 2, 3, 4]),
        ("INT16", [1i16, 2, 3, 4].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("INT32", [1i32, 2, 3, 4].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("INT64", [1i64, 2, 3, 4].iter().flat_map(|v| v.to_le_bytes()).collect()),
    ];
    for (datatype, bytes) in types {
        let json = json!({
            "parameters": { "binary_data_output": true },
            "inputs": [{ "name": "x", "shape": [2, 2], "datatype": datatype, "parameters": { "binary_data_size": bytes.len() } }],
        });
        let json = serde_json::to_vec(&json).unwrap();
        let length = json.len().to_string();
        let headers = [("Inference-Header-Content-Length", length.as_str())];
        let (status, headers, body) =
            served.post("/v2/models/twice/infer", &headers, &[json, bytes].concat());
        assert_eq!(status, 200, "{datatype}: {}", String::from_utf8_lossy(&body));
        let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
        let (json, bytes) = body.split_at(length);
        let json: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 16);
        let wanted: Vec<u8> = [2.0f32, 4.0, 6.0, 8.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(bytes, [wanted, 4i64.to_le_bytes().to_vec()].concat(), "{datatype}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let served = Served::new();
    let with = |changes: Value| {
        let mut input = x(json!([1, 2, 3, 4]));
        for (name, value) in changes.as_object().unwrap() {
            input[name] = value.clone();
        }
        json!({ "inputs": [input] })
    };
    let many: Vec<i64> = vec![1; 40_000];
    let table = [
        (json!({}), 400, "missing field `inputs`"),
        (json!({ "inputs": [{ "name": "x" }] }), 400, "missing field `shape`"),
        (json!({ "inputs": [] }), 400, "x alone is wanted"),
        (with(json!({ "datatype": "BYTES" })), 400, "elements of type \"BYTES\" cannot be used"),
        (with(json!({ "shape": [2, -1] })), 400, "the shape [2, -1] is none"),
        (with(json!({ "shape": [1i64 << 40, 1i64 << 40] })), 400, "is none"),
        (with(json!({ "shape": [3, 2] })), 400, "has 6 elements, and 4 elements were sent"),
        (with(json!({ "data": [1, "two", 3, 4] })), 400, "element 1 is \"two\", which is no FP32"),
        (
            with(json!({ "datatype": "INT32", "data": [1, 2.5, 3, 4] })),
            400,
            "element 1 is 2.5, which is no INT32",
        ),
        (
            with(json!({ "datatype": "INT64", "data": [1, 2, 3, 1 << 30] })),
            400,
            "hold integers up to 2^24 exactly",
        ),
        (with(json!({ "data": null })), 400, "has no elements"),
        (with(json!({ "parameters": { "binary_data_size": 4 } })), 400, "has its elements twice"),
        (with(json!({ "data": null, "parameters": { "binary_data_size": 400 } })), 400, "and 0 are left"),
        (with(json!({ "data": [13, 2, 3, 4] })), 422, "it is held back"),
        (with(json!({ "data": [14, 2, 3, 4] })), 500, "defect"),
        (
            json!({ "inputs": [x(json!([1, 2, 3, 4]))], "outputs": [{ "name": "z" }] }),
            400,
            "no output \"z\"; it has y, many",
        ),
        (
            with(json!({ "shape": [20_000, 2], "data": many })),
            413,
            "{\"error\":\"the request is longer than is taken here",
        ),
    ];
    for (request, wanted, reason) in table {
        let body = serde_json::to_vec(&request).unwrap();
        let (status, _, answer) = served.post("/v2/models/twice/infer", &[], &body);
        let answer = String::from_utf8_lossy(&answer).replace("\\\"", "\"");
        assert!(status == wanted && answer.contains(reason), "{request}: {status} {answer}");
    }
    let beyond = [("Inference-Header-Content-Length", "9999")];
    assert_eq!(served.post("/v2/models/twice/infer", &beyond, b"{}").0, 400);
    let none = [("Inference-Header-Content-Length", "some")];
    assert_eq!(served.post("/v2/models/twice/infer", &none, b"{}").0, 400);
    // And the next one is served.
    assert_eq!(served.infer(&json!({ "inputs": [x(json!([1, 2, 3, 4]))] })).0, 200);
}

#[test]
fn who_comes_too_many_is_told_when_to_try_again() {
    let served = Served::with(None, None, 2);
    let body = serde_json::to_vec(&json!({ "inputs": [x(json!([99, 2, 3, 4]))] })).unwrap();
    std::thread::scope(|scope| {
        // The quick one may have the second place just then.
        let stubborn = || loop {
            match served.post("/v2/models/twice/infer", &[], &body).0 {
                429 => {}
                status => break status,
            }
        };
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(stubborn)).collect();
        // Until both are in, there is room.
        let quick = serde_json::to_vec(&json!({ "inputs": [x(json!([1, 2, 3, 4]))] })).unwrap();
        let refused = loop {
            let (status, headers, _) = served.post("/v2/models/twice/infer", &[], &quick);
            if status != 200 {
                break (status, headers["retry-after"].clone());
            }
        };
        assert_eq!(refused, (429, "1".parse().unwrap()));
        // Health is no request.
        assert_eq!(served.get("/v2/health/ready", &[]).0, 200);
        *served.go.0.lock().unwrap() = true;
        served.go.1.notify_all();
        assert!(waiting.into_iter().all(|thread| thread.join().unwrap() == 200));
    });
}

/// Whoever has asked before the gateway is stopped gets an answer.
#[test]
fn requests_end_before_the_gateway_does() {
    let served = Served::new();
    let body = serde_json::to_vec(&json!({ "inputs": [x(json!([99, 2, 3, 4]))] })).unwrap();
    let (address, go) = (served.url("/v2/models/twice/infer"), std::sync::Arc::clone(&served.go));
    let asked = std::thread::spawn(move || ureq::post(address).send(&body[..]).unwrap().status().as_u16());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let letting = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        *go.0.lock().unwrap() = true;
        go.1.notify_all();
    });
    served.end();
    assert_eq!(asked.join().unwrap(), 200);
    letting.join().unwrap();
}

/// A body that does not come in ends its request, and says so.
#[test]
fn who_sends_nothing_is_not_waited_for() {
    let served = Served::impatient();
    let mut socket = TcpStream::connect(&served.address).unwrap();
    let head = "POST /v2/models/twice/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"inp";
    socket.write_all(head.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("does not come in: 5 bytes"), "{said}");
}
