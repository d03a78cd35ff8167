//! The name of a namespace, which is also that of its directory and a part of its URLs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
pub const MAX_NAME: usize = 32;
/// The namespace at the root of the home.
const GLOBAL: &str = "global";

/// A name: small letters, digits, `_` and `-`, first a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The text names no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "namespace {0:?}: 1 to {MAX_NAME} small letters, digits, '_' and '-' wanted, first a letter or digit"
)]
pub struct NameError(String);

impl Name {
    /// That of the namespace which has the root of the home; stopping it stops the node.
    pub fn global() -> Self {
        Self(GLOBAL.to_owned())
    }

    /// Whether it is [`Self::global`].
    pub fn is_global(&self) -> bool {
        self.0 == GLOBAL
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_NAME).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_fit_for_a_directory_and_a_url() {
        for good in ["a", "b-2", "0_x", &"n".repeat(MAX_NAME)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "A",
            "-a",
            "é",
            "a b",
            &"n".repeat(MAX_NAME + 1),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
