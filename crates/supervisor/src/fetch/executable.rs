//! Is a file a program for this machine? Told from its first bytes, and if not, said what it is.
//!
//! The usual mistakes have a face: the page that a web server shows instead of the file, the archive
//! whose URL does not end in `.tar.gz`, the build for another processor, the half of a binary that an
//! interrupted copy left behind.

use std::fmt;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::elf::{self, Elf};

/// How much of a file is looked at; program headers stand at the beginning of every real binary.
const HEAD: u64 = 64 * 1024;

/// A program that the kernel of this machine may load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// An ELF binary, with the loader it asks for, if it is linked dynamically.
    Elf {
        /// The loader's path.
        loader: Option<String>,
    },
    /// A script, with its interpreter.
    Script {
        /// The interpreter's path.
        interpreter: String,
    },
    /// A macOS binary.
    MachO,
}

/// A file that is no program for this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotExecutable {
    /// It is something else.
    #[error("{path} is {what}", path = .path.display())]
    Is {
        /// The file.
        path: PathBuf,
        /// What it is, with an article.
        what: String,
    },
    /// It is not a file.
    #[error("{name} is not a regular file")]
    NotRegular {
        /// Its name.
        name: String,
    },
    /// It cannot be read, or not be made executable.
    #[error("cannot use {path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

impl NotExecutable {
    /// What it is, for those who name the file in another way.
    pub fn reason(&self) -> String {
        match self {
            Self::Is { what, .. } => format!("it is {what}"),
            other => other.to_string(),
        }
    }
}

/// Looks at a file. Links are followed.
pub fn inspect(path: &Path) -> Result<Program, NotExecutable> {
    let io_error = |source| NotExecutable::Io {
        path: path.to_owned(),
        source,
    };
    let meta = regular(path)?;
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEAD).read_to_end(&mut head))
        .map_err(io_error)?;
    accept(&recognise(&head, meta.len()), Machine::here()).map_err(|what| NotExecutable::Is {
        path: path.to_owned(),
        what,
    })
}

/// Makes sure that a file can be executed by everybody, as Cosmovisor does with every binary that it
/// switches to: it must be a regular file, or a link to one.
pub fn ensure(path: &Path) -> Result<(), NotExecutable> {
    let io_error = |source| NotExecutable::Io {
        path: path.to_owned(),
        source,
    };
    let meta = regular(path)?;
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o111 != 0o111 {
        let mode = Permissions::from_mode(mode | 0o111);
        std::fs::set_permissions(path, mode).map_err(io_error)?;
    }
    Ok(())
}

/// A file's metadata, without opening it: opening a pipe or a device could wait or act.
fn regular(path: &Path) -> Result<Metadata, NotExecutable> {
    let meta = std::fs::metadata(path).map_err(|source| NotExecutable::Io {
        path: path.to_owned(),
        source,
    })?;
    if meta.is_file() {
        return Ok(meta);
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    Err(NotExecutable::NotRegular {
        name: name.to_string_lossy().into_owned(),
    })
}

/// What a file is, by its first bytes and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Elf(Elf),
    Script {
        interpreter: String,
    },
    /// The processor is unknown in files for several.
    MachO {
        cpu: Option<u32>,
    },
    Other(&'static str),
}

/// The machine that must run it.
#[derive(Debug, Clone, Copy)]
struct Machine {
    os: &'static str,
    arch: &'static str,
    little_endian: bool,
}

impl Machine {
    fn here() -> Self {
        Self {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            little_endian: cfg!(target_endian = "little"),
        }
    }
}

fn accept(what: &What, machine: Machine) -> Result<Program, String> {
    match what {
        What::Script { interpreter } => Ok(Program::Script {
            interpreter: interpreter.clone(),
        }),
        What::MachO { cpu } if machine.os == "macos" => match (cpu, machine.arch) {
            (Some(0x0100_000C), "x86_64") => Err(format!("{what}; this machine is x86_64")),
            _ => Ok(Program::MachO),
        },
        What::Elf(elf) if machine.os != "macos" => {
            const EXECUTABLE: u16 = 2;
            const SHARED: u16 = 3;
            if elf.end > elf.len {
                return Err(format!(
                    "{what}, but cut off: {} bytes of at least {}",
                    elf.len, elf.end
                ));
            }
            if !matches!(elf.kind, EXECUTABLE | SHARED) {
                return Err(format!("{what}, but not a program (ELF type {})", elf.kind));
            }
            let found = (elf.machine, elf.bits);
            // A 64-bit x86 kernel runs 32-bit programs too; `version` will tell.
            let fits = elf::machine(machine.arch)
                .is_none_or(|ours| found == ours || (ours == (62, 64) && found == (3, 32)));
            if !fits || elf.little_endian != machine.little_endian {
                return Err(format!("{what}; this machine is {}", machine.arch));
            }
            Ok(Program::Elf {
                loader: elf.loader.clone(),
            })
        }
        other => Err(other.to_string()),
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(elf) => write!(f, "an ELF for {}", elf.machine_name()),
            Self::Script { interpreter } => write!(f, "a script for {interpreter}"),
            Self::MachO { cpu } => write!(
                f,
                "a macOS binary{}",
                match cpu {
                    Some(0x0100_0007) => " for x86_64",
                    Some(0x0100_000C) => " for aarch64",
                    _ => "",
                }
            ),
            Self::Other(what) => f.write_str(what),
        }
    }
}

fn recognise(head: &[u8], len: u64) -> What {
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(256)]);
        let interpreter = line.split_whitespace().next().unwrap_or_default();
        return What::Script {
            interpreter: interpreter.to_owned(),
        };
    }
    if head.starts_with(b"\x7fELF") {
        return Elf::parse(head, len)
            .map_or(What::Other("the beginning of an ELF, cut off"), What::Elf);
    }
    if let Some(mach_o) = mach_o(head) {
        return mach_o;
    }
    What::Other(match head {
        [] => "an empty file",
        [b'M', b'Z', ..] => "a Windows program",
        [b'P', b'K', 3 | 5, ..] => {
            "a zip file; if its URL does not end in .zip, add ?archive=zip to it"
        }
        [0x1F, 0x8B, ..] => {
            "a gzip file; if its URL does not end in .tar.gz or .gz, add ?archive=tar.gz to it"
        }
        [b'B', b'Z', b'h', ..] => {
            "a bzip2 file; if its URL does not end in .tar.bz2 or .bz2, add ?archive=tar.bz2 to it"
        }
        [0xFD, b'7', b'z', b'X', b'Z', ..] => {
            "an xz file; if its URL does not end in .tar.xz or .xz, add ?archive=tar.xz to it"
        }
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            "a zstd file; if its URL does not end in .tar.zst or .zst, add ?archive=tar.zst to it"
        }
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a library or Debian package (ar)",
        _ if head.get(257..262) == Some(b"ustar") => {
            "a tar file; if its URL does not end in .tar, add ?archive=tar to it"
        }
        _ => text(head),
    })
}

/// What kind of text it is, if it is text.
fn text(head: &[u8]) -> &'static str {
    let start = &head[..head.len().min(1024)];
    // The cut may have gone through a character.
    let readable = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&start[..e.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let Some(text) = readable.filter(|t| !t.contains('\0')) else {
        return "data of an unknown kind";
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |with: &str| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if begins("<!doctype html") || begins("<html") {
        "an HTML page; does the URL lead to a page about the file, or to a login?"
    } else if begins("<?xml") || begins("<error") {
        "an XML document, perhaps an error message of the server"
    } else if begins("{") || begins("[") {
        "JSON text, perhaps an error message of the server"
    } else if begins("version https://git-lfs") {
        "a Git LFS pointer instead of the file that it stands for"
    } else {
        "a text without #! at its beginning"
    }
}

/// What Mach-O's magic numbers tell.
fn mach_o(head: &[u8]) -> Option<What> {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    };
    match word(0)? {
        0xFEED_FACF | 0xFEED_FACE => Some(What::MachO { cpu: word(4) }),
        // A "universal" file. Java classes begin alike, but with a version above 40 where this has the
        // number of its parts.
        0xBEBA_FECA if u32::swap_bytes(word(4)?) < 40 => Some(What::MachO { cpu: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Machine = Machine {
        os: "linux",
        arch: "x86_64",
        little_endian: true,
    };
    const MAC: Machine = Machine {
        os: "macos",
        arch: "aarch64",
        little_endian: true,
    };

    /// An ELF header of 64 bytes without program headers.
    pub(super) fn elf(bits: u8, little_endian: bool, kind: u16, machine: u16) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..4].copy_from_slice(b"\x7fELF");
        head[4] = bits / 32;
        head[5] = if little_endian { 1 } else { 2 };
        let put = |head: &mut Vec<u8>, at: usize, value: u16| {
            let bytes = if little_endian {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            };
            head[at..at + 2].copy_from_slice(&bytes);
        };
        put(&mut head, 16, kind);
        put(&mut head, 18, machine);
        head
    }

    fn verdict(head: &[u8], machine: Machine) -> Result<Program, String> {
        accept(&recognise(head, head.len() as u64), machine)
    }

    #[test]
    fn binaries_of_this_machine_pass_and_others_are_named() {
        let program = Ok(Program::Elf { loader: None });
        assert_eq!(verdict(&elf(64, true, 2, 62), LINUX), program);
        assert_eq!(verdict(&elf(64, true, 3, 62), LINUX), program);
        assert_eq!(verdict(&elf(32, true, 2, 3), LINUX), program);
        for (head, text) in [
            (
                elf(64, true, 2, 183),
                "an ELF for aarch64; this machine is x86_64",
            ),
            (
                elf(64, false, 2, 22),
                "an ELF for s390x; this machine is x86_64",
            ),
            (
                elf(64, true, 3, 21),
                "an ELF for powerpc64le; this machine is x86_64",
            ),
            (
                elf(64, true, 3, 9999),
                "an ELF for machine 9999 (64 bits); this machine is x86_64",
            ),
            (
                elf(64, false, 2, 62),
                "an ELF for x86_64; this machine is x86_64",
            ),
            (
                elf(64, true, 1, 62),
                "an ELF for x86_64, but not a program (ELF type 1)",
            ),
            (
                elf(64, true, 2, 62)[..40].to_vec(),
                "the beginning of an ELF, cut off",
            ),
        ] {
            assert_eq!(verdict(&head, LINUX), Err(text.to_owned()));
        }
        assert_eq!(
            verdict(&elf(64, true, 2, 183), MAC),
            Err("an ELF for aarch64".to_owned())
        );
        let unknown = Machine {
            arch: "sparc64",
            ..LINUX
        };
        assert_eq!(verdict(&elf(64, true, 2, 43), unknown), program);
    }

    #[test]
    fn macos_binaries_are_for_macos() {
        let thin = b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01rest";
        let universal = b"\xca\xfe\xba\xbe\x00\x00\x00\x02rest";
        assert_eq!(verdict(thin, MAC), Ok(Program::MachO));
        assert_eq!(verdict(universal, MAC), Ok(Program::MachO));
        let intel = Machine {
            arch: "x86_64",
            ..MAC
        };
        assert!(verdict(thin, intel).is_err());
        assert_eq!(
            verdict(thin, LINUX),
            Err("a macOS binary for aarch64".to_owned())
        );
        let java = b"\xca\xfe\xba\xbe\x00\x00\x00\x34rest";
        let java = verdict(java, MAC).unwrap_err();
        assert_eq!(java, "data of an unknown kind");
    }

    #[test]
    fn what_is_not_a_program_is_called_by_its_name() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (head, part) in [
            (&b""[..], "an empty file"),
            (b"\n<!DOCTYPE html><title>404", "an HTML page"),
            (b"\xef\xbb\xbf<HTML>", "an HTML page"),
            (b"<?xml version=\"1.0\"?><Error>", "an XML document"),
            (b"{\"message\":\"Not Found\"}", "JSON text"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"Not Found", "a text without #!"),
            (b"PK\x03\x04", "?archive=zip"),
            (b"\x1f\x8b\x08", "?archive=tar.gz"),
            (b"BZh9", "?archive=tar.bz2"),
            (b"\xfd7zXZ\0", "?archive=tar.xz"),
            (b"\x28\xb5\x2f\xfd", "?archive=tar.zst"),
            (&tar, "?archive=tar"),
            (b"MZ\x90\0", "a Windows program"),
            (b"!<arch>\n", "Debian package"),
            (b"\x00\x01\x02", "data of an unknown kind"),
            (b"caf\xc3", "a text without #!"),
        ] {
            let what = verdict(head, LINUX).unwrap_err();
            assert!(what.contains(part), "{head:?}: {what}");
        }
    }

    #[test]
    fn scripts_pass_with_their_interpreter() {
        let script = verdict(b"#! /bin/sh -e\necho", LINUX).unwrap();
        let interpreter = "/bin/sh".to_owned();
        assert_eq!(script, Program::Script { interpreter });
    }

    #[test]
    fn this_very_program_is_one_and_its_first_half_is_not() {
        let path = std::env::current_exe().unwrap();
        let program = inspect(&path).unwrap();
        if cfg!(target_os = "linux") {
            let Program::Elf { loader } = &program else {
                panic!("{program:?}")
            };
            let loader = loader.as_ref().expect("tests are linked dynamically");
            assert!(Path::new(loader).exists(), "{loader}");
            let bytes = std::fs::read(&path).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let half = dir.path().join("half");
            std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
            let error = inspect(&half).unwrap_err().to_string();
            assert!(error.contains("but cut off"), "{error}");
        }
    }

    /// Cosmovisor's `TestEnsureBinary`, its four cases.
    #[test]
    fn ensure_binary() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let missing = ensure(&path("does-not-exist.txt")).unwrap_err();
        assert!(missing.to_string().contains("does-not-exist.txt"));
        std::fs::create_dir(path("src")).unwrap();
        for check in [ensure, |p: &Path| inspect(p).map(drop)] {
            let error = check(&path("src")).unwrap_err().to_string();
            assert_eq!(error, "src is not a regular file");
        }
        for (name, before, after) in [("non-exe.txt", 0o600, 0o711), ("is-exe.sh", 0o777, 0o777)] {
            std::fs::write(path(name), "Not executable").unwrap();
            std::fs::set_permissions(path(name), Permissions::from_mode(before)).unwrap();
            ensure(&path(name)).unwrap();
            let mode = std::fs::metadata(path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, after, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(
            mut head in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
            bits in 0u8..4,
            as_elf: bool,
        ) {
            if as_elf && head.len() > 6 {
                head[..4].copy_from_slice(b"\x7fELF");
                head[4] = bits;
            }
            let _ = verdict(&head, LINUX);
        }
    }
}
