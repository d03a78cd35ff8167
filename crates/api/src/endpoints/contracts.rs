//! Contracts that the wallet keeps, and instances of contracts that the node follows.

use baton_chain::trace::{Instance, InstanceOutput, Status, Tracer};
use baton_ledger::{AssetId, Hash};
use serde::Serialize;

use super::blocks::{by_hash, hash, text};
use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Hex, Ignored, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("create-contract", Lane::Write, create)
            .doc("Keeps a contract under a name; nothing is registered in the chain by this.")
            .example(r#"{"alias":"anyone","contract":"51"}"#),
        Endpoint::always("update-contract-alias", Lane::Write, rename)
            .doc("Gives a contract another alias.")
            .example(r#"{"id":"ba86a2a6dac23e336a34b4337eb740d40d900fae703bf55dcde8430208bb82e8","alias":"nobody"}"#),
        Endpoint::always("get-contract", Lane::Read, get)
            .doc("A contract.")
            .example(r#"{"id":"ba86a2a6dac23e336a34b4337eb740d40d900fae703bf55dcde8430208bb82e8"}"#),
        Endpoint::always("list-contracts", Lane::Read, list).doc("The contracts."),
        Endpoint::always("create-contract-instance", Lane::Write, create_instance)
            .doc("Follows the instances that a transaction makes or moves; their trace ids.")
            .example(r#"{"tx_hash":"51a0e4d63153fdbe3ee51f84116f4110cc6a77c6435f22da674b0fdb068aa691","block_hash":"512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065"}"#),
        Endpoint::always("get-contract-instance", Lane::Read, get_instance)
            .doc("Where an instance is now.")
            .example(OF_INSTANCE),
        Endpoint::always("remove-contract-instance", Lane::Write, remove_instance)
            .doc("Follows an instance no more.")
            .example(OF_INSTANCE),
    ]
}

const OF_INSTANCE: &str =
    r#"{"trace_id":"51a0e4d63153fdbe3ee51f84116f4110cc6a77c6435f22da674b0fdb068aa691"}"#;

request! {
    /// A contract.
    Create {
        alias: String => "its name",
        contract: Hex => "its code",
    }
}

fn create(namespace: &Namespace, request: Create) -> Answer {
    let wallet = namespace.wallet()?;
    named(&request.alias)?;
    let contract = wallet.create_contract(&request.alias, &request.contract.0)?;
    Ok(Reply::of(&contract))
}

fn named(alias: &str) -> Result<(), Fault> {
    if alias.trim().is_empty() {
        return Err(Fault::plain("contract alias is empty"));
    }
    Ok(())
}

request! {
    /// A contract and its new name.
    Rename {
        id: Option<Hex> => "the contract's id",
        alias: String => "its new alias",
    }
}

fn rename(namespace: &Namespace, request: Rename) -> Answer {
    let wallet = namespace.wallet()?;
    let id = request.id.as_ref().ok_or_else(no_id)?;
    named(&request.alias)?;
    let id = contract_id(id)?;
    wallet.rename_contract(&id, &request.alias)?;
    Ok(Reply::none())
}

fn no_id() -> Fault {
    Fault::plain("contract id is empty")
}

fn contract_id(id: &Hex) -> Result<[u8; 32], Fault> {
    let id = id.0.as_slice().try_into();
    id.map_err(|_| Fault::refused("BTM303", "contract not found"))
}

request! {
    /// Which contract.
    Get {
        id: Option<Hex> => "the contract's id",
    }
}

fn get(namespace: &Namespace, request: Get) -> Answer {
    let wallet = namespace.wallet()?;
    let id = contract_id(request.id.as_ref().ok_or_else(no_id)?)?;
    Ok(Reply::of(&wallet.contract(&id)?))
}

fn list(namespace: &Namespace, _: Ignored) -> Answer {
    Ok(Reply::of(&namespace.wallet()?.contracts()?))
}

fn tracer(namespace: &Namespace) -> Result<&Tracer, Fault> {
    let tracer = namespace.parts.tracer.as_ref();
    tracer.ok_or_else(|| Fault::plain("this node follows no instances of contracts"))
}

request! {
    /// A transaction and its block.
    CreateInstance {
        tx_hash: Hex => "the transaction's id",
        block_hash: Hex => "the hash of its block",
    }
}

fn create_instance(namespace: &Namespace, request: CreateInstance) -> Answer {
    let block = hash(&request.block_hash).unwrap_or_default();
    by_hash(&namespace.parts.chain, &block)?;
    let transaction = hash(&request.tx_hash).unwrap_or_default();
    let ids = tracer(namespace)?.create(&transaction, &block)?;
    let ids: Vec<String> = ids.iter().map(Hash::to_string).collect();
    Ok(Reply::of(&ids))
}

request! {
    /// Which instance.
    OfInstance {
        trace_id: String => "the instance's id",
    }
}

impl OfInstance {
    fn id(&self) -> Option<Hash> {
        self.trace_id.parse().ok()
    }
}

/// An instance, in bytomd's form.
#[derive(Serialize)]
struct InstanceInfo {
    utxos: Vec<OutputInfo>,
    #[serde(serialize_with = "text")]
    tx_hash: Hash,
    /// 2 while it goes on, 3 once it has ended.
    status: u8,
    /// What transactions in the pool would do; not looked at.
    unconfirmed: Option<Vec<()>>,
}

#[derive(Serialize)]
struct OutputInfo {
    #[serde(serialize_with = "text")]
    hash: Hash,
    #[serde(serialize_with = "text")]
    asset_id: AssetId,
    amount: u64,
    /// As Go writes bytes: in base 64.
    program: String,
    #[serde(serialize_with = "text")]
    source_id: Hash,
    source_pos: u64,
    state_data: Vec<String>,
}

impl InstanceInfo {
    fn of(instance: Instance) -> Self {
        Self {
            utxos: instance.unspent.into_iter().map(OutputInfo::of).collect(),
            tx_hash: instance.transaction_id,
            status: match instance.status {
                Status::Active => 2,
                Status::Ended => 3,
            },
            unconfirmed: None,
        }
    }
}

impl OutputInfo {
    fn of(output: InstanceOutput) -> Self {
        Self {
            hash: output.id,
            asset_id: output.asset_id,
            amount: output.amount,
            program: crate::base64::encode(&output.control_program),
            source_id: output.source_id,
            source_pos: output.source_position,
            state_data: output
                .state_data
                .iter()
                .map(|data| crate::base64::encode(data))
                .collect(),
        }
    }
}

fn get_instance(namespace: &Namespace, request: OfInstance) -> Answer {
    let found = match request.id() {
        Some(id) => tracer(namespace)?.get(&id),
        None => None,
    };
    // bytomd says "unexpected end of JSON input"
    let instance = found.ok_or_else(|| {
        Fault::plain(format!(
            "no instance is followed under {:?}",
            request.trace_id
        ))
    })?;
    Ok(Reply::of(&InstanceInfo::of(instance)))
}

fn remove_instance(namespace: &Namespace, request: OfInstance) -> Answer {
    if let Some(id) = request.id() {
        // as in bytomd one that is not followed is no error
        tracer(namespace)?.remove(&id)?;
    }
    Ok(Reply::none())
}
