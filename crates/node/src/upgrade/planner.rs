//! How the federation decides on upgrades: each member's node signs, one of them puts the signatures on the chain.

use baton_chain::{Chain, ChainError};
use baton_ledger::params::Xpub;
use baton_ledger::state::Key;
use baton_ledger::upgrade::{
    Decision, MAX_INFO_BYTES, Message, Plan, PlanError, SignedMessage, Vote, check_name,
};
use baton_ledger::{AssetId, Hash, Output};
use serde::{Deserialize, Serialize};

use crate::purse::{Purse, PurseError};

/// What the output that carries a decision holds, in neu: an output holds something.
const CARRIER_NEU: u64 = 1;

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// There is an upgrade at a height, in place of any that was planned.
    Schedule {
        /// Its name.
        name: String,
        /// The height of the first block after it.
        height: u64,
        /// What supervisors may want to know.
        info: String,
    },
    /// The upgrade of this name is given up.
    Cancel {
        /// Its name.
        name: String,
    },
}

/// A member's signature of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// How many decisions there were before; a signature is good for the next one only.
    pub sequence: u64,
    /// The number of the member in the federation.
    pub member: usize,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
}

/// Who decides, and what was decided.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Situation {
    height: u64,
    plan: Option<Choice>,
    sequence: u64,
    quorum: usize,
    federation: Vec<String>,
    member: Option<usize>,
}

/// Why a decision is not made.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// The decision is not good.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// This node's key is none of the federation's.
    #[error("this node's key is not in the federation of the genesis: it has no say in upgrades")]
    NoMember,
    /// A signature is none.
    #[error("the signature of member {0} is not 128 hexadecimal digits")]
    Signature(usize),
    /// A signature is for another decision of the chain.
    #[error(
        "the signature of member {member} is for decision {found} on upgrades, the next is {wanted}: have it signed again"
    )]
    Stale {
        /// The member.
        member: usize,
        /// The number in the signature.
        found: u64,
        /// The number of the next decision.
        wanted: u64,
    },
    /// It is too late for such a plan.
    #[error("height {height} is too early: the plan can stand in block {block} at the soonest, so that {} is the first that it can be for", block + 1)]
    Late {
        /// The height of the plan.
        height: u64,
        /// The next block.
        block: u64,
    },
    /// There is no such plan.
    #[error("there is no plan {name:?} to cancel; {}", match plan { Some(plan) => format!("that on the chain is {plan:?}"), None => "none is on the chain".to_owned() })]
    NoPlan {
        /// What was to be cancelled.
        name: String,
        /// What is planned.
        plan: Option<String>,
    },
    /// Too few have signed.
    #[error(
        "{signed} of {wanted} signatures: have other members run `batond upgrade sign` with the same name, height and \
         info, and give what it prints by --signature"
    )]
    Quorum {
        /// How many have signed.
        signed: usize,
        /// How many must.
        wanted: usize,
    },
    /// It cannot be paid for.
    #[error(transparent)]
    Purse(#[from] PurseError),
}

/// Signs decisions, and puts them on the chain.
pub(crate) struct Planner {
    chain: Chain,
    purse: Purse,
}

impl Planner {
    pub(crate) fn new(chain: &Chain, purse: &Purse) -> Self {
        Self {
            chain: chain.clone(),
            purse: purse.clone(),
        }
    }

    pub(crate) fn situation(&self) -> Result<Situation, PlannerError> {
        let params = self.chain.params();
        let plan = self.chain.plan().map(|plan| Choice::Schedule {
            name: plan.name,
            height: plan.height,
            info: plan.info,
        });
        Ok(Situation {
            height: self.chain.tip().height,
            plan,
            sequence: self.sequence()?,
            quorum: params.quorum(),
            federation: params.federation.iter().map(hex::encode).collect(),
            member: self.member().ok(),
        })
    }

    /// This node's signature.
    pub(crate) fn sign(&self, choice: &Choice) -> Result<Signed, PlannerError> {
        let message = self.message(choice)?;
        let member = self.member()?;
        tracing::warn!(
            ?choice,
            sequence = message.sequence,
            "signed a decision on an upgrade"
        );
        Ok(Signed {
            sequence: message.sequence,
            member,
            signature: hex::encode(self.signature(&message)),
        })
    }

    /// Puts a decision on the chain, with this node's signature (if it is a member) and those of others; the id of the
    /// transaction. Blocks.
    pub(crate) fn submit(
        &self,
        choice: &Choice,
        others: Vec<Signed>,
    ) -> Result<Hash, PlannerError> {
        let message = self.message(choice)?;
        let mut votes = Vec::with_capacity(others.len() + 1);
        if let Ok(member) = self.member() {
            let signature = self.signature(&message);
            votes.push(Vote { member, signature });
        }
        for other in others {
            let (member, found) = (other.member, other.sequence);
            let wanted = message.sequence;
            if found != wanted {
                return Err(PlannerError::Stale {
                    member,
                    found,
                    wanted,
                });
            }
            let mut signature = [0; 64];
            hex::decode_to_slice(&other.signature, &mut signature)
                .map_err(|_| PlannerError::Signature(member))?;
            votes.push(Vote { member, signature });
        }
        votes.sort_by_key(|vote| vote.member);
        votes.dedup_by_key(|vote| vote.member);
        let (signed, wanted) = (votes.len(), self.chain.params().quorum());
        if signed < wanted {
            return Err(PlannerError::Quorum { signed, wanted });
        }
        let program = SignedMessage { message, votes }.program();
        let output = Output::original(AssetId::BTM, CARRIER_NEU, program);
        Ok(self.purse.pay(vec![output])?)
    }

    /// How many decisions there were.
    fn sequence(&self) -> Result<u64, ChainError> {
        Ok(self
            .chain
            .read()?
            .record::<u64>(&Key::PlanSequence)?
            .unwrap_or(0))
    }

    fn member(&self) -> Result<usize, PlannerError> {
        let own: Xpub = self.purse.key().xpub();
        let federation = &self.chain.params().federation;
        let found = federation.iter().position(|member| *member == own);
        found.ok_or(PlannerError::NoMember)
    }

    fn message(&self, choice: &Choice) -> Result<Message, PlannerError> {
        let decision = match choice.clone() {
            Choice::Cancel { name } => {
                check_name(&name)?;
                let plan = self.chain.plan().map(|plan| plan.name);
                if plan.as_ref() != Some(&name) {
                    return Err(PlannerError::NoPlan { name, plan });
                }
                Decision::Cancel { name }
            }
            Choice::Schedule { name, height, info } => {
                check_name(&name)?;
                if info.len() > MAX_INFO_BYTES {
                    return Err(PlanError::Info(info.len()).into());
                }
                // it is in a block no sooner than the next, and must be later than that
                let block = self.chain.tip().height + 1;
                if height <= block {
                    return Err(PlannerError::Late { height, block });
                }
                Decision::Schedule(Plan { name, height, info })
            }
        };
        Ok(Message {
            sequence: self.sequence()?,
            decision,
        })
    }

    fn signature(&self, message: &Message) -> [u8; 64] {
        let chain_id = &self.chain.params().chain_id;
        let hash = message.signature_hash(chain_id, &self.chain.genesis_hash());
        self.purse.key().secret().sign(hash.as_bytes())
    }
}
