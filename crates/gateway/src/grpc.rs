//! The protocol over gRPC.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use cryptflow_arrays::Numbers;
use prost::Message;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::failure::Failure;
use crate::json::{WARNING, no_output};
use crate::keys::Holder;
use crate::messages::{
    Choice, Contents, InferRequest, InferResponse, InferTensor, Is, ModelMetadata, NamedModel, Nothing,
    Parameter, ServerMetadata, TensorMetadata,
};
use crate::models::{Answer, Model, TensorSpec};
use crate::state::State;
use crate::tensor::{Datatype, Tensor, TensorError};

/// The path of the service.
pub(crate) const SERVICE: &str = "/inference.GRPCInferenceService/";

/// The service.
#[derive(Clone)]
pub(crate) struct Inference {
    pub(crate) state: State,
    /// The longest message that is taken.
    pub(crate) most: usize,
}

type Answered = Pin<Box<dyn Future<Output = Result<http::Response<tonic::body::Body>, Infallible>> + Send>>;

impl Service<http::Request<Body>> for Inference {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answered {
        let Inference { state, most } = self.clone();
        let path = request.uri().path().to_string();
        match path.strip_prefix(SERVICE).unwrap_or_default() {
            "ServerLive" => unary(most, request, |_: Request<Nothing>| async { Ok(Is { so: true }) }),
            "ServerReady" => unary(most, request, move |_: Request<Nothing>| {
                let state = state.clone();
                async move { Ok(Is { so: state.ready().await.is_ok() }) }
            }),
            "ServerMetadata" => unary(most, request, |_: Request<Nothing>| async { Ok(server()) }),
            "ModelReady" => unary(most, request, move |asked: Request<NamedModel>| {
                let state = state.clone();
                async move { Ok(Is { so: named(&state, asked).await.is_ok() }) }
            }),
            "ModelMetadata" => unary(most, request, move |asked: Request<NamedModel>| {
                let state = state.clone();
                async move { Ok(metadata(&*named(&state, asked).await?)) }
            }),
            "ModelInfer" => unary(most, request, move |asked: Request<InferRequest>| {
                let state = state.clone();
                async move { infer(&state, asked).await }
            }),
            other => {
                let status = Status::unimplemented(format!("there is no method {other:?} here"));
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

/// A method with one message in and one out.
fn unary<Q, A, F>(
    most: usize,
    request: http::Request<Body>,
    answer: impl Fn(Request<Q>) -> F + Send + 'static,
) -> Answered
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, Failure>> + Send + 'static,
{
    Box::pin(async move {
        let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(most);
        let method = service_fn(move |asked: Request<Q>| {
            let answer = answer(asked);
            async move { answer.await.map(Response::new).map_err(|failure| failure.grpc()) }
        });
        Ok(grpc.unary(method, request).await)
    })
}

fn server() -> ServerMetadata {
    ServerMetadata {
        name: "cryptflow-gateway".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        extensions: Vec::new(),
    }
}

/// Who asks: whoever is let through is known.
fn holder<T>(asked: &Request<T>) -> Result<Holder, Failure> {
    let holder = asked.extensions().get::<Holder>().cloned();
    holder.ok_or_else(|| Failure::Defect("nobody knows whose request this is".into()))
}

async fn named(state: &State, asked: Request<NamedModel>) -> Result<std::sync::Arc<Model>, Failure> {
    let holder = holder(&asked)?;
    let NamedModel { name, version } = asked.into_inner();
    state.model(&holder, &name, &version).await
}

fn metadata(model: &Model) -> ModelMetadata {
    let tensor = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.datatype.name().into(),
        shape: spec.shape.clone(),
    };
    ModelMetadata {
        name: model.name.clone(),
        versions: vec![model.version.clone()],
        platform: model.platform.clone(),
        inputs: model.inputs.iter().map(tensor).collect(),
        outputs: model.outputs.iter().map(tensor).collect(),
    }
}

async fn infer(state: &State, asked: Request<InferRequest>) -> Result<InferResponse, Failure> {
    let holder = holder(&asked)?;
    let asked = asked.into_inner();
    let model = state.model(&holder, &asked.model_name, &asked.model_version).await?;
    let inputs = tensors(&asked)?;
    let Answer { outputs: mut given, warnings } = state.infer(&asked.model_name, inputs).await?;
    let warning = Parameter { choice: Some(Choice::Text(warnings.join("\n"))) };
    let parameters = warnings.first().map(|_| (WARNING.to_string(), warning)).into_iter().collect();
    if !asked.outputs.is_empty() {
        let mut wanted = Vec::with_capacity(asked.outputs.len());
        for output in &asked.outputs {
            let tensor = given.iter().find(|tensor| tensor.name == output.name).cloned();
            wanted.push(tensor.ok_or_else(|| no_output(&output.name, &model))?);
        }
        given = wanted;
    }
    // Bytes are what every client reads, whatever it sent.
    let raw_output_contents = given.iter().map(|tensor| tensor.bytes().into()).collect();
    let output = |tensor: Tensor| InferTensor {
        name: tensor.name,
        datatype: tensor.datatype.name().into(),
        shape: tensor.shape.into_iter().map(|n| n as i64).collect(),
        ..InferTensor::default()
    };
    Ok(InferResponse {
        model_name: model.name.clone(),
        model_version: model.version.clone(),
        id: asked.id,
        outputs: given.into_iter().map(output).collect(),
        raw_output_contents,
        parameters,
    })
}

/// The inputs of a request: all in bytes, or all in lists.
fn tensors(asked: &InferRequest) -> Result<Vec<Tensor>, Failure> {
    let (inputs, raw) = (&asked.inputs, &asked.raw_input_contents);
    if !raw.is_empty() && raw.len() != inputs.len() {
        let reason = format!("there are {} inputs, and raw contents of {}", inputs.len(), raw.len());
        return Err(Failure::Request(reason));
    }
    let one = |(at, input): (usize, &InferTensor)| {
        let datatype = Datatype::of(&input.datatype, &input.name)?;
        match (raw.get(at), &input.contents) {
            (Some(bytes), _) => Tensor::of_bytes(&input.name, datatype, &input.shape, bytes),
            (None, Some(contents)) => listed(&input.name, datatype, &input.shape, contents),
            (None, None) => listed(&input.name, datatype, &input.shape, &Contents::default()),
        }
    };
    let tensors: Result<_, TensorError> = inputs.iter().enumerate().map(one).collect();
    tensors.map_err(|error| Failure::Request(error.to_string()))
}

/// A tensor of the list that goes with its type.
fn listed(name: &str, datatype: Datatype, shape: &[i64], contents: &Contents) -> Result<Tensor, TensorError> {
    let integers = |all: &mut dyn Iterator<Item = i64>| Numbers::Integers(all.collect());
    let numbers = match datatype {
        Datatype::Bool => integers(&mut contents.bools.iter().map(|&v| v.into())),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
            integers(&mut contents.ints.iter().map(|&v| v.into()))
        }
        Datatype::Int64 => Numbers::Integers(contents.longs.clone()),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
            integers(&mut contents.unsigned.iter().map(|&v| v.into()))
        }
        // What is beyond the signed ones is refused as too large all the same.
        Datatype::Uint64 => {
            integers(&mut contents.unsigned_longs.iter().map(|&v| i64::try_from(v).unwrap_or(i64::MAX)))
        }
        Datatype::Fp32 => Numbers::Floats(contents.floats.clone()),
        Datatype::Fp64 => Numbers::Floats(contents.doubles.iter().map(|&v| v as f32).collect()),
        // They have no list of their own: bytes alone hold them.
        Datatype::Fp16 | Datatype::Bf16 => Numbers::Floats(Vec::new()),
    };
    Tensor::of_numbers(name, datatype, shape, numbers)
}
