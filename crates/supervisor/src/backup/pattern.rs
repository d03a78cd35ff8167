//! Which files a database never writes to again once they are closed.
//!
//! LSM stores (goleveldb, `RocksDB`, Pebble) create a table file, fill it, sync it, and from then on
//! only read and unlink it. Such a file may be shared with a backup by a second name. Everything
//! else may be rewritten in place, and a pattern that would catch it is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The table files of LSM stores.
const ALWAYS: [&str; 2] = ["*.sst", "*.ldb"];

/// Names that are rewritten, appended to or truncated in place by one store or another.
const REWRITTEN: [&str; 15] = [
    "CURRENT",
    "LOCK",
    "LOG",
    "MANIFEST-000004",
    "OPTIONS-000007",
    "IDENTITY",
    "000003.log",
    "wal",
    "priv_validator_state.json",
    "upgrade-info.json",
    "data.mdb",
    "lock.mdb",
    "mdbx.dat",
    "node.redb",
    "guard",
];

/// Which files are immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing.
    #[error("BATON_BACKUP_IMMUTABLE: an empty pattern")]
    Empty,
    /// It has a directory.
    #[error("BATON_BACKUP_IMMUTABLE: \"{0}\" has a `/`; patterns are matched with file names only")]
    Path(String),
    /// It catches what is rewritten in place.
    #[error(
        "BATON_BACKUP_IMMUTABLE: \"{pattern}\" matches {file}, which databases rewrite in place: a linked backup of it would change with the original"
    )]
    Rewritten {
        /// The pattern.
        pattern: String,
        /// What it catches.
        file: &'static str,
    },
}

impl Patterns {
    /// The table files, and what the operator adds: file names with `*` and `?`, or a suffix
    /// that begins with a dot (`.blob` for `*.blob`).
    pub fn new<S: AsRef<str>>(extra: &[S]) -> Result<Self, PatternError> {
        let mut all: Vec<String> = ALWAYS.iter().map(|&p| p.to_owned()).collect();
        for pattern in extra {
            let pattern = pattern.as_ref().trim();
            let pattern = match pattern.strip_prefix('.') {
                _ if pattern.is_empty() => return Err(PatternError::Empty),
                Some(suffix) if !suffix.contains(['*', '?']) => format!("*.{suffix}"),
                _ => pattern.to_owned(),
            };
            if pattern.contains('/') {
                return Err(PatternError::Path(pattern));
            }
            if let Some(&file) = REWRITTEN
                .iter()
                .find(|f| matches(pattern.as_bytes(), f.as_bytes()))
            {
                return Err(PatternError::Rewritten { pattern, file });
            }
            if !all.contains(&pattern) {
                all.push(pattern);
            }
        }
        Ok(Self(all))
    }

    /// Whether the file at this path is immutable.
    pub fn matches(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or(OsStr::new("")).as_bytes();
        self.0.iter().any(|p| matches(p.as_bytes(), name))
    }

    /// The patterns.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Whether a name matches a pattern of `*` (any bytes) and `?` (one byte).
///
/// One star is remembered at a time: giving an earlier one more bytes can never help where giving
/// the last one more does not.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (p, n) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table_files_are_immutable_and_nothing_else() {
        let patterns = Patterns::new::<&str>(&[]).unwrap();
        for yes in ["000005.ldb", "application.db/000005.sst", ".sst"] {
            assert!(patterns.matches(Path::new(yes)), "{yes}");
        }
        for no in [
            "000003.log",
            "CURRENT",
            "a.sst.tmp",
            "sst",
            "x.sst/CURRENT",
            "",
        ] {
            assert!(!patterns.matches(Path::new(no)), "{no}");
        }
    }

    #[test]
    fn more_may_be_added_as_a_suffix_or_a_pattern() {
        let patterns = Patterns::new(&[" .blob", "chunk-??.bin", "*.sst"]).unwrap();
        assert!(patterns.matches(Path::new("d/7.blob")));
        assert!(patterns.matches(Path::new("chunk-07.bin")));
        assert!(!patterns.matches(Path::new("chunk-7.bin")));
        assert_eq!(
            patterns.as_slice(),
            ["*.sst", "*.ldb", "*.blob", "chunk-??.bin"]
        );
    }

    #[test]
    fn a_pattern_that_would_share_a_rewritten_file_is_refused() {
        for bad in ["*", "*.log", ".json", "MANIFEST*", "?OCK", ".mdb", "w*l"] {
            let error = Patterns::new(&[bad]).unwrap_err();
            assert!(
                matches!(error, PatternError::Rewritten { .. }),
                "{bad}: {error}"
            );
        }
        assert_eq!(Patterns::new(&[""]), Err(PatternError::Empty));
        assert!(matches!(
            Patterns::new(&["a/*.sst"]),
            Err(PatternError::Path(_))
        ));
    }

    /// The definition, without the trick.
    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), _) => (0..=name.len()).any(|i| plain(after, &name[i..])),
            (Some((b'?', after)), Some((_, rest))) => plain(after, rest),
            (Some((c, after)), Some((d, rest))) => c == d && plain(after, rest),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*?]{0,8}", name in "[abc]{0,8}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                plain(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
