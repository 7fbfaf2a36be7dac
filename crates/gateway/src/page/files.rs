//! The files of the page.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

use crate::state::State;

/// A browser takes nothing but what the gateway itself serves, runs no script but that file, shows the page
/// within no other, and keeps nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and contents.
const FILES: [(&str, &str, &str); 14] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("/page/answer.js", SCRIPT, include_str!("answer.js")),
    ("/page/basics.js", SCRIPT, include_str!("basics.js")),
    ("/page/files.js", SCRIPT, include_str!("files.js")),
    ("/page/gateway.js", SCRIPT, include_str!("gateway.js")),
    ("/page/keep.js", SCRIPT, include_str!("keep.js")),
    ("/page/model.js", SCRIPT, include_str!("model.js")),
    ("/page/outputs.js", SCRIPT, include_str!("outputs.js")),
    ("/page/page.js", SCRIPT, include_str!("page.js")),
    ("/page/parties.js", SCRIPT, include_str!("parties.js")),
    ("/page/progress.js", SCRIPT, include_str!("progress.js")),
    ("/page/run.js", SCRIPT, include_str!("run.js")),
];

/// Whether anybody may have what is there: the page asks for the key.
pub(crate) fn is_open(path: &str) -> bool {
    FILES.iter().any(|&(open, ..)| open == path)
}

pub(super) fn routes() -> Router<State> {
    FILES.into_iter().fold(Router::new(), |router, (path, form, text)| {
        router.route(path, get(move || async move { file(form, text) }))
    })
}

fn file(form: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, form),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A gateway that was renewed has another page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
