//! Transactions are valid or rejected for what is wrong with them; those of a real bytomd v2 are valid, and take the
//! gas it foretold.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use baton_ledger::transaction::Coinbase;
use baton_ledger::validate::{
    CoinbaseFault, Contracts, DEFAULT_MAX_FEE_NEU, Place, Refusal, Signers, check_relay,
    estimate_chain_gas, estimate_gas, is_lasting,
};
use baton_ledger::{
    AssetId, Block, BlockContext, GasStatus, Input, InputKind, Mapped, Output, Params, Rejection,
    Transaction, program, validate_transaction, vm,
};
use serde_json::Value;
use support::{Key, issue, made_up, pay, script, sign, sign_script, spend, transaction, veto};

const FEE: u64 = 1_000_000;

fn answer(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bytomd-v2");
    serde_json::from_str(&std::fs::read_to_string(path.join(file)).unwrap()).unwrap()
}

fn validate_as(
    transaction: &Mapped,
    height: u64,
    first: bool,
    contracts: &dyn Contracts,
) -> Result<GasStatus, Rejection> {
    let params = Params::solonet(Vec::new());
    let context = BlockContext {
        version: 1,
        height,
        first,
        params: &params,
        contracts,
    };
    validate_transaction(transaction, &context)
}

fn validate(transaction: &Mapped) -> Result<GasStatus, Rejection> {
    validate_as(transaction, 10, false, &BTreeMap::new())
}

fn rejection(transaction: Transaction) -> Rejection {
    validate(&Mapped::from(transaction)).unwrap_err()
}

/// A transfer of `amount` and a fee, not signed.
fn transfer(amount: u64, fee: u64) -> Transaction {
    let key = Key::new(1);
    let from = made_up(amount + fee, key.program());
    transaction(vec![spend(from)], vec![pay(amount, Key::new(2).program())])
}

fn coinbase(arbitrary: &[u8]) -> Input {
    Input::from(InputKind::Coinbase(Coinbase {
        arbitrary: arbitrary.to_vec(),
    }))
}

#[test]
fn every_recorded_transaction_is_valid() {
    let mut checked = 0;
    for height in [
        "solo-rawblock-1",
        "solo-rawblock-100",
        "solo-rawblock-101",
        "solo-rawblock-127",
        "more-rawblock-153",
        "more-rawblock-159",
        "more-rawblock-163",
        "more-rawblock-167",
    ] {
        let raw = answer(&format!("v2-{height}.json"));
        let block = Block::from_hex(raw["data"]["raw_block"].as_str().unwrap()).unwrap();
        for (index, transaction) in block.transactions.into_iter().enumerate() {
            let mapped = Mapped::from(transaction);
            let height = block.header.height;
            let status = validate_as(&mapped, height, index == 0, &BTreeMap::new())
                .unwrap_or_else(|error| panic!("{height}: {error}"));
            if index == 0 {
                assert_eq!(status, GasStatus::default());
            } else {
                assert_eq!(status.fee_neu, mapped.transaction().fee_neu());
                assert_eq!(status.storage, mapped.size() as u64);
                assert_eq!(
                    status.used + status.left,
                    (status.fee_neu / 200).min(300_000)
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 14, "{checked} transactions");
}

/// The keys that sign each input, from a template.
fn signers(template: &Value) -> Vec<Vec<Signers>> {
    let instructions = template["signing_instructions"].as_array().unwrap();
    let groups = |instruction: &Value| {
        let components = instruction["witness_components"].as_array().unwrap();
        components
            .iter()
            .filter(|component| component["type"] == "raw_tx_signature")
            .map(|component| Signers {
                keys: component["keys"].as_array().unwrap().len() as u64,
                quorum: component["quorum"].as_u64().unwrap(),
            })
            .collect()
    };
    instructions.iter().map(groups).collect()
}

#[test]
fn the_gas_is_what_was_foretold() {
    let params = Params::solonet(Vec::new());
    for name in ["fund-multi", "retire", "spend-multi-2of3", "vote"] {
        let answer = answer(&format!("v2-more-{name}.json"));
        let template = &answer["template"];
        // bytomd was given the signed template, so that it counted the witnesses twice
        let raw = answer["signed"]["raw_transaction"].as_str().unwrap();
        let transaction = Transaction::from_hex(raw).unwrap();
        let estimate = estimate_gas(&transaction, &signers(template), &params);
        let told = &answer["estimate"]["data"];
        assert_eq!(told["total_neu"], estimate.total_neu, "{name}");
        assert_eq!(told["flexible_neu"], estimate.flexible_neu, "{name}");
        assert_eq!(told["storage_neu"], estimate.storage_neu, "{name}");
        assert_eq!(told["vm_neu"], estimate.vm_neu, "{name}");
        assert_eq!(told["chain_tx_neu"], estimate.chain_tx_neu, "{name}");

        let status = validate_as(&Mapped::from(transaction), 150, false, &BTreeMap::new()).unwrap();
        let vm = status.vm() * params.gas_price_neu;
        // exact for keys; for a script bytomd says more than it takes
        if name == "spend-multi-2of3" {
            assert_eq!((vm, estimate.vm_neu), (709_400, 839_200));
        } else {
            assert_eq!(vm, estimate.vm_neu, "{name}");
        }
    }
    let chain = estimate_chain_gas(&transfer(1, 1), &[], 2, &params);
    assert_eq!(chain.chain_tx_neu, 12_000_000);
}

#[test]
fn the_figures_of_the_api_example() {
    // a P2WPKH that pays and an issuance by one key
    let params = Params::solonet(Vec::new());
    let answer = answer("v2-sign-request.json");
    let template = &answer["transaction"];
    let raw = template["raw_transaction"].as_str().unwrap();
    let unsigned = Transaction::from_hex(raw).unwrap();
    let estimate = estimate_gas(&unsigned, &signers(template), &params);
    assert_eq!(estimate.flexible_neu, 336_600);
    assert_eq!(estimate.vm_neu, 572_400);
    assert_eq!(estimate.storage_neu, 126_000);
    assert_eq!(estimate.total_neu, 1_035_000);
}

#[test]
fn a_signed_transfer_is_valid_and_any_other_is_not() {
    let signed = sign(transfer(100, FEE), &Key::new(1));
    let status = validate(&signed).unwrap();
    assert_eq!(status.fee_neu, FEE);
    assert_eq!(status.used, status.vm() + status.storage);
    assert_eq!(status.used + status.left, FEE / 200);

    let mut other = signed.clone().into_transaction();
    other.outputs[0].amount -= 1;
    let rejected = rejection(other);
    assert_eq!(
        (rejected.code(), rejected.summary()),
        (766, "False result for executing VM")
    );
    let text = rejected.to_string();
    assert!(
        text.starts_with("checking mux source 0: false VM result [prog 76ab14"),
        "{text}"
    );
    assert!(text.ends_with("]: false VM result"), "{text}");

    let unsigned = rejection(transfer(100, FEE));
    assert_eq!(unsigned.code(), 763);
}

#[test]
fn scripts_and_issuances_want_their_quorum() {
    let keys = [Key::new(1), Key::new(2), Key::new(3)];
    let script = script(&keys, 2);
    let to = program::p2wsh(&program::script_hash(&script));
    let from = transaction(vec![spend(made_up(FEE, to))], vec![pay(0, vec![0x51])]);
    let by = |keys: &[&Key]| validate(&sign_script(from.clone(), 0, keys, Some(&script)));
    assert!(by(&[&keys[0], &keys[2]]).is_ok());
    // in the order of the keys
    assert_eq!(by(&[&keys[2], &keys[0]]).unwrap_err().code(), 766);
    assert_eq!(by(&[&keys[0], &keys[0]]).unwrap_err().code(), 766);
    assert!(by(&[&keys[1]]).is_err());

    let program = program::issuance(&[keys[0].public()], 1, 11).unwrap();
    let issuance = issue(5, program);
    let asset = issuance.asset_id();
    let paid = spend(made_up(FEE, keys[1].program()));
    let issued = Output::original(asset, 5, vec![0x51]);
    let unsigned = transaction(vec![issuance, paid], vec![issued]);
    let signed = sign_script(unsigned, 0, &[&keys[0]], None).into_transaction();
    let signed = sign(signed, &keys[1]);
    assert!(validate(&signed).is_ok());
    // not from the height on that limits it
    let late = validate_as(&signed, 11, false, &BTreeMap::new()).unwrap_err();
    assert_eq!(late.code(), 775);
}

#[test]
fn a_program_may_call_a_contract() {
    let contract = program::assemble("5 EQUAL").unwrap();
    let hash = program::script_hash(&contract);
    let from = made_up(FEE, program::call_contract(&hash));
    let mut calling = transaction(vec![spend(from)], vec![pay(1, vec![0x51])]);
    *calling.inputs[0].arguments_mut().unwrap() = vec![vec![4]];
    let wrong = Mapped::from(calling.clone());
    *calling.inputs[0].arguments_mut().unwrap() = vec![vec![5]];
    let right = Mapped::from(calling);
    let contracts = BTreeMap::from([(hash, contract)]);
    assert!(validate_as(&right, 10, false, &contracts).is_ok());
    let rejected = validate_as(&wrong, 10, false, &contracts).unwrap_err();
    assert_eq!(rejected.code(), 766);
    // where nothing is registered, anyone passes
    assert!(validate(&wrong).is_ok());
}

#[test]
fn an_output_can_be_demanded() {
    let wanted = pay(3, vec![0x51]);
    let demand = program::assemble(&format!(
        "0 3 0x{} 1 0x51 CHECKOUTPUT",
        hex::encode(AssetId::BTM.0)
    ))
    .unwrap();
    let from = |outputs| {
        Mapped::from(transaction(
            vec![spend(made_up(FEE, demand.clone()))],
            outputs,
        ))
    };
    assert!(validate(&from(vec![wanted.clone()])).is_ok());
    assert_eq!(
        validate(&from(vec![pay(4, vec![0x51])]))
            .unwrap_err()
            .code(),
        766
    );
    assert_eq!(
        validate(&from(vec![pay(3, vec![0x52])]))
            .unwrap_err()
            .code(),
        766
    );
    let stateful = Output {
        state_data: vec![vec![1]],
        ..wanted
    };
    assert_eq!(validate(&from(vec![stateful])).unwrap_err().code(), 766);
    // a retirement has VM version 0, and a list of state data that is there but empty
    let retired = vec![pay(3, program::retire(b"x"))];
    assert_eq!(validate(&from(retired.clone())).unwrap_err().code(), 766);
    let demand = program::assemble(&format!(
        "0 TOALTSTACK FROMALTSTACK DROP 0 3 0x{} 0 0x51 CHECKOUTPUT",
        hex::encode(AssetId::BTM.0)
    ))
    .unwrap();
    let retiring = transaction(vec![spend(made_up(FEE, demand))], retired);
    assert!(validate(&Mapped::from(retiring)).is_ok());
}

#[test]
fn form_is_looked_at_first() {
    let mut future = transfer(1, FEE);
    future.version = 2;
    let rejected = rejection(future);
    assert_eq!(
        rejected,
        Rejection::Version {
            block: 1,
            transaction: 2
        }
    );
    assert_eq!(
        rejected.to_string(),
        "block version 1, transaction version 2: invalid transaction version"
    );
    assert_eq!(
        (rejected.code(), rejected.summary()),
        (730, "Invalid transaction version")
    );

    let mut large = transfer(1, FEE);
    *large.inputs[0].arguments_mut().unwrap() = vec![vec![0; 22_020_096]];
    assert_eq!(rejection(large).code(), 731);

    let mut bounded = transfer(1, FEE);
    bounded.time_range = 9;
    assert_eq!(
        rejection(bounded.clone()),
        Rejection::TimeRange {
            last: 9,
            height: 10
        }
    );
    bounded.time_range = 10;
    assert!(validate(&sign(bounded, &Key::new(1))).is_ok());

    let mut twice = transfer(1, FEE);
    twice.inputs.push(twice.inputs[0].clone());
    let rejected = rejection(twice);
    assert!(matches!(rejected, Rejection::DoubleSpend { .. }));
    assert_eq!(rejected.code(), 0);

    let mut empty = transfer(1, FEE);
    empty.outputs.clear();
    assert_eq!(rejection(empty).code(), 737);
}

#[test]
fn values_are_balanced() {
    let mut unsourced = transfer(1, FEE);
    unsourced
        .outputs
        .push(Output::original(AssetId([1; 32]), 0, vec![0x51]));
    assert_eq!(
        rejection(unsourced),
        Rejection::NoSource {
            output: 1,
            asset: AssetId([1; 32])
        }
    );

    let mut other = made_up(5, vec![0x51]);
    other.asset_id = AssetId([1; 32]);
    let mut lost = transfer(1, FEE);
    lost.inputs.push(spend(other));
    lost.outputs
        .push(Output::original(AssetId([1; 32]), 6, vec![0x51]));
    let rejected = rejection(lost);
    assert_eq!(
        rejected,
        Rejection::Unbalanced {
            asset: AssetId([1; 32]),
            difference: -1
        }
    );
    assert_eq!(rejected.code(), 746);

    let mut more = transfer(1, FEE);
    more.outputs[0].amount += FEE + 1;
    assert_eq!(rejection(more), Rejection::NegativeFee { missing_neu: 1 });

    let half = 1 << 62;
    let mut overflowing = transfer(half, half);
    assert_eq!(
        rejection(overflowing.clone()),
        Rejection::Overflow {
            asset: AssetId::BTM,
            place: Place::Input(0)
        }
    );
    overflowing.inputs = vec![
        spend(made_up(half, vec![0x51])),
        spend(made_up(half, vec![0x52])),
    ];
    assert_eq!(
        rejection(overflowing).to_string(),
        format!(
            "adding up {} at mux source 1: arithmetic overflow/underflow",
            AssetId::BTM
        )
    );
    let mut wrapping = transfer(1, FEE);
    wrapping.outputs = vec![pay(u64::MAX, vec![0x51]), pay(2, vec![0x51])];
    assert_eq!(rejection(wrapping).code(), 744);
    let mut sinking = transfer(1, FEE);
    sinking.outputs = vec![pay(i64::MAX as u64, vec![0x51]); 3];
    assert_eq!(
        rejection(sinking),
        Rejection::Overflow {
            asset: AssetId::BTM,
            place: Place::Output(1)
        }
    );
}

#[test]
fn gas_is_bought_with_btm() {
    // a P2WPKH takes more gas than 200 neu buy
    let poor = validate(&sign(transfer(1, 200), &Key::new(1))).unwrap_err();
    assert_eq!(poor.code(), 770);
    // enough for the program, not for the storage after it
    let anyone = |fee| {
        let from = made_up(fee + 1, vec![0x51]);
        Mapped::from(transaction(vec![spend(from)], vec![pay(1, vec![0x51])]))
    };
    let size = anyone(FEE).size() as u64;
    let rejected = validate(&anyone(200 * size)).unwrap_err();
    assert!(
        matches!(rejected, Rejection::GasCredit { .. }),
        "{rejected}"
    );
    assert_eq!(
        (rejected.code(), rejected.summary()),
        (747, "Gas credit has been spent")
    );
    let program_gas = validate(&anyone(FEE)).unwrap().vm();
    let enough = validate(&anyone(200 * (size + program_gas))).unwrap();
    assert_eq!(enough.left, 0);
    // more than 300000 is not to be had
    let rich = validate(&anyone(1_000_000_000)).unwrap();
    assert_eq!(rich.left + rich.used, 300_000);
    // without any input nothing is bought, and nothing can be paid
    let nothing = transaction(Vec::new(), vec![pay(0, vec![0x51])]);
    assert_eq!(rejection(nothing).code(), 743);
    // two programs pass, and what is left does not pay
    let issued = issue(0, vec![0x51]);
    let asset = issued.asset_id();
    let unpaid = transaction(vec![issued], vec![Output::original(asset, 0, vec![0x51])]);
    assert_eq!(rejection(unpaid).code(), 770);
}

#[test]
fn votes_are_of_enough_btm_for_a_whole_key() {
    let key = Key::new(1);
    let from = made_up(200_000_000 + FEE, key.program());
    let voting = |output| {
        validate(&sign(
            transaction(vec![spend(from.clone())], vec![output]),
            &key,
        ))
    };
    let vote = Output::vote(100_000_000, vec![0x51], vec![3; 64]);
    assert_eq!(voting(vote.clone()).unwrap().fee_neu, 100_000_000 + FEE);
    let short = Output::vote(100_000_000, vec![0x51], vec![3; 63]);
    assert_eq!(voting(short), Err(Rejection::VoteKey { len: 63 }));
    let little = Output::vote(99_999_999, vec![0x51], vec![3; 64]);
    let rejected = voting(little).unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "99999999 neu, less than 100000000: invalid vote amount"
    );
    // a vote that is retired is a retirement
    assert!(voting(Output::vote(1, vec![0x6a], vec![3; 63])).is_ok());

    let issued = issue(100_000_000, vec![0x51]);
    let asset = issued.asset_id();
    let foreign = Output {
        asset_id: asset,
        ..vote
    };
    let rejected = validate(&sign(
        transaction(vec![spend(from), issued], vec![foreign]),
        &key,
    ));
    assert_eq!(rejected, Err(Rejection::VoteAsset { asset }));
}

#[test]
fn a_veto_states_a_whole_key_and_is_told_less() {
    let key = Key::new(1);
    let vetoing = |program: Vec<u8>, vote: usize| {
        let from = made_up(100_000_000, program);
        let inputs = vec![veto(from, vec![3; vote])];
        validate(&sign(transaction(inputs, vec![pay(1, vec![0x51])]), &key))
    };
    assert!(vetoing(key.program(), 64).is_ok());
    assert_eq!(
        vetoing(key.program(), 65),
        Err(Rejection::VoteKey { len: 65 })
    );
    for word in ["AMOUNT", "ASSET", "INDEX", "OUTPUTID"] {
        let program = program::assemble(word).unwrap();
        assert_eq!(vetoing(program, 64).unwrap_err().code(), 762, "{word}");
    }
    assert!(vetoing(program::assemble("ENTRYID").unwrap(), 64).is_ok());
}

#[test]
fn a_coinbase_stands_alone_in_the_first_transaction() {
    let minting = transaction(vec![coinbase(b"x")], vec![pay(5, vec![0x51])]);
    let first = |transaction: Transaction| {
        validate_as(&Mapped::from(transaction), 10, true, &BTreeMap::new())
    };
    assert_eq!(first(minting.clone()), Ok(GasStatus::default()));
    let rejected = rejection(minting.clone());
    assert_eq!(
        rejected,
        Rejection::Coinbase {
            fault: CoinbaseFault::Place
        }
    );
    assert_eq!(rejected.code(), 734);

    let mut long = minting.clone();
    long.inputs = vec![coinbase(&[0; 129])];
    assert_eq!(first(long).unwrap_err().code(), 736);
    let mut two = minting.clone();
    two.inputs.push(spend(made_up(FEE, vec![0x51])));
    let fault = CoinbaseFault::Company;
    assert_eq!(first(two), Err(Rejection::Coinbase { fault }));
    let mut other = minting.clone();
    other.outputs[0].asset_id = AssetId([1; 32]);
    assert_eq!(first(other).unwrap_err().code(), 743);
    let mut wrapping = minting;
    wrapping.outputs = vec![pay(i64::MAX as u64, vec![0x51]); 3];
    assert_eq!(first(wrapping).unwrap_err().code(), 744);
}

#[test]
fn the_machine_speaks_in_its_own_codes() {
    for (text, error) in [
        ("FAIL", vm::Error::Return),
        ("1 VERIFY 0 VERIFY", vm::Error::VerifyFailed),
        ("0 1 DIV 1 0 DIV", vm::Error::DivisionByZero),
        ("FROMALTSTACK", vm::Error::AltStackUnderflow),
        ("NOPxf0", vm::Error::DisallowedOpcode),
    ] {
        let from = made_up(FEE, program::assemble(text).unwrap());
        let rejected = rejection(transaction(vec![spend(from)], vec![pay(1, vec![0x51])]));
        assert_eq!(rejected.code(), error.code(), "{text}");
        assert_eq!(rejected.summary(), error.summary());
    }
    let mut unknown = issue(1, vec![0x51]);
    if let InputKind::Issuance(issuance) = &mut unknown.kind {
        issuance.vm_version = 2;
    }
    let asset = unknown.asset_id();
    let inputs = vec![unknown, spend(made_up(FEE, vec![0x51]))];
    let rejected = rejection(transaction(
        inputs,
        vec![Output::original(asset, 1, vec![0x51])],
    ));
    assert_eq!(rejected.code(), 774);
}

#[test]
fn some_verdicts_last() {
    let key = Key::new(1);
    let lasts = |inputs| is_lasting(&transaction(inputs, Vec::new()));
    assert!(lasts(vec![spend(made_up(1, key.program()))]));
    assert!(lasts(vec![issue(1, script(&[Key::new(2)], 1))]));
    let script = script(&[Key::new(2), Key::new(3)], 1);
    let mut scripted = spend(made_up(1, program::p2wsh(&program::script_hash(&script))));
    assert!(!lasts(vec![scripted.clone()]));
    *scripted.arguments_mut().unwrap() = vec![vec![1; 64], script];
    assert!(lasts(vec![scripted.clone()]));
    // what may depend on the height or on contracts
    *scripted.arguments_mut().unwrap() =
        vec![program::assemble("BLOCKHEIGHT 5 GREATERTHAN").unwrap()];
    assert!(!lasts(vec![scripted]));
    let limited = program::issuance(&[key.public()], 1, 9).unwrap();
    assert!(!lasts(vec![issue(1, limited)]));
    assert!(!lasts(vec![spend(made_up(
        1,
        program::call_contract(&[1; 32])
    ))]));
    assert!(!lasts(vec![coinbase(b"")]));
}

#[test]
fn the_pool_asks_for_more() {
    let params = Params::solonet(Vec::new());
    let check = |transaction: Transaction| {
        check_relay(&Mapped::from(transaction), DEFAULT_MAX_FEE_NEU, &params)
    };
    assert_eq!(check(transfer(1, DEFAULT_MAX_FEE_NEU)), Ok(()));
    let refused = check(transfer(1, DEFAULT_MAX_FEE_NEU + 1)).unwrap_err();
    assert_eq!(
        (refused.code(), refused.summary()),
        (713, "Transaction fee exceeded max limit")
    );
    assert_eq!(check(transfer(0, FEE)), Err(Refusal::Dust { output: 0 }));
    let mut foreign = transfer(1, FEE);
    foreign.inputs = vec![issue(1, vec![0x51])];
    assert_eq!(check(foreign).unwrap_err().code(), 714);
    let registering = |amount| {
        let mut transaction = transfer(amount, FEE);
        transaction.outputs[0].control_program = program::register_contract(&[0x51]);
        check(transaction)
    };
    assert_eq!(registering(100_000_000), Ok(()));
    assert!(matches!(
        registering(99_999_999),
        Err(Refusal::Contract { output: 0, .. })
    ));
}
