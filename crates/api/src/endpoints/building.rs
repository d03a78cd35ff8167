//! Transactions in the making: built, signed, estimated.

use baton_ledger::Transaction;
use baton_wallet::{
    build::BuildRequest,
    estimate::{estimate, estimate_chain},
    template::Template,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    fault::Fault,
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Complaint, Field, Schema, request},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::wallet("build-transaction", Lane::Write, build)
            .doc("Builds a transaction from actions, and reserves what it spends.")
            .example(BUILD),
        Endpoint::wallet("build-chain-transactions", Lane::Write, build_chain)
            .doc("Builds a transaction that spends many outputs, and before it those that merge them.")
            .example(BUILD),
        Endpoint::wallet("sign-transaction", Lane::Keys, sign)
            .doc("Signs a transaction with the keys that a password opens.")
            .example(SIGN),
        Endpoint::wallet("sign-transactions", Lane::Keys, sign_many)
            .doc("Signs transactions with the keys that a password opens.")
            .example(r#"{"password":"secret","transactions":[{"raw_transaction":"0701000001","signing_instructions":[]}]}"#),
        Endpoint::always("estimate-transaction-gas", Lane::Check, estimate_gas)
            .doc("What a transaction will cost.")
            .example(r#"{"transaction_template":{"raw_transaction":"0701000001","signing_instructions":[]}}"#),
        Endpoint::always("estimate-chain-transaction-gas", Lane::Check, estimate_chain_gas)
            .doc("What the last transaction of a chain will cost, and those before it.")
            .example(r#"{"transaction_templates":[{"raw_transaction":"0701000001","signing_instructions":[]}]}"#),
    ]
}

const BUILD: &str = r#"{"base_transaction":null,"actions":[{"type":"spend_account","account_alias":"alice","asset_alias":"BTM","amount":120000000},{"type":"control_address","address":"sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz","asset_alias":"BTM","amount":100000000}],"ttl":0,"time_range":0}"#;
const SIGN: &str = r#"{"password":"secret","transaction":{"raw_transaction":"0701000001","signing_instructions":[]}}"#;

request! {
    /// What to build.
    Build("BuildRequest") {
        base_transaction: Base => "a transaction to add to, in hexadecimal",
        actions: Vec<Map<String, Value>> => "what brings value and what takes it, each with its type",
        ttl: Ttl => "how long outputs are reserved, in milliseconds or as 10m; 0 for half an hour",
        time_range: u64 => "the last height at which the transaction may be in a block; 0 for none",
    }
}

/// A transaction that may be missing.
#[derive(Debug, Default)]
pub(crate) struct Base(Option<Transaction>);

impl Field for Base {
    const GO: &'static str = "*types.TxData";

    fn schema() -> Schema {
        Option::<Transaction>::schema()
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        if value.is_string() {
            Option::<Transaction>::of(value).map(Self)
        } else {
            Err(Complaint::of(&value, Self::GO))
        }
    }
}

/// A length of time: milliseconds, or a text of numbers and units.
#[derive(Debug, Default)]
pub(crate) struct Ttl(SignedDuration);

impl Field for Ttl {
    const GO: &'static str = "json.Duration";

    fn schema() -> Schema {
        json!({"oneOf": [{"type": "integer"}, {"type": "string"}]})
    }

    fn of(value: Value) -> Result<Self, Complaint> {
        let told = match &value {
            Value::String(text) => text.parse().ok(),
            number => number.as_i64().map(SignedDuration::from_millis),
        };
        let invalid = |reason: &str| Complaint::Text(format!("invalid json.Duration{reason}"));
        match told {
            None => Err(invalid("")),
            Some(ttl) if ttl.is_negative() => Err(invalid(": Duration cannot be less than 0")),
            Some(ttl) => Ok(Self(ttl)),
        }
    }
}

impl Build {
    fn read(self) -> BuildRequest {
        BuildRequest {
            base_transaction: self.base_transaction.0,
            actions: self.actions.into_iter().map(fold_names).collect(),
            ttl: self.ttl.0,
            time_range: self.time_range,
        }
    }
}

/// Names of fields in small letters: Go reads them in any case. One that is written as it should be comes first.
fn fold_names(action: Map<String, Value>) -> Map<String, Value> {
    let mut folded = Map::new();
    for (name, value) in action {
        let small = name.to_ascii_lowercase();
        if name == small || !folded.contains_key(&small) {
            folded.insert(small, value);
        }
    }
    folded
}

fn build(namespace: &Namespace, request: Build) -> Answer {
    let template = namespace
        .wallet()?
        .build(&request.read(), Timestamp::now())?;
    Ok(Reply::of(&template))
}

fn build_chain(namespace: &Namespace, request: Build) -> Answer {
    let templates = namespace
        .wallet()?
        .build_chain(&request.read(), Timestamp::now())?;
    Ok(Reply::of(&templates))
}

fn missing() -> Fault {
    Fault::plain("missing raw tx")
}

request! {
    /// What to sign.
    Sign {
        password: String => "what opens the keys",
        transaction: Option<Template> => "what build-transaction answered",
    }
}

#[derive(Serialize)]
struct Signed<T> {
    transaction: T,
    sign_complete: bool,
}

fn sign(namespace: &Namespace, request: Sign) -> Answer {
    let mut template = request.transaction.ok_or_else(missing)?;
    let signed = template.sign(&mut namespace.keys()?.unlocked(&request.password))?;
    Ok(Reply::of(&Signed {
        transaction: template,
        sign_complete: signed.complete,
    }))
}

request! {
    /// What to sign.
    SignMany {
        password: String => "what opens the keys",
        transactions: Vec<Option<Template>> => "what build-chain-transactions answered",
    }
}

fn sign_many(namespace: &Namespace, request: SignMany) -> Answer {
    // one unlocking for all: each key is derived once
    let mut keys = namespace.keys()?.unlocked(&request.password);
    let mut sign_complete = true;
    let mut templates = Vec::with_capacity(request.transactions.len());
    for template in request.transactions {
        let mut template = template.ok_or_else(missing)?;
        sign_complete &= template.sign(&mut keys)?.complete;
        templates.push(template);
    }
    Ok(Reply::of(&Signed {
        // Go has no empty list here
        transaction: (!templates.is_empty()).then_some(templates),
        sign_complete,
    }))
}

request! {
    /// What to estimate.
    Estimate {
        transaction_template: Option<Template> => "what build-transaction answered",
    }
}

fn estimate_gas(namespace: &Namespace, request: Estimate) -> Answer {
    let template = request.transaction_template.ok_or_else(missing)?;
    Ok(Reply::of(&estimate(
        &template,
        namespace.parts.chain.params(),
    )))
}

request! {
    /// What to estimate.
    EstimateChain {
        transaction_templates: Vec<Option<Template>> => "what build-chain-transactions answered",
    }
}

fn estimate_chain_gas(namespace: &Namespace, request: EstimateChain) -> Answer {
    let templates: Option<Vec<Template>> = request.transaction_templates.into_iter().collect();
    let templates = templates.ok_or_else(missing)?;
    let estimated = estimate_chain(&templates, namespace.parts.chain.params());
    Ok(Reply::of(&estimated.ok_or_else(missing)?))
}
