//! Signing a template: as many signatures as the keys at hand allow, and the witnesses that can be made of them.
//!
//! One pass adds at most one signature to each component, by the first of its keys that can sign and has not. So
//! the holders of a shared account sign one after the other, in any order, each on a copy of the template before.
//! The witness takes the first signatures in the order of the keys, as many as the quorum, and then the data.

use baton_ledger::Entries;

use crate::{
    chainkd::XPub,
    keystore::{KeystoreError, Unlocked},
    path::KeyPath,
    template::{Template, WitnessComponent},
};

/// Why a template cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There are more instructions than inputs.
    #[error("too many signing instructions in template: {instructions} for {inputs} inputs")]
    TooManyInstructions {
        /// How many.
        instructions: usize,
        /// How many inputs there are.
        inputs: usize,
    },
    /// An instruction is for an input that is not there.
    #[error("signing instruction {instruction} references missing tx input {position}")]
    NoInput {
        /// The instruction's number.
        instruction: usize,
        /// The input's number.
        position: usize,
    },
    /// The keystore has too much to do.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
}

/// What signing came to.
#[derive(Debug, Default)]
pub struct Signed {
    /// Whether every quorum is reached: `sign_complete`.
    pub complete: bool,
    /// Keys that did not sign, and why; a wrong password is among the reasons.
    pub refused: Vec<(XPub, KeystoreError)>,
}

impl Template {
    /// Signs with the keys that a password opens. A password that opens none is no error: nothing is signed.
    pub fn sign(&mut self, keys: &mut Unlocked<'_>) -> Result<Signed, SignError> {
        let mut refused: Vec<(XPub, KeystoreError)> = Vec::new();
        let mut busy = None;
        let complete =
            self.sign_by(|xpub, path, message| match keys.sign(xpub, path, message) {
                Ok(signature) => Some(signature),
                Err(error @ KeystoreError::Busy) => {
                    busy = Some(error);
                    None
                }
                Err(error) => {
                    if refused.iter().all(|(known, _)| known != xpub) {
                        refused.push((*xpub, error));
                    }
                    None
                }
            })?;
        match busy {
            Some(error) => Err(error.into()),
            None => Ok(Signed { complete, refused }),
        }
    }

    /// Signs with whatever `signature` gives for a root key, a path and what is to be signed. Whether every quorum
    /// is reached.
    pub fn sign_by(
        &mut self,
        mut signature: impl FnMut(&XPub, &KeyPath, &[u8; 32]) -> Option<[u8; 64]>,
    ) -> Result<bool, SignError> {
        let entries = Entries::of(&self.raw_transaction);
        let inputs = self.raw_transaction.inputs.len();
        if self.signing_instructions.len() > inputs {
            return Err(SignError::TooManyInstructions {
                instructions: self.signing_instructions.len(),
                inputs,
            });
        }
        let mut complete = true;
        for (number, instruction) in self.signing_instructions.iter_mut().enumerate() {
            let position = instruction.position;
            let missing = || SignError::NoInput {
                instruction: number,
                position,
            };
            let message = entries.signature_hash(position).ok_or_else(missing)?;
            let mut witness = Vec::new();
            for component in &mut instruction.witness_components {
                match component {
                    WitnessComponent::Data { value } => witness.push(value.clone()),
                    WitnessComponent::RawTxSignature {
                        quorum,
                        keys,
                        signatures,
                    } => {
                        let signatures = signatures.get_or_insert_default();
                        if signatures.len() < keys.len() {
                            signatures.resize(keys.len(), Vec::new());
                        }
                        let made = keys
                            .iter()
                            .zip(signatures.iter_mut())
                            .filter(|(_, there)| there.is_empty())
                            .find_map(|(key, there)| {
                                let made = signature(&key.xpub, &key.derivation_path, &message.0)?;
                                Some((there, made))
                            });
                        if let Some((there, made)) = made {
                            *there = made.to_vec();
                        }
                        let there = signatures.iter().filter(|one| !one.is_empty());
                        complete &= there.clone().count() >= *quorum;
                        witness.extend(there.take(*quorum).cloned());
                    }
                }
            }
            let input = self.raw_transaction.inputs.get_mut(position);
            if let Some(arguments) = input.ok_or_else(missing)?.arguments_mut() {
                *arguments = witness;
            }
        }
        Ok(complete)
    }

    /// Whether every quorum is reached.
    pub fn is_complete(&self) -> bool {
        self.signing_instructions
            .iter()
            .flat_map(|instruction| &instruction.witness_components)
            .all(|component| match component {
                WitnessComponent::Data { .. } => true,
                WitnessComponent::RawTxSignature {
                    quorum, signatures, ..
                } => {
                    let there = signatures.iter().flatten().filter(|one| !one.is_empty());
                    there.count() >= *quorum
                }
            })
    }
}
