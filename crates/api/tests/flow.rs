//! What people do: receive, build, sign, submit, look; plan an upgrade.

mod common;

use common::{ADDRESS, Answer, BTM, COINS, PASSWORD, World, golden, node_xpub, shape_differences};
use serde_json::{Value, json};

async fn ask(world: &World, path: &str, body: Value) -> Answer {
    world.ask(path, &body.to_string()).await
}

/// A transfer of some BTM out of the wallet, signed.
async fn signed_transfer(world: &World, btm: u64) -> Value {
    let build = json!({"base_transaction": null, "ttl": 0, "time_range": 0, "actions": [
        {"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": btm * BTM + 20_000_000},
        {"type": "control_address", "address": "sn1qvw4tfxh8sse05dss92cgsuj5p9qqn5mmeqvatxuwndmcf7hdlqwqjve4j0", "asset_alias": "BTM", "amount": btm * BTM},
    ]});
    let template = ask(world, "build-transaction", build).await;
    let captured = golden("v2-more-spend-multi-2of3");
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&template.data()), keys(&captured["template"]));
    let body = json!({"password": PASSWORD, "transaction": template.data()});
    let signed = ask(world, "sign-transaction", body).await.data();
    assert_eq!(signed["sign_complete"], true);
    signed["transaction"].clone()
}

#[tokio::test]
async fn a_payment_goes_all_the_way() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let template = signed_transfer(&world, 30).await;
    let raw = template["raw_transaction"].clone();

    let reserved = world.ask("list-reservations", "").await.data();
    assert_eq!(reserved.as_array().unwrap().len(), 1);
    assert_eq!(reserved[0]["outputs"][0]["amount"], 100 * BTM);

    let decoded = ask(
        &world,
        "decode-raw-transaction",
        json!({"raw_transaction": raw}),
    )
    .await;
    assert_eq!(decoded.data()["fee"], 20_000_000);
    let submitted = ask(
        &world,
        "submit-transaction",
        json!({"raw_transaction": raw}),
    )
    .await
    .data();
    let id = submitted["tx_id"].as_str().unwrap().to_owned();
    assert_eq!(decoded.data()["tx_id"], id.as_str());
    let again = ask(
        &world,
        "submit-transaction",
        json!({"raw_transaction": raw}),
    )
    .await
    .data();
    assert_eq!(again, submitted, "the same again is the same success");
    world.heed_pool();

    let waiting = world.ask("list-unconfirmed-transactions", "").await.data();
    assert_eq!(waiting, json!({"total": 1, "tx_ids": [id]}));
    let pooled = ask(&world, "get-unconfirmed-transaction", json!({"tx_id": id}))
        .await
        .data();
    let block = golden("v2-more-block-159");
    let differences = shape_differences(&pooled, &block["transactions"][1]);
    assert!(
        differences.iter().all(|one| !one.starts_with(": ")),
        "{differences:?}"
    );
    let info = ask(&world, "get-transaction", json!({"tx_id": id}))
        .await
        .data();
    assert_eq!(
        (
            info["block_height"].as_u64(),
            info["inputs"][0]["account_alias"].as_str()
        ),
        (Some(0), Some("alice"))
    );

    world.advance();
    let info = ask(&world, "get-transaction", json!({"tx_id": id}))
        .await
        .data();
    assert_eq!(info["block_height"], 3);
    assert_eq!(info["block_index"], 1);
    assert_eq!(info["block_transactions_count"], 2);
    let missing = ask(&world, "get-unconfirmed-transaction", json!({"tx_id": id})).await;
    assert_eq!(
        missing.refusal().1,
        "transaction are not existed in the mempool"
    );

    let history = ask(&world, "list-transactions", json!({"count": 1}))
        .await
        .data();
    assert_eq!(history[0]["tx_id"], id.as_str());
    let keys: Vec<&String> = history[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["tx_id", "block_time", "inputs", "outputs"]);
    let detail = ask(
        &world,
        "list-transactions",
        json!({"count": 1, "detail": true}),
    )
    .await
    .data();
    assert_eq!(detail[0], info);
    let one = ask(&world, "list-transactions", json!({"id": id}))
        .await
        .data();
    assert_eq!(one.as_array().unwrap().len(), 1);

    let balances = ask(&world, "list-balances", json!({"account_alias": "alice"}))
        .await
        .data();
    let whole = u64::try_from(COINS).unwrap() * 100 * BTM;
    assert_eq!(balances[0]["amount"], whole - 30 * BTM - 20_000_000);
    let outputs = ask(&world, "list-unspent-outputs", json!({"count": 5}))
        .await
        .data();
    assert_eq!(outputs.as_array().unwrap().len(), 5);
    let keys: Vec<&String> = outputs[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "account_alias",
            "id",
            "asset_id",
            "asset_alias",
            "amount",
            "account_id",
            "address",
            "control_program_index",
            "program",
            "source_id",
            "source_pos",
            "valid_height",
            "change",
            "derive_rule"
        ]
    );
    assert!(
        outputs
            .as_array()
            .unwrap()
            .iter()
            .any(|output| output["address"] == ADDRESS)
    );
}

#[tokio::test]
async fn what_is_held_back_is_let_go() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let all = u64::try_from(COINS).unwrap() * 100 * BTM;
    let build = json!({"actions": [
        {"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": all},
        {"type": "retire", "asset_alias": "BTM", "amount": all - 20_000_000, "arbitrary": "00"},
    ]});
    ask(&world, "build-transaction", build.clone()).await.data();
    assert_eq!(
        ask(&world, "build-transaction", build.clone())
            .await
            .refusal()
            .0,
        "BTM702"
    );
    let id = world.ask("list-reservations", "").await.data()[0]["id"].clone();
    let released = ask(&world, "release-reservation", json!({"id": id})).await;
    assert_eq!(released.data(), json!({"released": true}));
    assert_eq!(
        ask(&world, "release-reservation", json!({"id": id}))
            .await
            .data()["released"],
        false
    );
    let template = ask(&world, "build-transaction", build.clone()).await.data();
    assert!(template["raw_transaction"].is_string());
    let output = world.ask("list-reservations", "").await.data()[0]["outputs"][3]["id"].clone();
    let released = ask(&world, "release-reservation", json!({"output_id": output})).await;
    assert_eq!(released.data()["released"], true);
    ask(&world, "build-transaction", build).await.data();
}

#[tokio::test]
async fn transactions_that_are_no_good_have_bytomds_codes() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let template = signed_transfer(&world, 10).await;
    // unsigned
    let plain = golden("v2-decode-raw");
    assert!(plain["data"]["tx_id"].is_string());
    let raw = template["raw_transaction"].as_str().unwrap();
    let mut transaction = baton_ledger::Transaction::from_hex(raw).unwrap();
    let mut unsigned = transaction.clone();
    unsigned.inputs[0].arguments_mut().unwrap().clear();
    let refused = ask(
        &world,
        "submit-transaction",
        json!({"raw_transaction": unsigned.to_hex()}),
    )
    .await;
    assert_eq!(refused.refusal().0, "BTM763", "{}", refused.text());
    // what it spends is not there
    if let baton_ledger::InputKind::Spend(spend) = &mut transaction.inputs[0].kind {
        spend.output.source_position = 999;
    }
    let refused = ask(
        &world,
        "submit-transaction",
        json!({"raw_transaction": transaction.to_hex()}),
    )
    .await;
    assert!(
        refused.refusal().0.starts_with("BTM7"),
        "{}",
        refused.text()
    );
    // several: the first error is told, the others before it stay
    let body = json!({"raw_transactions": [raw, unsigned.to_hex()]});
    assert_eq!(
        ask(&world, "submit-transactions", body).await.refusal().0,
        "BTM763"
    );
    assert_eq!(
        world.ask("list-unconfirmed-transactions", "").await.data()["total"],
        1
    );
    let malformed = ask(
        &world,
        "submit-transaction",
        json!({"raw_transaction": "00"}),
    )
    .await;
    assert_eq!(malformed.status, 400);
    let detail = malformed.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("unsupported serflags 0x0"), "{detail}");
}

#[tokio::test]
async fn indexed_transactions_of_others_are_found() {
    let world = World::new();
    world.run_to(1);
    let block = world.ask("get-block", r#"{"block_height":1}"#).await.data();
    let id = &block["transactions"][0]["id"];
    let info = ask(&world, "get-transaction", json!({"tx_id": id}))
        .await
        .data();
    assert_eq!(info["block_hash"], block["hash"]);
    assert_eq!(info["block_time"], block["timestamp"]);
    let (_, detail) = ask(&world, "get-transaction", json!({"tx_id": "11".repeat(32)}))
        .await
        .refusal();
    assert_eq!(
        detail,
        format!("No transaction(tx_id={}) from txpool", "11".repeat(32))
    );
}

#[tokio::test]
async fn mining_needs_somewhere_to_pay_to() {
    let world = World::new();
    let (_, detail) = world
        .ask("set-mining", r#"{"is_mining":true}"#)
        .await
        .refusal();
    assert_eq!(detail, "Mining address does not exist");
    assert_eq!(
        world.ask("get-mining-address", "").await.refusal().1,
        "Mining address does not exist"
    );
    let world = world.with_alice().await;
    let on = world.ask("set-mining", r#"{"is_mining":true}"#).await;
    assert_eq!(on.text(), "{\"status\":\"success\",\"data\":\"\"}\n");
    assert_eq!(world.ask("is-mining", "").await.data()["is_mining"], true);
    assert_eq!(world.ask("net-info", "").await.data()["mining"], true);
    let set = ask(
        &world,
        "set-mining-address",
        json!({"mining_address": ADDRESS}),
    )
    .await;
    assert_eq!(set.data()["mining_address"], ADDRESS);
    assert_eq!(
        world.ask("get-mining-address", "").await.data()["mining_address"],
        ADDRESS
    );
    let paid = world.mining.program.lock().unwrap().clone();
    assert_eq!(paid.map(hex::encode).as_deref(), Some(common::PROGRAM));
}

#[tokio::test]
async fn peers_come_and_go() {
    let world = World::new();
    let peer = world
        .ask("connect-peer", r#"{"ip":"192.0.2.1","port":46657}"#)
        .await
        .data();
    let keys: Vec<&String> = peer.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "peer_id",
            "moniker",
            "remote_addr",
            "height",
            "ping",
            "duration",
            "total_sent",
            "total_received",
            "average_sent_rate",
            "average_received_rate",
            "current_sent_rate",
            "current_received_rate"
        ]
    );
    assert_eq!(world.ask("list-peers", "").await.data(), json!([peer]));
    assert_eq!(
        world
            .ask("disconnect-peer", r#"{"peer_id":"peer"}"#)
            .await
            .text(),
        "{\"status\":\"success\"}\n"
    );
    world.peers.standing.lock().unwrap().highest_height = 77;
    assert_eq!(world.ask("net-info", "").await.data()["highest_height"], 77);
}

#[tokio::test]
async fn feeds_are_kept_as_in_bytomd_v1() {
    let world = World::new();
    let feed = json!({"alias": "f1", "filter": format!("asset_id='{}' AND amount_lower_limit = 50 AND amount_upper_limit = 100", "ff".repeat(32))});
    assert_eq!(
        ask(&world, "create-transaction-feed", feed.clone())
            .await
            .text(),
        "{\"status\":\"success\"}\n"
    );
    let listed = world.ask("list-transaction-feeds", "").await.data();
    assert_eq!(
        listed,
        json!([{"alias": "f1", "filter": feed["filter"], "param": {"assetid": "ff".repeat(32), "lowerlimit": 50, "upperlimit": 100}}])
    );
    assert_eq!(
        ask(&world, "get-transaction-feed", json!({"alias": "f1"}))
            .await
            .data(),
        json!({"txfeed": listed[0]})
    );
    let (_, detail) = ask(
        &world,
        "create-transaction-feed",
        json!({"alias": "f2", "filter": "x=1"}),
    )
    .await
    .refusal();
    assert_eq!(detail, "invalid attribute: x: invalid query filter");
    ask(
        &world,
        "update-transaction-feed",
        json!({"alias": "f1", "filter": "trans_type='spend'"}),
    )
    .await
    .json();
    assert_eq!(
        world.ask("list-transaction-feeds", "").await.data()[0]["param"],
        json!({"transtype": "spend"})
    );
    ask(&world, "delete-transaction-feed", json!({"alias": "f1"})).await;
    assert_eq!(
        world.ask("list-transaction-feeds", "").await.data(),
        json!([])
    );
}

#[tokio::test]
async fn an_upgrade_is_planned_and_cancelled() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let status = world.ask("get-upgrade-plan", "").await.data();
    assert_eq!(
        status,
        json!({
            "height": 2, "plan": null, "waits_for_upgrade": false, "sequence": 0, "quorum": 1,
            "federation": [hex::encode(node_xpub())], "member": 0,
        })
    );
    let plan = json!({"name": "v2", "height": 50, "info": "{}"});
    let signature = ask(&world, "sign-upgrade-plan", plan.clone()).await.data();
    assert_eq!(signature["sequence"], 0);
    let mut build = plan.clone();
    build["account_alias"] = "alice".into();
    let (_, few) = ask(&world, "build-upgrade-transaction", build.clone())
        .await
        .refusal();
    assert!(few.contains("0 signatures, 1 wanted"), "{few}");
    build["signatures"] = json!([signature]);
    let template = ask(&world, "build-upgrade-transaction", build).await.data();
    submit(&world, &template).await;
    world.advance();
    let status = world.ask("get-upgrade-plan", "").await.data();
    assert_eq!(
        status["plan"],
        json!({"name": "v2", "height": 50, "info": "{}"})
    );
    assert_eq!(status["sequence"], 1);

    let cancel = json!({"name": "v2", "cancel": true});
    let signature = ask(&world, "sign-upgrade-plan", cancel.clone())
        .await
        .data();
    let mut build = cancel;
    build["account_alias"] = "alice".into();
    build["signatures"] = json!([signature]);
    let template = ask(&world, "build-upgrade-transaction", build).await.data();
    submit(&world, &template).await;
    world.advance();
    assert_eq!(
        world.ask("get-upgrade-plan", "").await.data()["plan"],
        Value::Null
    );

    for (bad, told) in [
        (json!({"name": "../x", "height": 50}), "plan name"),
        (json!({"name": "v3", "height": 1}), "plan for height 1"),
    ] {
        let (_, detail) = ask(&world, "sign-upgrade-plan", bad).await.refusal();
        assert!(detail.starts_with(told), "{detail}");
    }
    let far = world
        .ask_as(
            [192, 0, 2, 7].into(),
            "sign-upgrade-plan",
            &[],
            plan.to_string(),
        )
        .await;
    assert_eq!(far.status, 401);
}

async fn submit(world: &World, template: &Value) {
    let body = json!({"password": PASSWORD, "transaction": template});
    let signed = ask(world, "sign-transaction", body).await.data();
    assert_eq!(signed["sign_complete"], true);
    let raw = &signed["transaction"]["raw_transaction"];
    ask(world, "submit-transaction", json!({"raw_transaction": raw}))
        .await
        .data();
}

#[tokio::test]
async fn a_rescan_begins_where_it_is_told() {
    let world = World::new().with_alice().await;
    world.run_to(3);
    let before = world.ask("list-balances", "{}").await.data();
    for body in ["", "{}", r#"{"from_height":2}"#, r#"{"from_height":99}"#] {
        assert_eq!(
            world.ask("rescan-wallet", body).await.text(),
            "{\"status\":\"success\"}\n",
            "{body}"
        );
        assert_eq!(world.ask("list-balances", "{}").await.data(), before);
    }
    // as long as nobody brings blocks, progress is told
    world.wallet.rescan(1).unwrap();
    let info = world.ask("wallet-info", "").await.data();
    assert_eq!(
        info,
        json!({
            "best_block_height": 3, "wallet_height": 0, "syncing": true, "blocks_behind": 3,
            "rescan": {"from_height": 1, "to_height": 3, "done_percent": 0},
        })
    );
}

#[tokio::test]
async fn an_instance_of_a_contract_is_followed() {
    let world = World::new().with_alice().await;
    world.run_to(2);
    let contract = world
        .ask("create-contract", r#"{"alias":"anyone","contract":"51"}"#)
        .await
        .data();
    let build = |action: Value, neu: u64| {
        json!({"actions": [
            {"type": "spend_account", "account_alias": "alice", "asset_alias": "BTM", "amount": neu + 20_000_000},
            action,
        ]})
    };
    let register =
        json!({"type": "register_contract", "asset_alias": "BTM", "amount": BTM, "contract": "51"});
    let template = ask(&world, "build-transaction", build(register, BTM))
        .await
        .data();
    submit(&world, &template).await;
    world.advance();
    let call = json!({"type": "control_program", "asset_alias": "BTM", "amount": 5 * BTM, "control_program": contract["call_program"]});
    let template = ask(&world, "build-transaction", build(call, 5 * BTM))
        .await
        .data();
    submit(&world, &template).await;
    world.advance();

    let block = world.ask("get-block", r#"{"block_height":4}"#).await.data();
    let (transaction, coinbase) = (
        &block["transactions"][1]["id"],
        &block["transactions"][0]["id"],
    );
    let place = |id: &Value| json!({"tx_hash": id, "block_hash": block["hash"]});
    let ids = ask(&world, "create-contract-instance", place(transaction))
        .await
        .data();
    assert_eq!(ids.as_array().unwrap().len(), 1);
    let instance = ask(&world, "get-contract-instance", json!({"trace_id": ids[0]}))
        .await
        .data();
    let keys: Vec<&String> = instance.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["utxos", "tx_hash", "status", "unconfirmed"]);
    assert_eq!(instance["utxos"][0]["amount"], 5 * BTM);
    assert_eq!(&instance["tx_hash"], transaction);
    assert_eq!(instance["status"], 2);
    let program = hex::decode(contract["call_program"].as_str().unwrap()).unwrap();
    let text = instance["utxos"][0]["program"].as_str().unwrap();
    assert_eq!(text.len(), program.len().div_ceil(3) * 4, "in base 64");
    ask(
        &world,
        "remove-contract-instance",
        json!({"trace_id": ids[0]}),
    )
    .await
    .json();
    let (code, _) = ask(&world, "get-contract-instance", json!({"trace_id": ids[0]}))
        .await
        .refusal();
    assert_eq!(code, "BTM000");

    let (_, none) = ask(&world, "create-contract-instance", place(coinbase))
        .await
        .refusal();
    assert!(none.contains("calls a contract"), "{none}");
    let (_, other) = ask(
        &world,
        "create-contract-instance",
        place(&json!("11".repeat(32))),
    )
    .await
    .refusal();
    assert!(
        other.starts_with("given tx hash and block hash is mismatch"),
        "{other}"
    );
}
