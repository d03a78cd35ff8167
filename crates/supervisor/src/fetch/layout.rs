//! Where the binary is in what was unpacked, and how it gets to `bin/<name>`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::executable::{self, NotExecutable};

/// How many files of an archive a message lists.
const SHOWN: usize = 8;

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// None of the places has it.
    #[error(
        "url \"{url}\" result does not contain a bin/{name} or {name} file (it contains: {found})"
    )]
    Missing {
        /// Where the archive came from.
        url: String,
        /// The binary's name.
        name: String,
        /// What is there instead.
        found: String,
    },
    /// It cannot be made executable.
    #[error(transparent)]
    NotExecutable(#[from] NotExecutable),
    /// The file system refused.
    #[error("cannot put the binary at {path}: {source}", path = .path.display())]
    Io {
        /// Where it should be.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

/// Brings the binary of an unpacked tree to `bin/<name>` and makes it executable for all. It is
/// `bin/<name>`, or else `<name>`, or else the only file there is. Everything else stays as it is.
pub(super) fn arrange(
    root: &Path,
    files: &[PathBuf],
    name: &str,
    url: &str,
) -> Result<PathBuf, LayoutError> {
    let binary = root.join("bin").join(name);
    let io_error = |source| LayoutError::Io {
        path: binary.clone(),
        source,
    };
    if !binary.is_file() {
        let at_root = root.join(name);
        let from = match files {
            _ if at_root.is_file() => at_root,
            [only] => root.join(only),
            _ => {
                return Err(LayoutError::Missing {
                    url: url.to_owned(),
                    name: name.to_owned(),
                    found: list(files),
                });
            }
        };
        move_to(&from, &binary, root).map_err(io_error)?;
    }
    executable::ensure(&binary)?;
    Ok(binary)
}

fn move_to(from: &Path, binary: &Path, root: &Path) -> io::Result<()> {
    if fs::symlink_metadata(from)?.is_symlink() {
        // Moved as it is, it would point elsewhere.
        let target = from.canonicalize()?;
        let bin = make_bin(root)?;
        let inside = target
            .strip_prefix(root.canonicalize()?)
            .map_err(io::Error::other)?;
        return std::os::unix::fs::symlink(
            Path::new("..").join(inside),
            bin.join(binary.file_name().expect("it has a name")),
        );
    }
    // The file may itself be called `bin`, where the directory must go.
    let aside = root.join(".baton-binary");
    fs::rename(from, &aside)?;
    make_bin(root)?;
    fs::rename(&aside, binary)
}

fn make_bin(root: &Path) -> io::Result<PathBuf> {
    let bin = root.join("bin");
    match fs::create_dir(&bin) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && bin.is_dir() => Ok(bin),
        other => other.map(|()| bin),
    }
}

fn list(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "no files".to_owned();
    }
    let shown = files.iter().take(SHOWN).map(|f| f.display().to_string());
    let text = shown.collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Dir(tempfile::TempDir, Vec<PathBuf>);

    impl Dir {
        fn with(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
            Self(dir, files.iter().map(PathBuf::from).collect())
        }

        fn arrange(&self) -> Result<String, LayoutError> {
            let binary = arrange(self.0.path(), &self.1, "simd", "https://h/a.zip")?;
            assert_eq!(binary, self.0.path().join("bin/simd"));
            let mode = fs::metadata(&binary).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111);
            Ok(fs::read_to_string(binary).unwrap())
        }
    }

    #[test]
    fn the_binary_is_found_in_three_places() {
        for (files, from) in [
            (&["bin/simd"][..], "bin/simd"),
            (&["bin/simd", "simd", "lib/a.so"], "bin/simd"),
            (&["simd", "README"], "simd"),
            (&["simd", "bin/tool"], "simd"),
            (&["simd-v2-linux"], "simd-v2-linux"),
            (&["simd-v2/simd"], "simd-v2/simd"),
            (&["bin"], "bin"),
            (&["bin/simd-v2"], "bin/simd-v2"),
        ] {
            assert_eq!(Dir::with(files).arrange().unwrap(), from, "{files:?}");
        }
    }

    #[test]
    fn other_files_stay_beside_it() {
        let dir = Dir::with(&["simd", "lib/libwasmvm.so"]);
        dir.arrange().unwrap();
        assert!(dir.0.path().join("lib/libwasmvm.so").exists());
        assert!(!dir.0.path().join("simd").exists());
    }

    #[test]
    fn what_is_there_instead_is_listed() {
        let error = Dir::with(&["a", "b/c"]).arrange().unwrap_err().to_string();
        assert_eq!(
            error,
            "url \"https://h/a.zip\" result does not contain a bin/simd or simd file \
             (it contains: a, b/c)"
        );
        let many: Vec<String> = (0..10).map(|i| format!("f{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = Dir::with(&many).arrange().unwrap_err().to_string();
        assert!(error.ends_with("f7 and 2 more)"), "{error}");
        let error = Dir::with(&[]).arrange().unwrap_err().to_string();
        assert!(error.contains("no files"), "{error}");
        // A directory of the binary's name is not the binary.
        let error = Dir::with(&["simd/a", "simd/b"]).arrange().unwrap_err();
        assert!(matches!(error, LayoutError::Missing { .. }));
    }

    #[test]
    fn links_keep_their_target() {
        let dir = Dir::with(&["build/simd-v2", "README"]);
        let link = dir.0.path().join("simd");
        std::os::unix::fs::symlink("build/simd-v2", link).unwrap();
        assert_eq!(dir.arrange().unwrap(), "build/simd-v2");
        let link = fs::read_link(dir.0.path().join("bin/simd")).unwrap();
        assert_eq!(link, Path::new("../build/simd-v2"));
    }
}
