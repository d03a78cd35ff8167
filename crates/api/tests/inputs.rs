//! Whatever is sent to whatever endpoint: an answer comes back in one of bytomd's shapes, and the node goes on.

mod common;

use axum::http::StatusCode;
use common::{Answer, World};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every path of the table, from the document that is made of it.
async fn paths(world: &World) -> Vec<String> {
    let document = world.ask("openapi.json", "").await.json();
    let paths: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, path)| path.get("post").is_some())
        .map(|(path, _)| path.trim_start_matches('/').to_owned())
        .collect();
    assert!(paths.len() > 80, "{}", paths.len());
    paths
}

/// Asserts that the answer is a success, a refusal or an error before any handler, each in its form.
fn well_formed(answer: &Answer, asked: &str) {
    let text = answer.text();
    assert!(text.ends_with("}\n"), "{asked}: {text}");
    let json = answer.json();
    let keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    match answer.status {
        StatusCode::OK if json["status"] == "success" => {
            assert!(
                keys == ["status", "data"] || keys == ["status"],
                "{asked}: {text}"
            );
        }
        StatusCode::OK => {
            assert_eq!(json["status"], "fail", "{asked}: {text}");
            assert!(
                keys == ["status", "code", "msg", "error_detail"],
                "{asked}: {text}"
            );
        }
        status => {
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{asked}: {text}");
            assert!(
                keys == ["code", "msg", "status", "detail", "temporary"],
                "{asked}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn bad_bodies_are_told_so_by_every_endpoint() {
    let world = World::new().with_alice().await;
    world.run_to(3);
    let long = format!(
        r#"{{"alias":"{0}","id":"{0}","account_alias":"{0}"}}"#,
        "x".repeat(300_000)
    );
    let many = format!(
        r#"{{"actions":[{}],"raw_transactions":["00"],"tx_ids":["00"]}}"#,
        vec!["{}"; 5_000].join(",")
    );
    let bodies: Vec<Vec<u8>> = [
        "", " ", "{", "}", "[]", "null", "5", "\"x\"", "true", "{}", "{x}", r#"{"a":}"#, r#"{"a":1,}"#,
        r#"{"id":5,"alias":5,"account_id":5,"password":5,"xpub":5,"tx_id":5,"address":5}"#,
        r#"{"id":-1,"block_height":-1,"from":-1,"count":-5,"quorum":-7,"limit_height":-1,"ttl":-1,"from_height":-1,"port":-1}"#,
        r#"{"quorum":-7,"root_xpubs":null,"alias":null}"#,
        r#"{"from":18446744073709551615,"count":18446744073709551615,"account_alias":"alice"}"#,
        r#"{"from":99999999999999999999999999,"block_height":1e400,"count":1.5}"#,
        r#"{"from":18446744073709551615,"count":1,"account_alias":"alice","unconfirmed":true,"detail":true}"#,
        r#"{"block_height":18446744073709551615}"#,
        r#"{"block_height":18446744073709551615,"from_height":18446744073709551615,"height":18446744073709551615,"name":"x"}"#,
        r#"{"block_hash":"zz","tx_hash":"zz","program":"zz","contract":"zz","message":"zz"}"#,
        r#"{"block_hash":"00","tx_hash":"00","program":"ff","contract":"00","message":"00"}"#,
        r#"{"raw_transaction":"00","transaction":{"raw_transaction":"00"},"transaction_template":{}}"#,
        r#"{"raw_transaction":"070100000000","raw_transactions":["07010000"]}"#,
        r#"{"transaction":[],"transactions":{},"transaction_templates":[null],"transaction_template":5}"#,
        r#"{"transactions":[{}],"transaction_templates":[]}"#,
        r#"{"actions":[5]}"#,
        r#"{"actions":[{"type":"spend_account","account_alias":"alice","asset_alias":"BTM","amount":18446744073709551615},{"type":"retire","asset_alias":"BTM","amount":18446744073709551615}]}"#,
        r#"{"actions":[{"type":"issue","asset_alias":"BTM","amount":1},{"type":"retire","asset_alias":"BTM","amount":1}],"ttl":9223372036854775807}"#,
        r#"{"account_image":{"slices":[{}]},"asset_image":{"assets":null},"key_images":{"xkeys":null}}"#,
        r#"{"xpubs":["00"],"root_xpubs":["00"],"xpub":"00"}"#,
        r#"{"definition":[],"filter":"x","is_mining":"yes","mining_address":"x"}"#,
        r#"{"ip":"999.1.1.1","port":70000,"peer_id":"\u0000"}"#,
        r#"{"signatures":[{}],"name":"../../etc","height":5}"#,
        r#"{"name":"v2","height":9,"signatures":[{"member":99999999999,"signature":"zz"}]}"#,
        "{\"alias\":\"\u{1}\u{2028}<script>\"}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        long.into_bytes(),
        many.into_bytes(),
        "[".repeat(100_000).into_bytes(),
        "{\"a\":".repeat(50_000).into_bytes(),
        b"{\"alias\":\"\xff\xfe\"}".to_vec(),
        vec![0; 100],
        vec![0xff; 100],
    ])
    .collect();
    for path in paths(&world).await {
        for body in &bodies {
            let answer = world
                .ask_as([127, 0, 0, 1].into(), &path, &[], body.clone())
                .await;
            let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            well_formed(&answer, &format!("{path} {start}"));
        }
    }
    assert_eq!(
        world.ask("get-block-count", "").await.data()["block_count"],
        3
    );
}

/// Endpoints that take something say so if there is nothing.
#[tokio::test]
async fn no_body_is_told_as_bytomd_tells_it() {
    let world = World::new();
    let document = world.ask("openapi.json", "").await.json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("post") else {
            continue;
        };
        let answer = world.ask(path.trim_start_matches('/'), "").await;
        if operation.get("requestBody").is_none() || path == "/rescan-wallet" {
            assert_eq!(answer.status, StatusCode::OK, "{path}");
        } else {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(
                answer.text(),
                "{\"code\":\"BTM002\",\"msg\":\"Invalid request body\",\"status\":\"fail\",\"detail\":\"EOF: check request parameters for missing and/or incorrect values\",\"temporary\":false}\n"
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_as_bytomd_tells_it() {
    let world = World::new();
    // bytomd v1's work and difficulty make no sense here, as in v2
    for path in [
        "nope",
        "get-work",
        "get-difficulty",
        "net-info/",
        "Net-Info",
        "a/b",
        "compile",
    ] {
        let answer = world.ask(path, "{}").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_eq!(
            answer.text(),
            "{\"code\":\"BTM000\",\"msg\":\"Bytom API Error\",\"status\":\"fail\",\"detail\":\"not Found\",\"temporary\":true}\n"
        );
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~\u{80}-\u{fff}]{0,12}".prop_map(Value::from),
        "[0-9a-f]{0,80}".prop_map(Value::from),
        prop::sample::select(vec![
            "alice",
            "BTM",
            "spend_account",
            "retire",
            "0701000001",
            common::XPUB,
            common::ADDRESS
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any_name(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names that endpoints know, mostly.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "id", "alias", "account_id", "account_alias", "asset_id", "asset_alias", "amount", "type", "actions", "xpub", "root_xpubs", "quorum",
            "password", "transaction", "raw_transaction", "signing_instructions", "witness_components", "keys", "derivation_path", "position",
            "signatures", "block_height", "block_hash", "tx_id", "tx_ids", "from", "count", "from_height", "definition", "ttl", "time_range",
            "account_image", "slices", "account", "filter", "name", "height", "message", "address", "program", "transactions",
            "transaction_template", "transaction_templates", "raw_transactions", "contract", "trace_id", "info", "cancel", "fee", "arguments",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z_]{1,8}",
    ]
}

#[test]
fn any_json_to_any_endpoint_has_a_well_formed_answer() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(async { World::new().with_alice().await });
    let paths = runtime.block_on(paths(&world));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let asked = (prop::sample::select(paths), any_json());
    runner
        .run(&asked, |(path, body)| {
            let text = body.to_string();
            let answer = runtime.block_on(world.ask(&path, &text));
            well_formed(&answer, &format!("{path} {text}"));
            Ok(())
        })
        .unwrap();
    let tip = runtime.block_on(world.ask("get-block-count", ""));
    assert_eq!(tip.data(), json!({"block_count": 0}));
}
