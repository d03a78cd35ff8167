//! Whatever can be written is read again as it was, and no bytes make a decoder panic.

use baton_ledger::block::{SUP_LINK_SIGNATURES, decode_transactions, encode_transactions};
use baton_ledger::codec::VARINT63_MAX;
use baton_ledger::transaction::{Coinbase, Issuance, Spend, SpentOutput, Veto};
use baton_ledger::{
    AssetId, Block, Hash, Header, Input, InputKind, Mapped, Output, OutputKind, SupLink,
    Transaction,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// The known length suits the fields that hold keys, hashes and programs.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..70)
}

fn list() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(bytes(), 0..4)
}

fn suffix() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => Just(Vec::new()), 1 => vec(any::<u8>(), 0..5)]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, 0..=VARINT63_MAX, Just(VARINT63_MAX)]
}

fn asset_id() -> impl Strategy<Value = AssetId> {
    prop_oneof![Just(AssetId::BTM), any::<[u8; 32]>().prop_map(AssetId)]
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

prop_compose! {
    fn spent_output()(
        source_id in hash(),
        asset_id in asset_id(),
        amount in number(),
        source_position in number(),
        control_program in bytes(),
        state_data in list(),
        suffix in suffix(),
    ) -> SpentOutput {
        SpentOutput { source_id, asset_id, amount, source_position, control_program, state_data, suffix }
    }
}

prop_compose! {
    fn issuance()(
        nonce in bytes(),
        amount in number(),
        asset_definition in bytes(),
        vm_version in number(),
        issuance_program in bytes(),
        arguments in list(),
    ) -> Issuance {
        Issuance { nonce, amount, asset_definition, vm_version, issuance_program, arguments }
    }
}

fn input_kind() -> impl Strategy<Value = InputKind> {
    prop_oneof![
        issuance().prop_map(InputKind::Issuance),
        (spent_output(), list())
            .prop_map(|(output, arguments)| InputKind::Spend(Spend { output, arguments })),
        bytes().prop_map(|arbitrary| InputKind::Coinbase(Coinbase { arbitrary })),
        (spent_output(), bytes(), list()).prop_map(|(output, vote, arguments)| {
            InputKind::Veto(Veto {
                output,
                vote,
                arguments,
            })
        }),
    ]
}

prop_compose! {
    fn input()(kind in input_kind(), commitment_suffix in suffix(), witness_suffix in suffix()) -> Input {
        Input { kind, commitment_suffix, witness_suffix }
    }
}

prop_compose! {
    fn output()(
        kind in prop_oneof![Just(OutputKind::Original), bytes().prop_map(OutputKind::Vote)],
        asset_id in asset_id(),
        amount in number(),
        control_program in bytes(),
        state_data in list(),
        commitment_suffix in suffix(),
    ) -> Output {
        Output { kind, asset_id, amount, control_program, state_data, commitment_suffix }
    }
}

prop_compose! {
    fn transaction()(
        version in number(),
        time_range in number(),
        inputs in vec(input(), 0..4),
        outputs in vec(output(), 0..4),
    ) -> Transaction {
        Transaction { version, time_range, inputs, outputs }
    }
}

prop_compose! {
    fn sup_link()(
        source_height in number(),
        source_hash in hash(),
        signatures in vec(bytes(), SUP_LINK_SIGNATURES),
    ) -> SupLink {
        let signatures = signatures.try_into().expect("the length is given");
        SupLink { source_height, source_hash, signatures }
    }
}

prop_compose! {
    fn header()(
        version in number(),
        height in number(),
        previous_block_hash in hash(),
        timestamp_ms in number(),
        transactions_merkle_root in hash(),
        witness in bytes(),
        sup_links in vec(sup_link(), 0..3),
    ) -> Header {
        Header {
            version,
            height,
            previous_block_hash,
            timestamp_ms,
            transactions_merkle_root,
            witness,
            sup_links,
        }
    }
}

/// Every decoder on the same bytes.
fn decode_all(bytes: &[u8]) {
    let _ = Transaction::decode(bytes).map(Mapped::from);
    let _ = Header::decode(bytes).map(|header| header.hash());
    let _ = Block::decode(bytes).map(|block| block.merkle_root());
    let _ = decode_transactions(bytes);
}

proptest! {
    #[test]
    fn transactions(transaction in transaction()) {
        let bytes = transaction.encode();
        prop_assert_eq!(transaction.size(), bytes.len());
        prop_assert_eq!(Transaction::decode(&bytes), Ok(transaction.clone()));
        prop_assert_eq!(Transaction::from_hex(&transaction.to_hex()), Ok(transaction.clone()));
        let mapped = Mapped::from(transaction);
        prop_assert_eq!(mapped.size(), bytes.len());
        prop_assert_eq!(mapped.entries().inputs.len(), mapped.transaction().inputs.len());
        prop_assert_eq!(mapped.entries().outputs.len(), mapped.transaction().outputs.len());
    }

    #[test]
    fn witnesses_and_suffixes_are_in_no_id(
        transaction in transaction(),
        arguments in list(),
        suffix in suffix(),
    ) {
        let id = transaction.id();
        let mut other = transaction;
        for input in &mut other.inputs {
            if let Some(witness) = input.arguments_mut() {
                witness.clone_from(&arguments);
            }
            input.commitment_suffix.clone_from(&suffix);
            input.witness_suffix.clone_from(&suffix);
        }
        for output in &mut other.outputs {
            output.commitment_suffix.clone_from(&suffix);
        }
        prop_assert_eq!(other.id(), id);
    }

    #[test]
    fn headers_and_blocks(header in header(), transactions in vec(transaction(), 0..3)) {
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header.clone()));
        let alone = encode_transactions(&transactions);
        prop_assert_eq!(decode_transactions(&alone), Ok(transactions.clone()));
        let block = Block { header, transactions };
        prop_assert_eq!(Block::decode(&block.encode()), Ok(block.clone()));
        // one kind of encoding is not taken for another
        prop_assert!(Header::decode(&block.encode()).is_err());
        prop_assert!(Block::decode(&block.header.encode()).is_err());
    }

    #[test]
    fn cut_short_or_added_to(transaction in transaction(), cut in any::<prop::sample::Index>()) {
        let mut bytes = transaction.encode();
        prop_assert!(Transaction::decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(Transaction::decode(&bytes).is_err());
    }

    #[test]
    fn random_bytes_never_panic(flags in 0..8_u8, rest in vec(any::<u8>(), 0..200)) {
        decode_all(&[&[flags], rest.as_slice()].concat());
    }

    #[test]
    fn damaged_bytes_never_panic(
        header in header(),
        transactions in vec(transaction(), 1..3),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let transaction = transactions[0].encode();
        for mut bytes in [transaction, Block { header, transactions }.encode()] {
            for (at, to) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *to;
            }
            decode_all(&bytes);
        }
    }
}
