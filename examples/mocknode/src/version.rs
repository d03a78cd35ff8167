//! Which version am I? One executable plays all versions of a node.
//!
//! A copy is made into "v2" by appending a line to it (ELF loaders ignore what follows the last
//! section); a copy that is not stamped takes the name of the release directory it lies in, so
//! that `…/upgrades/v2/bin/mocknode` is v2 even when it is a link to the very same file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a stamp looks like at the very end of an executable, before the version and a newline.
const MARK: &str = "\nPRACTICE-VERSION=";

/// Longest version a stamp can carry, in bytes.
pub const MAX_VERSION_LEN: usize = 128;

/// Why an executable could not be stamped.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The version cannot be written in a stamp.
    #[error("version {0:?} is empty, longer than {MAX_VERSION_LEN} bytes or has a line break")]
    Version(String),
    /// Reading the original failed.
    #[error("reading executable {}: {source}", path.display())]
    Read {
        /// The original.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Writing the copy failed.
    #[error("writing stamped copy {}: {source}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Writes to `out` a copy of `executable` (mocknode itself, or `baton`, which embeds it) that
/// says it is `version`. An earlier stamp is replaced. `out` appears whole or not at all.
///
/// In a process with several threads that start processes, prefer the command
/// `mocknode stamp VERSION OUT`: a child forked by another thread at the wrong moment inherits
/// the file being written here, and until it has exec'd, `out` is "text file busy".
pub fn stamp(executable: &Path, version: &str, out: &Path) -> Result<(), StampError> {
    if !is_valid(version) {
        return Err(StampError::Version(version.to_owned()));
    }
    let read_error = |source| StampError::Read {
        path: executable.to_owned(),
        source,
    };
    let write_error = |source| StampError::Write {
        path: out.to_owned(),
        source,
    };
    let mut original = File::open(executable).map_err(read_error)?;
    let whole = original.metadata().map_err(read_error)?.len();
    let stamped = read_stamp(&mut original).map_err(read_error)?;
    let bare = whole - stamped.map_or(0, |v| stamp_len(&v));
    original.seek(SeekFrom::Start(0)).map_err(read_error)?;

    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".stamping");
    let unfinished = out.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut copy = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o755)
            .open(&unfinished)?;
        io::copy(&mut (&original).take(bare), &mut copy)?;
        copy.write_all(format!("{MARK}{version}\n").as_bytes())?;
        drop(copy);
        fs::rename(&unfinished, out)
    };
    write().map_err(write_error)
}

/// The version that is stamped on an executable, if any.
pub fn stamp_of(executable: &Path) -> io::Result<Option<String>> {
    read_stamp(&mut File::open(executable)?)
}

fn stamp_len(version: &str) -> u64 {
    (MARK.len() + version.len() + 1) as u64
}

fn is_valid(version: &str) -> bool {
    !version.is_empty() && version.len() <= MAX_VERSION_LEN && !version.contains(['\n', '\r', '\0'])
}

/// The version stamped at the end of `file`, if any.
fn read_stamp(file: &mut File) -> io::Result<Option<String>> {
    let len = file.metadata()?.len();
    let window = len.min((MARK.len() + MAX_VERSION_LEN + 1) as u64);
    file.seek(SeekFrom::Start(len - window))?;
    let mut tail = Vec::new();
    file.take(window).read_to_end(&mut tail)?;
    Ok(parse_stamp(&tail))
}

fn parse_stamp(tail: &[u8]) -> Option<String> {
    let at = tail
        .windows(MARK.len())
        .rposition(|bytes| bytes == MARK.as_bytes())?;
    let line = std::str::from_utf8(&tail[at + MARK.len()..]).ok()?;
    let version = line.strip_suffix('\n')?;
    is_valid(version).then(|| version.to_owned())
}

/// The release that `executable` lies in, by the layout a supervisor keeps.
fn release_of(executable: &Path) -> Option<String> {
    let bin = executable.parent()?;
    let release = bin.parent()?;
    if bin.file_name()? != "bin" {
        return None;
    }
    let name = release.file_name()?.to_str()?;
    if release.parent()?.file_name()? == "upgrades" {
        let plain = percent_encoding::percent_decode_str(name)
            .decode_utf8()
            .ok()?;
        return Some(plain.into_owned());
    }
    (name == "genesis").then(|| name.to_owned())
}

/// The version this process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

impl Version {
    /// The version of the running executable: its stamp, else its release directory, else
    /// `genesis`.
    pub(crate) fn of_this_process() -> Self {
        let stamped = stamp_of(Path::new("/proc/self/exe")).ok().flatten();
        let placed = || release_of(&std::env::current_exe().ok()?);
        Self(stamped.or_else(placed).unwrap_or_else(|| "genesis".into()))
    }

    /// Has this version code for the upgrade `plan`? A version has it for its own name and, if it
    /// is numbered, for every lower number: v3 has it for v3, v2 and v1. Case does not matter,
    /// since supervisors lower-case release directories.
    pub(crate) fn has_handler(&self, plan: &str) -> bool {
        let earlier = || Some(number(plan)? <= number(&self.0)?);
        self.0.eq_ignore_ascii_case(plan) || earlier().unwrap_or(false)
    }
}

/// The number of a version such as `v3`.
fn number(version: &str) -> Option<u64> {
    let digits = version.strip_prefix(['v', 'V'])?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped_version(path: &Path) -> Option<String> {
        read_stamp(&mut File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn a_stamp_is_read_back_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("original");
        fs::write(&original, [7u8; 1000]).unwrap();
        assert_eq!(stamped_version(&original), None);

        let copy = dir.path().join("copy");
        stamp(&original, "v2", &copy).unwrap();
        assert_eq!(stamped_version(&copy).as_deref(), Some("v2"));
        assert_eq!(fs::read(&copy).unwrap()[..1000], [7u8; 1000]);

        let again = dir.path().join("again");
        stamp(&copy, "a longer name", &again).unwrap();
        assert_eq!(stamped_version(&again).as_deref(), Some("a longer name"));
        assert_eq!(
            fs::metadata(&again).unwrap().len(),
            1000 + stamp_len("a longer name")
        );
        stamp(&again, "v3", &again).unwrap();
        assert_eq!(stamped_version(&again).as_deref(), Some("v3"));
    }

    #[test]
    fn what_cannot_be_a_stamp_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("original");
        fs::write(&original, "x").unwrap();
        let out = dir.path().join("out");
        for version in ["", "a\nb", &"x".repeat(MAX_VERSION_LEN + 1)] {
            let error = stamp(&original, version, &out).unwrap_err();
            assert!(matches!(error, StampError::Version(_)), "{error}");
        }
        let error = stamp(&dir.path().join("nowhere"), "v2", &out).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert!(!out.exists());
        let longest = "x".repeat(MAX_VERSION_LEN);
        stamp(&original, &longest, &out).unwrap();
        assert_eq!(stamped_version(&out), Some(longest));
    }

    #[test]
    fn a_mark_that_is_not_at_the_end_is_no_stamp() {
        assert_eq!(parse_stamp(b"\nPRACTICE-VERSION=v2"), None);
        assert_eq!(parse_stamp(b"\nPRACTICE-VERSION=v2\nmore\n"), None);
        assert_eq!(parse_stamp(b"\nPRACTICE-VERSION=\n"), None);
        assert_eq!(
            parse_stamp(b"x\nPRACTICE-VERSION=v2\n").as_deref(),
            Some("v2")
        );
    }

    #[test]
    fn the_release_directory_names_the_version() {
        let of = |path: &str| release_of(Path::new(path));
        assert_eq!(
            of("/h/cosmovisor/genesis/bin/d").as_deref(),
            Some("genesis")
        );
        assert_eq!(of("/h/cosmovisor/upgrades/v2/bin/d").as_deref(), Some("v2"));
        assert_eq!(
            of("/h/upgrades/some%20name/bin/d").as_deref(),
            Some("some name")
        );
        assert_eq!(of("/usr/bin/d"), None);
        assert_eq!(of("/h/upgrades/v2/d"), None);
        assert_eq!(of("d"), None);
    }

    #[test]
    fn a_version_handles_its_own_plan_and_earlier_numbers() {
        let has = |version: &str, plan| Version(version.into()).has_handler(plan);
        assert!(has("v3", "v3") && has("v3", "v2") && has("v3", "V1"));
        assert!(!has("v3", "v4") && !has("v3", "v") && !has("v3", "v+1"));
        assert!(has("holograms", "Holograms") && !has("holograms", "v1"));
        assert!(!has("genesis", "v1"));
    }
}
