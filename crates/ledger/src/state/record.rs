//! What the state holds: records under keys, both bytes, so that any ordered store can keep them.
//!
//! A key is a byte that names its space and what identifies the record there. Numbers are varint63, byte strings
//! varstrs (see [`crate::codec`]).
//!
//! | space | rest of the key | record |
//! |---|---|---|
//! | `u` unspent output | id of the output | kind byte, height it was made at |
//! | `c` contract | SHA3-256 of the contract | id of the transaction that registered it, the contract |
//! | `v` votes | extended public key | neu |
//! | `t` all votes | | neu |
//! | `V` validators of the next block | | count, for each: extended public key, power |
//! | `r` reward to be paid | control program | neu |
//! | `p` upgrade plan | | name, height, info |
//! | `s` plan messages so far | | count |
//! | `d` upgrade done | name | height |
//! | `g` genesis | | hash of the genesis block, hash of the parameters |
//! | `x` | anything | anything: for migrations to come |

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::Hash;
use crate::params::{Params, XPUB_LEN, Xpub};
use crate::upgrade::Plan;

/// A name for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<'a> {
    /// An [`Utxo`].
    Utxo(Hash),
    /// A [`Contract`].
    Contract([u8; 32]),
    /// The votes for a key, a number.
    Votes(&'a [u8]),
    /// All votes, a number.
    AllVotes,
    /// The [`Validators`].
    Validators,
    /// What will be paid to a control program, a number.
    Reward(&'a [u8]),
    /// The upgrade [`Plan`].
    Plan,
    /// How many plan messages there were, a number.
    PlanSequence,
    /// The height at which an upgrade was done, a number.
    Done(&'a str),
    /// The [`Origin`].
    Genesis,
}

/// The first bytes of the keys that are scanned.
pub(super) const VOTES: u8 = b'v';
pub(super) const REWARDS: u8 = b'r';

impl Key<'_> {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (space, rest): (u8, &[u8]) = match self {
            Key::Utxo(id) => (b'u', id.as_bytes()),
            Key::Contract(hash) => (b'c', hash),
            Key::Votes(key) => (VOTES, key),
            Key::AllVotes => (b't', &[]),
            Key::Validators => (b'V', &[]),
            Key::Reward(program) => (REWARDS, program),
            Key::Plan => (b'p', &[]),
            Key::PlanSequence => (b's', &[]),
            Key::Done(name) => (b'd', name.as_bytes()),
            Key::Genesis => (b'g', &[]),
        };
        let mut bytes = Vec::with_capacity(1 + rest.len());
        bytes.push(space);
        bytes.extend_from_slice(rest);
        bytes
    }
}

/// A record that is read and written.
pub trait Record: Sized {
    /// Its name in errors.
    const NAME: &'static str;

    /// Writes it.
    fn write(&self, w: &mut Writer<'_>);

    /// Reads it; what is left over is an error of the caller's.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Its bytes.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Writer::new(&mut bytes));
        bytes
    }

    /// Reads its bytes.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Self::NAME, bytes)?;
        let record = Self::read(&mut reader)?;
        reader.finish(Self::NAME)?;
        Ok(record)
    }
}

/// A number is a record of its own.
impl Record for u64 {
    const NAME: &'static str = "number";

    fn write(&self, w: &mut Writer<'_>) {
        w.varint(*self);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.varint63("number")
    }
}

/// What kind of output is unspent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UtxoKind {
    /// May be spent at once.
    Normal,
    /// Was made by a coinbase and must mature.
    Coinbase,
    /// Is a vote and is locked for a while.
    Vote,
}

/// An output that is not spent yet. Its asset, amount and program follow from the input that spends it: the id is a
/// hash of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utxo {
    /// What kind it is.
    pub kind: UtxoKind,
    /// The height of the block that made it.
    pub height: u64,
}

impl Utxo {
    /// The first height at which it may be spent, told at `height`: mainnet's votes are locked longer later.
    pub fn spendable_from(&self, height: u64, params: &Params) -> u64 {
        let wait = match self.kind {
            UtxoKind::Normal => 0,
            UtxoKind::Coinbase => params.coinbase_maturity_blocks,
            UtxoKind::Vote => params.vote_lock_blocks(height),
        };
        self.height.saturating_add(wait)
    }
}

impl Record for Utxo {
    const NAME: &'static str = "unspent output";

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(&[match self.kind {
            UtxoKind::Normal => 0,
            UtxoKind::Coinbase => 1,
            UtxoKind::Vote => 2,
        }]);
        w.varint(self.height);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = match r.byte("kind of an unspent output")? {
            0 => UtxoKind::Normal,
            1 => UtxoKind::Coinbase,
            2 => UtxoKind::Vote,
            other => return Err(DecodeError::OutputType(other)),
        };
        let height = r.varint63("height of an unspent output")?;
        Ok(Self { kind, height })
    }
}

/// A registered contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The transaction that registered it first.
    pub transaction_id: Hash,
    /// The program.
    pub program: Vec<u8>,
}

impl Record for Contract {
    const NAME: &'static str = "contract";

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.transaction_id.as_bytes());
        w.varstr(&self.program);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            transaction_id: r.hash("transaction of a contract")?,
            program: r.varstr("program of a contract")?.to_vec(),
        })
    }
}

/// Who proposes and decides blocks, and with what weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validator {
    /// The extended public key; its first 32 bytes are the ed25519 key.
    pub xpub: Xpub,
    /// Votes in neu, or 1 for a member of the federation.
    pub power: u64,
}

/// The validators, the one with most votes first.
pub type Validators = Vec<Validator>;

impl Record for Validators {
    const NAME: &'static str = "validators";

    fn write(&self, w: &mut Writer<'_>) {
        w.count(self.len());
        for validator in self {
            w.bytes(&validator.xpub);
            w.varint(validator.power);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = r.varint31("number of validators")?;
        r.parts("validator", count, |r| {
            let xpub = r.bytes("key of a validator", XPUB_LEN)?;
            Ok(Validator {
                xpub: xpub.try_into().expect("that many bytes were taken"),
                power: r.varint63("power of a validator")?,
            })
        })
    }
}

/// Where a chain began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The hash of the genesis block.
    pub block_hash: Hash,
    /// The hash of the parameters, see [`Params::hash`].
    pub params_hash: Hash,
}

impl Record for Origin {
    const NAME: &'static str = "genesis";

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self.block_hash.as_bytes());
        w.bytes(self.params_hash.as_bytes());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block_hash: r.hash("hash of the genesis block")?,
            params_hash: r.hash("hash of the parameters")?,
        })
    }
}

impl Record for Plan {
    const NAME: &'static str = "upgrade plan";

    fn write(&self, w: &mut Writer<'_>) {
        w.varstr(self.name.as_bytes());
        w.varint(self.height);
        w.varstr(self.info.as_bytes());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // it was text when it was written; a damaged store shows as another plan
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            name: text(r.varstr("name of an upgrade")?),
            height: r.varint63("height of an upgrade")?,
            info: text(r.varstr("info of an upgrade")?),
        })
    }
}
