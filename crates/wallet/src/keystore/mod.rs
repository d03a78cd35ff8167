//! Keys on disk, each encrypted under its own password, in the files that bytomd writes.
//!
//! A keystore is a directory of [`KeyFile`]s named `UTC--<time>--<uuid>`. The directory is the
//! truth: every operation looks at it, so files may be dropped in or taken away while the node
//! runs. A change is one rename, made durable before it is reported, so that a crash leaves the old
//! file or the new one.
//!
//! Aliases are trimmed and lower-cased here and nowhere else, and compared that way whatever case a
//! file has.
//!
//! Opening a key takes [128 MiB and some tenths of a second](Strength), and only one is opened at a
//! time, so that requests with wrong passwords cannot take all memory; see [`Unlocked`] for many
//! signatures under one password. Calls block: call them where that may be.

mod deriver;
mod directory;
mod error;
mod file;
mod image;
mod kdf;
mod unlocked;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, Serializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use self::{deriver::Deriver, directory::Directory, unlocked::Open};
pub use self::{
    deriver::MAX_WAITING,
    error::KeystoreError,
    file::KeyFile,
    image::{KeyImage, Restored},
    kdf::{MAX_MEMORY_BYTES, MAX_WORK_BYTES, Strength},
    unlocked::Unlocked,
};
use crate::{
    chainkd::{XPrv, XPub},
    mnemonic::{ENTROPY_LEN, Language, Mnemonic},
};

/// Most bytes read of a key file; one takes about 700.
pub const MAX_FILE_LEN: u64 = 64 * 1024;
/// Most keys in a keystore.
pub const MAX_KEYS: usize = 10_000;
/// Most bytes in an alias.
pub const MAX_ALIAS_LEN: usize = 256;

/// How a keystore writes and remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The strength of new files and new passwords.
    pub strength: Strength,
    /// How long a key stays open after its file was; zero opens it anew in each operation.
    pub open_for: Duration,
}

impl Default for Settings {
    /// [`Strength::STANDARD`], and a minute.
    fn default() -> Self {
        Self {
            strength: Strength::STANDARD,
            open_for: Duration::from_mins(1),
        }
    }
}

/// What anyone may know of a key. Its JSON is that of `list-keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// The name its owner gave it, as stored.
    pub alias: String,
    /// The public key.
    pub xpub: XPub,
    /// Where it is kept.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
}

/// The keys of a directory.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by file, that is by time of creation, as bytomd lists them.
    pub keys: Vec<KeyInfo>,
    /// One for each file that could not be read as a key; each names its file.
    pub unreadable: Vec<KeystoreError>,
}

/// A directory of encrypted keys.
#[derive(Debug)]
pub struct KeyStore {
    dir: PathBuf,
    settings: Settings,
    directory: Mutex<Directory>,
    /// Held from the look at the directory to the change that follows from it.
    changing: Mutex<()>,
    deriver: Deriver,
    open: Mutex<Open>,
}

impl KeyStore {
    /// The keystore in `dir`, which is made with the first key.
    pub fn new(dir: impl AsRef<Path>, settings: Settings) -> Result<Self, KeystoreError> {
        let dir = dir.as_ref();
        Ok(Self {
            dir: std::path::absolute(dir)
                .map_err(KeystoreError::io("find the absolute path of", dir))?,
            settings,
            directory: Mutex::default(),
            changing: Mutex::default(),
            deriver: Deriver::default(),
            open: Mutex::new(Open::new(settings.open_for)?),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every key, and every file that should be one and is not.
    pub fn list(&self) -> Result<Listing, KeystoreError> {
        let look = lock(&self.directory).look(&self.dir)?;
        Ok(Listing {
            keys: look
                .keys
                .into_iter()
                .map(|(file, key)| info(file, &key))
                .collect(),
            unreadable: look.unreadable,
        })
    }

    /// Makes a key from fresh entropy. The phrase is the only copy outside the file.
    pub fn create(
        &self,
        alias: &str,
        password: &str,
        language: Language,
    ) -> Result<(KeyInfo, Mnemonic), KeystoreError> {
        let mut entropy = Zeroizing::new([0; ENTROPY_LEN]);
        getrandom::fill(&mut *entropy).map_err(KeystoreError::Random)?;
        let phrase = Mnemonic::from_entropy(&entropy, language);
        let info = self.import(alias, password, &phrase)?;
        Ok((info, phrase))
    }

    /// Takes in the key of a phrase.
    pub fn import(
        &self,
        alias: &str,
        password: &str,
        phrase: &Mnemonic,
    ) -> Result<KeyInfo, KeystoreError> {
        let alias = fold(alias)?;
        let _changing = lock(&self.changing);
        let listing = self.list()?;
        if listing.keys.len() + listing.unreadable.len() >= MAX_KEYS {
            return Err(KeystoreError::TooManyKeys(self.dir.clone()));
        }
        check_alias(&listing, &alias, None)?;
        let key = XPrv::root(&*phrase.seed());
        let xpub = key.xpub();
        if let Some(known) = listing.keys.into_iter().find(|known| known.xpub == xpub) {
            return Err(KeystoreError::DuplicateKey {
                xpub,
                alias: known.alias,
                file: known.file,
            });
        }
        let id = Uuid::new_v4();
        let sealed = self.seal(&key, id, alias, password)?;
        let file = self.new_path(&id);
        directory::write(&file, &json(&sealed))?;
        Ok(info(file, &sealed))
    }

    /// Gives a key another alias.
    pub fn update_alias(&self, xpub: &XPub, alias: &str) -> Result<(), KeystoreError> {
        let alias = fold(alias)?;
        let _changing = lock(&self.changing);
        let listing = self.list()?;
        let file = find(&listing, xpub)?;
        check_alias(&listing, &alias, Some(xpub))?;
        let (mut key, _) = directory::read_key(&file)?;
        key.alias = alias;
        directory::write(&file, &json(&key))
    }

    /// Removes a key, file and all, once the password has opened it.
    pub fn delete(&self, xpub: &XPub, password: &str) -> Result<(), KeystoreError> {
        let _changing = lock(&self.changing);
        self.open(xpub, password)?;
        directory::remove(&find(&self.list()?, xpub)?)?;
        self.wipe();
        Ok(())
    }

    /// Whether the password opens the key. False for a key that is not here, as in Bytom.
    pub fn check_password(&self, xpub: &XPub, password: &str) -> Result<bool, KeystoreError> {
        told(self.open(xpub, password).map(drop))
    }

    /// Puts the key under another password, at today's strength. False, and nothing changed, if the
    /// old one does not open it.
    pub fn reset_password(&self, xpub: &XPub, old: &str, new: &str) -> Result<bool, KeystoreError> {
        let _changing = lock(&self.changing);
        told(self.open(xpub, old).and_then(|key| {
            let file = find(&self.list()?, xpub)?;
            let (stored, _) = directory::read_key(&file)?;
            let id = stored.id().unwrap_or_else(Uuid::new_v4);
            let sealed = self.seal(&key, id, stored.alias, new)?;
            directory::write(&file, &json(&sealed))?;
            self.wipe();
            Ok(())
        }))
    }

    /// An operation under one password: any number of keys, each opened at most once.
    pub fn unlocked(&self, password: &str) -> Unlocked<'_> {
        Unlocked::new(self, password)
    }

    /// Wipes the keys that have been open for their time. They are wiped at the next use anyway;
    /// call this now and then so that they do not wait for one.
    pub fn wipe_expired(&self) {
        lock(&self.open).expire(Instant::now());
    }

    /// Wipes every open key: each operation after this derives anew.
    pub fn wipe(&self) {
        lock(&self.open).clear();
    }

    /// How many times scrypt ran since the keystore was made: what signing costs, and how often
    /// passwords are tried.
    pub fn derivations(&self) -> u64 {
        self.deriver.derivations()
    }

    /// The secret key of `xpub`: from memory if this password has opened it a short while ago, else
    /// from its file.
    fn open(&self, xpub: &XPub, password: &str) -> Result<Arc<XPrv>, KeystoreError> {
        let file = find(&self.list()?, xpub)?;
        let (key, bytes) = directory::read_key(&file)?;
        if key.xpub != *xpub {
            return Err(KeystoreError::NotFound(*xpub));
        }
        let known = || lock(&self.open).get(Instant::now(), &bytes, password);
        if let Some(key) = known() {
            return Ok(key);
        }
        self.deriver.in_turn(|turn| {
            // Another may have opened it while this one waited.
            if let Some(key) = known() {
                return Ok(key);
            }
            turn.count();
            let key = Arc::new(key.open(&file, password)?);
            lock(&self.open).keep(Instant::now(), &bytes, password, key.clone());
            Ok(key)
        })
    }

    fn seal(
        &self,
        key: &XPrv,
        id: Uuid,
        alias: String,
        password: &str,
    ) -> Result<KeyFile, KeystoreError> {
        self.deriver.in_turn(|turn| {
            turn.count();
            KeyFile::seal(key, id, alias, password, self.settings.strength)
        })
    }

    /// `UTC--2026-11-21T02-05-12.471533407Z--<uuid>`, bytomd's name for a key file of this moment.
    fn new_path(&self, id: &impl Display) -> PathBuf {
        let now = Timestamp::now()
            .to_zoned(TimeZone::UTC)
            .strftime("%Y-%m-%dT%H-%M-%S.%9fZ");
        self.dir.join(format!("UTC--{now}--{id}"))
    }
}

/// An alias as it is stored and compared: trimmed, in lower case.
fn fold(alias: &str) -> Result<String, KeystoreError> {
    let folded = alias.trim().to_lowercase();
    match folded.len() {
        0 => Err(KeystoreError::EmptyAlias),
        long if long > MAX_ALIAS_LEN => Err(KeystoreError::LongAlias(long)),
        _ => Ok(folded),
    }
}

/// Refuses a folded alias that a key other than `own` has.
fn check_alias(listing: &Listing, alias: &str, own: Option<&XPub>) -> Result<(), KeystoreError> {
    let holder = listing
        .keys
        .iter()
        .find(|key| Some(&key.xpub) != own && fold(&key.alias).is_ok_and(|theirs| theirs == alias));
    match holder {
        Some(holder) => Err(KeystoreError::DuplicateAlias {
            alias: alias.to_owned(),
            file: holder.file.clone(),
        }),
        None => Ok(()),
    }
}

/// The one file that holds `xpub`.
fn find(listing: &Listing, xpub: &XPub) -> Result<PathBuf, KeystoreError> {
    let mut files: Vec<_> = listing
        .keys
        .iter()
        .filter(|key| key.xpub == *xpub)
        .map(|key| key.file.clone())
        .collect();
    match files.pop() {
        None => Err(KeystoreError::NotFound(*xpub)),
        Some(file) if files.is_empty() => Ok(file),
        Some(file) => {
            files.push(file);
            Err(KeystoreError::Ambiguous { xpub: *xpub, files })
        }
    }
}

/// A wrong password or an unknown key is an answer; anything else is a fault.
fn told(result: Result<(), KeystoreError>) -> Result<bool, KeystoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(KeystoreError::WrongPassword(_) | KeystoreError::NotFound(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn info(file: PathBuf, key: &KeyFile) -> KeyInfo {
    KeyInfo {
        alias: key.alias.clone(),
        xpub: key.xpub,
        file,
    }
}

/// JSON is text, a path need not be.
fn as_text<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

fn json(key: &KeyFile) -> Vec<u8> {
    serde_json::to_vec(key).expect("a key file has only text and numbers")
}

/// What a mutex guards here stays whole when a holder panics: memory of files, open keys, or
/// nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
