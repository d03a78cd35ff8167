//! Clients that keep their connections.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Node, PATIENCE, wait};

/// What opens the keys that are made here.
pub(crate) const PASSWORD: &str = "a password";

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
        let length = head.split("content-length: ").nth(1).unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let said = String::from_utf8_lossy(&body);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}{said}");
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer
    }

    /// Makes a key and an account of that name; an address of it.
    pub(crate) fn account(&mut self, alias: &str) -> String {
        let key = json!({ "alias": alias, "password": PASSWORD }).to_string();
        let key = self.ask("/create-key", &key);
        let account = json!({ "root_xpubs": [key["data"]["xpub"]], "quorum": 1, "alias": alias });
        self.ask("/create-account", &account.to_string());
        let whose = json!({ "account_alias": alias }).to_string();
        let receiver = self.ask("/create-account-receiver", &whose);
        receiver["data"]["address"].as_str().unwrap().to_owned()
    }

    /// Waits until an account has so much BTM, in neu.
    pub(crate) fn await_balance(&mut self, alias: &str, amount: u64) {
        wait(&format!("a balance of {alias}"), || {
            let balances = self.ask("/list-balances", "{}");
            let mut all = balances["data"].as_array().into_iter().flatten();
            all.any(|one| one["account_alias"] == alias && one["amount"] == amount)
        });
    }

    /// A transaction that is not signed yet: so much BTM to an address, in neu.
    pub(crate) fn build(&mut self, from: &str, to: &str, amount: u64) -> Value {
        let (asset, fee) = ("BTM", 20_000_000);
        let actions = json!([
            {"type": "spend_account", "account_alias": from, "asset_alias": asset, "amount": amount + fee},
            {"type": "control_address", "address": to, "asset_alias": asset, "amount": amount},
        ]);
        let body =
            json!({ "base_transaction": null, "ttl": 0, "time_range": 0, "actions": actions });
        self.ask("/build-transaction", &body.to_string())["data"].clone()
    }

    /// Signs and submits it; its id.
    pub(crate) fn submit(&mut self, template: &Value) -> String {
        let body = json!({ "password": PASSWORD, "transaction": template }).to_string();
        let signed = self.ask("/sign-transaction", &body)["data"].clone();
        assert_eq!(signed["sign_complete"], true, "{signed}");
        let body =
            json!({ "raw_transaction": signed["transaction"]["raw_transaction"] }).to_string();
        let submitted = self.ask("/submit-transaction", &body);
        submitted["data"]["tx_id"].as_str().unwrap().to_owned()
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
