//! Answers compared with those of a real bytomd v2.0.6: byte for byte where the same is asked of the same, else key for key.

mod common;

use baton_ledger::{Genesis, Params};
use common::{ADDRESS, Answer, BTM, PASSWORD, Plan, World, golden, node_xpub, shape_differences};
use serde_json::{Value, json};

/// That the answer is exactly the captured one.
fn same(answer: &Answer, captured: &Value) {
    let theirs = captured.to_string();
    let ours = answer.json().to_string();
    assert_eq!(ours, theirs);
    assert!(answer.text().ends_with("}\n"));
    assert_eq!(
        answer.headers["content-type"],
        "application/json; charset=utf-8"
    );
}

/// That the answer has the same keys in the same order, with values of the same types.
fn alike(answer: &Answer, captured: &Value) {
    // some were captured without what is around them
    let whole = json!({"status": "success", "data": captured});
    let captured = if captured.get("status").is_some() {
        captured
    } else {
        &whole
    };
    let differences = shape_differences(&answer.json(), captured);
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The chain of the captured answers, as far as its genesis.
fn bytom() -> World {
    World::with(Plan {
        genesis: Genesis::bytom(Params::solonet(vec![node_xpub()])).unwrap(),
        ..Plan::default()
    })
}

#[tokio::test]
async fn the_genesis_block_is_told_as_bytomd_tells_it() {
    let world = bytom();
    for (path, captured) in [
        ("get-block", "v2-solo-block-0"),
        ("get-raw-block", "v2-solo-rawblock-0"),
        ("get-block-header", "v2-solo-header-0"),
    ] {
        let captured = golden(captured);
        same(&world.ask(path, r#"{"block_height":0}"#).await, &captured);
        // by its hash, and by nothing or by what is no hash
        let hash = "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065";
        for body in [
            format!(r#"{{"block_hash":"{hash}","block_height":7}}"#),
            "{}".to_owned(),
            r#"{"block_hash":"00"}"#.to_owned(),
        ] {
            same(&world.ask(path, &body).await, &captured);
        }
    }
    let hash = world.ask("get-block-hash", "").await.data();
    assert_eq!(
        hash["block_hash"],
        "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"
    );
    same(&world.ask("gas-rate", "").await, &golden("v2-gas-rate"));
    same(&world.ask("is-mining", "").await, &golden("v2-is-mining"));
    alike(
        &world.ask("chain-status", "").await,
        &golden("v2-chain-status"),
    );
    alike(&world.ask("net-info", "").await, &golden("v2-net-info"));
    same(
        &world.ask("get-merkle-proof", "{}").await,
        &json!({"status": "success", "data": {
            "block_header": golden("v2-solo-header-0")["data"]["block_header"],
            "tx_hashes": ["54f1205b0876a290d522abfcc9a7ee024e1fdab65330e17bedd42e656129ee3f"],
            "flags": [0],
            "matched_tx_ids": null,
        }}),
    );
}

#[tokio::test]
async fn blocks_and_proofs_have_bytomds_shape() {
    let world = World::new();
    world.run_to(3);
    alike(
        &world.ask("get-block", r#"{"block_height":3}"#).await,
        &golden("v2-more-block-153"),
    );
    alike(
        &world.ask("get-raw-block", r#"{"block_height":3}"#).await,
        &golden("v2-more-rawblock-153"),
    );
    let block = world.ask("get-block", r#"{"block_height":3}"#).await.data();
    assert_eq!(block["validator"], hex::encode(node_xpub()));
    let raw = world
        .ask("get-raw-block", r#"{"block_height":3}"#)
        .await
        .data();
    assert_eq!(
        block["size"].as_u64().unwrap(),
        raw["raw_block"].as_str().unwrap().len() as u64,
        "the size is the length of the text"
    );
    let body = json!({"tx_ids": [block["transactions"][0]["id"]], "block_hash": block["hash"]});
    alike(
        &world.ask("get-merkle-proof", &body.to_string()).await,
        &golden("v2-merkle-proof"),
    );
    let count = world.ask("get-block-count", "").await;
    assert_eq!(
        count.text(),
        "{\"status\":\"success\",\"data\":{\"block_count\":3}}\n"
    );
}

#[tokio::test]
async fn the_keys_of_the_captured_answers_are_the_same_here() {
    let world = World::new().with_alice().await;
    let keys = world.ask("list-keys", "").await;
    let mut captured = golden("v2-list-keys");
    captured["data"].as_array_mut().unwrap().truncate(1);
    captured["data"][0]["file"] = keys.json()["data"][0]["file"].clone();
    same(&keys, &captured);

    let accounts = world.ask("list-accounts", "{}").await;
    let mut captured = golden("v2-list-accounts");
    let own = captured["data"][0].take();
    captured["data"] = json!([own]);
    captured["data"][0]["id"] = accounts.json()["data"][0]["id"].clone();
    captured["data"][0]["alias"] = "alice".into();
    same(&accounts, &captured);

    // BTM comes first
    let assets = world.ask("list-assets", "{}").await;
    let mut captured = golden("v2-list-assets");
    captured["data"].as_array_mut().unwrap().truncate(1);
    same(&assets, &captured);

    world
        .ask("create-contract", r#"{"alias":"c1","contract":"51"}"#)
        .await
        .data();
    same(
        &world.ask("list-contracts", "").await,
        &golden("v2-list-contracts"),
    );

    for _ in 1..3 {
        world
            .ask("create-account-receiver", r#"{"account_alias":"alice"}"#)
            .await
            .data();
    }
    let pubkeys = world
        .ask("list-pubkeys", r#"{"account_alias":"alice"}"#)
        .await;
    let captured = golden("v2-more-pubkeys");
    let three =
        |of: &Value| -> Vec<Value> { of["data"]["pubkey_infos"].as_array().unwrap()[..3].to_vec() };
    assert_eq!(three(&pubkeys.json()), three(&captured));
    alike(&pubkeys, &captured);

    let message = json!({"address": ADDRESS, "message": "68656c6c6f", "password": PASSWORD});
    let signed = world.ask("sign-message", &message.to_string()).await.data();
    assert_eq!(
        signed["signature"],
        "939186be2353ebaa6a295c030a9491f6c9c1d787368dd2264b7665445753cb66335d6a80b4eb17de3c43e30bbdfee4a0f9957683df43a49ea2dda9912ac8fb05"
    );
    let verify = json!({
        "address": ADDRESS,
        "derived_xpub": signed["derived_xpub"],
        "message": "68656c6c6f",
        "signature": signed["signature"],
    });
    same(
        &world.ask("verify-message", &verify.to_string()).await,
        &json!({"status": "success", "data": {"result": true}}),
    );
}

#[tokio::test]
async fn several_holders_share_what_they_share_in_bytomd() {
    let world = World::new();
    let captured = golden("v2-more-keys");
    for name in ["m1", "m2", "m3"] {
        let key = &captured[name];
        let body =
            json!({"alias": name, "password": format!("pw{name}"), "mnemonic": key["mnemonic"]});
        let made = world.ask("create-key", &body.to_string()).await.data();
        assert_eq!(made["xpub"], key["xpub"]);
        assert!(made.get("mnemonic").is_none());
    }
    let captured = golden("v2-more-account-multi");
    let account = &captured["data"];
    let body = json!({"root_xpubs": account["xpubs"], "quorum": 2, "alias": "multi"});
    let made = world.ask("create-account", &body.to_string()).await;
    alike(&made, &captured);
    let id = made.data()["id"].clone();
    world
        .ask(
            "create-account-receiver",
            &json!({"account_id": id}).to_string(),
        )
        .await
        .data();
    let mut captured = golden("v2-more-addresses");
    captured["data"][0]["account_id"] = id;
    same(
        &world
            .ask("list-addresses", r#"{"account_alias":"multi"}"#)
            .await,
        &captured,
    );
}

#[tokio::test]
async fn captured_templates_are_signed_and_estimated_alike() {
    let world = World::new().with_alice().await;
    let request = golden("v2-sign-request");
    let signed = world
        .ask("sign-transaction", &request.to_string())
        .await
        .data();
    assert_eq!(signed["sign_complete"], true);
    assert_eq!(
        signed["transaction"]["raw_transaction"],
        golden("v2-signed-tx")["raw_transaction"]
    );
    let decoded = world
        .ask(
            "decode-raw-transaction",
            &golden("v2-signed-tx").to_string(),
        )
        .await;
    same(&decoded, &golden("v2-decode-raw"));

    let mut wrong = request.clone();
    wrong["password"] = "wrong".into();
    let unsigned = world
        .ask("sign-transaction", &wrong.to_string())
        .await
        .data();
    assert_eq!(
        unsigned["sign_complete"], false,
        "a wrong password is a success"
    );
    let signatures =
        &unsigned["transaction"]["signing_instructions"][0]["witness_components"][0]["signatures"];
    assert_eq!(*signatures, json!([""]));

    for name in ["v2-more-retire", "v2-more-spend-multi-2of3"] {
        let captured = golden(name);
        // it was asked for when the template was signed
        let body = json!({"transaction_template": captured["signed"]});
        let estimate = world
            .ask("estimate-transaction-gas", &body.to_string())
            .await;
        same(&estimate, &captured["estimate"]);
    }
}

#[tokio::test]
async fn a_backup_of_bytomd_is_restored_and_ours_is_read_by_it() {
    let world = World::new();
    let captured = golden("v2-backup-wallet");
    let restored = world
        .ask("restore-wallet", &captured["data"].to_string())
        .await;
    assert_eq!(restored.text(), "{\"status\":\"success\"}\n");
    let accounts = world.ask("list-accounts", "{}").await;
    assert_eq!(accounts.data().as_array().unwrap().len(), 2);
    let backup = world.ask("backup-wallet", "").await.data();
    for (part, list) in [
        ("account_image", "slices"),
        ("asset_image", "assets"),
        ("key_images", "xkeys"),
    ] {
        let theirs = captured["data"][part][list].as_array().unwrap();
        let ours = backup[part][list].as_array().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{part}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            for (key, value) in theirs.as_object().unwrap() {
                assert_eq!(&ours[key], value, "{part}: {key}");
            }
        }
    }
    // again changes nothing
    world.ask("restore-wallet", &backup.to_string()).await;
    assert_eq!(world.ask("backup-wallet", "").await.data(), backup);
    // bytomd's handler crashes here
    let (code, detail) = world.ask("restore-wallet", "{}").await.refusal();
    assert_eq!(code, "BTM000");
    assert!(detail.starts_with("nothing to restore"), "{detail}");
}

/// What a bytomd v2.0.6 on an empty solonet answered to the same.
#[tokio::test]
async fn refusals_are_bytomds() {
    let world = World::new().with_alice().await;
    let fail = |code: &str, msg: &str, detail: &str| {
        json!({"status": "fail", "code": code, "msg": msg, "error_detail": detail}).to_string()
    };
    let plain = |detail: &str| fail("BTM000", "Bytom API Error", detail);
    let no_account = fail("BTM709", "Account not found", "Failed to find account");
    let ones = "1".repeat(64);
    for (path, body, told) in [
        ("list-accounts", r#"{"alias":"zz"}"#, no_account.clone()),
        (
            "delete-account",
            r#"{"account_id":"x"}"#,
            no_account.clone(),
        ),
        ("list-addresses", "{}", no_account.clone()),
        ("create-account-receiver", "{}", no_account.clone()),
        (
            "list-balances",
            r#"{"account_alias":"zz"}"#,
            no_account.clone(),
        ),
        (
            "list-unspent-outputs",
            r#"{"account_alias":"zz"}"#,
            no_account.clone(),
        ),
        (
            "create-account",
            r#"{"root_xpubs":[],"quorum":1,"alias":"a"}"#,
            fail(
                "BTM202",
                "At least one xpub is required",
                "at least one xpub is required",
            ),
        ),
        (
            "create-key",
            r#"{"alias":"alice","password":"p"}"#,
            fail("BTM800", "Key Alias already exists", "duplicate key alias"),
        ),
        (
            "create-key",
            r#"{"alias":"bo","password":"p","mnemonic":"a b"}"#,
            plain("mnemonic length error"),
        ),
        (
            "create-key",
            r#"{"alias":"bo","password":"p","language":"fr"}"#,
            plain("Language Type Unsupported"),
        ),
        (
            "list-pubkeys",
            r#"{"account_alias":"alice","public_key":"zz"}"#,
            plain("Not found publickey for the account"),
        ),
        (
            "get-asset",
            r#"{"id":"x"}"#,
            plain("bad length hash string 1"),
        ),
        (
            "create-asset",
            r#"{"alias":"btm","root_xpubs":[],"quorum":1}"#,
            plain("btm has been defined as the internal asset"),
        ),
        (
            "decode-program",
            r#"{"program":"zz"}"#,
            plain("encoding/hex: invalid byte: U+007A 'z'"),
        ),
        (
            "decode-program",
            r#"{"program":"4c"}"#,
            fail(
                "BTM771",
                "Unexpected end of program",
                "unexpected end of program",
            ),
        ),
        (
            "recovery-wallet",
            r#"{"xpubs":[]}"#,
            fail(
                "BTM202",
                "At least one xpub is required",
                "at least one xpub is required",
            ),
        ),
        (
            "create-access-token",
            r#"{"id":"a b"}"#,
            plain("invalid id \"a b\": invalid id"),
        ),
        (
            "check-access-token",
            r#"{"id":"y","secret":"zz"}"#,
            plain("check id \"y\" nonexisting: nonexisting access token ID"),
        ),
        (
            "get-block",
            r#"{"block_height":999}"#,
            plain("can't find block in given height: There are no BlockHash with given height 999"),
        ),
        (
            "get-vote-result",
            r#"{"block_height":55}"#,
            plain(
                "can't find block header in given height: There are no BlockHash with given height 55",
            ),
        ),
        (
            "get-transaction",
            r#"{"tx_id":"zz"}"#,
            plain("No transaction(tx_id=zz) from txpool"),
        ),
        (
            "get-unconfirmed-transaction",
            r#"{"tx_id":"00"}"#,
            plain("transaction are not existed in the mempool"),
        ),
        (
            "connect-peer",
            r#"{"ip":"x","port":1}"#,
            plain("invalid ip address"),
        ),
        (
            "connect-peer",
            r#"{"ip":"127.0.0.1","port":1}"#,
            plain(
                "can not connect to the address: Error dial peer: dial tcp 127.0.0.1:1: connection refused",
            ),
        ),
        (
            "disconnect-peer",
            r#"{"peer_id":"x"}"#,
            plain("peerId not exist"),
        ),
        (
            "create-contract",
            r#"{"alias":"a"}"#,
            plain("contract is empty"),
        ),
        (
            "create-contract",
            r#"{"alias":"","contract":"51"}"#,
            plain("contract alias is empty"),
        ),
        ("get-contract", "{}", plain("contract id is empty")),
        (
            "get-contract",
            r#"{"id":"00"}"#,
            fail("BTM303", "Contract not found", "contract not found"),
        ),
        (
            "update-contract-alias",
            r#"{"id":"00","alias":"b"}"#,
            fail("BTM303", "Contract not found", "contract not found"),
        ),
        ("sign-transaction", "{}", plain("missing raw tx")),
        (
            "sign-transaction",
            r#"{"password":"x","transaction":null}"#,
            plain("missing raw tx"),
        ),
        (
            "error",
            "",
            plain("wallet not found, please check that the wallet is open"),
        ),
    ] {
        let answer = world.ask(path, body).await;
        assert_eq!(answer.json().to_string(), told, "{path} {body}");
        assert_eq!(answer.status, 200, "{path} {body}");
    }
    for path in ["get-block", "get-block-header"] {
        let body = format!(r#"{{"block_hash":"{ones}"}}"#);
        let told = plain(&format!("There are no blockHeader with given hash {ones}"));
        assert_eq!(world.ask(path, &body).await.json().to_string(), told);
    }
    // codes with bytomd's meaning, and details that say more
    for (path, body, code) in [
        ("build-transaction", "{}", "BTM706"),
        (
            "build-transaction",
            r#"{"actions":[{"type":"foo"}]}"#,
            "BTM704",
        ),
        ("build-transaction", r#"{"actions":[{}]}"#, "BTM704"),
        (
            "build-transaction",
            r#"{"actions":[{"type":"retire"}]}"#,
            "BTM707",
        ),
        (
            "build-transaction",
            r#"{"actions":[{"type":"retire","amount":-5}]}"#,
            "BTM705",
        ),
        (
            "build-transaction",
            r#"{"actions":[{"type":"spend_account","account_alias":"nn"}]}"#,
            "BTM709",
        ),
        ("set-mining-address", r#"{"mining_address":"x"}"#, "BTM000"),
        (
            "sign-message",
            r#"{"address":"x","message":"00"}"#,
            "BTM000",
        ),
    ] {
        assert_eq!(
            world.ask(path, body).await.refusal().0,
            code,
            "{path} {body}"
        );
    }
    // names of fields are read in any case, also within actions
    let any_case = r#"{"Actions":[{"type":"retire","AMOUNT":5,"Asset_Alias":"BTM"}]}"#;
    world.ask("build-transaction", any_case).await.data();
    let twice = format!(
        r#"{{"root_xpubs":["{0}","{0}"],"quorum":1,"alias":"a"}}"#,
        common::XPUB
    );
    assert_eq!(
        world.ask("create-account", &twice).await.refusal().0,
        "BTM203"
    );
    let none = format!(
        r#"{{"root_xpubs":["{}"],"quorum":0,"alias":"a"}}"#,
        common::XPUB
    );
    assert_eq!(
        world.ask("create-account", &none).await.refusal().0,
        "BTM200"
    );
    let taken = format!(
        r#"{{"root_xpubs":["{}"],"quorum":1,"alias":"ALICE"}}"#,
        common::XPUB
    );
    assert_eq!(
        world.ask("create-account", &taken).await.json().to_string(),
        plain("Duplicate account alias"),
        "aliases are compared in small letters"
    );
}

/// What a bytomd v2.0.6 on an empty solonet answered to the same.
#[tokio::test]
async fn successes_without_much_to_say_are_bytomds() {
    let world = World::new().with_alice().await;
    for (path, body, answer) in [
        (
            "list-accounts",
            r#"{"id":"zz"}"#,
            r#"{"status":"success","data":[]}"#,
        ),
        (
            "list-balances",
            r#"{"account_id":"zz"}"#,
            r#"{"status":"success","data":[]}"#,
        ),
        (
            "list-account-votes",
            "{}",
            r#"{"status":"success","data":[]}"#,
        ),
        ("list-peers", "", r#"{"status":"success","data":[]}"#),
        (
            "list-access-tokens",
            "",
            r#"{"status":"success","data":[]}"#,
        ),
        (
            "list-unconfirmed-transactions",
            "",
            r#"{"status":"success","data":{"total":0,"tx_ids":[]}}"#,
        ),
        (
            "submit-transactions",
            "{}",
            r#"{"status":"success","data":{"tx_id":[]}}"#,
        ),
        (
            "sign-transactions",
            "{}",
            r#"{"status":"success","data":{"transaction":null,"sign_complete":true}}"#,
        ),
        (
            "set-mining",
            r#"{"is_mining":false}"#,
            r#"{"status":"success","data":""}"#,
        ),
        ("rescan-wallet", "", r#"{"status":"success"}"#),
        (
            "delete-access-token",
            r#"{"id":"x"}"#,
            r#"{"status":"success"}"#,
        ),
        (
            "remove-contract-instance",
            r#"{"trace_id":"x"}"#,
            r#"{"status":"success"}"#,
        ),
        (
            "validate-address",
            r#"{"address":"bad"}"#,
            r#"{"status":"success","data":{"valid":false,"is_local":false}}"#,
        ),
        (
            "verify-message",
            r#"{"address":"x"}"#,
            r#"{"status":"success","data":{"result":false}}"#,
        ),
        (
            "decode-program",
            "{}",
            r#"{"status":"success","data":{"instructions":""}}"#,
        ),
    ] {
        let given = world.ask(path, body).await;
        assert_eq!(given.text(), format!("{answer}\n"), "{path} {body}");
    }
    let valid = world
        .ask("validate-address", &json!({"address": ADDRESS}).to_string())
        .await;
    assert_eq!(valid.data(), json!({"valid": true, "is_local": true}));
    let program = world
        .ask(
            "decode-program",
            r#"{"program":"0014132ecd507a05834f267427d0175b5b10c8fb521f"}"#,
        )
        .await;
    assert_eq!(
        program.data()["instructions"],
        "DUP \nHASH160 \nDATA_20 132ecd507a05834f267427d0175b5b10c8fb521f\nEQUALVERIFY \nTXSIGHASH \nSWAP \nCHECKSIG \n"
    );
    let balances = world.ask("list-balances", "{}").await.data();
    let coins = u64::try_from(common::COINS).unwrap();
    assert_eq!(balances[0]["amount"], coins * 100 * BTM);
}

#[tokio::test]
async fn wallet_info_begins_as_bytomds() {
    let world = World::new();
    world.run_to(2);
    let info = world.ask("wallet-info", "").await.data();
    let captured = golden("v2-wallet-info");
    for (ours, theirs) in info
        .as_object()
        .unwrap()
        .keys()
        .zip(captured["data"].as_object().unwrap().keys())
    {
        assert_eq!(ours, theirs);
    }
    assert_eq!(
        info,
        json!({"best_block_height": 2, "wallet_height": 2, "syncing": false, "blocks_behind": 0, "rescan": null})
    );
}

/// Every endpoint of bytomd v2 (`api/api.go`), and the feeds of v1.
#[tokio::test]
async fn every_endpoint_of_bytomd_is_there() {
    let world = World::new();
    let document = world.ask("openapi.json", "").await.json();
    let there = document["paths"].as_object().unwrap();
    let wanted = "create-account update-account-alias list-accounts delete-account create-account-receiver list-addresses validate-address \
        list-pubkeys get-mining-address set-mining-address create-asset update-asset-alias get-asset list-assets create-key update-key-alias \
        list-keys delete-key reset-key-password check-key-password sign-message build-transaction build-chain-transactions sign-transaction \
        sign-transactions get-transaction list-transactions list-balances list-unspent-outputs list-account-votes decode-program backup-wallet \
        restore-wallet rescan-wallet wallet-info recovery-wallet error create-access-token list-access-tokens delete-access-token \
        check-access-token create-contract update-contract-alias get-contract list-contracts submit-transaction submit-transactions \
        estimate-transaction-gas estimate-chain-transaction-gas get-unconfirmed-transaction list-unconfirmed-transactions \
        decode-raw-transaction get-block get-raw-block get-block-hash get-block-header get-block-count is-mining set-mining verify-message \
        gas-rate net-info chain-status list-peers disconnect-peer connect-peer get-merkle-proof get-vote-result get-contract-instance \
        create-contract-instance remove-contract-instance websocket-subscribe \
        create-transaction-feed get-transaction-feed update-transaction-feed delete-transaction-feed list-transaction-feeds";
    for path in wanted.split_whitespace() {
        assert!(there.contains_key(&format!("/{path}")), "{path}");
    }
}
