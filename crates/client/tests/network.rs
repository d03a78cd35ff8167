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
fn commands_that_bytomcli_lacks_send_what_the_endpoints_want() {
    const HASH: &str = "ab";
    let server = Server::start();
    server.answers(|_| response(200, r#"{"status":"success","data":{"b":[1],"a":2}}"#));
    let object = "{\n  \"a\": 2,\n  \"b\": [\n    1\n  ]\n}\n";
    for (typed, path, body, printed) in [
        (&["chain-status"][..], "/chain-status", "", object),
        (
            &["get-raw-block", "7"],
            "/get-raw-block",
            r#"{"block_hash":"","block_height":7}"#,
            object,
        ),
        (
            &["get-merkle-proof", HASH, "01", "02"],
            "/get-merkle-proof",
            r#"{"block_hash":"ab","tx_ids":["01","02"]}"#,
            object,
        ),
        (
            &["set-mining", "TRUE"],
            "/set-mining",
            r#"{"is_mining":true}"#,
            "start mining success\n",
        ),
        (
            &["set-mining", "off"],
            "/set-mining",
            r#"{"is_mining":false}"#,
            "stop mining success\n",
        ),
        (
            &["get-difficulty", "--height", "3"],
            "/get-difficulty",
            r#"{"block_hash":"","block_height":3}"#,
            object,
        ),
        (
            &["set-mining-address", "sn1"],
            "/set-mining-address",
            r#"{"mining_address":"sn1"}"#,
            object,
        ),
        (
            &["connect-peer", "127.0.0.1", "46658"],
            "/connect-peer",
            r#"{"ip":"127.0.0.1","port":46658}"#,
            object,
        ),
        (
            &["disconnect-peer", "p"],
            "/disconnect-peer",
            r#"{"peer_id":"p"}"#,
            "Successfully disconnect peer\n",
        ),
        (
            &["create-contract", "a", "51"],
            "/create-contract",
            r#"{"alias":"a","contract":"51"}"#,
            object,
        ),
        (
            &["update-contract-alias", "ab", "b"],
            "/update-contract-alias",
            r#"{"alias":"b","id":"ab"}"#,
            "Successfully update contract alias\n",
        ),
        (
            &["get-contract", "ab"],
            "/get-contract",
            r#"{"id":"ab"}"#,
            object,
        ),
        (
            &["create-contract-instance", "ab", "cd"],
            "/create-contract-instance",
            r#"{"block_hash":"cd","tx_hash":"ab"}"#,
            object,
        ),
        (
            &["get-contract-instance", "t"],
            "/get-contract-instance",
            r#"{"trace_id":"t"}"#,
            object,
        ),
        (
            &["remove-contract-instance", "t"],
            "/remove-contract-instance",
            r#"{"trace_id":"t"}"#,
            "Successfully remove contract instance\n",
        ),
        (
            &["restore-wallet", r#"{"key_images":{}}"#],
            "/restore-wallet",
            r#"{"key_images":{}}"#,
            "Successfully restore wallet\n",
        ),
        (
            &["build-actions", r#"{"actions":[]}"#],
            "/build-transaction",
            r#"{"actions":[]}"#,
            object,
        ),
        (
            &["build-chain-transactions", r#"{"actions":[]}"#],
            "/build-chain-transactions",
            r#"{"actions":[]}"#,
            object,
        ),
        (
            &["submit-transactions", r#"{"raw_transaction":"0700000000"}"#],
            "/submit-transactions",
            r#"{"raw_transactions":["0700000000"]}"#,
            object,
        ),
        (
            &["estimate-chain-transaction-gas", "[]"],
            "/estimate-chain-transaction-gas",
            r#"{"transaction_templates":[]}"#,
            object,
        ),
        (
            &["sign-transactions", "[]", "-p", "x"],
            "/sign-transactions",
            r#"{"password":"x","transactions":[]}"#,
            "\n\n\nSign Template:\n{\"a\":2,\"b\":[1]}\n",
        ),
        (
            &["create-key", "a", "p", "--mnemonic", "m n", "--language=ja"],
            "/create-key",
            r#"{"alias":"a","language":"ja","mnemonic":"m n","password":"p"}"#,
            object,
        ),
        (
            &["post", "/any-thing", r#"{"x":1}"#],
            "/any-thing",
            r#"{"x":1}"#,
            object,
        ),
        (&["post", "any-thing"], "/any-thing", "", object),
    ] {
        let ran = batoncli(&server.url, typed);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Done, ""), "{typed:?}");
        assert_eq!(ran.out, printed, "{typed:?}");
        let seen = server.take_seen().remove(0);
        let sorted = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(
            (seen.path.as_str(), sorted(&seen.body)),
            (path, sorted(body)),
            "{typed:?}"
        );
    }
    server.answers(|_| response(200, r#"{"status":"success","data":[{"a":1}]}"#));
    for (typed, body) in [
        (&["list-peers"][..], ""),
        (&["list-contracts"], ""),
        (
            &["list-account-votes", "--alias", "a"],
            r#"{"account_alias":"a","account_id":""}"#,
        ),
        (
            &["get-vote-result", "9"],
            r#"{"block_hash":"","block_height":9}"#,
        ),
        (
            &["list-addresses", "--id", "i", "--from", "2", "--count", "3"],
            r#"{"account_alias":"","account_id":"i","count":3,"from":2}"#,
        ),
        (
            &["list-transactions", "--count", "3"],
            r#"{"account_id":"","count":3,"detail":false,"id":"","unconfirmed":false}"#,
        ),
    ] {
        let ran = batoncli(&server.url, typed);
        assert_eq!(
            (ran.exit, ran.out.as_str()),
            (Exit::Done, "0 :\n{\n  \"a\": 1\n}\n"),
            "{typed:?}"
        );
        let seen = server.take_seen().remove(0);
        let sorted = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(
            (seen.path, sorted(&seen.body)),
            (format!("/{}", typed[0]), sorted(body)),
            "{typed:?}"
        );
    }
}

#[test]
fn votes_and_contracts_are_built_of_the_same_parts() {
    let server = Server::start();
    server.answers(|_| response(200, r#"{"status":"success","data":{}}"#));
    let fee =
        r#"{"type":"spend_account","asset_alias":"BTM","amount":20000000,"account_alias":"acc"}"#;
    for (flags, actions) in [
        (
            &["-t", "vote", "-a", "sn1", "--vote", "ee"][..],
            r#"{"type":"spend_account","asset_alias":"BTM","amount":5,"account_alias":"acc"},
               {"type":"vote_output","asset_alias":"BTM","amount":5,"address":"sn1","vote":"ee"}"#,
        ),
        (
            &["-t", "veto", "-a", "sn1", "--vote", "ee"],
            r#"{"type":"veto","asset_alias":"BTM","amount":5,"account_alias":"acc","vote":"ee"},
               {"type":"control_address","asset_alias":"BTM","amount":5,"address":"sn1"}"#,
        ),
        (
            &["-t", "register", "-p", "51"],
            r#"{"type":"spend_account","asset_alias":"BTM","amount":5,"account_alias":"acc"},
               {"type":"register_contract","asset_alias":"BTM","amount":5,"contract":"51"}"#,
        ),
    ] {
        let mut typed = vec!["build-transaction", "acc", "BTM", "5", "--alias"];
        typed.extend(flags);
        assert_eq!(batoncli(&server.url, &typed).exit, Exit::Done);
        let body: serde_json::Value =
            serde_json::from_str(&server.take_seen().remove(0).body).unwrap();
        let wanted: serde_json::Value =
            serde_json::from_str(&format!("[{fee},{actions}]")).unwrap();
        assert_eq!(body["actions"], wanted, "{flags:?}");
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
