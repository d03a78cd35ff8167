//! Signed messages: proof that the holder of an address wrote something.
//!
//! The signature is plain ed25519 over the message's bytes by the address's own key, which goes
//! along as an extended public key; the verifier hashes it, compares it with the address, and
//! checks the signature. Nothing sets a message apart from a transaction's digest, so a wallet must
//! not sign 32 bytes that it did not choose.

use baton_ledger::program;

use crate::{
    chainkd::{XPrv, XPub},
    path::KeyPath,
};

/// A signature over a message, with the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// ed25519.
    pub signature: [u8; 64],
    /// The address's key, derived from the account's root key.
    pub derived_xpub: XPub,
}

/// Signs `message` with the key at `path` under `root`.
pub fn sign(root: &XPrv, path: &KeyPath, message: &[u8]) -> SignedMessage {
    let key = root.derive(path.selectors());
    SignedMessage {
        signature: key.sign(message),
        derived_xpub: key.xpub(),
    }
}

/// Whether the holder of the address with this control program signed `message`.
///
/// False for a program other than the key's own (so for every multi-signature address, as in
/// Bytom), for a signature of another length, and for one that does not verify.
pub fn verify(
    control_program: &[u8],
    derived_xpub: &XPub,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let own = program::p2wpkh(&program::key_hash(&derived_xpub.public_key()));
    control_program == own && derived_xpub.verify(message, signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::DeriveRule;

    #[test]
    fn a_message_verifies_for_its_own_address_only() {
        let root = XPrv::root(b"seed");
        let path = |index| KeyPath::of_address(DeriveRule::Bip44, 1, false, index).unwrap();
        let signed = sign(&root, &path(1), b"hello");
        let program = program::p2wpkh(&program::key_hash(&signed.derived_xpub.public_key()));
        let verified = |program: &[u8], xpub, message: &[u8], signature: &[u8]| {
            verify(program, xpub, message, signature)
        };
        assert!(verified(
            &program,
            &signed.derived_xpub,
            b"hello",
            &signed.signature
        ));
        assert!(!verified(
            &program,
            &signed.derived_xpub,
            b"hallo",
            &signed.signature
        ));
        assert!(!verified(
            &program,
            &signed.derived_xpub,
            b"hello",
            &signed.signature[1..]
        ));
        let other = sign(&root, &path(2), b"hello");
        assert!(!verified(
            &program,
            &other.derived_xpub,
            b"hello",
            &other.signature
        ));
        assert!(!verified(
            &program,
            &signed.derived_xpub,
            b"hello",
            &other.signature
        ));
    }
}
