//! What the wallet has and had: transactions, balances, outputs, votes.

use baton_ledger::{Hash, program};
use baton_wallet::{
    WalletError,
    account::AccountName,
    answer::{History, HistoryFilter, TransactionInfo, UnspentFilter},
};
use serde::Serialize;

use super::{page, within};
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{hex_fault, request},
    table::{Endpoint, Fresh, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("get-transaction", Lane::Read, get)
            .doc("A transaction: of the wallet, of the pool, or any if the node indexes transactions.")
            .example(r#"{"tx_id":"51a0e4d63153fdbe3ee51f84116f4110cc6a77c6435f22da674b0fdb068aa691"}"#),
        Endpoint::wallet("list-transactions", Lane::Read, list)
            .fresh(Fresh::Wallet)
            .doc("The wallet's transactions, newest first.")
            .example(r#"{"account_id":"","detail":false,"unconfirmed":false,"from":0,"count":20}"#),
        Endpoint::wallet("list-balances", Lane::Read, balances)
            .fresh(Fresh::Wallet)
            .doc("What accounts have.")
            .example(r#"{"account_alias":"alice"}"#),
        Endpoint::wallet("list-unspent-outputs", Lane::Read, unspent)
            .fresh(Fresh::Wallet)
            .doc("The wallet's unspent outputs.")
            .example(r#"{"account_alias":"alice","unconfirmed":false,"from":0,"count":20}"#),
        Endpoint::wallet("list-account-votes", Lane::Read, votes)
            .fresh(Fresh::Wallet)
            .doc("For whom accounts vote.")
            .example(r#"{"account_alias":"alice"}"#),
        Endpoint::wallet("decode-program", Lane::Check, decode_program)
            .doc("A program, instruction by instruction.")
            .example(r#"{"program":"0014132ecd507a05834f267427d0175b5b10c8fb521f"}"#),
    ]
}

request! {
    /// Which transaction.
    Get {
        tx_id: String => "the transaction's id",
    }
}

fn get(namespace: &Namespace, request: Get) -> Answer {
    let missing = || no_transaction(&request.tx_id);
    let id: Hash = request.tx_id.parse().map_err(|_| missing())?;
    Ok(Reply::of(&find(namespace, &id)?.ok_or_else(missing)?))
}

fn no_transaction(id: &str) -> Fault {
    Fault::plain(format!("No transaction(tx_id={id}) from txpool"))
}

/// Asks those who may know a transaction, one after the other.
fn find(namespace: &Namespace, id: &Hash) -> Result<Option<TransactionInfo>, Fault> {
    let wallet = namespace.wallet()?;
    match wallet.transaction(id) {
        Ok(own) => return Ok(Some(own)),
        Err(WalletError::NoTransaction(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some((place, transaction)) = namespace.parts.chain.read()?.transaction(id)? {
        let mut info = wallet.describe(&transaction)?;
        info.block_time = place.timestamp_ms;
        info.block_hash = place.block_hash;
        info.block_height = place.height;
        info.block_index = place.index;
        info.block_transactions_count = u32::try_from(place.transactions).unwrap_or(u32::MAX);
        return Ok(Some(info));
    }
    let Some(pooled) = namespace.parts.pool.get(id) else {
        return Ok(None);
    };
    let mut info = wallet.describe(&pooled.transaction)?;
    // as bytomd has it: seconds, while confirmed ones have milliseconds
    let arrived = pooled.arrived.duration_since(std::time::UNIX_EPOCH);
    info.block_time = arrived.map_or(0, |since| since.as_secs());
    Ok(Some(info))
}

request! {
    /// Which transactions.
    List {
        id: String => "one transaction",
        account_id: String => "only those of an account",
        detail: bool => "whether to tell all of them",
        unconfirmed: bool => "whether to tell those that wait for a block too",
        from: usize => "how many to leave out",
        count: usize => "how many to give; with 0 from 0 on, all",
    }
}

/// bytomd says where it looked.
fn unlisted(id: &str, unconfirmed: bool) -> Fault {
    let place = if unconfirmed { "from txpool" } else { "" };
    Fault::plain(format!("No transaction(tx_id={id}) {place}"))
}

fn list(namespace: &Namespace, request: List) -> Answer {
    if !request.id.is_empty() && request.id.parse::<Hash>().is_err() {
        return Err(unlisted(&request.id, request.unconfirmed));
    }
    let filter = HistoryFilter {
        id: request.id,
        account_id: request.account_id,
        detail: request.detail,
        unconfirmed: request.unconfirmed,
        page: page(request.from, request.count)?,
    };
    match namespace.wallet()?.transactions(&filter) {
        Err(WalletError::NoTransaction(_)) => Err(unlisted(&filter.id, filter.unconfirmed)),
        Err(error) => Err(error.into()),
        Ok(History::Details(entries)) => Ok(Reply::of(&within(entries)?)),
        Ok(History::Summaries(entries)) => Ok(Reply::of(&within(entries)?)),
    }
}

request! {
    /// Whose.
    OfAccounts {
        account_id: String => "only of the account with this id",
        account_alias: String => "or alias",
    }
}

impl OfAccounts {
    fn name(&self) -> Option<AccountName<'_>> {
        AccountName::given(&self.account_id, &self.account_alias)
    }
}

fn balances(namespace: &Namespace, request: OfAccounts) -> Answer {
    Ok(Reply::of(&namespace.wallet()?.balances(request.name())?))
}

fn votes(namespace: &Namespace, request: OfAccounts) -> Answer {
    Ok(Reply::of(&namespace.wallet()?.votes(request.name())?))
}

request! {
    /// Which outputs.
    Unspent {
        account_id: String => "only of the account with this id",
        account_alias: String => "or alias",
        id: String => "only the output with this id",
        unconfirmed: bool => "whether to tell those of transactions that wait for a block too",
        smart_contract: bool => "those of contracts, which the wallet does not follow",
        from: usize => "how many to leave out",
        count: usize => "how many to give; with 0 from 0 on, all",
    }
}

fn unspent(namespace: &Namespace, request: Unspent) -> Answer {
    let filter = UnspentFilter {
        account_id: request.account_id,
        account_alias: request.account_alias,
        id: request.id,
        unconfirmed: request.unconfirmed,
        smart_contract: request.smart_contract,
        page: page(request.from, request.count)?,
    };
    let outputs = namespace.wallet()?.unspent_outputs(&filter)?;
    Ok(Reply::of(&within(outputs)?))
}

request! {
    /// A program.
    DecodeProgram {
        program: String => "the program, in hexadecimal",
    }
}

#[derive(Serialize)]
struct Decoded {
    instructions: String,
}

fn decode_program(_: &Namespace, request: DecodeProgram) -> Answer {
    let text = request.program;
    let bytes = hex::decode(&text).map_err(|error| Fault::plain(hex_fault(&text, error)))?;
    Ok(Reply::of(&Decoded {
        // addresses are shown as the machine runs them
        instructions: program::listing(&program::executed_form(&bytes, |_| None))?,
    }))
}
