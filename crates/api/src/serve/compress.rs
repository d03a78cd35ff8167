//! Answers in gzip, for those who say that they take it.

use std::io::Write;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Shorter bodies stay as they are: they would hardly get shorter.
const WORTH_IT: usize = 512;
/// Longer bodies take long enough to compress that it must not hold up others.
const TAKES_LONG: usize = 128 << 10;

/// Whether the client takes gzip. As in bytomd the word is enough; a quality of 0 refuses it.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = parts.any(|part| {
                let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                quality.and_then(|quality| quality.parse::<f32>().ok()) == Some(0.0)
            });
            named && !refused
        })
}

/// The body in gzip, if that is worth it.
pub(crate) async fn compress(body: Bytes) -> Option<Bytes> {
    match body.len() {
        ..WORTH_IT => None,
        WORTH_IT..TAKES_LONG => Some(gzip(&body)),
        _ => tokio::task::spawn_blocking(move || gzip(&body)).await.ok(),
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("memory does not fail").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn bodies_come_back_as_they_were() {
        for length in [WORTH_IT, TAKES_LONG + 1] {
            let body = Bytes::from(vec![b'x'; length]);
            let packed = compress(body.clone()).await.unwrap();
            assert!(packed.len() < length / 4);
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&packed[..])
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, body);
        }
        assert_eq!(compress(Bytes::from_static(b"short")).await, None);
    }

    #[test]
    fn who_asks_is_heard() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            is_asked(&headers)
        };
        for yes in ["gzip", "deflate, gzip;q=1.0", "br,GZIP"] {
            assert!(asked(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzipped", "identity"] {
            assert!(!asked(no), "{no}");
        }
    }
}
