//! As much of an HTTP/1.1 client as is needed to see exactly what a server does to a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer's head may have so many bytes.
const MAX_HEAD: usize = 16 << 10;
/// An answer's body may have so many bytes.
const MAX_BODY: usize = 32 << 20;

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server said that it will close the connection.
    pub(crate) close: bool,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection was closed before the answer")]
    Closed,
    #[error("the connection was closed after {got} bytes of the answer")]
    Short { got: usize },
    #[error("{doing}, after {got} bytes of the answer: {error}")]
    Io {
        doing: &'static str,
        got: usize,
        error: io::Error,
    },
    #[error("the answer is not understood: {0}")]
    Odd(String),
}

impl Broken {
    /// The answer had begun.
    pub(crate) const fn is_short(&self) -> bool {
        matches!(self, Self::Short { .. } | Self::Io { got: 1.., .. })
    }
}

/// A request without body.
pub(crate) fn request(path: &str, host: &str, close: bool) -> Vec<u8> {
    let connection = if close { "Connection: close\r\n" } else { "" };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench-load\r\n{connection}\r\n")
        .into_bytes()
}

/// Sends a request and takes the whole answer, and not a byte more.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Answer, Broken> {
    stream
        .write_all(request)
        .await
        .map_err(|error| Broken::Io {
            doing: "writing the request",
            got: 0,
            error,
        })?;
    let mut bytes = Vec::with_capacity(1024);
    let (head, mut answer) = loop {
        if let Some(head) = parse(&bytes)? {
            break head;
        }
        if bytes.len() > MAX_HEAD {
            return Err(Broken::Odd(format!("its head is over {MAX_HEAD} bytes")));
        }
        if more(stream, &mut bytes).await? == 0 {
            return Err(match bytes.len() {
                0 => Broken::Closed,
                got => Broken::Short { got },
            });
        }
    };
    if let Some(length) = head.length {
        let whole = head.bytes + length;
        while bytes.len() < whole {
            if more(stream, &mut bytes).await? == 0 {
                return Err(Broken::Short { got: bytes.len() });
            }
        }
        if bytes.len() > whole {
            let extra = bytes.len() - whole;
            return Err(Broken::Odd(format!("{extra} bytes follow it")));
        }
    } else {
        // Without a length the body ends with the connection.
        answer.close = true;
        while more(stream, &mut bytes).await? != 0 {
            if bytes.len() - head.bytes > MAX_BODY {
                return Err(Broken::Odd(format!("its body is over {MAX_BODY} bytes")));
            }
        }
    }
    answer.body = bytes.split_off(head.bytes);
    Ok(answer)
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<usize, Broken> {
    let got = bytes.len();
    stream.read_buf(bytes).await.map_err(|error| Broken::Io {
        doing: "reading the answer",
        got,
        error,
    })
}

/// What of a head matters here.
#[derive(Debug)]
struct Head {
    /// The head's own bytes.
    bytes: usize,
    /// The body's, if it is told.
    length: Option<usize>,
}

/// The head, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, Answer)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let odd = |what: &dyn std::fmt::Display| Broken::Odd(what.to_string());
    let head = match response.parse(bytes).map_err(|e| odd(&e))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(bytes) => bytes,
    };
    let mut answer = Answer {
        status: response.code.unwrap_or_default(),
        close: response.version == Some(0),
        body: Vec::new(),
    };
    let mut length = None;
    for header in response.headers {
        let value = String::from_utf8_lossy(header.value);
        if header.name.eq_ignore_ascii_case("content-length") {
            let told = value.trim().parse::<usize>().map_err(|e| odd(&e))?;
            if told > MAX_BODY {
                return Err(odd(&format_args!("its body is over {MAX_BODY} bytes")));
            }
            length = Some(told);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(odd(&format_args!("transfer encoding {value}")));
        } else if header.name.eq_ignore_ascii_case("connection") {
            let says = |word: &str| {
                value
                    .split(',')
                    .any(|v| v.trim().eq_ignore_ascii_case(word))
            };
            answer.close = says("close") || (answer.close && !says("keep-alive"));
        }
    }
    let head = Head {
        bytes: head,
        length,
    };
    Ok(Some((head, answer)))
}

/// The number of the generation that answered.
pub(crate) fn generation(text: &[u8]) -> Option<u64> {
    number_after("generation", text)
}

/// The number that follows a word, wherever that stands, in any case, with at most three bytes between them.
pub fn number_after(word: &str, text: &[u8]) -> Option<u64> {
    let at = text
        .windows(word.len())
        .position(|part| part.eq_ignore_ascii_case(word.as_bytes()))?;
    let rest = &text[at + word.len()..];
    let begin = rest.iter().take(4).position(u8::is_ascii_digit)?;
    let digits = rest[begin..].iter().take_while(|b| b.is_ascii_digit());
    let number: Vec<u8> = digits.copied().collect();
    std::str::from_utf8(&number).ok()?.parse().ok()
}

/// One request on a connection of its own, outside of any count: the body of the answer.
pub async fn get(target: SocketAddr, path: &str, patience: Duration) -> io::Result<Vec<u8>> {
    let answer = async {
        let mut stream = TcpStream::connect(target).await?;
        let request = request(path, &target.to_string(), true);
        let answer = exchange(&mut stream, &request)
            .await
            .map_err(io::Error::other)?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(io::Error::other(format!("status {}", answer.status)))
        }
    };
    timeout(patience, answer).await.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {patience:?}"),
        )
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_when_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc";
        let whole = text.len() - 3;
        for end in 0..whole {
            assert!(parse(&text[..end]).expect("a part of a head").is_none());
        }
        let (head, answer) = parse(text).expect("a head").expect("whole");
        assert_eq!((head.bytes, head.length), (whole, Some(3)));
        assert!(answer.close);
        assert_eq!(answer.status, 200);
    }

    #[test]
    fn knows_who_keeps_the_connection() {
        let close = |text: &str| {
            parse(text.as_bytes())
                .expect("a head")
                .expect("whole")
                .1
                .close
        };
        assert!(!close("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(close("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!close("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
        assert!(close("HTTP/1.1 200 OK\r\nConnection: foo, close\r\n\r\n"));
    }

    #[test]
    fn refuses_what_it_cannot_measure() {
        for text in [
            "nonsense that is no head\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn finds_the_generation() {
        assert_eq!(generation(b"pid 12, generation 3\n"), Some(3));
        assert_eq!(generation(b"{\"Generation\": 17}"), Some(17));
        assert_eq!(generation(b"generation"), None);
        assert_eq!(generation(b"the next generation is coming 4"), None);
        assert_eq!(generation(b""), None);
    }
}
