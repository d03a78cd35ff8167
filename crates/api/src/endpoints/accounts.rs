//! Accounts and their addresses.

use baton_ledger::Address;
use baton_wallet::{
    WalletError,
    account::{Account, AccountName},
    chainkd::XPub,
};
use serde::Serialize;

use super::{page, within};
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request},
    table::{Endpoint, Fresh, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("create-account", Lane::Write, create)
            .doc("Makes an account of the holders of keys, of whom a quorum must sign.")
            .example(r#"{"root_xpubs":["96de0361f1aba7e629d1425c097a1035678020482fe865960ba03e90f844d0f15639a5eddb71ac901c7164f82e3c1250ed1ff05509f127f1c5cc1da45fa64df5"],"quorum":1,"alias":"alice"}"#),
        Endpoint::wallet("update-account-alias", Lane::Write, rename)
            .doc("Gives an account another alias.")
            .example(r#"{"account_alias":"alice","new_alias":"bob"}"#),
        Endpoint::wallet("list-accounts", Lane::Read, list)
            .fresh(Fresh::Wallet)
            .doc("The accounts: all of them, or the one with an id or alias.")
            .example(r#"{"alias":"alice"}"#),
        Endpoint::wallet("delete-account", Lane::Write, delete)
            .doc("Deletes an account with its addresses. Its keys stay.")
            .example(r#"{"account_alias":"alice"}"#),
        Endpoint::wallet("create-account-receiver", Lane::Write, create_receiver)
            .doc("Makes the next address of an account.")
            .example(r#"{"account_alias":"alice"}"#),
        Endpoint::wallet("list-addresses", Lane::Read, list_addresses)
            .fresh(Fresh::Wallet)
            .doc("The addresses of an account.")
            .example(r#"{"account_alias":"alice","from":0,"count":10}"#),
        Endpoint::wallet("validate-address", Lane::Read, validate_address)
            .fresh(Fresh::Wallet)
            .doc("Whether a text is an address of this network, and whether it is the wallet's.")
            .example(r#"{"address":"sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz"}"#),
        Endpoint::wallet("list-pubkeys", Lane::Read, list_pubkeys)
            .fresh(Fresh::Wallet)
            .doc("The public keys of an account's addresses.")
            .example(r#"{"account_alias":"alice"}"#),
        Endpoint::wallet("get-mining-address", Lane::Write, mining_address)
            .doc("The address to which blocks of this node pay; made if there is none."),
        Endpoint::wallet("set-mining-address", Lane::Write, set_mining_address)
            .doc("Has blocks of this node pay to an address.")
            .example(r#"{"mining_address":"sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz"}"#),
    ]
}

request! {
    /// A new account.
    Create {
        root_xpubs: Vec<XPub> => "the root keys of its holders",
        quorum: i64 => "how many of them must sign",
        alias: String => "its name",
    }
}

fn create(namespace: &Namespace, request: Create) -> Answer {
    let quorum = quorum(request.quorum);
    let account =
        namespace
            .wallet()?
            .create_account(&request.root_xpubs, quorum, &request.alias)?;
    Ok(Reply::of(&account))
}

/// A quorum that cannot be is one of nobody, which the wallet refuses.
pub(super) fn quorum(given: i64) -> usize {
    given.try_into().unwrap_or(0)
}

request! {
    /// An account and its new name.
    Rename {
        account_id: String => "the account's id",
        account_alias: String => "or its alias",
        new_alias: String => "its new alias",
    }
}

fn rename(namespace: &Namespace, request: Rename) -> Answer {
    let name = AccountName::of(&request.account_id, &request.account_alias);
    let wallet = namespace.wallet()?;
    // an account that is not there is told before an alias that is none
    wallet.account(name)?;
    wallet.rename_account(name, &request.new_alias)?;
    Ok(Reply::none())
}

request! {
    /// Which accounts.
    List {
        id: String => "an account's id",
        alias: String => "or its alias",
    }
}

fn list(namespace: &Namespace, request: List) -> Answer {
    let wallet = namespace.wallet()?;
    let accounts: Vec<Account> = match AccountName::given(&request.id, &request.alias) {
        None => wallet.accounts()?,
        Some(name) => match (wallet.account(name), name) {
            // bytomd answers an empty list for an id that it does not know
            (Err(WalletError::NoAccount(_)), AccountName::Id(_)) => Vec::new(),
            (found, _) => vec![found?],
        },
    };
    Ok(Reply::of(&accounts))
}

request! {
    /// An account.
    OfAccount {
        account_id: String => "the account's id",
        account_alias: String => "or its alias",
    }
}

impl OfAccount {
    fn name(&self) -> AccountName<'_> {
        AccountName::of(&self.account_id, &self.account_alias)
    }
}

fn delete(namespace: &Namespace, request: OfAccount) -> Answer {
    namespace.wallet()?.delete_account(request.name())?;
    Ok(Reply::none())
}

fn create_receiver(namespace: &Namespace, request: OfAccount) -> Answer {
    let receiver = namespace.wallet()?.create_receiver(request.name(), false)?;
    Ok(Reply::of(&receiver))
}

request! {
    /// Which addresses.
    ListAddresses {
        account_id: String => "the account's id",
        account_alias: String => "or its alias",
        from: usize => "how many to leave out",
        count: usize => "how many to give; with 0 from 0 on, all",
    }
}

fn list_addresses(namespace: &Namespace, request: ListAddresses) -> Answer {
    let name = AccountName::of(&request.account_id, &request.account_alias);
    let page = page(request.from, request.count)?;
    let addresses = namespace.wallet()?.addresses(name, page)?;
    Ok(Reply::of(&within(addresses)?))
}

request! {
    /// A text.
    ValidateAddress {
        address: String => "what may be an address",
    }
}

#[derive(Default, Serialize)]
struct Validated {
    valid: bool,
    is_local: bool,
}

fn validate_address(namespace: &Namespace, request: ValidateAddress) -> Answer {
    let validated = match namespace.wallet()?.look_up_address(&request.address) {
        Ok((_, receiver)) => Validated {
            valid: true,
            is_local: receiver.is_some(),
        },
        Err(WalletError::Address(_)) => Validated::default(),
        Err(error) => return Err(error.into()),
    };
    Ok(Reply::of(&validated))
}

request! {
    /// Which keys.
    ListPubkeys {
        account_id: String => "the account's id",
        account_alias: String => "or its alias",
        public_key: String => "only this key",
    }
}

fn list_pubkeys(namespace: &Namespace, request: ListPubkeys) -> Answer {
    let name = AccountName::of(&request.account_id, &request.account_alias);
    let wanted = match request.public_key.as_str() {
        "" => None,
        // what is no hexadecimal is nobody's key
        key => Some(hex::decode(key).unwrap_or_default()),
    };
    let keys = namespace.wallet()?.public_keys(name, wanted.as_deref())?;
    Ok(Reply::of(&keys))
}

#[derive(Serialize)]
struct MiningAddress {
    mining_address: String,
}

fn mining_address(namespace: &Namespace, _: Ignored) -> Answer {
    let program = namespace.wallet()?.mining_program()?;
    let program = program.ok_or_else(|| Fault::plain("Mining address does not exist"))?;
    let address = Address::from_program(&program)
        .ok_or_else(|| Fault::plain("blocks pay to a program without an address"))?;
    Ok(Reply::of(&MiningAddress {
        mining_address: address.encode(namespace.parts.chain.params().prefix),
    }))
}

request! {
    /// Where blocks pay to.
    SetMiningAddress {
        mining_address: String => "the address",
    }
}

fn set_mining_address(namespace: &Namespace, request: SetMiningAddress) -> Answer {
    let address = request.mining_address;
    let program = Address::decode(&address, namespace.parts.chain.params().prefix)?.program();
    namespace.wallet()?.set_mining_address(&address)?;
    namespace.parts.mining.pay_to(program);
    Ok(Reply::of(&MiningAddress {
        mining_address: address,
    }))
}
