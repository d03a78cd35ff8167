//! The files of a store: which there are, and do they belong together?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::log::Record;
use super::manifest::{self, Contents, Manifest};
use super::table::{self, TableError};
use crate::disk;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Manifest,
    Log,
    Table,
}

/// One of the store's own files.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) number: u64,
}

/// The store's own files in `dir`; anything else is not ours.
pub(super) fn list(dir: &Path, extension: &str) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let (number, kind) = match (name.strip_prefix("MANIFEST-"), name.split_once('.')) {
            (Some(number), _) => (number, Kind::Manifest),
            (None, Some((number, "log"))) => (number, Kind::Log),
            (None, Some((number, ext))) if ext == extension => (number, Kind::Table),
            _ => continue,
        };
        if let Ok(number) = number.parse() {
            found.push(Found { name, kind, number });
        }
    }
    Ok(found)
}

/// Is there anything in the store's files? A kill while a store is being made leaves an empty log
/// and a manifest without `CURRENT`, and that is nothing.
pub(super) fn holds_data(dir: &Path, found: &[Found]) -> io::Result<bool> {
    for file in found {
        let holds = match file.kind {
            Kind::Table => true,
            Kind::Log => fs::metadata(dir.join(&file.name))?.len() > 0,
            Kind::Manifest => false,
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.log"))
}

pub(super) fn table_path(dir: &Path, number: u64, extension: &str) -> PathBuf {
    dir.join(format!("{number:06}.{extension}"))
}

/// Makes a manifest of `contents` and puts it into force.
pub(super) fn new_manifest(
    dir: &Path,
    number: u64,
    contents: &Contents,
) -> Result<Manifest, StoreError> {
    let path = dir.join(manifest::name(number));
    let manifest = Manifest::create(dir, number, contents).map_err(StoreError::io(&path))?;
    let current = dir.join("CURRENT");
    let name = format!("{}\n", manifest::name(number));
    disk::replace(&current, name.as_bytes(), 0o644).map_err(StoreError::io(&current))?;
    Ok(manifest)
}

/// Reads the manifest `name`, which `current` says is in force, and opens it for appending.
pub(super) fn read_manifest(
    dir: &Path,
    current: &Path,
    name: &str,
) -> Result<(Contents, Option<Manifest>), StoreError> {
    let path = dir.join(name);
    let number = name.strip_prefix("MANIFEST-").and_then(|n| n.parse().ok());
    let number = number.ok_or_else(|| StoreError::mismatch(current, "names no manifest"))?;
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::mismatch(&path, "is missing, CURRENT names it"),
        _ => StoreError::io(&path)(error),
    })?;
    let contents =
        Contents::parse(&text).map_err(|error| StoreError::mismatch(&path, error.to_string()))?;
    let manifest = Manifest::open(dir, number, &text).map_err(StoreError::io(&path))?;
    Ok((contents, Some(manifest)))
}

pub(super) fn check_tables(
    dir: &Path,
    contents: &Contents,
    extension: &str,
    deep: bool,
) -> Result<(), StoreError> {
    for info in contents.tables.values() {
        let path = table_path(dir, info.number, extension);
        table::verify(&path, info, deep).map_err(|error| match error {
            TableError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                StoreError::mismatch(&path, "is missing, the manifest names it")
            }
            other => StoreError::table(&path)(other),
        })?;
    }
    Ok(())
}

/// Heights go up by one from the first table to the last record in the log.
pub(super) fn check_heights(
    dir: &Path,
    contents: &Contents,
    recent: &[Record],
) -> Result<(), StoreError> {
    let tables = contents.tables.values().filter(|table| table.low > 0);
    let mut spans: Vec<(u64, u64)> = tables.map(|table| (table.low, table.high)).collect();
    spans.sort_unstable();
    spans.extend(recent.iter().map(|(height, _)| (*height, *height)));
    for pair in spans.windows(2) {
        let ((_, high), (low, _)) = (pair[0], pair[1]);
        if low != high + 1 {
            return Err(StoreError::mismatch(
                dir,
                format!("goes from height {high} to height {low}"),
            ));
        }
    }
    Ok(())
}
