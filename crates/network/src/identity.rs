//! Who a peer is: its ed25519 public key, as libp2p's id and as the 64 hex digits that bytomd's clients know.

use libp2p::PeerId;
use libp2p::identity::{KeyType, Keypair, PublicKey, ed25519};
use zeroize::Zeroizing;

/// The peer with this ed25519 public key; `None` if it is no such key.
pub fn peer_from_key(key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The peer whose ed25519 public key these 64 hex digits are.
pub fn peer_from_hex(text: &str) -> Option<PeerId> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    peer_from_key(&key)
}

/// The ed25519 public key of a peer. The id of such a peer carries its key (libp2p specs, `peer-ids`); other kinds have none here.
pub fn key_of(peer: &PeerId) -> Option<[u8; 32]> {
    /// Multihash code of the identity function: the digest is the key itself.
    const IDENTITY: u64 = 0;
    let hash = peer.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    (key.key_type() == KeyType::Ed25519)
        .then(|| key.try_into_ed25519().ok().map(|key| key.to_bytes()))?
}

/// The 64 hex digits of a peer's key; libp2p's own text if it has another kind of key.
pub fn peer_hex(peer: &PeerId) -> String {
    key_of(peer).map_or_else(|| peer.to_string(), hex::encode)
}

/// The key pair that a 32 byte seed yields (RFC 8032).
pub(crate) fn keypair(seed: &Zeroizing<[u8; 32]>) -> Keypair {
    let mut bytes = Zeroizing::new(**seed);
    Keypair::ed25519_from_bytes(bytes.as_mut_slice()).expect("any 32 bytes are an ed25519 seed")
}
