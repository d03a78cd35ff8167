//! A finished release put where the supervisor looks for it.
//!
//! **Commit point: the appearance of `bin/<name>`.** For a release that is not there it is the rename of
//! the whole directory. A directory without a binary (what Cosmovisor leaves behind, or an operator
//! prepared with libraries) is completed file by file, the binary last; whatever is there already stays.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::disk::{NoSpace, sync_dir, sync_tree};
use super::error::FetchError;
use super::record;

/// How a release came to its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// As a whole.
    Whole,
    /// Into a directory that was there. These files were there too, with other content, and stayed.
    Into { kept: Vec<PathBuf> },
}

/// Moves the staged release into place. Everything is durable when this returns.
pub(super) fn place(staged: &Path, release: &Path, daemon: &str) -> Result<Placed, FetchError> {
    sync_tree(staged).map_err(|e| failed("sync", staged, e))?;
    fail::fail_point!("fetch::synced");
    let upgrades = release.parent().unwrap_or(Path::new("/"));
    let sync_upgrades = || {
        // The directory itself may be new.
        let above = upgrades.parent().unwrap_or(upgrades);
        let synced = sync_dir(upgrades).and_then(|()| sync_dir(above));
        synced.map_err(|e| failed("sync", upgrades, e))
    };
    match rename_new(staged, release) {
        Ok(()) => {
            fail::fail_point!("fetch::renamed");
            sync_upgrades()?;
            Ok(Placed::Whole)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let mut kept = Vec::new();
            complete(staged, release, daemon, &mut kept)?;
            sync_upgrades()?;
            Ok(Placed::Into { kept })
        }
        Err(e) => Err(failed("rename the release to", release, e)),
    }
}

/// Completes a directory: everything but the binary, then the binary.
fn complete(
    staged: &Path,
    release: &Path,
    daemon: &str,
    kept: &mut Vec<PathBuf>,
) -> Result<(), FetchError> {
    let binary = Path::new("bin").join(daemon);
    if fs::symlink_metadata(release.join(&binary)).is_ok() {
        return Err(FetchError::InTheWay {
            path: release.join(&binary),
            what: "it appeared while the release was fetched".to_owned(),
        });
    }
    merge(staged, release, Path::new(""), &binary, kept)?;
    let bin = release.join("bin");
    make_dir(&bin)?;
    sync_dir(&bin).map_err(|e| failed("sync", &bin, e))?;
    sync_dir(release).map_err(|e| failed("sync", release, e))?;
    fail::fail_point!("fetch::merged");
    let target = release.join(&binary);
    carry(&staged.join(&binary), &target).map_err(|e| failed("create", &target, e))?;
    sync_dir(&bin).map_err(|e| failed("sync", &bin, e))
}

/// Carries over what is missing below `at`, leaving out `binary`.
fn merge(
    staged: &Path,
    release: &Path,
    at: &Path,
    binary: &Path,
    kept: &mut Vec<PathBuf>,
) -> Result<(), FetchError> {
    let from_dir = staged.join(at);
    let entries = fs::read_dir(&from_dir).map_err(|e| failed("read", &from_dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| failed("read", &from_dir, e))?;
        let inside = at.join(entry.file_name());
        if inside == binary {
            continue;
        }
        let (from, to) = (staged.join(&inside), release.join(&inside));
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && (to.is_dir() || binary.starts_with(&inside)) {
            make_dir(&to)?;
            merge(staged, release, &inside, binary, kept)?;
            sync_dir(&to).map_err(|e| failed("sync", &to, e))?;
            continue;
        }
        fail::fail_point!("fetch::merge");
        // Our own note on an earlier, interrupted completion is out of date.
        if inside == Path::new(record::FILE) {
            fs::rename(&from, &to)
                .or_else(|_| replace(&from, &to))
                .map_err(|e| failed("create", &to, e))?;
            continue;
        }
        match carry(&from, &to) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if !same_content(&from, &to).unwrap_or(false) {
                    kept.push(inside);
                }
            }
            Err(e) => return Err(failed("create", &to, e)),
        }
    }
    Ok(())
}

/// Moves a file, link or directory to a name that must be free, across file systems if need be.
fn carry(from: &Path, to: &Path) -> io::Result<()> {
    match rename_new(from, to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
        other => return other,
    }
    let meta = fs::symlink_metadata(from)?;
    if meta.is_dir() {
        fs::DirBuilder::new().mode(0o755).create(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            carry(&entry.path(), &to.join(entry.file_name()))?;
        }
        return sync_dir(to);
    }
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    let aside = copy_aside(from, to)?;
    rename_new(&aside, to).inspect_err(|_| {
        let _ = fs::remove_file(&aside);
    })
}

/// Puts a file in the place of another one, from another file system.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let aside = copy_aside(from, to)?;
    fs::rename(aside, to)
}

/// Copies a file next to its destination.
fn copy_aside(from: &Path, to: &Path) -> io::Result<PathBuf> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let aside = to.with_file_name(format!(".baton-fetch-{name}"));
    let mut source = File::open(from)?;
    let mode = source.metadata()?.permissions().mode() & 0o777;
    let mut copy = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&aside)?;
    io::copy(&mut source, &mut copy)?;
    copy.set_permissions(fs::Permissions::from_mode(mode))?;
    copy.sync_all()?;
    Ok(aside)
}

/// Renames to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        other => return other.map_err(Into::into),
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

fn make_dir(dir: &Path) -> Result<(), FetchError> {
    match fs::DirBuilder::new().mode(0o755).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other.map_err(|e| failed("create", dir, e)),
    }
}

fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (meta_a, meta_b) = (fs::symlink_metadata(a)?, fs::symlink_metadata(b)?);
    if meta_a.is_symlink() && meta_b.is_symlink() {
        return Ok(fs::read_link(a)? == fs::read_link(b)?);
    }
    if !meta_a.is_file() || !meta_b.is_file() || meta_a.len() != meta_b.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
    }
}

/// Puts an answer of the file system into words.
pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> FetchError {
    let dir = path.parent().unwrap_or(path);
    match NoSpace::from_error(&source, dir) {
        Some(full) => full.into(),
        None => FetchError::Io {
            doing,
            path: path.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn staged(upgrades: &Path) -> PathBuf {
        let staged = upgrades.join(".fetch-v2/release");
        write(staged.join("bin/simd"), "new binary");
        write(staged.join("bin/tool"), "tool");
        write(staged.join("lib/a.so"), "new a");
        write(staged.join("lib/deep/b.so"), "new b");
        write(staged.join(record::FILE), "new record");
        staged
    }

    #[test]
    fn a_new_release_appears_whole() {
        let upgrades = tempfile::tempdir().unwrap();
        let release = upgrades.path().join("v2");
        let placed = place(&staged(upgrades.path()), &release, "simd").unwrap();
        assert_eq!(placed, Placed::Whole);
        assert_eq!(read(&release.join("bin/simd")), "new binary");
        assert_eq!(read(&release.join("lib/deep/b.so")), "new b");
    }

    #[test]
    fn a_leftover_is_completed_and_what_was_there_stays() {
        let upgrades = tempfile::tempdir().unwrap();
        let release = upgrades.path().join("v2");
        write(release.join("upgrade-info.json"), "{}");
        write(release.join("lib/a.so"), "operator's a");
        write(release.join("bin/tool"), "tool");
        write(release.join(record::FILE), "old record");
        let placed = place(&staged(upgrades.path()), &release, "simd").unwrap();
        let kept = vec![PathBuf::from("lib/a.so")];
        assert_eq!(placed, Placed::Into { kept });
        for (file, text) in [
            ("bin/simd", "new binary"),
            ("bin/tool", "tool"),
            ("lib/a.so", "operator's a"),
            ("lib/deep/b.so", "new b"),
            ("upgrade-info.json", "{}"),
            (record::FILE, "new record"),
        ] {
            assert_eq!(read(&release.join(file)), text, "{file}");
        }
    }

    #[test]
    fn a_linked_directory_is_completed_where_it_is() {
        let upgrades = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let release = upgrades.path().join("v2");
        std::os::unix::fs::symlink(elsewhere.path(), &release).unwrap();
        place(&staged(upgrades.path()), &release, "simd").unwrap();
        assert!(fs::symlink_metadata(&release).unwrap().is_symlink());
        assert_eq!(read(&elsewhere.path().join("bin/simd")), "new binary");
    }

    #[test]
    fn a_binary_that_appeared_meanwhile_is_not_replaced() {
        let upgrades = tempfile::tempdir().unwrap();
        let release = upgrades.path().join("v2");
        write(release.join("bin/simd"), "operator's");
        let error = place(&staged(upgrades.path()), &release, "simd").unwrap_err();
        assert!(error.to_string().contains("it appeared while"), "{error}");
        assert!(!release.join("lib").exists(), "nothing else is touched");
        assert_eq!(read(&release.join("bin/simd")), "operator's");
    }

    #[test]
    fn a_file_system_boundary_is_crossed() {
        // Most Linux machines have a second file system here.
        let shm = Path::new("/dev/shm");
        let Ok(other) = tempfile::tempdir_in(shm) else {
            return;
        };
        let upgrades = tempfile::tempdir().unwrap();
        let release = upgrades.path().join("v2");
        std::os::unix::fs::symlink(other.path(), &release).unwrap();
        write(other.path().join(record::FILE), "old record");
        let staged = staged(upgrades.path());
        std::os::unix::fs::symlink("a.so", staged.join("lib/link")).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(staged.join("bin/simd"), mode).unwrap();
        place(&staged, &release, "simd").unwrap();
        assert_eq!(read(&release.join("bin/simd")), "new binary");
        assert_eq!(read(&release.join("lib/link")), "new a");
        assert_eq!(read(&release.join(record::FILE)), "new record");
        let mode = fs::metadata(release.join("bin/simd"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o755);
        let names = fs::read_dir(release.join("bin")).unwrap().count();
        assert_eq!(names, 2, "no copy is left beside");
    }
}
