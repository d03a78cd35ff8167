//! WebSockets: bytomd's topics, resuming, slow clients, limits, moving to another process.

mod common;

use std::{net::SocketAddr, time::Duration};

use baton_api::ApiSettings;
use baton_ledger::Hash;
use common::{BTM, PASSWORD, Plan, World};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

const LIMIT: Duration = Duration::from_secs(20);

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/websocket-subscribe");
        Self(client_async(url, stream).await.unwrap().0)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Says something and hears that it was granted.
    async fn wish(&mut self, wish: Value) {
        self.say(&wish.to_string()).await;
        assert_eq!(
            self.hear().await,
            json!({"notification_type": "request_status", "data": null})
        );
    }

    async fn next(&mut self) -> Message {
        loop {
            let message = timeout(LIMIT, self.0.next()).await.expect("news in time");
            match message.expect("more to come").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn hear(&mut self) -> Value {
        let message = self.next().await;
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// The height and hash of the block that comes next.
    async fn block(&mut self) -> u64 {
        let news = self.hear().await;
        assert_eq!(news["notification_type"], "raw_blocks_connected", "{news}");
        let block = baton_ledger::Block::from_hex(news["data"].as_str().unwrap()).unwrap();
        block.header.height
    }
}

/// Puts a payment of the wallet into the pool.
async fn pay(world: &World, btm: u64) -> (Hash, String) {
    let build = json!({"actions": [
        {"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": btm * BTM + 20_000_000},
        {"type": "retire", "asset_alias": "BTM", "amount": btm * BTM, "arbitrary": "00"},
    ]});
    let template = world
        .ask("build-transaction", &build.to_string())
        .await
        .data();
    let sign = json!({"password": PASSWORD, "transaction": template});
    let signed = world
        .ask("sign-transaction", &sign.to_string())
        .await
        .data();
    let raw = signed["transaction"]["raw_transaction"]
        .as_str()
        .unwrap()
        .to_owned();
    let submit = json!({"raw_transaction": raw});
    let id = world
        .ask("submit-transaction", &submit.to_string())
        .await
        .data();
    (id["tx_id"].as_str().unwrap().parse().unwrap(), raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn bytomds_topics_are_told() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let mut client = Client::open(world.serve().await).await;
    client.wish(json!({"topic": "notify_raw_blocks"})).await;
    client
        .wish(json!({"topic": "notify_new_transactions"}))
        .await;
    world.advance();
    assert_eq!(client.block().await, 3);
    let (_, raw) = pay(&world, 5).await;
    assert_eq!(
        client.hear().await,
        json!({"notification_type": "new_transaction", "data": {"transaction": raw}})
    );
    client
        .wish(json!({"topic": "stop_notify_new_transactions"}))
        .await;
    pay(&world, 6).await;
    world.advance();
    assert_eq!(client.block().await, 4);
    client
        .wish(json!({"topic": "stop_notify_raw_blocks"}))
        .await;
    world.advance();
    client.say(r#"{"topic":"nope"}"#).await;
    assert_eq!(
        client.hear().await,
        json!({"notification_type": "request_status", "data": null, "error_detail": "Websocket Internal error: There is not this topic: nope"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_from_where_it_was() {
    let world = World::new();
    world.run_to(30);
    let mut client = Client::open(world.serve().await).await;
    client
        .wish(json!({"topic": "notify_raw_blocks", "from_height": 7}))
        .await;
    for height in 7..=30 {
        assert_eq!(client.block().await, height);
    }
    world.advance();
    assert_eq!(client.block().await, 31);
    client
        .wish(json!({"topic": "notify_raw_blocks", "from_height": 33}))
        .await;
    world.run_to(34);
    assert_eq!(client.block().await, 33);
    assert_eq!(client.block().await, 34);
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_tell_what_they_match() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    for (alias, filter) in [
        (
            "large",
            "trans_type='retire' AND amount_lower_limit=5000000000",
        ),
        ("rewards", "trans_type='coinbase'"),
    ] {
        let feed = json!({"alias": alias, "filter": filter});
        world
            .ask("create-transaction-feed", &feed.to_string())
            .await
            .json();
    }
    let mut client = Client::open(world.serve().await).await;
    client
        .say(r#"{"topic":"notify_transaction_feed","alias":"none"}"#)
        .await;
    let refused = client.hear().await;
    assert_eq!(refused["error_detail"], "txfeed \"none\" not found");
    client
        .wish(json!({"topic": "notify_transaction_feed", "alias": "large"}))
        .await;
    pay(&world, 49).await;
    let (id, raw) = pay(&world, 50).await;
    let told = client.hear().await;
    let zeros = "0".repeat(64);
    assert_eq!(
        told,
        json!({"notification_type": "transaction_feed", "data": {
            "alias": "large", "tx_id": id.to_string(), "transaction": raw, "confirmed": false, "block_height": 0, "block_hash": zeros,
        }})
    );
    world.advance();
    let told = client.hear().await;
    assert_eq!(told["data"]["tx_id"], id.to_string());
    assert_eq!(
        (&told["data"]["confirmed"], &told["data"]["block_height"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(
        told["data"]["block_hash"],
        world.chain.tip().hash.to_string()
    );
    // what was before is told too, if it is asked for
    client
        .wish(json!({"topic": "notify_transaction_feed", "alias": "rewards", "from_height": 1}))
        .await;
    for height in 1..=3 {
        let told = client.hear().await;
        assert_eq!(
            (&told["data"]["alias"], &told["data"]["block_height"]),
            (&json!("rewards"), &json!(height))
        );
    }
    world
        .ask("delete-transaction-feed", r#"{"alias":"rewards"}"#)
        .await;
    world.advance();
    let told = client.hear().await;
    assert_eq!(told["notification_type"], "transaction_feed_ended");
    client
        .wish(json!({"topic": "stop_notify_transaction_feed", "alias": "large"}))
        .await;
    pay(&world, 60).await;
    client
        .wish(json!({"topic": "stop_notify_transaction_feed", "alias": "large"}))
        .await;
}

fn limited(change: impl FnOnce(&mut baton_api::WebSocketSettings)) -> Plan {
    let mut settings = ApiSettings::default();
    change(&mut settings.websockets);
    Plan {
        settings,
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_too_many_is_refused_as_in_bytomd() {
    let world = World::with(limited(|websockets| websockets.connections = 2));
    let address = world.serve().await;
    let first = Client::open(address).await;
    let _second = Client::open(address).await;
    let ask = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /websocket-subscribe HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let count = timeout(LIMIT, stream.read(&mut answer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&answer[..count]).into_owned()
    };
    let refused = ask().await;
    assert!(
        refused.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{refused}"
    );
    assert!(refused.ends_with("\r\n\r\n400 Bad Request.\n"), "{refused}");
    drop(first);
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !ask().await.starts_with("HTTP/1.1 101") {
        assert!(
            tokio::time::Instant::now() < deadline,
            "there is room again"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_misses_no_block_and_is_told_what_it_missed_of_the_pool() {
    let world = World::with(limited(|websockets| websockets.queue = 4))
        .with_alice()
        .await;
    world.run_to(2);
    let mut client = Client::open(world.serve().await).await;
    client
        .wish(json!({"topic": "notify_new_transactions"}))
        .await;
    // enough to fill what the kernel keeps for a client that does not read
    client.wish(json!({"topic": "notify_raw_blocks"})).await;
    let long = json!({"topic": "x".repeat(60_000)}).to_string();
    for _ in 0..200 {
        if timeout(Duration::from_millis(300), client.say(&long))
            .await
            .is_err()
        {
            break;
        }
    }
    for _ in 0..12 {
        pay(&world, 1).await;
    }
    world.run_to(6);
    let (mut told, mut dropped, mut blocks) = (0, 0, Vec::new());
    while blocks.last() != Some(&6) || told + dropped < 12 {
        let news = client.hear().await;
        match news["notification_type"].as_str().unwrap() {
            "request_status" => {}
            "new_transaction" => told += 1,
            "notifications_dropped" => dropped += news["data"]["dropped"].as_u64().unwrap(),
            "raw_blocks_connected" => {
                let block = baton_ledger::Block::from_hex(news["data"].as_str().unwrap()).unwrap();
                blocks.push(block.header.height);
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(blocks, [3, 4, 5, 6]);
    assert_eq!(told + dropped, 12, "every transaction is told or counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_are_asked_and_then_closed() {
    let world = World::with(limited(|websockets| {
        websockets.ping = Duration::from_millis(100);
    }));
    let address = world.serve().await;
    // answers pings, since it reads
    let mut alive = Client::open(address).await;
    // answers nothing
    let mut dead = TcpStream::connect(address).await.unwrap();
    let request = "GET /websocket-subscribe HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    dead.write_all(request.as_bytes()).await.unwrap();
    alive.wish(json!({"topic": "notify_raw_blocks"})).await;
    let closed = async {
        let mut all = Vec::new();
        dead.read_to_end(&mut all).await.unwrap();
        all
    };
    let stays = async {
        loop {
            alive.next().await;
        }
    };
    let all = tokio::select! {
        all = timeout(LIMIT, closed) => all.expect("closed in time"),
        () = stays => unreachable!(),
    };
    assert!(all.windows(2).any(|pair| pair == [0x89, 0]), "it was asked");
    world.advance();
    assert_eq!(alive.block().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_clients_are_told() {
    let world = World::new();
    let address = world.serve().await;
    let mut client = Client::open(address).await;
    client.wish(json!({"topic": "notify_raw_blocks"})).await;
    let closing = tokio::spawn({
        let api = world.api.clone();
        async move { api.close().await }
    });
    match client.next().await {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
    timeout(LIMIT, closing).await.unwrap().unwrap();
    let refused = world.ask("websocket-subscribe", "").await;
    assert_ne!(refused.status, 101);
}

/// The handover's side moves the WebSocket to another process, here to another API over the same chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_moves_with_what_it_wished() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let feed = json!({"alias": "f", "filter": "trans_type='retire'"});
    world
        .ask("create-transaction-feed", &feed.to_string())
        .await
        .json();
    let mut client = Client::open(world.serve().await).await;
    client.wish(json!({"topic": "notify_raw_blocks"})).await;
    client
        .wish(json!({"topic": "notify_new_transactions"}))
        .await;
    client
        .wish(json!({"topic": "notify_transaction_feed", "alias": "f"}))
        .await;
    world.advance();
    assert_eq!(client.block().await, 3);

    world.registry.freeze(&["websocket"]);
    let deadline = tokio::time::Instant::now() + LIMIT;
    let parcels = world.registry.gather(deadline.into_std().into()).await;
    assert_eq!(parcels.len(), 1);
    // nobody serves it while these blocks come
    world.run_to(5);
    world.registry.restore(parcels);
    assert_eq!(client.block().await, 4);
    assert_eq!(client.block().await, 5);
    let (id, raw) = pay(&world, 7).await;
    assert_eq!(client.hear().await["data"], json!({"transaction": raw}));
    assert_eq!(client.hear().await["data"]["tx_id"], id.to_string());
    client
        .wish(json!({"topic": "stop_notify_raw_blocks"}))
        .await;
}
