//! The validators of a height.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use malachite_core::{self as core, Round, VotingPower};

use baton_ledger::params::Xpub;
use baton_ledger::state::Validator;

use super::{Address, Baton, Height};

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    address: Address,
    key: VerifyingKey,
    xpub: Xpub,
    power: VotingPower,
}

/// The validators of a height in the ledger's order. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seats {
    seats: Arc<[Seat]>,
    power: VotingPower,
}

/// The ledger's validators are none that can decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeatsError {
    /// There is nobody.
    #[error("the ledger has no validators for the next block")]
    Empty,
    /// A key is not one.
    #[error("the validator {0} has no ed25519 key")]
    Key(String),
    /// The powers do not add up.
    #[error("the validators' powers add up to more than 2^62")]
    Power,
}

impl Seats {
    /// The validators that the ledger says.
    pub fn new(validators: &[Validator]) -> Result<Self, SeatsError> {
        let seats: Arc<[Seat]> = validators
            .iter()
            .map(|validator| {
                let (address, _chain_code) = validator
                    .xpub
                    .split_first_chunk()
                    .expect("an xpub has 64 bytes");
                let key = VerifyingKey::from_bytes(address)
                    .map_err(|_| SeatsError::Key(hex::encode(validator.xpub)))?;
                Ok(Seat {
                    address: Address(*address),
                    key,
                    xpub: validator.xpub,
                    power: validator.power,
                })
            })
            .collect::<Result<_, _>>()?;
        if seats.is_empty() {
            return Err(SeatsError::Empty);
        }
        // Malachite multiplies powers by 3
        let power = seats
            .iter()
            .try_fold(0u64, |sum, seat| sum.checked_add(seat.power))
            .filter(|power| *power <= 1 << 62)
            .ok_or(SeatsError::Power)?;
        Ok(Self { seats, power })
    }

    /// Who proposes: all in turn, one further with each height and each round.
    pub fn proposer(&self, height: Height, round: Round) -> &Seat {
        let turn = u128::from(height.0) + u128::from(round.as_u32().unwrap_or(0));
        let index = usize::try_from(turn % self.seats.len() as u128)
            .expect("a remainder of a usize is one");
        &self.seats[index]
    }

    /// All, in the ledger's order.
    pub fn as_slice(&self) -> &[Seat] {
        &self.seats
    }

    /// Whether this address is among them.
    pub fn contains(&self, address: &Address) -> bool {
        self.seat(address).is_some()
    }

    /// The validator with this address.
    pub fn seat(&self, address: &Address) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.address == *address)
    }

    /// Whether there is one only.
    pub fn is_alone(&self) -> bool {
        self.seats.len() == 1
    }
}

impl Seat {
    /// Whether this is its address.
    pub fn is(&self, address: &Address) -> bool {
        self.address == *address
    }

    /// The extended public key.
    pub fn xpub(&self) -> &Xpub {
        &self.xpub
    }

    /// The ed25519 key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

impl core::Validator<Baton> for Seat {
    fn address(&self) -> &Address {
        &self.address
    }

    fn public_key(&self) -> &VerifyingKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        self.power
    }
}

impl core::ValidatorSet<Baton> for Seats {
    fn count(&self) -> usize {
        self.seats.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.power
    }

    fn get_by_address(&self, address: &Address) -> Option<&Seat> {
        self.seat(address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)
    }
}
