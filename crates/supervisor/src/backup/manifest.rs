//! What a backup holds, written when it is complete: `MANIFEST.baton.jsonl` inside it.
//!
//! Inside, because the manifest then becomes visible by the same rename as the backup, travels
//! with it when the operator moves it, and does no harm when he copies the whole directory back to
//! `data` by hand (no store reads that name, and the next backup leaves it out).
//!
//! JSON lines: a header, a line per file, and a last line with the hash of all lines before it. A
//! list of backups needs the headers only, and a manifest without its last line is known to be cut
//! off.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::carry::How;
use super::error::{BackupError, Doing};
use super::mode::Method;
use super::text;
use super::tree::{Kind, MAX_NODES, Node, Stamp};
use crate::plan::Plan;

/// The manifest's name within a backup.
pub const MANIFEST: &str = "MANIFEST.baton.jsonl";

/// The format that this version writes, and the only one it reads.
const FORMAT: u32 = 1;

/// The longest line that is read: the header with a plan of 1 MiB, fully escaped. A line of a file
/// has two paths of at most 4 KiB each.
const MAX_LINE: u64 = 8 << 20;

/// The upgrade that a backup was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// What tells this try of this upgrade from every other one; the caller's choice.
    pub id: String,
    /// Its plan.
    pub plan: Plan,
}

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    #[serde(rename = "baton_backup")]
    pub(crate) format: u32,
    /// The program and its version.
    pub made_by: String,
    /// When.
    #[serde(with = "as_text")]
    pub taken_at: Timestamp,
    /// The data directory, symlinks resolved.
    #[serde(with = "text")]
    pub source: PathBuf,
    /// How.
    pub method: Method,
    /// Which files were taken for immutable.
    pub immutable: Vec<String>,
    /// What for.
    pub upgrade: Option<Upgrade>,
    /// Files.
    pub files: u64,
    /// Their bytes, as a restored directory has them.
    pub bytes: u64,
    /// Of these, bytes that were copied.
    pub copied_bytes: u64,
    /// Of these, bytes that are shared by a second name.
    pub linked_bytes: u64,
    /// Of these, bytes that share their blocks.
    pub cloned_bytes: u64,
    /// Sockets, pipes and devices left out.
    pub skipped: u64,
    /// Lines that follow, without the last.
    pub(crate) entries: u64,
}

/// One file, directory or symlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(with = "text")]
    pub(crate) path: PathBuf,
    #[serde(flatten)]
    pub(crate) what: What,
    /// Four octal digits.
    #[serde(with = "octal")]
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: Stamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum What {
    Dir,
    Symlink {
        #[serde(with = "text")]
        target: PathBuf,
    },
    File {
        how: How,
        size: u64,
        /// BLAKE3 of the content, of files that were read.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex_hash")]
        blake3: Option<Hash>,
        /// Of linked files: the inode that is shared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ino: Option<u64>,
        /// And its device number, for people: it may change with every boot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev: Option<u64>,
    },
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    end: Sum,
}

#[derive(Serialize, Deserialize)]
struct Sum {
    #[serde(with = "hex_hash")]
    blake3: Option<Hash>,
}

impl Line {
    pub(crate) fn new(node: &Node, carried: Option<(How, Option<Hash>)>) -> Self {
        let what = match (&node.kind, carried) {
            (Kind::Symlink(target), _) => What::Symlink {
                target: target.clone(),
            },
            (Kind::File, Some((how, blake3))) => {
                let shared = (how == How::Linked).then_some(node.seen);
                What::File {
                    how,
                    size: node.seen.size,
                    blake3,
                    ino: shared.map(|s| s.ino),
                    dev: shared.map(|s| s.dev),
                }
            }
            _ => What::Dir,
        };
        Self {
            path: node.rel.clone(),
            what,
            mode: node.attrs.mode,
            uid: node.attrs.uid,
            gid: node.attrs.gid,
            mtime: node.attrs.mtime,
        }
    }
}

impl Summary {
    pub(crate) fn new(
        source: &Path,
        method: Method,
        immutable: &[String],
        upgrade: Option<Upgrade>,
        taken_at: Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            made_by: concat!("baton ", env!("CARGO_PKG_VERSION")).to_owned(),
            taken_at,
            source: source.to_owned(),
            method,
            immutable: immutable.to_vec(),
            upgrade,
            files: 0,
            bytes: 0,
            copied_bytes: 0,
            linked_bytes: 0,
            cloned_bytes: 0,
            skipped: 0,
            entries: 0,
        }
    }

    pub(crate) fn count(&mut self, line: &Line) {
        self.entries += 1;
        if let What::File { how, size, .. } = line.what {
            self.files += 1;
            self.bytes += size;
            *match how {
                How::Linked => &mut self.linked_bytes,
                How::Cloned => &mut self.cloned_bytes,
                How::Copied => &mut self.copied_bytes,
            } += size;
        }
    }
}

/// Writes the manifest of a backup and makes it durable.
pub(crate) fn write(backup: &Path, summary: &Summary, lines: &[Line]) -> Result<(), BackupError> {
    let path = backup.join(MANIFEST);
    let file = super::carry::create(&path)?;
    let written = (|| -> io::Result<()> {
        let hashing = Hashing {
            out: &file,
            hasher: Hasher::new(),
        };
        let mut out = BufWriter::with_capacity(1 << 16, hashing);
        line(&mut out, summary)?;
        for entry in lines {
            line(&mut out, entry)?;
        }
        out.flush()?;
        let blake3 = Some(out.get_ref().hasher.finalize());
        let end = Sum { blake3 };
        line(&mut out, &End { end })?;
        out.flush()?;
        file.sync_all()
    })();
    written.doing("writing", &path)
}

fn line<W: Write>(out: &mut W, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

struct Hashing<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes)?;
        self.hasher.update(&bytes[..done]);
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads the header only. `Ok(None)`: there is no manifest.
pub(crate) fn read_summary(backup: &Path) -> Result<Option<Summary>, BackupError> {
    let path = backup.join(MANIFEST);
    match File::open(&path) {
        Ok(file) => Reader::new(path, file).summary().map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(BackupError::at("opening", &path, e)),
    }
}

/// Reads the whole manifest.
pub(crate) fn read(backup: &Path) -> Result<(Summary, Vec<Line>), BackupError> {
    let path = backup.join(MANIFEST);
    let file = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::NoManifest(backup.to_owned()));
        }
        opened => opened.doing("opening", &path)?,
    };
    let mut reader = Reader::new(path, file);
    let summary = reader.summary()?;
    if summary.entries > MAX_NODES as u64 {
        let why = format!("{} entries, but the limit is {MAX_NODES}", summary.entries);
        return Err(reader.bad(why));
    }
    let mut lines = Vec::new();
    for _ in 0..summary.entries {
        let line: Line = reader.next()?;
        if !text::stays_below(&line.path) {
            return Err(reader.bad(format!(
                "the path {} leaves the backup",
                line.path.display()
            )));
        }
        lines.push(line);
    }
    let expected = reader.hasher.finalize();
    let end: End = reader.next()?;
    if end.end.blake3 != Some(expected) {
        return Err(reader.bad("the lines before it were changed".to_owned()));
    }
    Ok((summary, lines))
}

struct Reader {
    path: PathBuf,
    from: BufReader<File>,
    hasher: Hasher,
    line: usize,
}

impl Reader {
    fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            from: BufReader::with_capacity(1 << 16, file),
            hasher: Hasher::new(),
            line: 0,
        }
    }

    fn summary(&mut self) -> Result<Summary, BackupError> {
        let summary: Summary = self.next()?;
        if summary.format != FORMAT {
            let format = summary.format;
            return Err(self.bad(format!("format {format}, but this version reads {FORMAT}")));
        }
        Ok(summary)
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, BackupError> {
        self.line += 1;
        let mut line = Vec::new();
        let read = (&mut self.from)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .doing("reading", &self.path)?;
        if line.last() != Some(&b'\n') {
            return Err(self.bad(if read as u64 == MAX_LINE {
                format!("longer than {MAX_LINE} bytes")
            } else {
                "it ends here".to_owned()
            }));
        }
        self.hasher.update(&line);
        serde_json::from_slice(&line).map_err(|e| self.bad(e.to_string()))
    }

    fn bad(&self, why: String) -> BackupError {
        BackupError::Manifest {
            path: self.path.clone(),
            line: self.line,
            why,
        }
    }
}

/// RFC 3339.
mod as_text {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let text = String::deserialize(from)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(mode),
            _ => Err(D::Error::custom(format!("\"{text}\" is not a file mode"))),
        }
    }
}

mod hex_hash {
    use blake3::Hash;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(hash: &Option<Hash>, to: S) -> Result<S::Ok, S::Error> {
        hash.map(|h| h.to_hex().to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Hash>, D::Error> {
        match Option::<String>::deserialize(from)? {
            None => Ok(None),
            Some(hex) => Hash::from_hex(&hex).map(Some).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStringExt;

    fn sample() -> (Summary, Vec<Line>) {
        let plan = Plan {
            name: "v2".into(),
            height: 49,
            info: "{\"binaries\":{}}".into(),
        };
        let upgrade = Upgrade {
            id: "v2@49#1".into(),
            plan,
        };
        let patterns = ["*.sst".to_owned()];
        let mut summary = Summary::new(
            Path::new("/x/data"),
            Method::Hardlink,
            &patterns,
            Some(upgrade),
            "2026-11-21T03:00:00Z".parse().unwrap(),
        );
        let line = |path: PathBuf, what| Line {
            path,
            what,
            mode: 0o640,
            uid: 7,
            gid: 8,
            mtime: (-5, 999_999_999),
        };
        let odd = std::ffi::OsString::from_vec(b"od\xffd\n%".to_vec());
        let lines = vec![
            line(PathBuf::new(), What::Dir),
            line(
                odd.into(),
                What::File {
                    how: How::Copied,
                    size: 3,
                    blake3: Some(blake3::hash(b"abc")),
                    ino: None,
                    dev: None,
                },
            ),
            line(
                "t.sst".into(),
                What::File {
                    how: How::Linked,
                    size: 10,
                    blake3: None,
                    ino: Some(17),
                    dev: Some(3),
                },
            ),
            line(
                "l".into(),
                What::Symlink {
                    target: "/else/where".into(),
                },
            ),
        ];
        for line in &lines {
            summary.count(line);
        }
        (summary, lines)
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let (summary, lines) = sample();
        assert_eq!(
            (summary.files, summary.bytes, summary.linked_bytes),
            (2, 13, 10)
        );
        write(dir.path(), &summary, &lines).unwrap();
        assert_eq!(read(dir.path()).unwrap(), (summary.clone(), lines));
        assert_eq!(read_summary(dir.path()).unwrap(), Some(summary));
    }

    #[test]
    fn the_text_is_as_documented() {
        let dir = tempfile::tempdir().unwrap();
        let (summary, lines) = sample();
        write(dir.path(), &summary, &lines).unwrap();
        let text = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
        let text: Vec<_> = text.lines().collect();
        assert!(text[0].starts_with("{\"baton_backup\":1,\"made_by\":\"baton "));
        assert!(
            text[0].contains(
                "\"upgrade\":{\"id\":\"v2@49#1\",\"plan\":{\"name\":\"v2\",\"height\":49,"
            )
        );
        assert_eq!(
            text[2],
            concat!(
                "{\"path\":\"od%FFd\\n%25\",\"kind\":\"file\",\"how\":\"copied\",\"size\":3,",
                "\"blake3\":\"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85\",",
                "\"mode\":\"0640\",\"uid\":7,\"gid\":8,\"mtime\":[-5,999999999]}"
            )
        );
        assert!(text[3].contains("\"how\":\"linked\",\"size\":10,\"ino\":17,\"dev\":3,"));
        assert!(text[4].contains("\"kind\":\"symlink\",\"target\":\"/else/where\""));
        assert!(text[5].starts_with("{\"end\":{\"blake3\":\""));
    }

    #[test]
    fn a_damaged_manifest_is_told_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(BackupError::NoManifest(_))));
        assert_eq!(read_summary(dir.path()).unwrap(), None);
        let (summary, lines) = sample();
        write(dir.path(), &summary, &lines).unwrap();
        let path = dir.path().join(MANIFEST);
        let whole = fs::read_to_string(&path).unwrap();
        let told = |text: &str| {
            fs::write(&path, text).unwrap();
            read(dir.path()).unwrap_err().to_string()
        };
        let cut = &whole[..whole.trim_end().rfind('\n').unwrap()];
        assert!(told(cut).contains("line 5: it ends here"), "{}", told(cut));
        let without_end = format!("{cut}\n");
        assert!(told(&without_end).contains("line 6: it ends here"));
        let changed = whole.replace("\"size\":10", "\"size\":11");
        assert!(told(&changed).contains("line 6: the lines before it were changed"));
        let out = whole.replace("\"t.sst\"", "\"../t.sst\"");
        assert!(told(&out).contains("line 4: the path ../t.sst leaves the backup"));
        let newer = whole.replace("\"baton_backup\":1", "\"baton_backup\":2");
        assert!(told(&newer).contains("line 1: format 2, but this version reads 1"));
        assert!(told("nonsense\n").contains("line 1: "));
    }
}
