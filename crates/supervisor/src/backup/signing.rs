//! Which signing state a restored validator gets.
//!
//! `priv_validator_state.json` is the validator's memory of what it has signed last. Given an older
//! one, it signs heights again that it has signed already, perhaps otherwise: a double signature,
//! for which it is slashed and jailed for ever. Given a newer one, it only refuses to sign until
//! the chain has passed that height. So the newer one is kept, and where the two cannot be
//! compared the operator must choose.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{BackupError, Doing};
use super::transfer::keeps_owners;
use super::tree::Attrs;
use crate::files::write_atomic;

/// The file, at the top of the data directory (`CometBFT`'s default).
pub(crate) const STATE_FILE: &str = "priv_validator_state.json";

/// The largest file that is read, in bytes. Real ones have under 1 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// Which state to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The one that has signed further; the present one if they are equal.
    #[default]
    Newer,
    /// The backup's, whatever the present one says. For a chain whose validators have agreed to
    /// sign heights anew.
    Backup,
}

/// How far a validator has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The block.
    pub height: u64,
    /// The round within it.
    pub round: u64,
    /// 1 proposal, 2 prevote, 3 precommit.
    pub step: u64,
}

/// A state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFile {
    /// There is none (a full node, or a remote signer).
    Absent,
    /// It tells nothing, and why.
    Unreadable(String),
    /// It has signed up to here.
    At(Position),
}

/// What the restored directory gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The present state.
    Present,
    /// The backup's.
    Backup,
    /// None, as neither has one.
    None,
}

/// The decision, and on what it rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// What the restored directory gets.
    pub kept: Kept,
    /// The state in the present data directory.
    pub present: StateFile,
    /// The state in the backup.
    pub backup: StateFile,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            height,
            round,
            step,
        } = self;
        write!(f, "height {height}, round {round}, step {step}")
    }
}

impl fmt::Display for StateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Unreadable(why) => write!(f, "unreadable ({why})"),
            Self::At(position) => position.fmt(f),
        }
    }
}

impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (present, backup) = (&self.present, &self.backup);
        match (self.kept, present, backup) {
            (Kept::None, ..) => f.write_str("no signing state, here or in the backup"),
            (Kept::Present, StateFile::At(_), StateFile::At(_)) => write!(
                f,
                "the present signing state ({present}) is kept, since the backup's ({backup}) is not newer: with an older one the validator could sign twice"
            ),
            (Kept::Present, ..) => write!(
                f,
                "the present signing state ({present}) is kept; the backup's: {backup}"
            ),
            (Kept::Backup, StateFile::Absent, _) => write!(
                f,
                "the backup's signing state ({backup}) is used and there is no present one to compare it with: make sure that this validator has signed nothing later, here or elsewhere"
            ),
            (Kept::Backup, ..) => write!(
                f,
                "the backup's signing state ({backup}) is used instead of the present one ({present})"
            ),
        }
    }
}

/// Decides. `Err`: the two cannot be compared.
pub(crate) fn decide(
    present: StateFile,
    backup: StateFile,
    choice: Choice,
) -> Result<Signing, Signing> {
    use StateFile::{Absent, At, Unreadable};
    let kept = match (&present, &backup, choice) {
        (Absent, Absent, _) => Kept::None,
        (Absent, _, _) | (_, At(_) | Unreadable(_), Choice::Backup) => Kept::Backup,
        (At(p), At(b), Choice::Newer) if b > p => Kept::Backup,
        (At(_), _, _) => Kept::Present,
        (Unreadable(_), Absent, _) | (Unreadable(_), _, Choice::Newer) => {
            return Err(Signing {
                kept: Kept::None,
                present,
                backup,
            });
        }
    };
    Ok(Signing {
        kept,
        present,
        backup,
    })
}

/// The state as it lies in a data directory, to be put into another as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A file with its bytes.
    File(Vec<u8>, Attrs),
    /// A symlink to where the state is kept, outside of the data.
    Symlink(PathBuf, Attrs),
}

/// Reads the state of a data directory.
pub(crate) fn read(data: &Path) -> Result<(StateFile, Option<Carrier>), BackupError> {
    let unreadable = |why: String| Ok((StateFile::Unreadable(why), None));
    let path = data.join(STATE_FILE);
    let own = match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((StateFile::Absent, None)),
        meta => meta.doing("looking at", &path)?,
    };
    let meta = match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return unreadable("a symlink to nowhere".to_owned());
        }
        meta => meta.doing("looking at", &path)?,
    };
    if !meta.is_file() {
        return unreadable("not a file".to_owned());
    }
    if meta.len() > MAX_BYTES {
        return unreadable(format!("{} bytes, the limit is {MAX_BYTES}", meta.len()));
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|f| f.take(MAX_BYTES).read_to_end(&mut bytes))
        .doing("reading", &path)?;
    let state = parse(&bytes);
    let carrier = if own.is_symlink() {
        let target = fs::read_link(&path).doing("reading", &path)?;
        Carrier::Symlink(target, Attrs::of(&own))
    } else {
        Carrier::File(bytes, Attrs::of(&own))
    };
    Ok((state, Some(carrier)))
}

impl Carrier {
    /// Puts the state into a data directory, in the place of what is there.
    pub(crate) fn put(&self, data: &Path) -> Result<(), BackupError> {
        let path = data.join(STATE_FILE);
        let owner = keeps_owners();
        match self {
            Self::File(bytes, attrs) => write_atomic(&path, bytes, 0o600)
                .and_then(|()| File::open(&path))
                .and_then(|file| attrs.give(&file, owner).and_then(|()| file.sync_all())),
            Self::Symlink(target, attrs) => match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => symlink(target, &path).and_then(|()| attrs.give_symlink(&path, owner)),
            },
        }
        .doing("writing the signing state", &path)
    }
}

/// `CometBFT` writes the height as a string and the others as numbers; either is read.
fn parse(bytes: &[u8]) -> StateFile {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(e) => return StateFile::Unreadable(e.to_string()),
    };
    let number = |key: &str| match &value[key] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    match (number("height"), number("round"), number("step")) {
        (Some(height), Some(round), Some(step)) => StateFile::At(Position {
            height,
            round,
            step,
        }),
        _ => StateFile::Unreadable("no height, round and step".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(height: u64, round: u64, step: u64) -> StateFile {
        StateFile::At(Position {
            height,
            round,
            step,
        })
    }

    #[test]
    fn the_state_that_has_signed_further_is_kept() {
        let bad = || StateFile::Unreadable("cut off".into());
        let none = || StateFile::Absent;
        for (present, backup, kept) in [
            (at(10, 0, 3), at(9, 5, 3), Some(Kept::Present)),
            (at(10, 0, 2), at(10, 0, 3), Some(Kept::Backup)),
            (at(10, 1, 1), at(10, 0, 3), Some(Kept::Present)),
            (at(10, 0, 3), at(10, 0, 3), Some(Kept::Present)),
            (at(9, 0, 3), at(10, 0, 1), Some(Kept::Backup)),
            (at(1, 0, 0), none(), Some(Kept::Present)),
            (at(1, 0, 0), bad(), Some(Kept::Present)),
            (none(), at(1, 0, 0), Some(Kept::Backup)),
            (none(), bad(), Some(Kept::Backup)),
            (none(), none(), Some(Kept::None)),
            (bad(), none(), None),
            (bad(), at(1, 0, 0), None),
            (bad(), bad(), None),
        ] {
            let told = format!("{present} / {backup}");
            let decided = decide(present, backup, Choice::Newer).ok().map(|s| s.kept);
            assert_eq!(decided, kept, "{told}");
        }
    }

    #[test]
    fn the_operator_may_choose_the_backups_but_never_none() {
        let kept = |p, b| decide(p, b, Choice::Backup).unwrap().kept;
        assert_eq!(kept(at(10, 0, 3), at(9, 0, 3)), Kept::Backup);
        assert_eq!(
            kept(StateFile::Unreadable(String::new()), at(9, 0, 3)),
            Kept::Backup
        );
        assert_eq!(kept(at(10, 0, 3), StateFile::Absent), Kept::Present);
        let unreadable = StateFile::Unreadable(String::new());
        assert!(decide(unreadable, StateFile::Absent, Choice::Backup).is_err());
    }

    #[test]
    fn cometbfts_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(STATE_FILE);
        assert_eq!(read(dir.path()).unwrap().0, StateFile::Absent);
        let text =
            "{\n  \"height\": \"123\",\n  \"round\": 1,\n  \"step\": 3,\n  \"signature\": \"x\"\n}";
        fs::write(&file, text).unwrap();
        let (state, carrier) = read(dir.path()).unwrap();
        assert_eq!(state, at(123, 1, 3));
        assert!(matches!(carrier, Some(Carrier::File(bytes, _)) if bytes == text.as_bytes()));
        for bad in [
            "",
            "{",
            "{}",
            "{\"height\":\"-1\",\"round\":0,\"step\":0}",
            "[]",
        ] {
            fs::write(&file, bad).unwrap();
            let state = read(dir.path()).unwrap().0;
            assert!(matches!(state, StateFile::Unreadable(_)), "{bad}: {state}");
        }
        fs::remove_file(&file).unwrap();
        symlink("nowhere", &file).unwrap();
        assert!(matches!(
            read(dir.path()).unwrap().0,
            StateFile::Unreadable(why) if why == "a symlink to nowhere"
        ));
        fs::remove_file(&file).unwrap();
        fs::write(&file, vec![b' '; 70_000]).unwrap();
        assert!(matches!(
            read(dir.path()).unwrap().0,
            StateFile::Unreadable(why) if why.contains("the limit is 65536")
        ));
    }
}
