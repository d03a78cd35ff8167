//! Upgrade plans on the chain: the federation tells all nodes at which height to be another program.
//!
//! A plan message rides in a transaction as the remark of a retirement, so that Bytom's formats and clients know
//! nothing of it: the output's program is `FAIL` and one push of
//!
//! | bytes | what |
//! |---|---|
//! | 16 | the tag `baton upgrade 1` and a zero byte |
//! | varint63 | sequence: how many plan messages there were before on this chain |
//! | 1 | `01` to schedule, `02` to cancel |
//! | varstr | name |
//! | varint63, varstr | height and info, to schedule only |
//! | varint31 | how many signatures follow; for each: |
//! | varint31, 64 | the number of a member of the federation, its ed25519 signature |
//!
//! What is signed is SHA3-256 over `baton upgrade plan` and a zero byte, the chain's id (a varstr), the hash of its
//! genesis block and the message up to its signatures. The hash of the genesis and the sequence keep a message from
//! being used on another chain or twice. The keys are the first 32 bytes of the federation's extended public keys,
//! and [`Params::quorum`] different members must sign, their numbers in ascending order.
//!
//! A block with a message that is not good is rejected as a whole. Scheduling replaces the plan there is, as in Cosmos
//! SDK's `x/upgrade`; the name of an upgrade that was done is not used again.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::{Hash, sha3_256};
use crate::params::{Params, Xpub};
use crate::program;
use crate::vm::{Op, instructions};

/// What a plan message begins with.
const TAG: &[u8; 16] = b"baton upgrade 1\0";
/// What is signed begins with.
const DOMAIN: &[u8] = b"baton upgrade plan\0";

const SCHEDULE: u8 = 1;
const CANCEL: u8 = 2;

/// The longest name of an upgrade, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest info of an upgrade, in bytes: room for the addresses and checksums of some binaries.
pub const MAX_INFO_BYTES: usize = 8192;

/// An upgrade to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name, by which a node knows whether it can do it: letters, digits, `.`, `_` and `-`, first a letter or digit.
    pub name: String,
    /// The height of the first block after the upgrade.
    pub height: u64,
    /// What supervisors may want to know, such as where binaries are.
    pub info: String,
}

/// What the federation decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// There is a plan, in place of any other.
    Schedule(Plan),
    /// The plan of this name is given up.
    Cancel {
        /// The name of the plan.
        name: String,
    },
}

/// A decision that is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How many plan messages there were before on the chain.
    pub sequence: u64,
    /// What was decided.
    pub decision: Decision,
}

/// A signature of a member of the federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The member's number in [`Params::federation`].
    pub member: usize,
    /// The ed25519 signature of [`Message::signature_hash`].
    pub signature: [u8; 64],
}

/// A decision and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// The decision.
    pub message: Message,
    /// The signatures, in ascending order of the members.
    pub votes: Vec<Vote>,
}

/// Why a plan message is not good.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// It begins as a plan message and is none.
    #[error("plan message: {0}")]
    Malformed(DecodeError),
    /// The retirement holds more than the message.
    #[error("plan message: the program holds more than one push")]
    Surplus,
    /// It is neither for scheduling nor for cancelling.
    #[error("plan message: unknown decision {0}")]
    Decision(u8),
    /// The name is not fit to be a directory's.
    #[error(
        "plan name {0:?}: up to {MAX_NAME_BYTES} letters, digits, '.', '_', '-' wanted, first a letter or digit"
    )]
    Name(String),
    /// The info is too long or not UTF-8.
    #[error("plan info of {0} bytes: up to {MAX_INFO_BYTES} bytes of UTF-8 wanted")]
    Info(usize),
    /// It is not the next message.
    #[error("plan message {found}, the next has the sequence {wanted}")]
    Sequence {
        /// The sequence of the message.
        found: u64,
        /// The sequence of the next message.
        wanted: u64,
    },
    /// The height is not in the future.
    #[error("plan for height {plan}, in a block of height {block}")]
    Height {
        /// The height of the plan.
        plan: u64,
        /// The height of the block.
        block: u64,
    },
    /// An upgrade of that name was done.
    #[error("upgrade {name:?} has been done at height {height}")]
    Done {
        /// The name of the upgrade.
        name: String,
        /// When it was done.
        height: u64,
    },
    /// There is no plan of that name.
    #[error("there is no plan {0:?} to cancel")]
    NoPlan(String),
    /// Members sign twice or out of order, or are none.
    #[error("signature of member {member} of {members}: each signs once, in ascending order")]
    Member {
        /// The number of the member.
        member: usize,
        /// How many members there are.
        members: usize,
    },
    /// A signature is not by the member.
    #[error("signature of member {0} is not good")]
    Signature(usize),
    /// Too few have signed.
    #[error("{signed} signatures, {quorum} wanted")]
    Quorum {
        /// How many have signed.
        signed: usize,
        /// How many must.
        quorum: usize,
    },
}

impl Message {
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(TAG);
        w.varint(self.sequence);
        match &self.decision {
            Decision::Schedule(plan) => {
                w.bytes(&[SCHEDULE]);
                w.varstr(plan.name.as_bytes());
                w.varint(plan.height);
                w.varstr(plan.info.as_bytes());
            }
            Decision::Cancel { name } => {
                w.bytes(&[CANCEL]);
                w.varstr(name.as_bytes());
            }
        }
    }

    /// What the members of the federation sign.
    pub fn signature_hash(&self, chain_id: &str, genesis: &Hash) -> Hash {
        let mut signed = DOMAIN.to_vec();
        let mut w = Writer::new(&mut signed);
        w.varstr(chain_id.as_bytes());
        w.bytes(genesis.as_bytes());
        self.write(&mut w);
        sha3_256(&[&signed])
    }
}

impl SignedMessage {
    /// The control program of the output that carries it.
    pub fn program(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut w = Writer::new(&mut bytes);
        self.message.write(&mut w);
        w.count(self.votes.len());
        for vote in &self.votes {
            w.count(vote.member);
            w.bytes(&vote.signature);
        }
        program::retire(&bytes)
    }

    /// The message in a control program; `None` if the program does not begin as one that carries a message.
    pub fn in_program(program: &[u8]) -> Option<Result<Self, PlanError>> {
        let rest = program.strip_prefix(&[Op::FAIL.0])?;
        let mut rest = instructions(rest);
        let push = rest.next()?.ok()?;
        if !push.op.is_push() || !push.data.starts_with(TAG) {
            return None;
        }
        if rest.next().is_some() {
            return Some(Err(PlanError::Surplus));
        }
        Some(Self::read(push.data))
    }

    fn read(bytes: &[u8]) -> Result<Self, PlanError> {
        let mut r = Reader::new("plan message", bytes).map_err(PlanError::Malformed)?;
        r.bytes("tag", TAG.len()).map_err(PlanError::Malformed)?;
        let sequence = r.varint63("sequence").map_err(PlanError::Malformed)?;
        let decision = Decision::read(&mut r)?;
        let votes = r
            .varint31("number of signatures")
            .and_then(|count| r.parts("signature", count, Vote::read))
            .map_err(PlanError::Malformed)?;
        r.finish("plan message").map_err(PlanError::Malformed)?;
        Ok(Self {
            message: Message { sequence, decision },
            votes,
        })
    }

    /// Checks the signatures: of a quorum of different members, each good.
    fn check_votes(&self, params: &Params, genesis: &Hash) -> Result<(), PlanError> {
        let members = params.federation.len();
        let quorum = params.quorum();
        if self.votes.len() < quorum {
            let signed = self.votes.len();
            return Err(PlanError::Quorum { signed, quorum });
        }
        let hash = self.message.signature_hash(&params.chain_id, genesis);
        let mut next = 0;
        for vote in &self.votes {
            let member = vote.member;
            let xpub = params.federation.get(member).filter(|_| member >= next);
            let xpub = xpub.ok_or(PlanError::Member { member, members })?;
            if !is_signed(xpub, &hash, &vote.signature) {
                return Err(PlanError::Signature(member));
            }
            next = member + 1;
        }
        Ok(())
    }
}

fn is_signed(xpub: &Xpub, hash: &Hash, signature: &[u8; 64]) -> bool {
    let (key, _chain_code) = xpub.split_first_chunk().expect("an xpub has 64 bytes");
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| {
        let signature = Signature::from_bytes(signature);
        key.verify_strict(hash.as_bytes(), &signature).is_ok()
    })
}

impl Decision {
    fn read(r: &mut Reader<'_>) -> Result<Self, PlanError> {
        let kind = r.byte("decision").map_err(PlanError::Malformed)?;
        let name = r.varstr("name").map_err(PlanError::Malformed)?;
        let name = String::from_utf8_lossy(name).into_owned();
        match kind {
            SCHEDULE => {
                let height = r.varint63("height").map_err(PlanError::Malformed)?;
                let info = r.varstr("info").map_err(PlanError::Malformed)?;
                let info = String::from_utf8(info.to_vec())
                    .map_err(|error| PlanError::Info(error.as_bytes().len()))?;
                Ok(Self::Schedule(Plan { name, height, info }))
            }
            CANCEL => Ok(Self::Cancel { name }),
            other => Err(PlanError::Decision(other)),
        }
    }
}

impl Vote {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let member = r.varint31("number of a member")?;
        let signature = r.bytes("signature of a member", 64)?;
        let signature = signature.try_into().expect("64 bytes were taken");
        Ok(Self { member, signature })
    }
}

/// Whether the name may name an upgrade, and with it a directory.
pub fn check_name(name: &str) -> Result<(), PlanError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err(PlanError::Name(name.to_owned()))
    }
}

/// What a message is judged by.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The parameters of the chain, with the federation.
    pub params: &'a Params,
    /// The hash of its genesis block.
    pub genesis: Hash,
    /// The height of the block that the message is in.
    pub height: u64,
    /// How many messages there were before.
    pub sequence: u64,
    /// The plan there is.
    pub plan: Option<Plan>,
    /// When the upgrade that the message names was done, if it was.
    pub done: Option<u64>,
}

/// Judges a message; the plan there is afterwards.
pub fn obey(signed: &SignedMessage, situation: &Situation<'_>) -> Result<Option<Plan>, PlanError> {
    let message = &signed.message;
    if message.sequence != situation.sequence {
        return Err(PlanError::Sequence {
            found: message.sequence,
            wanted: situation.sequence,
        });
    }
    let after = match &message.decision {
        Decision::Schedule(plan) => {
            check_plan(plan, situation)?;
            Some(plan.clone())
        }
        Decision::Cancel { name } => {
            let planned = situation
                .plan
                .as_ref()
                .is_some_and(|plan| plan.name == *name);
            if !planned {
                return Err(PlanError::NoPlan(name.clone()));
            }
            None
        }
    };
    signed.check_votes(situation.params, &situation.genesis)?;
    Ok(after)
}

fn check_plan(plan: &Plan, situation: &Situation<'_>) -> Result<(), PlanError> {
    check_name(&plan.name)?;
    if plan.info.len() > MAX_INFO_BYTES {
        return Err(PlanError::Info(plan.info.len()));
    }
    if plan.height <= situation.height {
        return Err(PlanError::Height {
            plan: plan.height,
            block: situation.height,
        });
    }
    match situation.done {
        Some(height) => Err(PlanError::Done {
            name: plan.name.clone(),
            height,
        }),
        None => Ok(()),
    }
}
