//! The messages of the protocol in JSON, and tensors in bytes behind them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::models::{Answer, Model, TensorSpec};
use crate::tensor::{Datatype, Tensor};

/// Where a message has tensors in bytes behind its JSON, the length of the JSON.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";

/// The parameter of an answer that says what whoever uses it must know.
pub(crate) const WARNING: &str = "warning";

/// A request to run a model.
#[derive(Debug, Deserialize)]
pub(crate) struct InferRequest {
    pub(crate) id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    inputs: Vec<RequestInput>,
    #[serde(default)]
    outputs: Vec<RequestOutput>,
}

#[derive(Debug, Deserialize)]
struct RequestInput {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    data: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct RequestOutput {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct ResponseOutput {
    name: String,
    shape: Vec<usize>,
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

/// A message: JSON, and the bytes behind it where there are any.
pub(crate) struct Message {
    pub(crate) json: Vec<u8>,
    pub(crate) tensors: Vec<u8>,
    /// Whether there are bytes, however many.
    pub(crate) binary: bool,
}

fn wrong(reason: impl Into<String>) -> Failure {
    Failure::Request(reason.into())
}

/// The tensors of a request in JSON: of all the body is, or the first so many bytes of it; the rest is tensors in bytes.
///
/// # Errors
/// What is wrong with it.
pub fn read_request(body: &Bytes, header: Option<usize>) -> Result<Vec<Tensor>, Failure> {
    request(body, header).map(|(_, tensors)| tensors)
}

/// Reads a request: of all the body is, or the first so many bytes of it.
pub(crate) fn request(body: &Bytes, header: Option<usize>) -> Result<(InferRequest, Vec<Tensor>), Failure> {
    let header = header.unwrap_or(body.len());
    if header > body.len() {
        return Err(wrong(format!("{HEADER_LENGTH} says {header} bytes, and the body has {}", body.len())));
    }
    let (json, mut rest) = body.split_at(header);
    let request: InferRequest =
        serde_json::from_slice(json).map_err(|error| wrong(format!("the request is malformed: {error}")))?;
    let mut tensors = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        let RequestInput { name, shape, datatype, parameters, data } = input;
        let datatype = Datatype::of(datatype, name).map_err(|e| wrong(e.to_string()))?;
        let tensor = match (parameters.get("binary_data_size"), data) {
            (Some(_), Some(_)) => return Err(wrong(format!("tensor {name:?} has its elements twice"))),
            (None, None) => {
                return Err(wrong(format!(
                    "tensor {name:?} has no elements: neither data nor binary_data_size"
                )));
            }
            (Some(size), None) => {
                let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
                let size =
                    size.ok_or_else(|| wrong(format!("tensor {name:?}: binary_data_size is no number")))?;
                let (own, others) = rest.split_at_checked(size).ok_or_else(|| {
                    wrong(format!(
                        "tensor {name:?} has {size} bytes, and {} are left of the body",
                        rest.len()
                    ))
                })?;
                rest = others;
                Tensor::of_bytes(name, datatype, shape, own)
            }
            (None, Some(data)) => Tensor::of_json(name, datatype, shape, data),
        };
        tensors.push(tensor.map_err(|e| wrong(e.to_string()))?);
    }
    if !rest.is_empty() {
        return Err(wrong(format!("{} bytes of the body belong to no tensor", rest.len())));
    }
    Ok((request, tensors))
}

/// The answer to a request: the outputs that were asked for, or all.
pub(crate) fn response(request: &InferRequest, model: &Model, answer: Answer) -> Result<Message, Failure> {
    let Answer { outputs: tensors, warnings } = answer;
    let flag = |parameters: &Map<String, Value>, name: &str| parameters.get(name).and_then(Value::as_bool);
    let all = flag(&request.parameters, "binary_data_output").unwrap_or(false);
    let wanted: Vec<(Tensor, bool)> = if request.outputs.is_empty() {
        tensors.into_iter().map(|tensor| (tensor, all)).collect()
    } else {
        let one = |output: &RequestOutput| {
            let tensor = tensors.iter().find(|tensor| tensor.name == output.name).cloned();
            let tensor = tensor.ok_or_else(|| no_output(&output.name, model))?;
            Ok((tensor, flag(&output.parameters, "binary_data").unwrap_or(all)))
        };
        request.outputs.iter().map(one).collect::<Result<_, Failure>>()?
    };
    let (mut outputs, mut bytes, mut any) = (Vec::new(), Vec::new(), false);
    for (tensor, binary) in wanted {
        let (data, parameters) = if binary {
            let own = tensor.bytes();
            let size = own.len();
            bytes.extend(own);
            any = true;
            (None, Some(json!({ "binary_data_size": size })))
        } else {
            (Some(tensor.json()), None)
        };
        let datatype = tensor.datatype.name();
        outputs.push(ResponseOutput { name: tensor.name, shape: tensor.shape, datatype, data, parameters });
    }
    let mut answer = json!({ "model_name": model.name, "model_version": model.version, "outputs": outputs });
    if let (Some(id), Some(answer)) = (&request.id, answer.as_object_mut()) {
        answer.insert("id".into(), id.clone().into());
    }
    if let (false, Some(answer)) = (warnings.is_empty(), answer.as_object_mut()) {
        answer.insert("parameters".into(), json!({ WARNING: warnings.join("\n") }));
    }
    let json = serde_json::to_vec(&answer).map_err(|error| Failure::Defect(error.to_string()))?;
    Ok(Message { json, tensors: bytes, binary: any })
}

/// That a model has no such output.
pub(crate) fn no_output(name: &str, model: &Model) -> Failure {
    let known: Vec<&str> = model.outputs.iter().map(|output| output.name.as_str()).collect();
    wrong(format!("the model {} has no output {name:?}; it has {}", model.name, known.join(", ")))
}

/// What is told of a model.
pub(crate) fn metadata(model: &Model) -> Value {
    let tensor = |spec: &TensorSpec| json!({ "name": spec.name, "datatype": spec.datatype.name(), "shape": spec.shape });
    json!({
        "name": model.name,
        "versions": [model.version],
        "platform": model.platform,
        "inputs": model.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": model.outputs.iter().map(tensor).collect::<Vec<_>>(),
    })
}
