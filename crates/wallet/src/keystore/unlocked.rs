//! Keys that a password has opened: for one operation, and for a while after.
//!
//! Opening a key file is slow on purpose, and a transaction with a hundred inputs must not open it
//! a hundred times. [`Unlocked`] is one operation under one password: each key is opened once, and
//! each refusal is remembered too. Below it the store keeps opened keys for a fixed time, so that
//! the next operation under the same password costs nothing; the clock starts when the file was
//! opened and is not wound up again. A wrong password never meets that memory: it pays for a
//! derivation each time.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{KeyStore, KeystoreError};
use crate::{
    chainkd::{XPrv, XPub},
    path::KeyPath,
};

/// Most keys kept open; the oldest goes first.
pub(super) const MAX_OPEN: usize = 64;

/// The keys that one password opens, during one operation.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use baton_wallet::{keystore::{KeyStore, Settings}, mnemonic::Language, path::KeyPath};
///
/// let dir = tempfile::tempdir()?;
/// let store = KeyStore::new(dir.path(), Settings::default())?;
/// let (key, _phrase) = store.create("alice", "a good password", Language::English)?;
///
/// let mut unlocked = store.unlocked("a good password");
/// for digest in [[1; 32], [2; 32]] {
///     let signature = unlocked.sign(&key.xpub, &KeyPath::of_asset(1), &digest)?;
///     assert!(key.xpub.derive(KeyPath::of_asset(1).selectors()).verify(&digest, &signature));
/// }
/// # Ok(()) }
/// ```
pub struct Unlocked<'store> {
    store: &'store KeyStore,
    password: Zeroizing<String>,
    keys: HashMap<XPub, Result<Arc<XPrv>, Arc<KeystoreError>>>,
}

impl<'store> Unlocked<'store> {
    pub(super) fn new(store: &'store KeyStore, password: &str) -> Self {
        Self {
            store,
            password: Zeroizing::new(password.to_owned()),
            keys: HashMap::new(),
        }
    }

    /// The secret key of `xpub`.
    ///
    /// A refusal has the code `BTM801` whatever its cause, which is its source. Only a full queue
    /// says so itself and is not remembered: trying again may help.
    pub fn key(&mut self, xpub: &XPub) -> Result<Arc<XPrv>, KeystoreError> {
        let opened = match self.keys.get(xpub) {
            Some(opened) => opened.clone(),
            None => match self.store.open(xpub, &self.password).map_err(Arc::new) {
                Err(busy) if matches!(*busy, KeystoreError::Busy) => {
                    return Err(KeystoreError::Busy);
                }
                opened => self.keys.entry(*xpub).or_insert(opened).clone(),
            },
        };
        opened.map_err(|source| KeystoreError::Locked { source })
    }

    /// Signs `message` with the key at `path` under `xpub`.
    pub fn sign(
        &mut self,
        xpub: &XPub,
        path: &KeyPath,
        message: &[u8],
    ) -> Result<[u8; 64], KeystoreError> {
        Ok(self.key(xpub)?.derive(path.selectors()).sign(message))
    }
}

impl fmt::Debug for Unlocked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unlocked")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Keys kept open across operations. Knows no clock: callers say what time it is.
pub(super) struct Open {
    ttl: Duration,
    /// Keys the passwords' tags, so that they are worth nothing outside this process.
    pepper: Zeroizing<[u8; 32]>,
    /// Oldest first.
    keys: Vec<OpenKey>,
}

struct OpenKey {
    /// Of the file's bytes: a changed file, or a changed password, is another key.
    file: [u8; 32],
    password: [u8; 32],
    key: Arc<XPrv>,
    until: Instant,
}

impl Open {
    pub(super) fn new(ttl: Duration) -> Result<Self, KeystoreError> {
        let mut pepper = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *pepper).map_err(KeystoreError::Random)?;
        Ok(Self {
            ttl,
            pepper,
            keys: Vec::new(),
        })
    }

    /// The key in a file with these bytes, if this password opened it less than the time to live
    /// ago.
    pub(super) fn get(&mut self, now: Instant, file: &[u8], password: &str) -> Option<Arc<XPrv>> {
        self.expire(now);
        let (file, password) = self.tags(file, password);
        self.keys
            .iter()
            .find(|open| open.file == file && bool::from(open.password.ct_eq(&password)))
            .map(|open| open.key.clone())
    }

    /// Keeps a key that this password has just opened.
    pub(super) fn keep(&mut self, now: Instant, file: &[u8], password: &str, key: Arc<XPrv>) {
        self.expire(now);
        let Some(until) = now.checked_add(self.ttl).filter(|until| *until > now) else {
            return;
        };
        let (file, password) = self.tags(file, password);
        self.keys.retain(|open| open.file != file);
        if self.keys.len() == MAX_OPEN {
            self.keys.remove(0);
        }
        self.keys.push(OpenKey {
            file,
            password,
            key,
            until,
        });
    }

    /// Drops what has been open for its time.
    pub(super) fn expire(&mut self, now: Instant) {
        self.keys.retain(|open| open.until > now);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    fn tags(&self, file: &[u8], password: &str) -> ([u8; 32], [u8; 32]) {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&*self.pepper)
            .expect("HMAC takes keys of any length");
        mac.update(password.as_bytes());
        (
            Sha256::digest(file).into(),
            mac.finalize().into_bytes().into(),
        )
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("ttl", &self.ttl)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    fn key(n: u8) -> Arc<XPrv> {
        Arc::new(XPrv::root(&[n]))
    }

    #[test]
    fn a_key_stays_open_for_its_file_its_password_and_its_time() {
        let (mut open, now) = (Open::new(TTL).unwrap(), Instant::now());
        open.keep(now, b"file", "pw", key(1));
        let almost = now + TTL.checked_sub(Duration::from_nanos(1)).unwrap();
        assert!(open.get(almost, b"file", "pw").is_some());
        assert!(open.get(almost, b"file", "PW").is_none());
        assert!(open.get(almost, b"file changed", "pw").is_none());
        assert!(open.get(now + TTL, b"file", "pw").is_none());
        assert!(
            open.get(now, b"file", "pw").is_none(),
            "it was wiped, not hidden"
        );
    }

    #[test]
    fn without_time_nothing_is_kept() {
        let (mut open, now) = (Open::new(Duration::ZERO).unwrap(), Instant::now());
        open.keep(now, b"file", "pw", key(1));
        assert!(open.keys.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut open, now) = (Open::new(TTL).unwrap(), Instant::now());
        for n in 0..=u8::try_from(MAX_OPEN).unwrap() {
            open.keep(now, &[n], "pw", key(n));
        }
        assert!(open.get(now, &[0], "pw").is_none());
        assert!(open.get(now, &[1], "pw").is_some());
        assert_eq!(open.keys.len(), MAX_OPEN);
    }

    #[test]
    fn neither_keys_nor_passwords_are_printed() {
        let mut open = Open::new(TTL).unwrap();
        open.keep(Instant::now(), b"file", "pw", key(1));
        assert_eq!(format!("{open:?}"), "Open { ttl: 60s, keys: 1, .. }");
    }
}
