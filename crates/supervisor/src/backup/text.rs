//! Paths as text, without losing a byte: what is not UTF-8, and the percent sign, is written as
//! `%XX`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

/// A path as text.
pub(crate) fn to_text(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            write!(text, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    text
}

/// The path that a text stands for.
pub(crate) fn from_text(text: &str) -> PathBuf {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    PathBuf::from(OsString::from_vec(bytes))
}

/// Whether a path stays below where it is joined to. The empty path is the place itself.
pub(crate) fn stays_below(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
        && !path.as_os_str().as_bytes().contains(&0)
}

/// For `#[serde(with)]`.
pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&to_text(path))
}

/// For `#[serde(with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    Ok(from_text(&String::deserialize(from)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_paths_are_themselves() {
        for path in ["application.db/000005.ldb", "wasm/ü €", ""] {
            assert_eq!(to_text(Path::new(path)), path);
        }
        let odd = PathBuf::from(OsString::from_vec(b"a\xffb%41".to_vec()));
        assert_eq!(to_text(&odd), "a%FFb%2541");
    }

    #[test]
    fn only_paths_below_are_accepted() {
        for bad in ["/etc/passwd", "../x", "a/../../x", ".", "a\0b"] {
            assert!(!stays_below(Path::new(bad)), "{bad}");
        }
        for good in ["", "a", "a/b", "..a"] {
            assert!(stays_below(Path::new(good)), "{good}");
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(bytes in proptest::collection::vec(1_u8.., 0..40)) {
            let path = PathBuf::from(OsString::from_vec(bytes));
            prop_assert_eq!(from_text(&to_text(&path)), path);
        }
    }
}
