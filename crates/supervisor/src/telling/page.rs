//! The page at the admin address: files that are part of the program. What they show they ask for by
//! `/events`; there is nothing on the page that could change anything.

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::routes::not_found;

/// Only what comes from here, and nobody else's frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: &str = include_str!("../../page/index.html");

/// What the index asks for, by name.
const FILES: &[(&str, &str, &str)] = &[
    ("page.css", CSS, include_str!("../../page/page.css")),
    ("icon.svg", SVG, include_str!("../../page/icon.svg")),
    ("main.js", SCRIPT, include_str!("../../page/main.js")),
    ("feed.js", SCRIPT, include_str!("../../page/feed.js")),
    ("words.js", SCRIPT, include_str!("../../page/words.js")),
    ("cards.js", SCRIPT, include_str!("../../page/cards.js")),
    ("pace.js", SCRIPT, include_str!("../../page/pace.js")),
    ("draw.js", SCRIPT, include_str!("../../page/draw.js")),
];

pub(super) async fn index() -> Response {
    answer(HTML, INDEX)
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, media, content)) => answer(media, content),
        None => not_found().await.into_response(),
    }
}

fn answer(media: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another supervisor may have another page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, content).into_response()
}
