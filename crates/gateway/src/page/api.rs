//! What the page asks.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Request, State as Given};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::lines::Lines;
use super::upload::uploads;
use super::{Described, Event, Ran};
use crate::failure::Failure;
use crate::keys::Holder;
use crate::rest;
use crate::state::State;
use crate::stop::{Stop, Waiting};
use crate::tensor::Tensor;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/page/api/about", get(about))
        .route("/page/api/models/{model}", get(model))
        .route("/page/api/models/{model}/run", post(run))
        .layer(axum::middleware::from_fn(own_page))
}

/// Refuses what the pages of other sites ask: a browser may send it from within an organisation's network, on
/// behalf of whoever made the page. What is answered is for this page, and is kept nowhere.
async fn own_page(request: Request, next: Next) -> Response {
    let from = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    if from.is_some_and(|from| from != b"same-origin" && from != b"none") {
        let error = "the page of another site asks, and this is for the gateway's own";
        return (StatusCode::FORBIDDEN, Json(json!({ "error": error }))).into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn about(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
) -> Result<Json<Value>, Failure> {
    let page = state.page()?;
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "models": state.names(&holder),
        "longest": state.longest(),
        "security": page.parties(),
    })))
}

async fn model(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
    Path(name): Path<String>,
) -> Result<Json<Described>, Failure> {
    let page = state.page()?;
    state.may_ask(&holder, &name)?;
    Ok(Json(state.waited(move || page.model(&name)).await?))
}

/// A line of the answer.
pub(super) enum Line {
    Event(Event),
    End(Result<Ran, Failure>),
}

impl Line {
    /// Whether no other follows.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Line::End(_))
    }

    /// In JSON. What is in it can be written, so there is no other.
    pub(super) fn written(self) -> Vec<u8> {
        let json = match self {
            Line::Event(event) => serde_json::to_value(event).unwrap_or_default(),
            Line::End(Ok(ran)) => answer(ran),
            Line::End(Err(failure)) => {
                json!({ "event": "failure", "status": failure.http().as_u16(), "error": failure.to_string() })
            }
        };
        let mut text = json.to_string().into_bytes();
        text.push(b'\n');
        text
    }
}

async fn run(
    Given(state): Given<State>,
    Extension(holder): Extension<Holder>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let page = state.page()?;
    let body = rest::whole(body)?;
    state.may_ask(&holder, &name)?;
    let head = rest::header_length(&headers)?.unwrap_or(body.len());
    let files = uploads(&body, head)?;
    let place = state.place()?;
    let (tell, mut told) = unbounded_channel::<Line>();
    let (watcher, stop) = (tell.clone(), Stop::default());
    // Whoever has the answer, or breaks off, waits no more.
    let waiting = Waiting(stop.clone());
    tokio::task::spawn_blocking(move || {
        // Whoever asked may be gone.
        let watch = move |event| drop(watcher.send(Line::Event(event)));
        let end = page.run(&name, files, Box::new(watch), stop);
        drop(place);
        drop(tell.send(Line::End(end)));
    });
    // What is wrong with a request is said as programs are told it, and not in the middle of an answer.
    let first = match told.recv().await {
        Some(Line::End(Err(failure))) => return Err(failure),
        Some(first) => first,
        None => return Err(Failure::Defect("a request ended in a defect".into())),
    };
    let form = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((form, Body::new(Lines::new(first, told, waiting))).into_response())
}

fn answer(ran: Ran) -> Value {
    let Ran { answer, rows, said, exchanged, proved, report } = ran;
    let output = |tensor: Tensor| {
        let data = tensor.json();
        json!({ "name": tensor.name, "datatype": tensor.datatype.name(), "shape": tensor.shape, "data": data })
    };
    json!({
        "event": "answer",
        "rows": rows,
        "outputs": answer.outputs.into_iter().map(output).collect::<Vec<_>>(),
        "said": said,
        "warnings": answer.warnings,
        "exchanged": exchanged,
        "proved": proved,
        "report": report,
    })
}
