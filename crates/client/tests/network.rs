//! With a server that answers, or does not: addresses, tokens, limits, raw answers.

mod program;
mod server;

use std::net::TcpListener;

use baton_client::Exit;
use program::batoncli;
use server::{Server, response};

const NO_CONNECTION: &str = "Unable to connect to the bytomd\n";

/// An error on standard output without its date.
fn told(out: &str) -> &str {
    let told = out
        .strip_prefix("ERROR ")
        .unwrap_or_else(|| panic!("{out}"));
    &told["2026/11/30 14:01:01 ".len()..]
}

#[test]
fn where_nobody_listens_there_is_no_connection() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let ran = batoncli(&format!("http://id:s3cret@127.0.0.1:{port}"), &["net-info"]);
    assert_eq!((ran.exit, told(&ran.out)), (Exit::Connect, NO_CONNECTION));
    let why = format!("batoncli: http://127.0.0.1:{port}/net-info: Connection refused");
    assert!(ran.err.starts_with(&why), "{}", ran.err);
    assert!(ran.err.contains("--node or BYTOM_URL"), "{}", ran.err);
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_as_long_as_was_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ran = batoncli(&url, &["net-info", "--timeout", "1"]);
    assert_eq!((ran.exit, told(&ran.out)), (Exit::Connect, NO_CONNECTION));
    let why = format!("batoncli: {url}/net-info: no answer within 1 s (--timeout)");
    assert!(ran.err.starts_with(&why), "{}", ran.err);
}

#[test]
fn an_answer_that_is_too_long_is_not_read() {
    let server = Server::start();
    server.answers(|_| "HTTP/1.1 200 X\r\nContent-Length: 268435457\r\n\r\n".to_owned());
    let ran = batoncli(&server.url, &["list-transactions"]);
    assert_eq!((ran.exit, told(&ran.out)), (Exit::Connect, NO_CONNECTION));
    assert!(
        ran.err.contains("the answer is over 268435456 bytes"),
        "{}",
        ran.err
    );
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    let server = Server::start();
    server.answers(|_| "HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\n{\"status\":".to_owned());
    let ran = batoncli(&server.url, &["net-info"]);
    assert_eq!((ran.exit, told(&ran.out)), (Exit::Connect, NO_CONNECTION));
    assert!(
        ran.err
            .starts_with(&format!("batoncli: {}/net-info: ", server.url)),
        "{}",
        ran.err
    );
}

#[test]
fn a_node_without_a_wallet_redirects_to_its_error() {
    let server = Server::start();
    server.answers(|request| match request.path.as_str() {
        "/error" => response(200, r#"{"status":"fail","code":"BTM000","msg":"Bytom API Error","error_detail":"wallet not found"}"#),
        _ => "HTTP/1.1 301 X\r\nLocation: /error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
    });
    let ran = batoncli(&server.url, &["create-key", "a", "p"]);
    assert_eq!(
        (ran.exit, told(&ran.out)),
        (Exit::Node, "Bytom API Error\n")
    );
    assert_eq!(ran.err, "batoncli: BTM000: wallet not found\n");
    let seen = server.take_seen();
    let asked: Vec<_> = seen
        .iter()
        .map(|request| (request.method.as_str(), request.body.is_empty()))
        .collect();
    assert_eq!(asked, [("POST", false), ("GET", true)]);
}

#[test]
fn tokens_come_from_the_flag_or_the_address() {
    let server = Server::start();
    let with_token = server.url.replace("http://", "http://id:s%40cret@");
    let header = |url: &str, arguments: &[&str]| {
        batoncli(url, arguments);
        let seen = server.take_seen().remove(0);
        seen.header("authorization").map(str::to_owned)
    };
    // "id:s@cret" and "other:one:two" in base64
    let (of_address, of_flag) = ("Basic aWQ6c0BjcmV0", "Basic b3RoZXI6b25lOnR3bw==");
    let bare = header(&server.url, &["net-info"]);
    assert_eq!(bare, None);
    assert_eq!(
        header(&with_token, &["net-info"]).as_deref(),
        Some(of_address)
    );
    let flags = ["--token", "other:one:two", "net-info"];
    assert_eq!(header(&with_token, &flags).as_deref(), Some(of_flag));
    let node = ["net-info", "--node", with_token.as_str()];
    assert_eq!(
        header("http://127.0.0.1:1", &node).as_deref(),
        Some(of_address)
    );
}

#[test]
fn an_address_may_lead_to_a_namespace() {
    let server = Server::start();
    for prefix in ["/ns/side", "/ns/side/"] {
        batoncli(&format!("{}{prefix}", server.url), &["get-block-count"]);
    }
    let seen = server.take_seen();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/ns/side/get-block-count"; 2]);
}

#[test]
fn the_raw_answer_is_printed_as_it_came() {
    let server = Server::start();
    let fail = r#"{ "status":"fail",  "code":"BTM709", "msg":"Account not found", "error_detail":"Failed to find account" }"#;
    let refused =
        r#"{"code":"BTM860","msg":"no","status":"fail","detail":"no token","temporary":false}"#;
    for (status, body, exit, err) in [
        (
            200,
            "{\"status\":\"success\",\"data\":[ 1 ]}\n",
            Exit::Done,
            "",
        ),
        (200, "{\"status\":\"success\"}", Exit::Done, ""),
        (
            200,
            fail,
            Exit::Node,
            "batoncli: BTM709: Failed to find account\n",
        ),
        (
            200,
            "<html>",
            Exit::Connect,
            "batoncli: what answered is no node's API: expected value at line 1 column 1\n",
        ),
        (
            401,
            refused,
            Exit::Connect,
            "HTTP 401 Unauthorized: BTM860: no: no token\n",
        ),
    ] {
        server.answers(move |_| response(status, body));
        let ran = batoncli(
            &server.url,
            &["sign-transactions", "[]", "-p", "x", "--json"],
        );
        assert_eq!(ran.exit, exit, "{body}");
        assert_eq!(ran.out, format!("{}\n", body.trim_end()));
        assert!(
            ran.err.ends_with(err) && ran.err.is_empty() == err.is_empty(),
            "{}",
            ran.err
        );
    }
}

#[test]
fn json_may_come_from_a_file() {
    let server = Server::start();
    server.answers(|_| response(200, r#"{"status":"success"}"#));
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("backup.json");
    std::fs::write(&path, r#"{"key_images":{"xkeys":[]}}"#).unwrap();
    let argument = format!("@{}", path.display());
    assert_eq!(
        batoncli(&server.url, &["restore-wallet", &argument]).exit,
        Exit::Done
    );
    assert_eq!(
        server.take_seen().remove(0).body,
        r#"{"key_images":{"xkeys":[]}}"#
    );
    let ran = batoncli(&server.url, &["restore-wallet", "@/no/such"]);
    assert_eq!(ran.exit, Exit::Local);
    assert!(
        told(&ran.out).starts_with("/no/such: No such file"),
        "{}",
        ran.out
    );
    assert!(server.take_seen().is_empty());
}
