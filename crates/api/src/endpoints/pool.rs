//! Transactions on their way into a block.

use baton_chain::Origin;
use baton_ledger::{Hash, Transaction};
use baton_wallet::answer::DecodedTransaction;
use serde::Serialize;

use super::blocks::{BlockTx, hash, text};
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Hex, Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("submit-transaction", Lane::Check, submit)
            .doc("Hands in a signed transaction.")
            .example(r#"{"raw_transaction":"0701000001"}"#),
        Endpoint::always("submit-transactions", Lane::Check, submit_many)
            .doc("Hands in signed transactions, in order; the first error is told, those before it stay.")
            .example(r#"{"raw_transactions":["0701000001"]}"#),
        Endpoint::always("decode-raw-transaction", Lane::Check, decode)
            .doc("What a transaction's encoding says.")
            .example(r#"{"raw_transaction":"0701000001"}"#),
        Endpoint::always("get-unconfirmed-transaction", Lane::Read, get)
            .doc("A transaction that waits for a block.")
            .example(r#"{"tx_id":"51a0e4d63153fdbe3ee51f84116f4110cc6a77c6435f22da674b0fdb068aa691"}"#),
        Endpoint::always("list-unconfirmed-transactions", Lane::Read, list)
            .doc("The ids of the transactions that wait for a block."),
    ]
}

request! {
    /// A transaction.
    Raw {
        raw_transaction: Option<Transaction> => "the transaction",
    }
}

impl Raw {
    fn given(self) -> Result<Transaction, Fault> {
        self.raw_transaction
            .ok_or_else(|| Fault::body("raw_transaction is missing"))
    }
}

#[derive(Serialize)]
struct Submitted {
    #[serde(serialize_with = "text")]
    tx_id: Hash,
}

fn submit(namespace: &Namespace, request: Raw) -> Answer {
    let admission = namespace
        .parts
        .pool
        .submit(request.given()?, Origin::Local)?;
    if admission.orphan {
        return Err(orphan());
    }
    Ok(Reply::of(&Submitted {
        tx_id: admission.id,
    }))
}

/// It waits for what it spends; bytomd calls that an error.
fn orphan() -> Fault {
    Fault::refused(
        "BTM712",
        "finalize can't find transaction input utxo: it waits for the transaction that makes it",
    )
}

request! {
    /// Transactions.
    RawMany {
        raw_transactions: Vec<Transaction> => "the transactions, each after those it spends from",
    }
}

#[derive(Serialize)]
struct SubmittedMany {
    tx_id: Vec<String>,
}

fn submit_many(namespace: &Namespace, request: RawMany) -> Answer {
    let admissions = namespace
        .parts
        .pool
        .submit_many(request.raw_transactions, Origin::Local);
    let mut tx_id = Vec::with_capacity(admissions.len());
    for admission in admissions {
        let admission = admission?;
        if admission.orphan {
            return Err(orphan());
        }
        tx_id.push(admission.id.to_string());
    }
    Ok(Reply::of(&SubmittedMany { tx_id }))
}

fn decode(namespace: &Namespace, request: Raw) -> Answer {
    let prefix = namespace.parts.chain.params().prefix;
    Ok(Reply::of(&DecodedTransaction::of(
        &request.given()?,
        prefix,
    )))
}

request! {
    /// Which transaction.
    OfTransaction {
        tx_id: Hex => "the transaction's id",
    }
}

fn get(namespace: &Namespace, request: OfTransaction) -> Answer {
    let pooled = hash(&request.tx_id).and_then(|id| namespace.parts.pool.get(&id));
    let pooled =
        pooled.ok_or_else(|| Fault::plain("transaction are not existed in the mempool"))?;
    Ok(Reply::of(&BlockTx::of(namespace, &pooled.transaction)))
}

#[derive(Serialize)]
struct Waiting {
    total: usize,
    tx_ids: Vec<String>,
}

fn list(namespace: &Namespace, _: Ignored) -> Answer {
    let ids = namespace.parts.pool.ids();
    Ok(Reply::of(&Waiting {
        total: ids.len(),
        tx_ids: ids.iter().map(Hash::to_string).collect(),
    }))
}
