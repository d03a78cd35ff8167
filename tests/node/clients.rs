//! Clients that keep their connections.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Node, PATIENCE};

/// A client of HTTP.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(node: &Node) -> Self {
        let stream = TcpStream::connect(node.api()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// The body of an answer that is good.
    pub(crate) fn ask(&mut self, path: &str, body: &str) -> Value {
        write!(
            self.0,
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let head = self.head();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer
    }

    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap().to_lowercase()
    }
}

/// A client of `WebSockets`.
pub(crate) struct Socket(Client);

impl Socket {
    pub(crate) fn subscribe(node: &Node, wish: &str) -> Self {
        let mut client = Client::connect(node);
        let asks = "GET /websocket-subscribe HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.0.write_all(asks.as_bytes()).unwrap();
        let head = client.head();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        let mut this = Self(client);
        this.send(wish);
        this
    }

    /// A text in one frame. Clients mask what they send (RFC 6455, 5.3); with zeros the text stays as it is.
    fn send(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.0.write_all(&frame).unwrap();
    }

    /// The next text.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            let [kind, length] = self.bytes();
            let length = match length {
                126 => usize::from(u16::from_be_bytes(self.bytes())),
                127 => usize::try_from(u64::from_be_bytes(self.bytes())).unwrap(),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.0.read_exact(&mut payload).unwrap();
            match kind {
                0x81 => return serde_json::from_slice(&payload).unwrap(),
                // a ping
                0x89 => {}
                other => panic!("a frame {other:#x}: {payload:?}"),
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
