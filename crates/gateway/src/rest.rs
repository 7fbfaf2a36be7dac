//! The protocol over REST.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Given};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::json::{self, HEADER_LENGTH, Message};
use crate::keys::Holder;
use crate::slow::TooSlow;
use crate::state::State;

/// The description of it all, for programs.
const OPENAPI: &str = include_str!("openapi.json");

/// A model's name, and its version where one is asked for.
type Asked = Path<Vec<String>>;

/// The routes.
pub(crate) fn routes() -> Router<State> {
    let model = "/v2/models/{model}";
    let version = "/v2/models/{model}/versions/{version}";
    let mut router = Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models", get(names))
        .route("/openapi.json", get(openapi))
        .fallback(nothing);
    for path in [model, version] {
        router = router
            .route(path, get(metadata))
            .route(&format!("{path}/ready"), get(model_ready))
            .route(&format!("{path}/infer"), post(infer));
    }
    router
}

async fn server() -> Json<Value> {
    Json(json!({
        "name": "cryptflow-gateway",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data"],
    }))
}

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(Given(state): Given<State>) -> Response {
    match state.ready().await {
        Ok(()) => Json(json!({ "ready": true })).into_response(),
        Err(failure) => {
            (failure.http(), Json(json!({ "ready": false, "error": failure.to_string() }))).into_response()
        }
    }
}

async fn names(Given(state): Given<State>, Extension(holder): Extension<Holder>) -> Json<Value> {
    Json(json!({ "models": state.names(&holder) }))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn nothing(uri: http::Uri) -> Response {
    let error = format!("there is nothing at {}; /openapi.json says what there is", uri.path());
    (http::StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
}

fn parts(asked: &[String]) -> (&str, &str) {
    let of = |at: usize| asked.get(at).map(String::as_str).unwrap_or_default();
    (of(0), of(1))
}

async fn metadata(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
    Path(asked): Asked,
) -> Result<Json<Value>, Failure> {
    let (name, version) = parts(&asked);
    Ok(Json(json::metadata(&*state.model(&holder, name, version).await?)))
}

async fn model_ready(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
    Path(asked): Asked,
) -> Result<Json<Value>, Failure> {
    let (name, version) = parts(&asked);
    let model = state.model(&holder, name, version).await?;
    Ok(Json(json!({ "name": model.name, "ready": true })))
}

async fn infer(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
    Path(asked): Asked,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let body = whole(body)?;
    let (name, version) = parts(&asked);
    let (request, tensors) = json::request(&body, header_length(&headers)?)?;
    let model = state.model(&holder, name, version).await?;
    let answer = state.infer(name, tensors).await?;
    let Message { json, tensors, binary } = json::response(&request, &model, answer)?;
    if !binary {
        return Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response());
    }
    let length = HeaderValue::from(json.len());
    let body = [json, tensors].concat();
    let form = HeaderValue::from_static("application/octet-stream");
    let names = [header::CONTENT_TYPE, HeaderName::from_static(HEADER_LENGTH)];
    Ok((names.into_iter().zip([form, length]).collect::<HeaderMap>(), body).into_response())
}

/// The body of a request, which has come in whole.
pub(crate) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Failure> {
    body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLong("the request is longer than is taken here".into()),
        _ => {
            let mut cause = rejected.source();
            while let Some(deeper) = cause {
                if let Some(slow) = deeper.downcast_ref::<TooSlow>() {
                    return Failure::Slow(slow.to_string());
                }
                cause = deeper.source();
            }
            Failure::Request(rejected.body_text())
        }
    })
}

/// How many bytes of a body are JSON, where others follow.
pub(crate) fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Failure> {
    let Some(length) = headers.get(HEADER_LENGTH) else { return Ok(None) };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.map(Some).ok_or_else(|| Failure::Request(format!("{HEADER_LENGTH} is no number")))
}
