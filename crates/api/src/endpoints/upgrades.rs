//! Upgrade plans: what is planned, and the way to a transaction that plans or cancels.
//!
//! A plan is decided by a quorum of the federation. Each member signs on its own node (`sign-upgrade-plan`, for the node's machine
//! only); someone collects the signatures and builds the transaction (`build-upgrade-transaction`), which is then signed and submitted
//! like any other.

use baton_ledger::{
    params::Xpub,
    state::Key,
    upgrade::{
        Decision, MAX_INFO_BYTES, Message, Plan, PlanError, SignedMessage, Vote, check_name,
    },
};
use baton_wallet::build::BuildRequest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    fault::{Fault, told},
    namespace::Namespace,
    reply::{Answer, Reply},
    request::{Ignored, request, structured},
    table::{Endpoint, Lane},
};

pub(super) fn table() -> Vec<Endpoint> {
    vec![
        Endpoint::always("get-upgrade-plan", Lane::Read, status)
            .doc("The upgrade that is planned, and who decides on plans."),
        Endpoint::always("sign-upgrade-plan", Lane::Check, sign)
            .doc("This node's signature for a plan, if it is a member of the federation. For this machine only.")
            .example(r#"{"name":"v2","height":10000,"info":""}"#),
        Endpoint::wallet("build-upgrade-transaction", Lane::Write, build)
            .doc("Builds the transaction that schedules or cancels an upgrade, from the signatures of the federation's members.")
            .example(r#"{"name":"v2","height":10000,"info":"","signatures":[{"member":0,"signature":"00"}],"account_alias":"alice"}"#),
    ]
}

#[derive(Serialize)]
struct PlanInfo<'p> {
    name: &'p str,
    height: u64,
    info: &'p str,
}

impl<'p> PlanInfo<'p> {
    fn of(plan: &'p Plan) -> Self {
        Self {
            name: &plan.name,
            height: plan.height,
            info: &plan.info,
        }
    }
}

#[derive(Serialize)]
struct Status<'p> {
    height: u64,
    plan: Option<PlanInfo<'p>>,
    /// Whether this program cannot go on: the next block needs another one.
    waits_for_upgrade: bool,
    /// The number of the next message about plans.
    sequence: u64,
    quorum: usize,
    federation: Vec<String>,
    /// The number of this node in the federation, if it is a member.
    member: Option<usize>,
}

fn status(namespace: &Namespace, _: Ignored) -> Answer {
    let chain = &namespace.parts.chain;
    let params = chain.params();
    let plan = chain.plan();
    Ok(Reply::of(&Status {
        height: chain.tip().height,
        plan: plan.as_ref().map(PlanInfo::of),
        waits_for_upgrade: chain.due_upgrade().is_some(),
        sequence: sequence(namespace)?,
        quorum: params.quorum(),
        federation: params.federation.iter().map(hex::encode).collect(),
        member: member(&params.federation, &namespace.parts.node_xpub),
    }))
}

fn member(federation: &[Xpub], xpub: &Xpub) -> Option<usize> {
    federation.iter().position(|member| member == xpub)
}

/// How many messages about plans there were.
fn sequence(namespace: &Namespace) -> Result<u64, Fault> {
    let reader = namespace.parts.chain.read()?;
    Ok(reader.record::<u64>(&Key::PlanSequence)?.unwrap_or(0))
}

request! {
    /// What is to be decided.
    Decide {
        name: String => "the upgrade's name",
        height: u64 => "the first height after the upgrade",
        info: String => "what supervisors should know, such as where binaries are",
        cancel: bool => "gives the plan of this name up instead",
    }
}

fn message(
    namespace: &Namespace,
    name: &str,
    height: u64,
    info: &str,
    cancel: bool,
) -> Result<Message, Fault> {
    let refused = |error: PlanError| Fault::plain(told(&error));
    check_name(name).map_err(refused)?;
    if info.len() > MAX_INFO_BYTES {
        return Err(refused(PlanError::Info(info.len())));
    }
    let tip = namespace.parts.chain.tip().height;
    if !cancel && height <= tip + 1 {
        return Err(refused(PlanError::Height {
            plan: height,
            block: tip + 1,
        }));
    }
    Ok(Message {
        sequence: sequence(namespace)?,
        decision: if cancel {
            Decision::Cancel {
                name: name.to_owned(),
            }
        } else {
            Decision::Schedule(Plan {
                name: name.to_owned(),
                height,
                info: info.to_owned(),
            })
        },
    })
}

#[derive(Serialize)]
struct OwnVote {
    sequence: u64,
    member: usize,
    #[serde(with = "hex::serde")]
    signature: [u8; 64],
}

fn sign(namespace: &Namespace, request: Decide) -> Answer {
    let Decide {
        name,
        height,
        info,
        cancel,
    } = request;
    let message = message(namespace, &name, height, &info, cancel)?;
    let chain = &namespace.parts.chain;
    let member = member(&chain.params().federation, &namespace.parts.node_xpub)
        .ok_or_else(|| Fault::plain("this node is not a member of the federation"))?;
    let signer = namespace.parts.plan_signer.as_ref();
    let signer = signer.ok_or_else(|| Fault::plain("this node was started without its key"))?;
    let hash = message.signature_hash(&chain.params().chain_id, &chain.genesis_hash());
    tracing::warn!(
        name,
        height,
        cancel,
        sequence = message.sequence,
        "signed a decision on an upgrade"
    );
    Ok(Reply::of(&OwnVote {
        sequence: message.sequence,
        member,
        signature: signer.sign(&hash),
    }))
}

request! {
    /// A decision, its signatures, and who pays for the transaction.
    Build {
        name: String => "the upgrade's name",
        height: u64 => "the first height after the upgrade",
        info: String => "what supervisors should know, such as where binaries are",
        cancel: bool => "gives the plan of this name up instead",
        signatures: Vec<Map<String, Value>> => "what sign-upgrade-plan answered, of a quorum of members",
        account_id: String => "the account that pays",
        account_alias: String => "or its alias",
        fee: u64 => "what it pays, in neu; 0 for 20000000",
    }
}

/// What a transaction pays unless said otherwise, as bytomcli has it.
const FEE_NEU: u64 = 20_000_000;
/// What the output that carries the message holds: an output holds something.
const CARRIER_NEU: u64 = 1;

fn build(namespace: &Namespace, request: Build) -> Answer {
    #[derive(Deserialize)]
    struct Given {
        member: usize,
        signature: String,
    }
    let Build {
        name,
        height,
        info,
        cancel,
        ..
    } = &request;
    let message = message(namespace, name, *height, info, *cancel)?;
    let quorum = namespace.parts.chain.params().quorum();
    let mut votes = Vec::with_capacity(request.signatures.len());
    for signature in request.signatures {
        let given: Given =
            structured(signature.into()).map_err(|complaint| Fault::body(complaint.alone("")))?;
        let mut signature = [0; 64];
        hex::decode_to_slice(&given.signature, &mut signature).map_err(|error| {
            Fault::body(format!("signature of member {}: {error}", given.member))
        })?;
        votes.push(Vote {
            member: given.member,
            signature,
        });
    }
    votes.sort_by_key(|vote| vote.member);
    votes.dedup_by_key(|vote| vote.member);
    if votes.len() < quorum {
        let signed = votes.len();
        return Err(Fault::plain(told(&PlanError::Quorum { signed, quorum })));
    }
    let program = SignedMessage { message, votes }.program();
    let fee = if request.fee == 0 {
        FEE_NEU
    } else {
        request.fee
    };
    let build: BuildRequest = structured(json!({"actions": [
        {
            "type": "spend_account",
            "account_id": request.account_id,
            "account_alias": request.account_alias,
            "asset_alias": "BTM",
            "amount": fee.saturating_add(CARRIER_NEU),
        },
        {
            "type": "control_program",
            "asset_alias": "BTM",
            "amount": CARRIER_NEU,
            "control_program": hex::encode(program),
        },
    ]}))
    .map_err(|complaint| Fault::body(complaint.alone("")))?;
    let template = namespace.wallet()?.build(&build, Timestamp::now())?;
    Ok(Reply::of(&template))
}
