//! Every key of a keystore in one JSON, still encrypted: the `key_images` of a wallet's backup.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{
    KeyFile, KeyInfo, KeyStore, KeystoreError, Listing, MAX_KEYS, directory, fold, info, json, lock,
};
use crate::chainkd::XPub;

/// The encrypted keys of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyImage {
    /// Each as in its file. bytomd writes `null` for none.
    #[serde(default, deserialize_with = "null_is_none")]
    pub xkeys: Vec<KeyFile>,
}

/// What a restore did.
#[derive(Debug, Default)]
pub struct Restored {
    /// The keys written.
    pub written: Vec<KeyInfo>,
    /// The keys that were there already, and stayed as they were.
    pub known: Vec<XPub>,
}

impl KeyStore {
    /// Every key, encrypted, for a backup. A file that cannot be read is an error: a backup must
    /// not leave out a key in silence.
    pub fn export_image(&self) -> Result<KeyImage, KeystoreError> {
        let mut look = lock(&self.directory).look(&self.dir)?;
        if !look.unreadable.is_empty() {
            return Err(look.unreadable.swap_remove(0));
        }
        Ok(KeyImage {
            xkeys: look
                .keys
                .iter()
                .map(|(_, key)| KeyFile::clone(key))
                .collect(),
        })
    }

    /// Writes the keys of a backup that are not here yet. Everything is checked before the first is
    /// written.
    pub fn import_image(&self, image: &KeyImage) -> Result<Restored, KeystoreError> {
        let _changing = lock(&self.changing);
        let Listing { keys, unreadable } = self.list()?;
        if keys.len() + unreadable.len() + image.xkeys.len() > MAX_KEYS {
            return Err(KeystoreError::TooManyKeys(self.dir.clone()));
        }
        let mut known: HashSet<XPub> = keys.iter().map(|key| key.xpub).collect();
        let mut aliases: HashMap<String, PathBuf> = keys
            .into_iter()
            .filter_map(|key| Some((fold(&key.alias).ok()?, key.file)))
            .collect();
        let mut restored = Restored::default();
        let mut new = Vec::new();
        for key in &image.xkeys {
            if !known.insert(key.xpub) {
                restored.known.push(key.xpub);
                continue;
            }
            let file = self.new_path(&key.id().unwrap_or_else(Uuid::new_v4));
            key.check(&file)?;
            let mut key = key.clone();
            key.alias = fold(&key.alias)?;
            if let Some(file) = aliases.insert(key.alias.clone(), file.clone()) {
                return Err(KeystoreError::DuplicateAlias {
                    alias: key.alias,
                    file,
                });
            }
            new.push((file, key));
        }
        for (file, key) in new {
            directory::write(&file, &json(&key))?;
            restored.written.push(info(file, &key));
        }
        Ok(restored)
    }
}

fn null_is_none<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<KeyFile>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
