//! Every block, header, transaction and merkle proof that a real bytomd v2 gave out is read, written again to the
//! same bytes, and found to have the ids that bytomd told.

use std::collections::BTreeMap;
use std::path::Path;

use baton_ledger::address::Prefix;
use baton_ledger::entry::{ResultKind, spent_output_id};
use baton_ledger::merkle::Proof;
use baton_ledger::{
    Address, Block, Hash, Header, Input, InputKind, Mapped, OutputKind, Params, Transaction, asset,
    genesis,
};
use serde_json::Value;

/// The captured answers by file name.
fn answers() -> BTreeMap<String, Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bytomd-v2");
    std::fs::read_dir(directory)
        .unwrap()
        .map(|file| {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let name = file.file_name().into_string().unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

/// Every value under `key` anywhere in `value`.
fn all_under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == key {
                    found.push(field);
                }
                all_under(field, key, found);
            }
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| all_under(element, key, found)),
        _ => {}
    }
}

/// Every text under `key` in every answer, with the file's name.
fn all_texts(key: &str) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (name, answer) in answers() {
        let mut found = Vec::new();
        all_under(&answer, key, &mut found);
        for value in found {
            texts.push((name.clone(), value.as_str().unwrap().to_owned()));
        }
    }
    texts
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

/// Compares an input with bytomd's account of it.
fn check_input(mapped: &Mapped, index: usize, told: &Value) {
    let input: &Input = &mapped.transaction().inputs[index];
    let entry = mapped.entries().inputs[index];
    let kind = match input.kind {
        InputKind::Issuance(_) => "issue",
        InputKind::Spend(_) => "spend",
        InputKind::Coinbase(_) => "coinbase",
        InputKind::Veto(_) => "veto",
    };
    assert_eq!(kind, text(told, "type"));
    assert_eq!(entry.id.to_string(), text(told, "input_id"));
    assert_eq!(input.asset_id().to_string(), text(told, "asset_id"));
    assert_eq!(input.amount(), number(told, "amount"));
    let spent = entry.spent_output_id.map(|id| id.to_string());
    assert_eq!(spent.as_deref(), told["spent_output_id"].as_str());
    assert_eq!(entry.spent_output_id, spent_output_id(input));
    let signature_hash = match input.kind {
        InputKind::Coinbase(_) => Hash::ZERO,
        _ => mapped.entries().signature_hash(index).unwrap(),
    };
    assert_eq!(signature_hash.to_string(), text(told, "sign_data"));
    let arguments = input.arguments().unwrap_or_default();
    let told_arguments = told["witness_arguments"].as_array();
    let told_arguments = told_arguments.map_or(&[] as &[Value], Vec::as_slice);
    assert_eq!(arguments.len(), told_arguments.len());
    for (argument, told) in arguments.iter().zip(told_arguments) {
        assert_eq!(hex::encode(argument), told.as_str().unwrap());
    }
    match &input.kind {
        InputKind::Coinbase(coinbase) => {
            assert_eq!(hex::encode(&coinbase.arbitrary), text(told, "arbitrary"));
        }
        InputKind::Issuance(issuance) => {
            assert_eq!(
                hex::encode(&issuance.issuance_program),
                text(told, "issuance_program")
            );
        }
        InputKind::Spend(_) | InputKind::Veto(_) => {
            assert_eq!(hex::encode(input.program()), text(told, "control_program"));
        }
    }
    if let InputKind::Veto(veto) = &input.kind {
        assert_eq!(hex::encode(&veto.vote), text(told, "vote"));
    }
}

/// Compares a transaction with bytomd's account of it, from a block or a decoded transaction.
fn check_transaction(transaction: &Transaction, told: &Value) {
    let mapped = Mapped::from(transaction.clone());
    let id = told.get("tx_id").or_else(|| told.get("id")).unwrap();
    assert_eq!(mapped.id().to_string(), id.as_str().unwrap());
    assert_eq!(transaction.id(), mapped.id());
    assert_eq!(mapped.size() as u64, number(told, "size"));
    assert_eq!(transaction.version, number(told, "version"));
    assert_eq!(transaction.time_range, number(told, "time_range"));
    if let Some(mux_id) = told.get("mux_id") {
        assert_eq!(
            mapped.entries().mux_id.to_string(),
            mux_id.as_str().unwrap()
        );
    }
    if let Some(fee) = told.get("fee") {
        assert_eq!(transaction.fee_neu(), fee.as_u64().unwrap());
    }
    let inputs = told["inputs"].as_array().unwrap();
    assert_eq!(transaction.inputs.len(), inputs.len());
    for (index, told) in inputs.iter().enumerate() {
        check_input(&mapped, index, told);
    }
    let outputs = told["outputs"].as_array().unwrap();
    assert_eq!(transaction.outputs.len(), outputs.len());
    for (position, told) in outputs.iter().enumerate() {
        let output = &transaction.outputs[position];
        let entry = mapped.entries().outputs[position];
        let kind = match entry.kind {
            ResultKind::Original => "control",
            ResultKind::Vote => "vote",
            ResultKind::Retirement => "retire",
        };
        assert_eq!(kind, text(told, "type"));
        assert_eq!(entry.id.to_string(), text(told, "id"));
        assert_eq!(position as u64, number(told, "position"));
        assert_eq!(output.asset_id.to_string(), text(told, "asset_id"));
        assert_eq!(output.amount, number(told, "amount"));
        assert_eq!(
            hex::encode(&output.control_program),
            text(told, "control_program")
        );
        if let OutputKind::Vote(xpub) = &output.kind {
            assert_eq!(hex::encode(xpub), text(told, "vote"));
        }
    }
}

#[test]
fn every_transaction_is_written_as_it_was_read() {
    let texts = all_texts("raw_transaction");
    assert!(texts.len() >= 10, "{} transactions", texts.len());
    for (file, hex) in texts {
        let transaction = Transaction::from_hex(&hex).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(transaction.to_hex(), hex, "{file}");
        assert_eq!(transaction.size() * 2, hex.len(), "{file}");
    }
}

#[test]
fn every_decoded_transaction_is_told_alike() {
    let mut answers = answers();
    let signed = answers.remove("v2-signed-tx.json").unwrap();
    let decoded = answers.remove("v2-decode-raw.json").unwrap();
    let transaction = Transaction::from_hex(text(&signed, "raw_transaction")).unwrap();
    check_transaction(&transaction, &decoded["data"]);

    let mut checked = 1;
    for (file, answer) in answers {
        let Some(decoded) = answer.get("decoded") else {
            continue;
        };
        println!("{file}");
        let hex = text(&answer["signed"], "raw_transaction");
        let transaction = Transaction::from_hex(hex).unwrap();
        check_transaction(&transaction, &decoded["data"]);
        // signing changes neither the id nor what is signed
        let unsigned = text(&answer["template"], "raw_transaction");
        let unsigned = Transaction::from_hex(unsigned).unwrap();
        assert_eq!(unsigned.id(), transaction.id());
        assert_eq!(
            transaction.id().to_string(),
            text(&answer["submitted"]["data"], "tx_id")
        );
        checked += 1;
    }
    assert!(checked >= 5, "{checked} decoded transactions");
}

/// The full blocks with bytomd's account of them.
fn blocks() -> Vec<(Block, Value)> {
    let answers = answers();
    answers
        .iter()
        .filter(|(file, _)| file.contains("rawblock"))
        .map(|(file, raw)| {
            let hex = text(&raw["data"], "raw_block");
            let block = Block::from_hex(hex).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(block.to_hex(), hex, "{file}");
            let told = &answers[&file.replace("rawblock", "block")];
            // some were kept without their envelope
            (block, told.get("data").unwrap_or(told).clone())
        })
        .collect()
}

#[test]
fn every_block_is_told_alike() {
    let blocks = blocks();
    assert!(blocks.len() >= 9, "{} blocks", blocks.len());
    for (block, told) in blocks {
        let header = &block.header;
        assert_eq!(block.hash().to_string(), text(&told, "hash"));
        assert_eq!(block.to_hex().len() as u64, number(&told, "size"));
        assert_eq!(header.version, number(&told, "version"));
        assert_eq!(header.height, number(&told, "height"));
        assert_eq!(header.timestamp_ms, number(&told, "timestamp"));
        assert_eq!(
            header.previous_block_hash.to_string(),
            text(&told, "previous_block_hash")
        );
        assert_eq!(
            header.transactions_merkle_root.to_string(),
            text(&told, "transaction_merkle_root")
        );
        assert_eq!(block.merkle_root(), header.transactions_merkle_root);
        let transactions = told["transactions"].as_array().unwrap();
        assert_eq!(block.transactions.len(), transactions.len());
        for (transaction, told) in block.transactions.iter().zip(transactions) {
            check_transaction(transaction, told);
        }
        let alone = baton_ledger::block::encode_transactions(&block.transactions);
        assert_eq!(
            baton_ledger::block::decode_transactions(&alone),
            Ok(block.transactions)
        );
    }
}

#[test]
fn the_genesis_block_is_made_alike() {
    let params = Params::solonet(Vec::new());
    let transactions = genesis::bytom_transactions();
    let made = genesis::block(params.genesis_timestamp_ms, transactions);
    let answers = answers();
    let told = text(&answers["v2-solo-rawblock-0.json"]["data"], "raw_block");
    assert_eq!(made.to_hex(), told);
    assert_eq!(
        made.hash().to_string(),
        "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"
    );
}

#[test]
fn every_header_is_that_of_its_block() {
    let headers = all_texts("block_header");
    assert!(headers.len() >= 14, "{} headers", headers.len());
    let blocks: BTreeMap<Hash, Header> = blocks()
        .into_iter()
        .map(|(block, _)| (block.hash(), block.header))
        .collect();
    for (file, hex) in headers {
        let header = Header::from_hex(&hex).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(header.to_hex(), hex, "{file}");
        assert_eq!(blocks[&header.hash()], header, "{file}");
    }
}

#[test]
fn the_checkpoint_has_its_votes() {
    let (block, _) = blocks()
        .into_iter()
        .find(|(block, _)| block.header.height == 100)
        .unwrap();
    let [link] = block.header.sup_links.as_slice() else {
        panic!("{:?}", block.header.sup_links);
    };
    assert_eq!(link.source_height, 0);
    assert_eq!(
        link.source_hash.to_string(),
        "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"
    );
    assert_eq!(link.signatures[0].len(), 64);
    assert!(link.signatures[1..].iter().all(Vec::is_empty));
    assert_eq!(block.header.witness.len(), 64);
}

#[test]
fn every_asset_has_its_id() {
    let mut checked = 0;
    for (file, answer) in answers() {
        let mut assets = Vec::new();
        match answer.get("data").unwrap_or(&answer) {
            Value::Array(elements) => assets.extend(elements),
            other => assets.push(other),
        }
        for told in assets {
            let Some(program) = told.get("issue_program").and_then(Value::as_str) else {
                continue;
            };
            if program.is_empty() {
                continue;
            }
            let program = hex::decode(program).unwrap();
            let definition = hex::decode(text(told, "raw_definition_byte")).unwrap();
            let definition = asset::definition_hash(&definition);
            let id = asset::asset_id(&program, number(told, "vm_version"), &definition);
            assert_eq!(id.to_string(), text(told, "id"), "{file}");
            checked += 1;
        }
    }
    assert!(checked >= 2, "{checked} assets");
}

#[test]
fn every_merkle_proof_is_made_and_believed() {
    let blocks: BTreeMap<Hash, Block> = blocks()
        .into_iter()
        .map(|(block, _)| (block.hash(), block))
        .collect();
    let mut checked = 0;
    for (file, answer) in answers() {
        let told = answer.get("data").unwrap_or(&answer);
        let Some(hashes) = told.get("tx_hashes") else {
            continue;
        };
        let parse = |list: &Value| -> Vec<Hash> {
            let list = list.as_array().unwrap().iter();
            list.map(|hash| hash.as_str().unwrap().parse().unwrap())
                .collect()
        };
        let flags = told["flags"].as_array().unwrap().iter();
        let told_proof = Proof {
            hashes: parse(hashes),
            flags: flags
                .map(|flag| u8::try_from(flag.as_u64().unwrap()).unwrap())
                .collect(),
        };
        let wanted = parse(&told["matched_tx_ids"]);
        let header = Header::from_hex(text(told, "block_header")).unwrap();
        let root = header.transactions_merkle_root;
        assert_eq!(told_proof.verify(&wanted, &root), Ok(()), "{file}");
        assert!(told_proof.verify(&[header.hash()], &root).is_err());

        let block = &blocks[&header.hash()];
        let ids: Vec<Hash> = block.transactions.iter().map(Transaction::id).collect();
        let made = Proof::new(&ids, |id| wanted.contains(id));
        assert_eq!(made, told_proof, "{file}");
        checked += 1;
    }
    assert!(checked >= 5, "{checked} merkle proofs");
}

#[test]
fn every_address_is_that_of_its_program() {
    let mut checked = 0;
    for (file, answer) in answers() {
        let mut objects = vec![&answer];
        while let Some(value) = objects.pop() {
            match value {
                Value::Object(fields) => objects.extend(fields.values()),
                Value::Array(elements) => objects.extend(elements),
                _ => {}
            }
            let Some(told) = value.get("address").and_then(Value::as_str) else {
                continue;
            };
            let address = Address::decode(told, Prefix::SOLONET)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(address.encode(Prefix::SOLONET), told, "{file}");
            if let Some(program) = value.get("control_program") {
                assert_eq!(hex::encode(address.program()), program.as_str().unwrap());
                assert_eq!(Address::from_program(&address.program()), Some(address));
                checked += 1;
            }
        }
    }
    assert!(checked >= 290, "{checked} addresses");
}
