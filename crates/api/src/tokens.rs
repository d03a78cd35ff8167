//! Access tokens: names with secrets, by which clients on other machines are let in.
//!
//! A secret is told once, when it is made. What is kept is its salted hash, so that neither the file nor `list-access-tokens` gives it
//! away; a token that is deleted is no good from that moment on.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha3::{Digest, Sha3_256};
use subtle::ConstantTimeEq;

use crate::records::{Records, RecordsError};

/// Most tokens.
pub const MAX_TOKENS: usize = 1_000;
/// Most bytes in a token's id and in its type.
pub const MAX_NAME_LEN: usize = 256;
/// What stands in a list for a secret that nobody knows any more.
const HIDDEN: &str = "********";

/// The tokens of a node, in one file.
#[derive(Debug)]
pub struct Tokens(Records<Kept>);

/// A token, as it is told. In JSON as bytomd's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its name.
    pub id: String,
    /// The name and the secret with a colon between them; in a list, stars for the secret.
    pub token: String,
    /// What its maker wrote on it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A token, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    salt: [u8; 16],
    /// SHA3-256 of the salt and the secret's text.
    hash: [u8; 32],
    kind: String,
    created_ns: i128,
}

/// Why a token was not made, or is not good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// An id has only letters, digits, `_` and `-`.
    #[error("invalid id {0:?}: invalid id")]
    BadId(String),
    /// The id or the type is too long.
    #[error("an access token's id and type have at most {MAX_NAME_LEN} bytes each")]
    TooLong,
    /// There is a token of this id.
    #[error("id {0:?} already in use: duplicate access token ID")]
    Duplicate(String),
    /// There are as many as there can be.
    #[error("there are {MAX_TOKENS} access tokens, the most there can be: delete some")]
    TooMany,
    /// There is no such token.
    #[error("check id {0:?} nonexisting: nonexisting access token ID")]
    Unknown(String),
    /// The secret is another.
    #[error("invalid token")]
    Wrong,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The file failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl Tokens {
    /// Opens the file of tokens, or makes it.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        Records::open(
            path,
            "put a backup of this file in its place, or remove it and create all access tokens anew",
        )
        .map(Self)
    }

    /// Writes a copy of the file.
    pub fn copy_to(&self, path: &Path) -> Result<(), RecordsError> {
        self.0.copy_to(path)
    }

    /// Makes a token. Its secret is in the answer and nowhere else. Waits for the disk.
    pub fn create(&self, id: &str, kind: &str) -> Result<Token, TokenError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.is_empty() || !id.chars().all(word) {
            return Err(TokenError::BadId(id.to_owned()));
        }
        if id.len() > MAX_NAME_LEN || kind.len() > MAX_NAME_LEN {
            return Err(TokenError::TooLong);
        }
        let (mut salt, mut secret) = ([0; 16], [0; 32]);
        getrandom::fill(&mut salt).map_err(TokenError::Random)?;
        getrandom::fill(&mut secret).map_err(TokenError::Random)?;
        let secret = hex::encode(secret);
        let created_at = Timestamp::now();
        self.0.change(id, |all| {
            if all.contains_key(id) {
                return Err(TokenError::Duplicate(id.to_owned()));
            }
            if all.len() >= MAX_TOKENS {
                return Err(TokenError::TooMany);
            }
            Ok(Some(Kept {
                salt,
                hash: hash(&salt, &secret),
                kind: kind.to_owned(),
                created_ns: created_at.as_nanosecond(),
            }))
        })?;
        Ok(Token {
            id: id.to_owned(),
            token: format!("{id}:{secret}"),
            r#type: kind.to_owned(),
            created_at,
        })
    }

    /// All tokens, by id, without their secrets.
    pub fn list(&self) -> Vec<Token> {
        let all = self.0.all();
        let shown = all.iter().map(|(id, kept)| Token {
            id: id.clone(),
            token: format!("{id}:{HIDDEN}"),
            r#type: kept.kind.clone(),
            created_at: Timestamp::from_nanosecond(kept.created_ns)
                .unwrap_or(Timestamp::UNIX_EPOCH),
        });
        shown.collect()
    }

    /// Deletes a token; it is no good from now on. As in bytomd, one that is not there is no error. Waits for the disk.
    pub fn delete(&self, id: &str) -> Result<(), TokenError> {
        self.0.change(id, |_| Ok(None))
    }

    /// Whether the secret is the token's. Takes as long for a wrong secret as for the right one.
    pub fn check(&self, id: &str, secret: &str) -> Result<(), TokenError> {
        let all = self.0.all();
        let kept = all
            .get(id)
            .ok_or_else(|| TokenError::Unknown(id.to_owned()))?;
        if hash(&kept.salt, secret).ct_eq(&kept.hash).into() {
            Ok(())
        } else {
            Err(TokenError::Wrong)
        }
    }
}

fn hash(salt: &[u8; 16], secret: &str) -> [u8; 32] {
    let mut hasher = Sha3_256::new();
    hasher.update(salt);
    hasher.update(secret);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_once_and_kept_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accesstoken.redb");
        let made = {
            let tokens = Tokens::open(&path).unwrap();
            let made = tokens.create("tok-1", "client").unwrap();
            tokens.create("other", "").unwrap();
            made
        };
        let (id, secret) = made.token.split_once(':').unwrap();
        assert_eq!((id, secret.len()), ("tok-1", 64));
        let file = std::fs::read(&path).unwrap();
        for form in [secret.as_bytes(), &hex::decode(secret).unwrap()] {
            assert!(!file.windows(form.len()).any(|window| window == form));
        }
        let tokens = Tokens::open(&path).unwrap();
        tokens.check("tok-1", secret).unwrap();
        assert!(matches!(tokens.check("tok-1", ""), Err(TokenError::Wrong)));
        assert!(matches!(
            tokens.check("other", secret),
            Err(TokenError::Wrong)
        ));
        let list = tokens.list();
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].created_at, made.created_at);
        assert_eq!(list[1].token, "tok-1:********");
        tokens.delete("tok-1").unwrap();
        tokens.delete("tok-1").unwrap();
        assert_eq!(
            tokens.check("tok-1", secret).unwrap_err().to_string(),
            "check id \"tok-1\" nonexisting: nonexisting access token ID"
        );
    }

    #[test]
    fn ids_are_words() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("t.redb")).unwrap();
        for id in ["", "a b", "a:b", "é", "a/b"] {
            assert!(
                matches!(tokens.create(id, ""), Err(TokenError::BadId(_))),
                "{id}"
            );
        }
        tokens.create("a", "").unwrap();
        assert_eq!(
            tokens.create("a", "").unwrap_err().to_string(),
            "id \"a\" already in use: duplicate access token ID"
        );
        let long = "x".repeat(MAX_NAME_LEN + 1);
        assert!(matches!(tokens.create(&long, ""), Err(TokenError::TooLong)));
        assert!(matches!(
            tokens.create("b", &long),
            Err(TokenError::TooLong)
        ));
    }
}
