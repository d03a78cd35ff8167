//! Log files: one for each module and day, none larger than a bound, none kept longer than so many days.
//!
//! A file that grows too large is put aside as `<module>.<day>.1`, the one before as `.2` and so on; more than
//! [`ASIDE`] are not kept. Only files of this scheme are ever removed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How many files that grew too large are kept for each module and day.
const ASIDE: u32 = 4;

/// Writes lines to the files of one directory.
#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    max_file_bytes: u64,
    keep_days: u64,
    open: BTreeMap<&'static str, Current>,
    swept: Option<Date>,
    /// The last write failed, which was told.
    failing: bool,
}

#[derive(Debug)]
struct Current {
    day: Date,
    file: File,
    bytes: u64,
}

impl Writer {
    pub(super) fn new(directory: PathBuf, max_file_bytes: u64, keep_days: u64) -> Self {
        Self {
            directory,
            max_file_bytes,
            keep_days,
            open: BTreeMap::new(),
            swept: None,
            failing: false,
        }
    }

    /// Writes on to the files that bear the names, not to those that bore them when they were opened.
    pub(super) fn reopen(&mut self) {
        self.open.clear();
    }

    /// Writes a line. A log that cannot be written stops nobody: it is told on standard error, once until it works again.
    pub(super) fn write(&mut self, module: &'static str, now: Timestamp, line: &str) {
        match self.try_write(module, now, line) {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.open.remove(module);
                if !self.failing {
                    let directory = self.directory.display();
                    let _ = writeln!(
                        io::stderr(),
                        "cannot write the log in {directory}: {error}; lines are lost"
                    );
                }
                self.failing = true;
            }
        }
    }

    fn try_write(&mut self, module: &'static str, now: Timestamp, line: &str) -> io::Result<()> {
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.swept != Some(today) {
            self.swept = Some(today);
            self.sweep(today);
        }
        let bytes = line.len() as u64;
        let fits = self.open.get(module).is_some_and(|current| {
            current.day == today && current.bytes + bytes <= self.max_file_bytes
        });
        if !fits {
            self.open.remove(module);
            let path = self.directory.join(name(module, today));
            let full = fs::metadata(&path)
                .is_ok_and(|found| found.len() > 0 && found.len() + bytes > self.max_file_bytes);
            if full {
                put_aside(&path)?;
            }
            let current = Current {
                day: today,
                file: append(&path)?,
                bytes: fs::metadata(&path)?.len(),
            };
            self.open.insert(module, current);
        }
        let current = self.open.get_mut(module).expect("it was opened just now");
        current.file.write_all(line.as_bytes())?;
        current.bytes += bytes;
        Ok(())
    }

    /// Removes what is too old; what cannot be removed is tried again tomorrow.
    fn sweep(&self, today: Date) {
        let keep = i64::try_from(self.keep_days)
            .unwrap_or(i64::MAX)
            .min(36_500);
        let Ok(oldest) = today.checked_sub(keep.days()) else {
            return;
        };
        for entry in fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let file = entry.file_name();
            let day = file.to_str().and_then(day_of);
            if day.is_some_and(|day| day < oldest) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
}

fn name(module: &str, day: Date) -> String {
    format!("{module}.{}", day.strftime("%Y%m%d"))
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn put_aside(path: &Path) -> io::Result<()> {
    for number in (1..ASIDE).rev() {
        match fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, aside(path, 1))
}

/// The day of a file of ours: `<module>.<8 digits>`, with the number of one that was put aside.
fn day_of(name: &str) -> Option<Date> {
    let mut parts = name.split('.');
    let (module, day) = (parts.next()?, parts.next()?);
    let number = parts.next();
    let ours = super::modules::ALL.contains(&module)
        && parts.next().is_none()
        && number.is_none_or(|number| number.parse::<u32>().is_ok());
    if !ours || day.len() != 8 {
        return None;
    }
    Date::strptime("%Y%m%d", day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_module_and_day_has_a_file_and_old_ones_of_ours_go() {
        let dir = tempfile::tempdir().unwrap();
        for other in [
            "api.20261101",
            "api.20261101.2",
            "api.20261120",
            "notes.20200101",
            "api.2020",
        ] {
            fs::write(dir.path().join(other), "x").unwrap();
        }
        let mut writer = Writer::new(dir.path().to_owned(), 1 << 20, 7);
        writer.write("api", at("2026-11-21T23:59:59Z"), "one\n");
        writer.write("p2p", at("2026-11-21T23:59:59Z"), "two\n");
        writer.write("api", at("2026-11-22T00:00:00Z"), "three\n");
        assert_eq!(
            names(dir.path()),
            [
                "api.2020",
                "api.20261120",
                "api.20261121",
                "api.20261122",
                "notes.20200101",
                "p2p.20261121",
            ]
        );
        assert_eq!(
            fs::read_to_string(dir.path().join("api.20261122")).unwrap(),
            "three\n"
        );
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path().to_owned(), 10, 7);
        for number in 0..8 {
            writer.write(
                "api",
                at("2026-11-21T01:00:00Z"),
                &format!("line {number}\n"),
            );
        }
        let kept = names(dir.path());
        assert_eq!(kept.len(), 1 + ASIDE as usize, "{kept:?}");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("api.20261121"), "line 7\n");
        assert_eq!(read("api.20261121.1"), "line 6\n");
        assert_eq!(read("api.20261121.4"), "line 3\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_left_when_it_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path().to_owned(), 1 << 20, 7);
        let mut write = |line| writer.write("api", at("2026-11-21T01:00:00Z"), line);
        write("one\n");
        fs::rename(dir.path().join("api.20261121"), dir.path().join("moved")).unwrap();
        write("two\n");
        writer.reopen();
        writer.write("api", at("2026-11-21T01:00:00Z"), "three\n");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("moved"), "one\ntwo\n");
        assert_eq!(read("api.20261121"), "three\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_borne_and_goes_on_later() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut writer = Writer::new(log.clone(), 1 << 20, 7);
        writer.write("api", at("2026-11-21T01:00:00Z"), "lost\n");
        fs::create_dir(&log).unwrap();
        writer.write("api", at("2026-11-21T01:00:00Z"), "kept\n");
        assert_eq!(
            fs::read_to_string(log.join("api.20261121")).unwrap(),
            "kept\n"
        );
    }
}
