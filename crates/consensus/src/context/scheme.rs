//! Ed25519, as Malachite sees it.

use std::fmt;

use ed25519_dalek::VerifyingKey;
use malachite_core as core;

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Whether it is `key`'s over `message`. Strict, so that every node says the same (ZIP 215 explains why they might not).
    pub(crate) fn is_of(&self, key: &VerifyingKey, message: &[u8]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.0);
        key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

/// The bytes are neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no ed25519 {0}")]
pub struct NotAKeyOrSignature(&'static str);

/// The scheme that validators sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl core::SigningScheme for Ed25519 {
    type DecodingError = NotAKeyOrSignature;
    type Signature = Signature;
    type PublicKey = VerifyingKey;
    /// Malachite never holds the secret: our signer does.
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, NotAKeyOrSignature> {
        let bytes = bytes
            .try_into()
            .map_err(|_| NotAKeyOrSignature("signature"))?;
        Ok(Signature(bytes))
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<VerifyingKey, NotAKeyOrSignature> {
        let bytes = bytes.try_into().map_err(|_| NotAKeyOrSignature("key"))?;
        VerifyingKey::from_bytes(bytes).map_err(|_| NotAKeyOrSignature("key"))
    }

    fn encode_public_key(key: &VerifyingKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}
