//! `MANIFEST-NNNNNN`: which tables and which log make up the store.
//!
//! Appended to, one line per edit, each with its checksum; an edit counts when its whole line is
//! on the disk. `CURRENT` names the manifest in force. (Real manifests are binary; lines can be
//! read with `cat`.)

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::log::checksum;
use super::table::TableInfo;

/// A manifest that grew by so many bytes, and doubled, is followed by a new one.
const LONG: u64 = 4 << 10;

/// One atomic change of what makes up the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Tables that are now part of it.
    pub(crate) add: Vec<TableInfo>,
    /// Numbers of tables that are not any more.
    pub(crate) remove: Vec<u64>,
    /// Number of the log that is now in use.
    pub(crate) log: Option<u64>,
}

/// What makes up a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Tables by number.
    pub(crate) tables: BTreeMap<u64, TableInfo>,
    /// The log in use.
    pub(crate) log: u64,
}

/// Why the text of a manifest makes no sense: the line and what is wrong with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct BadManifest {
    line: usize,
    what: &'static str,
}

/// The name of manifest `number`.
pub(crate) fn name(number: u64) -> String {
    format!("MANIFEST-{number:06}")
}

impl Contents {
    pub(crate) fn apply(&mut self, edit: &Edit) {
        for number in &edit.remove {
            self.tables.remove(number);
        }
        for table in &edit.add {
            self.tables.insert(table.number, table.clone());
        }
        self.log = edit.log.unwrap_or(self.log);
    }

    /// The one edit that makes an empty store into this one.
    fn as_edit(&self) -> Edit {
        Edit {
            add: self.tables.values().cloned().collect(),
            remove: Vec::new(),
            log: Some(self.log),
        }
    }

    /// Reads the text of a manifest. A torn last line is an edit that never happened.
    pub(crate) fn parse(text: &str) -> Result<Self, BadManifest> {
        let mut contents = Self::default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            let bad = |what| BadManifest {
                line: index + 1,
                what,
            };
            let (body, sum) = line.rsplit_once(" #").ok_or(bad("has no checksum"))?;
            if sum != hex(checksum(body.as_bytes())) {
                return Err(bad("does not match its checksum"));
            }
            let edit = parse_edit(body).ok_or(bad("is not an edit"))?;
            contents.apply(&edit);
        }
        if contents.log == 0 {
            return Err(BadManifest {
                line: 1,
                what: "names no log",
            });
        }
        Ok(contents)
    }
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn render_edit(edit: &Edit) -> String {
    let mut body = String::from("edit");
    for TableInfo {
        number,
        low,
        high,
        size,
        level,
    } in &edit.add
    {
        let _ = write!(body, " add={number}:{low}:{high}:{size}:{level}");
    }
    for number in &edit.remove {
        let _ = write!(body, " remove={number}");
    }
    if let Some(log) = edit.log {
        let _ = write!(body, " log={log}");
    }
    let sum = hex(checksum(body.as_bytes()));
    format!("{body} #{sum}\n")
}

fn parse_edit(body: &str) -> Option<Edit> {
    let mut edit = Edit::default();
    for word in body.strip_prefix("edit")?.split_whitespace() {
        match word.split_once('=')? {
            ("add", table) => {
                let mut numbers = table.split(':').map(str::parse::<u64>);
                let mut next = || numbers.next()?.ok();
                edit.add.push(TableInfo {
                    number: next()?,
                    low: next()?,
                    high: next()?,
                    size: next()?,
                    level: u8::try_from(next()?).ok()?,
                });
            }
            ("remove", number) => edit.remove.push(number.parse().ok()?),
            ("log", number) => edit.log = Some(number.parse().ok()?),
            _ => return None,
        }
    }
    Some(edit)
}

/// A manifest open for appending.
pub(crate) struct Manifest {
    pub(crate) number: u64,
    file: File,
    size: u64,
    /// Its size when it was made or opened.
    initial: u64,
}

impl Manifest {
    /// Makes a new manifest that describes `contents`, synced.
    pub(crate) fn create(dir: &Path, number: u64, contents: &Contents) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(dir.join(name(number)))?;
        let mut manifest = Self {
            number,
            file,
            size: 0,
            initial: 0,
        };
        manifest.append(&contents.as_edit())?;
        manifest.initial = manifest.size;
        Ok(manifest)
    }

    /// Opens the manifest whose text is `text`, cutting off a torn line at its end.
    pub(crate) fn open(dir: &Path, number: u64, text: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .open(dir.join(name(number)))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        Ok(Self {
            number,
            file,
            size: whole as u64,
            initial: whole as u64,
        })
    }

    /// So much has been appended that a new one would be much shorter.
    pub(crate) fn is_long(&self) -> bool {
        self.size - self.initial > LONG.max(self.initial)
    }

    /// Appends an edit; when this returns, it is on the disk.
    pub(crate) fn append(&mut self, edit: &Edit) -> io::Result<()> {
        let line = render_edit(edit);
        self.file.write_all(line.as_bytes())?;
        self.size += line.len() as u64;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(number: u64) -> TableInfo {
        TableInfo {
            number,
            low: number * 10,
            high: number * 10 + 9,
            size: 99,
            level: 1,
        }
    }

    #[test]
    fn edits_add_up_and_a_torn_one_does_not_count() {
        let first = Edit {
            add: vec![table(1), table(2)],
            remove: vec![],
            log: Some(3),
        };
        let second = Edit {
            add: vec![table(4)],
            remove: vec![1, 2],
            log: Some(5),
        };
        let text = render_edit(&first) + &render_edit(&second);
        let mut after_first = Contents::default();
        after_first.apply(&first);
        let mut after_both = after_first.clone();
        after_both.apply(&second);
        assert_eq!(after_both.tables.keys().collect::<Vec<_>>(), [&4]);
        assert_eq!(Contents::parse(&text).unwrap(), after_both);
        for cut in render_edit(&first).len()..text.len() {
            assert_eq!(
                Contents::parse(&text[..cut]).unwrap(),
                after_first,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_torn_edit_is_cut_off_before_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name(9));
        let mut contents = Contents::default();
        let mut edit = Edit {
            log: Some(3),
            ..Edit::default()
        };
        contents.apply(&edit);
        drop(Manifest::create(dir.path(), 9, &contents).unwrap());
        let torn = std::fs::read_to_string(&path).unwrap() + "edit lo";
        std::fs::write(&path, &torn).unwrap();
        let mut manifest = Manifest::open(dir.path(), 9, &torn).unwrap();
        edit.log = Some(4);
        manifest.append(&edit).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Contents::parse(&text).unwrap().log, 4);
    }

    #[test]
    fn damage_is_told_by_line() {
        let edit = Edit {
            log: Some(3),
            ..Edit::default()
        };
        let text = render_edit(&edit) + "edit log=4 #0000000000000000\n";
        let error = Contents::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), "line 2: does not match its checksum");
        assert!(Contents::parse("").is_err());
        assert!(Contents::parse("edit\n").is_err());
    }
}
