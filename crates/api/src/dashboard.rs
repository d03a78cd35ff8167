//! The dashboard: files that are part of this program, for whoever asks. What they show they ask for as any page would.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha3::{Digest, Sha3_256};

use crate::serve::{
    Body,
    response::{plain, redirect},
};

/// A file of the dashboard.
struct File {
    /// Its path under `/dashboard/`.
    name: &'static str,
    content: &'static [u8],
}

/// All files that there were when this program was built.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// What stands for the page if it was not there then.
const NO_INDEX: File = File {
    name: "index.html",
    content:
        b"<!doctype html><title>batond</title><p>This program was built without its dashboard. \
        The API is described in <a href=\"../openapi.json\">openapi.json</a>.",
};

/// What the page may load and ask: this node, and nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// What the files are, so that browsers load them again only when they are others.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| FILES.iter().map(tag).collect());

fn tag(file: &File) -> HeaderValue {
    let hash = Sha3_256::digest(file.content);
    let text = format!("\"{}\"", hex::encode(&hash[..12]));
    HeaderValue::try_from(text).expect("hexadecimal in quotes")
}

/// The file of a path; none if the path is not the dashboard's. As in bytomd a name that is not known stands for the page, and
/// `/equity/` is served as `/dashboard/` is.
pub(crate) fn page(path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let name = match path {
        "/dashboard" => return Some(redirect(StatusCode::MOVED_PERMANENTLY, "/dashboard/")),
        "/equity" => return Some(redirect(StatusCode::MOVED_PERMANENTLY, "/equity/")),
        _ => path
            .strip_prefix("/dashboard/")
            .or_else(|| path.strip_prefix("/equity/"))?,
    };
    let find = |name: &str| FILES.iter().position(|file| file.name == name);
    let (file, tag) = match find(name).or_else(|| find("index.html")) {
        Some(index) => (&FILES[index], TAGS[index].clone()),
        None => (&NO_INDEX, tag(&NO_INDEX)),
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| {
            let mut tags = tags
                .split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"));
            tags.any(|known| known == "*" || tag == known)
        });
    let (status, content) = if known {
        (StatusCode::NOT_MODIFIED, &[][..])
    } else {
        (StatusCode::OK, file.content)
    };
    let mut response = plain(status, kind(file.name), content);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        header::X_FRAME_OPTIONS,
        HeaderValue::from_static("SAMEORIGIN"),
    );
    Some(response)
}

fn kind(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json") => "application/json; charset=utf-8",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_page_and_a_page_is_loaded_once() {
        let none = HeaderMap::new();
        assert!(page("/net-info", &none).is_none());
        for path in ["/dashboard/", "/dashboard/no/such/page", "/equity/"] {
            let found = page(path, &none).unwrap();
            assert_eq!(found.status(), StatusCode::OK);
            assert_eq!(found.headers()["x-frame-options"], "SAMEORIGIN");
            assert_eq!(found.headers()["content-type"], "text/html; charset=utf-8");
            let mut again = HeaderMap::new();
            again.insert(header::IF_NONE_MATCH, found.headers()["etag"].clone());
            assert_eq!(
                page(path, &again).unwrap().status(),
                StatusCode::NOT_MODIFIED
            );
        }
        assert_eq!(
            page("/dashboard", &none).unwrap().headers()["location"],
            "/dashboard/"
        );
        for file in FILES {
            let found = page(&format!("/dashboard/{}", file.name), &none).unwrap();
            assert_ne!(
                found.headers()["content-type"],
                "application/octet-stream",
                "{}",
                file.name
            );
        }
    }
}
