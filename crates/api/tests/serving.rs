//! What surrounds the answers: headers, who is let in, limits, pages, health, several namespaces.

mod common;

use std::{net::IpAddr, time::Duration};

use axum::http::StatusCode;
use baton_api::{ApiSettings, GLOBAL, Health, Limits, Phase, Progress, Site};
use common::{Plan, World, ask};
use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn with(change: impl FnOnce(&mut ApiSettings)) -> World {
    let mut settings = ApiSettings::default();
    change(&mut settings);
    World::with(Plan {
        settings,
        ..Plan::default()
    })
}

#[tokio::test]
async fn every_answer_has_bytomds_headers() {
    let world = World::new();
    for path in ["net-info", "nope", "", "dashboard/", "healthz", "get-block"] {
        let answer = world.ask(path, "").await;
        for (name, value) in [
            ("vary", "Accept-Encoding"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1; mode=block"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        let framed = if path == "dashboard/" {
            "SAMEORIGIN"
        } else {
            "DENY"
        };
        assert_eq!(answer.headers["x-frame-options"], framed, "{path}");
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
    let root = world.ask("", "").await;
    assert_eq!(
        (root.status, &root.headers["location"]),
        (StatusCode::FOUND, &"/dashboard/".parse().unwrap())
    );
}

#[tokio::test]
async fn a_request_has_an_id() {
    let world = World::new();
    let first = world.ask("gas-rate", "").await.headers["x-request-id"].clone();
    let second = world.ask("gas-rate", "").await.headers["x-request-id"].clone();
    assert_ne!(first, second);
    let own = world
        .ask_as(HERE, "gas-rate", &[("x-request-id", "order-77")], "")
        .await;
    assert_eq!(own.headers["x-request-id"], "order-77");
    let long = "x".repeat(65);
    let bad = world
        .ask_as(HERE, "gas-rate", &[("x-request-id", &long)], "")
        .await;
    assert_ne!(bad.headers["x-request-id"], long.as_str());
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    use std::io::Read;
    let world = World::new();
    let plain = world.ask("get-block", "{}").await;
    let packed = world
        .ask_as(HERE, "get-block", &[("accept-encoding", "gzip")], "{}")
        .await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let mut text = Vec::new();
    GzDecoder::new(&packed.body[..])
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain.body);
    assert!(packed.body.len() < plain.body.len());
}

#[tokio::test]
async fn tokens_let_others_in_and_stop_at_once() {
    let world = World::new();
    assert_eq!(
        world.ask_as(AWAY, "net-info", &[], "").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        world
            .ask_as(AWAY, "create-access-token", &[], r#"{"id":"x"}"#)
            .await
            .status,
        StatusCode::UNAUTHORIZED,
        "nobody far away makes the first token"
    );
    let made = world
        .ask("create-access-token", r#"{"id":"tok1","type":"client"}"#)
        .await
        .data();
    let token = made["token"].as_str().unwrap().to_owned();
    let basic = format!("Basic {}", base64(&token));
    let header = [("authorization", basic.as_str())];
    assert_eq!(
        world.ask_as(AWAY, "net-info", &header, "").await.status,
        StatusCode::OK
    );
    let local = world.ask_as(AWAY, "list-access-tokens", &header, "").await;
    assert_eq!(local.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        local.text(),
        "{\"code\":\"BTM860\",\"msg\":\"Request could not be authenticated\",\"status\":\"fail\",\"detail\":\"only local can get access token list\",\"temporary\":false}\n"
    );
    let (id, secret) = token.split_once(':').unwrap();
    let check = format!(r#"{{"id":"{id}","secret":"{secret}"}}"#);
    assert_eq!(
        world.ask("check-access-token", &check).await.text(),
        "{\"status\":\"success\"}\n"
    );
    let listed = world.ask("list-access-tokens", "").await;
    assert!(!listed.text().contains(secret), "a list has no secrets");
    assert_eq!(listed.data()[0]["created_at"], made["created_at"]);
    world.ask("delete-access-token", r#"{"id":"tok1"}"#).await;
    let gone = world.ask_as(AWAY, "net-info", &header, "").await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
    assert_eq!(gone.json()["detail"], "invalid token");
    // pages and health are for all
    for path in ["dashboard/", "healthz", "readyz", "openapi.json"] {
        assert_eq!(
            world.ask_as(AWAY, path, &[], "").await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    assert_eq!(
        world.ask_as(AWAY, "metrics", &[], "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.as_bytes()
        .chunks(3)
        .flat_map(|part| {
            let byte = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
            let held = byte(0) << 16 | byte(1) << 8 | byte(2);
            (0..4).map(move |place| {
                if place <= part.len() {
                    char::from(DIGITS[(held >> (18 - 6 * place) & 63) as usize])
                } else {
                    '='
                }
            })
        })
        .collect()
}

#[tokio::test]
async fn without_a_wallet_its_endpoints_lead_to_error() {
    let world = World::with(Plan {
        with_wallet: false,
        ..Plan::default()
    });
    for path in ["list-keys", "wallet-info", "build-transaction", "nope"] {
        let answer = world.ask(path, "{}").await;
        assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY, "{path}");
        assert_eq!(answer.headers["location"], "/error");
    }
    assert_eq!(
        world.ask("error", "").await.text(),
        "{\"status\":\"fail\",\"code\":\"BTM000\",\"msg\":\"Bytom API Error\",\"error_detail\":\"wallet not found, please check that the wallet is open\"}\n"
    );
    assert_eq!(
        world.ask("get-block-count", "").await.data()["block_count"],
        0
    );
    // bytomd's handlers crash on these
    for (path, body) in [
        ("set-mining", r#"{"is_mining":true}"#),
        ("create-contract", r#"{"alias":"a","contract":"51"}"#),
        ("list-contracts", ""),
    ] {
        let (code, detail) = world.ask(path, body).await.refusal();
        assert_eq!(
            (code.as_str(), detail.as_str()),
            (
                "BTM000",
                "wallet not found, please check that the wallet is open"
            ),
            "{path}"
        );
    }
}

#[tokio::test]
async fn cors_is_off_until_it_is_wanted() {
    let world = with(|settings| settings.cors_origins = vec!["https://shop.example".to_owned()]);
    let headers = |origin| [("origin", origin), ("host", "127.0.0.1:9888")];
    let friend = world
        .ask_as(HERE, "net-info", &headers("https://shop.example"), "")
        .await;
    assert_eq!(friend.status, StatusCode::OK);
    assert_eq!(
        friend.headers["access-control-allow-origin"],
        "https://shop.example"
    );
    let stranger = world
        .ask_as(HERE, "net-info", &headers("https://evil.example"), "")
        .await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    assert!(
        stranger
            .headers
            .get("access-control-allow-origin")
            .is_none()
    );
}

#[tokio::test]
async fn long_bodies_are_refused() {
    let world = with(|settings| settings.limits.body_bytes = 1_000);
    let long = format!(r#"{{"alias":"{}"}}"#, "x".repeat(2_000));
    let refused = world.ask("list-accounts", &long).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        refused.text(),
        "{\"code\":\"BTM002\",\"msg\":\"Invalid request body\",\"status\":\"fail\",\"detail\":\"the request's body is longer than 1000 bytes\",\"temporary\":false}\n"
    );
    // one that does not say how long it will be
    let address = world.serve().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /list-accounts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let answer = read_some(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(
        world.ask("get-block-count", "").await.status,
        StatusCode::OK
    );
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 16_384];
    let read = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
    let count = read.expect("something within ten seconds").unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn slow_clients_are_given_up() {
    let world = with(|settings| settings.limits.body_read = Duration::from_millis(200));
    let address = world.serve().await;
    // a body that does not come
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /list-accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_some(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("BTM001"), "{answer}");
    // a head that does not come
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /list-accounts HT").await.unwrap();
    assert_eq!(read_some(&mut stream).await, "", "the connection is closed");
}

#[tokio::test]
async fn a_client_has_so_many_requests_in_hand_and_no_more() {
    let world = with(|settings| {
        settings.limits = Limits {
            requests: 3,
            requests_per_client: 2,
            ..Limits::default()
        }
    });
    let address = world.serve().await;
    let head = "POST /list-accounts HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{";
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    // the two are in hand as soon as a third is refused
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let refused = loop {
        assert!(tokio::time::Instant::now() < deadline, "a third is refused");
        let mut third = TcpStream::connect(address).await.unwrap();
        third
            .write_all(b"POST /net-info HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let answer = read_some(&mut third).await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
    };
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(
        refused.contains("more than 2 requests in hand from this address"),
        "{refused}"
    );
    for path in ["healthz", "readyz", "readyz/reads", "metrics"] {
        let mut probe = TcpStream::connect(address).await.unwrap();
        let asked = format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n");
        probe.write_all(asked.as_bytes()).await.unwrap();
        let answer = read_some(&mut probe).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let other = world
        .ask_as([127, 0, 0, 2].into(), "net-info", &[], "")
        .await;
    assert_eq!(other.status, StatusCode::OK, "others have their own share");
    for stream in &mut waiting {
        stream.write_all(b"}").await.unwrap();
        assert!(read_some(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(world.ask("net-info", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_and_figures_are_told() {
    let world = World::new();
    world.run_to(2);
    let ready = world.ask("readyz", "").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(ready.json()["height"], 2);
    world.health.send_replace(Health {
        phase: Phase::Serving,
        chain: Progress::Halted,
        troubles: vec!["no peers".to_owned()],
        halted_at: Some(9),
    });
    let troubled = world.ask("readyz", "").await;
    assert_eq!(troubled.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(troubled.json()["troubles"][0], "no peers");
    assert_eq!(troubled.json()["halted_at"], 9);
    assert_eq!(troubled.json()["chain"], "halted");
    let readable = world.ask("readyz/reads", "").await;
    assert_eq!(readable.status, StatusCode::OK);
    assert_eq!(readable.json()["ready"], false);
    assert_eq!(readable.json()["troubles"][0], "no peers");
    world
        .health
        .send_modify(|health| health.phase = Phase::Stopping);
    for path in ["readyz", "readyz/reads"] {
        let stopping = world.ask(path, "").await;
        assert_eq!(stopping.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    world
        .health
        .send_modify(|health| health.phase = Phase::Serving);
    let alive = world.ask("healthz", "").await;
    assert_eq!(alive.text(), "{\"status\":\"ok\",\"phase\":\"serving\"}\n");

    world.ask("get-block", "{}").await;
    world.ask("get-block", "{}").await;
    world.ask("get-block", "[]").await;
    let figures = world.ask("metrics", "").await;
    let text = figures.text();
    for line in [
        "baton_api_requests_total{endpoint=\"get-block\"} 3",
        "baton_api_faults_total{endpoint=\"get-block\"} 1",
        "baton_api_cached_total 1",
        "baton_api_height 2",
        "baton_api_wallet_height 2",
        "baton_api_ready 0",
        // figures are asked for outside of the gate
        "baton_api_in_hand 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn answers_are_kept_only_while_they_hold() {
    let world = World::new().with_alice().await;
    let balance = async || {
        world.ask("list-balances", "{}").await.data()[0]["amount"]
            .as_u64()
            .unwrap()
    };
    let before = balance().await;
    assert_eq!(balance().await, before);
    let accounts = async || {
        world
            .ask("list-accounts", "{}")
            .await
            .data()
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(accounts().await, 1);
    let second = format!(
        r#"{{"root_xpubs":["{}"],"quorum":1,"alias":"bob"}}"#,
        common::XPUB
    );
    world.ask("create-account", &second).await.data();
    assert_eq!(accounts().await, 2, "a change is seen at once");
    world
        .ask("delete-account", r#"{"account_alias":"alice"}"#)
        .await;
    assert_eq!(accounts().await, 1);
    assert_eq!(
        world
            .ask("list-balances", "{}")
            .await
            .data()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    // a block that is not there yet is not remembered as missing
    let (_, missing) = world
        .ask("get-block", r#"{"block_height":1}"#)
        .await
        .refusal();
    assert!(missing.contains("given height 1"), "{missing}");
    world.advance();
    assert_eq!(
        world.ask("get-block", r#"{"block_height":1}"#).await.data()["height"],
        1
    );
}

#[tokio::test]
async fn namespaces_have_their_own_paths() {
    let (one, other) = (World::new(), World::new());
    other.advance();
    let site = Site::new();
    let early = ask(site.clone(), HERE, "net-info", &[], "").await;
    assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        ask(site.clone(), HERE, "healthz", &[], "").await.status,
        StatusCode::OK
    );
    assert_eq!(
        ask(site.clone(), HERE, "readyz", &[], "").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    site.mount(GLOBAL, one.api.clone());
    site.mount("other", other.api.clone());
    let height = async |path: &str| {
        let answer = ask(site.clone(), HERE, path, &[], "").await;
        answer.data()["block_count"].as_u64().unwrap()
    };
    assert_eq!(height("get-block-count").await, 0);
    assert_eq!(height("ns/other/get-block-count").await, 1);
    for path in [
        "ns/other",
        "ns/none/get-block-count",
        "ns/",
        "ns/global/net-info",
    ] {
        let answer = ask(site.clone(), HERE, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    site.unmount("other");
    let gone = ask(site.clone(), HERE, "ns/other/get-block-count", &[], "").await;
    assert_eq!(gone.json()["detail"], "not Found");
    // tokens of one are no good in the other
    let token = one.ask("create-access-token", r#"{"id":"a"}"#).await.data();
    let basic = format!("Basic {}", base64(token["token"].as_str().unwrap()));
    let header = [("authorization", basic.as_str())];
    site.mount("other", other.api.clone());
    assert_eq!(
        ask(site.clone(), AWAY, "net-info", &header, "")
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(
        ask(site, AWAY, "ns/other/net-info", &header, "")
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn any_method_will_do() {
    let world = World::new();
    let address = world.serve().await;
    for method in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} /get-block-count HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{method}: {answer}");
        assert_eq!(
            answer.contains("\"block_count\":0"),
            method != "HEAD",
            "{method}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_listener_has_so_many_connections_and_no_more() {
    let world = World::new();
    let site = Site::new();
    site.mount(GLOBAL, world.api.clone());
    let settings = baton_handover::Settings::named("api").own_stop_signals();
    let mut handover = baton_handover::Handover::begin(settings).await.unwrap();
    let listener = handover
        .tcp("api", "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let serving = handover.ready().await.unwrap();
    let serve = tokio::spawn({
        let (site, serving) = (site.clone(), serving.clone());
        async move { site.serve(&serving, listener, 2).await }
    });
    let open = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"POST /gas-rate HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4_096];
        let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await;
        // closed at once, it may be reset
        let count = read.expect("an answer or an end").unwrap_or(0);
        (stream, count > 0)
    };
    let (first, second) = (open().await, open().await);
    assert!(first.1 && second.1);
    assert!(!open().await.1, "the third is closed");
    drop(first);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !open().await.1 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "there is room again"
        );
        tokio::task::yield_now().await;
    }
    drop(second);
    serving.stop().await;
    let ending = timeout(Duration::from_secs(40), serve)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ending, baton_handover::Ending::Stopped);
}
