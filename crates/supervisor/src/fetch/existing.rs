//! What is already in `upgrades/<name>`, and whether it is what the plan asks for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Request;
use super::checksum::Hasher;
use super::error::FetchError;
use super::executable::inspect;
use super::info::Info;
use super::record::Record;
use super::source::{Expected, Source};

/// What is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// No binary, and nothing that would be in its way.
    Nothing,
    /// The binary of the plan.
    Same,
    /// A binary that the plan did not bring, or none knows.
    Other { why: String },
}

/// Looks at a release directory. Reads whole files: not for an async thread.
pub(super) fn look(request: &Request) -> Result<Existing, FetchError> {
    let release = request.release();
    let binary = request.binary();
    let in_the_way = |path: &Path, what: String| FetchError::InTheWay {
        path: path.to_owned(),
        what,
    };
    if let Some(what) = obstacle(&release, Path::is_dir, "a directory") {
        return Err(in_the_way(&release, what));
    }
    if let Some(what) = obstacle(&binary, Path::is_file, "a file") {
        return Err(in_the_way(&binary, what));
    }
    if !binary.is_file() {
        return Ok(Existing::Nothing);
    }
    inspect(&binary).map_err(|e| in_the_way(&binary, e.reason()))?;
    Ok(compare(request, &release, &binary))
}

/// What is wrong with a path that is there but not what it should be.
fn obstacle(path: &Path, is_right: fn(&Path) -> bool, right: &str) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    if is_right(path) {
        return None;
    }
    if !meta.is_symlink() {
        return Some(format!("it is not {right}"));
    }
    let target = fs::read_link(path).unwrap_or_default();
    let target: PathBuf = path.parent().unwrap_or(path).join(target);
    Some(format!(
        "it is a link to {}, which is not {right}",
        target.display()
    ))
}

fn compare(request: &Request, release: &Path, binary: &Path) -> Existing {
    let other = |why: &str| Existing::Other {
        why: why.to_owned(),
    };
    let source = wanted(request);
    let Some(record) = Record::read(release) else {
        return match source {
            // A raw binary is its own artefact.
            Some((_, source)) if source.archive.is_none() => match &source.checksum {
                Some(Expected::Is(wanted)) => {
                    let found = File::open(binary)
                        .and_then(|mut file| Hasher::of(wanted.algorithm, &mut file));
                    if found.is_ok_and(|found| found == wanted.digest) {
                        Existing::Same
                    } else {
                        other("its checksum is not the one in the plan")
                    }
                }
                _ => other("it was put there by hand, and the plan has no checksum for it"),
            },
            _ => other("it was put there by hand"),
        };
    };
    if !record.describes(binary) {
        return other("it was changed since it was fetched");
    }
    if record.info.trim() == request.info.trim() {
        return Existing::Same;
    }
    match source {
        Some((url, source)) => {
            let same = match (&source.checksum, &record.checksum) {
                (Some(Expected::Is(wanted)), Some(had)) => wanted.to_string() == *had,
                _ => url == record.url,
            };
            if same {
                Existing::Same
            } else {
                other(&format!("it was fetched from {}", record.url))
            }
        }
        None => other(&format!(
            "it was fetched from {} for a plan with another info",
            record.url
        )),
    }
}

/// The source that the plan's info names here, if that can be told without asking anybody.
fn wanted(request: &Request) -> Option<(String, Source)> {
    let Ok(Info::Here(binaries)) = Info::read(&request.info) else {
        return None;
    };
    let (_, url) = binaries.choose(&request.os_arch).ok()?;
    let source = Source::parse(url, false).ok()?;
    Some((url.to_owned(), source))
}
