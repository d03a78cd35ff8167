//! A note beside a fetched release: what it was fetched from. It tells a release of ours from one that
//! an operator put there, and the same artefact from another.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checksum::{Algorithm, Hasher};

/// The note's name in `upgrades/<name>/`.
pub(super) const FILE: &str = ".baton-fetched.json";
/// No note is longer than the longest plan.
const MAX: u64 = 4 << 20;

/// What a release was fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plan's `info`, as it stood in the plan.
    pub info: String,
    /// The URL of the artefact.
    pub url: String,
    /// The checksum that was verified, as `algorithm:hex`.
    pub checksum: Option<String>,
    /// The artefact's length in bytes.
    pub bytes: u64,
    /// SHA-256 of the binary as it was installed, in hex.
    pub binary_sha256: String,
    /// What the binary called its version.
    pub version: Option<String>,
    /// When, as RFC 3339.
    pub fetched_at: String,
}

impl Record {
    /// The note of a release, if it has one that can be read.
    pub fn read(release: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(release.join(FILE))
            .ok()?
            .take(MAX)
            .read_to_end(&mut text)
            .ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn write(&self, release: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers always serialize");
        let path = release.join(FILE);
        // An archive may have brought one, or a link of this name to something else.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        File::create_new(path)?.write_all(&text)
    }

    /// Whether the binary is still the one that was installed.
    pub(super) fn describes(&self, binary: &Path) -> bool {
        sha256_of(binary).is_ok_and(|hash| hash == self.binary_sha256)
    }
}

/// SHA-256 of a file, in hex.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    Hasher::of(Algorithm::Sha256, &mut File::open(path)?).map(hex::encode)
}
