//! Which signing state a restored validator gets.
//!
//! A validator remembers in a file what it has signed last. Given an older one, it signs heights
//! again that it has signed already, perhaps otherwise: a double signature, for which it is
//! slashed and jailed for ever. Given a newer one, it only refuses to sign until the chain has
//! passed that height. So the newer one is kept, and where the two cannot be compared the operator
//! must choose.
//!
//! Which files these are is in [`memory`]; how one is put into another directory, in [`carrier`].

mod carrier;
mod comet;
mod guard;
mod memory;

use std::fmt;
use std::path::Path;

use super::error::BackupError;

pub(crate) use carrier::Carrier;
pub(crate) use memory::Memory;

#[cfg(test)]
pub(crate) use guard::written;

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

impl Position {
    /// Where nothing of a height can be signed any more.
    pub(super) fn all_of(height: u64) -> Self {
        Self {
            height,
            round: u64::MAX,
            step: 3,
        }
    }
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
    /// The file, below the data directory.
    pub file: &'static str,
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
        if *self == Self::all_of(*height) {
            return write!(f, "all of height {height}");
        }
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
fn decide(
    memory: Memory,
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
                file: memory.file(),
                kept: Kept::None,
                present,
                backup,
            });
        }
    };
    Ok(Signing {
        file: memory.file(),
        kept,
        present,
        backup,
    })
}

/// What is decided for each memory of which there is one, here or in the backup, and what is carried over.
pub(crate) type Decided = Vec<(Signing, Option<Carrier>)>;

/// Reads the memories of both and decides. `Err`: two of them cannot be compared.
pub(crate) fn look(
    data: &Path,
    backup: &Path,
    choice: Choice,
) -> Result<Result<Decided, Signing>, BackupError> {
    let mut all = Vec::new();
    for memory in Memory::ALL {
        let (now, carrier) = carrier::read(memory, data)?;
        let (then, _) = carrier::read(memory, backup)?;
        if (&now, &then) == (&StateFile::Absent, &StateFile::Absent) {
            continue;
        }
        match decide(memory, now, then, choice) {
            Ok(signing) => {
                let carrier = carrier.filter(|_| signing.kept == Kept::Present);
                all.push((signing, carrier));
            }
            Err(signing) => return Ok(Err(signing)),
        }
    }
    Ok(Ok(all))
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
            let decided = decide(Memory::Comet, present, backup, Choice::Newer)
                .ok()
                .map(|s| s.kept);
            assert_eq!(decided, kept, "{told}");
        }
    }

    #[test]
    fn the_operator_may_choose_the_backups_but_never_none() {
        let kept = |p, b| decide(Memory::Comet, p, b, Choice::Backup).unwrap().kept;
        assert_eq!(kept(at(10, 0, 3), at(9, 0, 3)), Kept::Backup);
        assert_eq!(
            kept(StateFile::Unreadable(String::new()), at(9, 0, 3)),
            Kept::Backup
        );
        assert_eq!(kept(at(10, 0, 3), StateFile::Absent), Kept::Present);
        let unreadable = StateFile::Unreadable(String::new());
        assert!(decide(Memory::Comet, unreadable, StateFile::Absent, Choice::Backup).is_err());
    }
}
