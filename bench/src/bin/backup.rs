//! How long a backup stops a node: an LSM-shaped data directory, hard-linked, and copied beside
//! `cp -a`.
//!
//! `bench-backup [--gib 2] [--files 5000] [--runs 7] [--dir DIR] [--only hardlink|copy]`
//!
//! What is compared is alike: the source is read once before each timed run, so it is in the page
//! cache for both; the runs alternate; the copy of the run before is removed and the file system
//! flushed before the clock starts. Baton's copy is durable and has a manifest with the hash of
//! every file when the clock stops; `cp -a` alone leaves its copy in memory, so it is timed with
//! and without a flush after it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use baton_supervisor::backup::{Mode, Outcome, Report, Request, take};
use serde_json::json;

const MIB: u64 = 1 << 20;

struct Options {
    bytes: u64,
    files: u64,
    runs: usize,
    dir: PathBuf,
    only: Option<Mode>,
}

fn main() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let home = tempfile::Builder::new()
        .prefix("bench-backup-")
        .tempdir_in(&options.dir)
        .with_context(|| format!("creating a directory in {}", options.dir.display()))?;
    let bench = Bench {
        data: home.path().join("data"),
        home: home.path().to_owned(),
    };
    bench.fill(&options)?;
    if options.only != Some(Mode::Copy) {
        bench.hardlink(&options)?;
    }
    if options.only != Some(Mode::Hardlink) {
        bench.copy(&options)?;
    }
    Ok(())
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            bytes: 2 << 30,
            files: 5000,
            runs: 7,
            dir: std::env::temp_dir(),
            only: None,
        };
        while let Some(arg) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--gib" => options.bytes = value.parse::<u64>()? << 30,
                "--files" => options.files = value.parse()?,
                "--runs" => options.runs = value.parse()?,
                "--dir" => options.dir = value.into(),
                "--only" => options.only = Some(value.parse()?),
                other => bail!("unknown option {other}"),
            }
        }
        ensure!(
            matches!(options.only, None | Some(Mode::Hardlink | Mode::Copy)),
            "--only takes hardlink or copy"
        );
        ensure!(options.runs > 0, "--runs must not be 0");
        ensure!(options.files >= 200, "--files must be 200 or more");
        ensure!(options.bytes >= 1 << 30, "--gib must be 1 or more");
        Ok(options)
    }
}

/// What one store of a node writes besides tables, as goleveldb does: its write-ahead log is at
/// most 4 MiB (the write buffer).
const STORE: [(&str, u64); 5] = [
    ("CURRENT", 16),
    ("LOCK", 0),
    ("LOG", MIB),
    ("MANIFEST-000004", MIB),
    ("000003.log", 4 * MIB),
];

/// The stores of a `CometBFT` node and their share of the tables, in percent.
const STORES: [(&str, u64); 5] = [
    ("application.db", 55),
    ("blockstore.db", 25),
    ("tx_index.db", 12),
    ("state.db", 7),
    ("evidence.db", 1),
];

/// The consensus log: files of 10 MiB, as `CometBFT` rotates them.
const WAL_FILES: u64 = 10;

struct Bench {
    home: PathBuf,
    data: PathBuf,
}

impl Bench {
    fn fill(&self, options: &Options) -> Result<()> {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut written = 0;
        let mut write = |path: PathBuf, size: u64, random: &mut Random| -> Result<()> {
            let mut file = File::create(&path).with_context(|| path.display().to_string())?;
            let block = random.block();
            let mut left = size;
            while left > 0 {
                let piece = left.min(block.len() as u64);
                file.write_all(&block[..usize::try_from(piece)?])?;
                left -= piece;
            }
            written += size;
            Ok(())
        };
        let mut other_files = WAL_FILES + 2;
        for (store, _) in STORES {
            let dir = self.data.join(store);
            fs::create_dir_all(&dir)?;
            for (name, size) in STORE {
                write(dir.join(name), size, &mut random)?;
                other_files += 1;
            }
        }
        fs::create_dir(self.data.join("cs.wal"))?;
        for i in 0..WAL_FILES {
            let name = match i {
                0 => "wal".to_owned(),
                i => format!("wal.{:03}", i - 1),
            };
            write(self.data.join("cs.wal").join(name), 10 * MIB, &mut random)?;
        }
        write(
            self.data.join("priv_validator_state.json"),
            400,
            &mut random,
        )?;
        write(self.data.join("upgrade-info.json"), 400, &mut random)?;
        let tables = options.files - other_files;
        let mean = (options.bytes - STORES.len() as u64 * 6 * MIB - WAL_FILES * 10 * MIB) / tables;
        let mut number = 10;
        for (store, share) in STORES {
            for _ in 0..tables * share / 100 {
                // Between half and one and a half of the mean.
                let size = mean / 2 + random.next() % mean;
                let name = format!("{store}/{number:06}.ldb");
                write(self.data.join(name), size, &mut random)?;
                number += 1;
            }
        }
        self.flush()
    }

    fn hardlink(&self, options: &Options) -> Result<()> {
        let (mut times, mut last) = (Vec::new(), None);
        for _ in 0..options.runs {
            let (time, report) = self.take(Mode::Hardlink)?;
            times.push(time);
            last = Some(report);
        }
        let summary = last.context("no run")?.summary;
        println!(
            "{}",
            json!({
                "bench": "backup-hardlink",
                "files": summary.files,
                "bytes": summary.bytes,
                "copied_bytes": summary.copied_bytes,
                "runs": options.runs,
                "median_ms": ms(median(&mut times)),
                "min_ms": ms(times[0]),
                "max_ms": ms(times[times.len() - 1]),
            })
        );
        Ok(())
    }

    fn copy(&self, options: &Options) -> Result<()> {
        let [mut ours, mut peer, mut peer_flushed] = [const { Vec::new() }; 3];
        let [mut ratios, mut ratios_flushed] = [const { Vec::new() }; 2];
        let mut last = None;
        for run in 0..options.runs {
            // Neither always has the other's traces before it.
            let ((copied, flushed), (time, report)) = if run % 2 == 0 {
                (self.cp()?, self.take(Mode::Copy)?)
            } else {
                let taken = self.take(Mode::Copy)?;
                (self.cp()?, taken)
            };
            ratios.push(time.as_secs_f64() / copied.as_secs_f64());
            ratios_flushed.push(time.as_secs_f64() / flushed.as_secs_f64());
            ours.push(time);
            peer.push(copied);
            peer_flushed.push(flushed);
            last = Some(report);
        }
        ratios.sort_by(f64::total_cmp);
        ratios_flushed.sort_by(f64::total_cmp);
        let summary = last.context("no run")?.summary;
        println!(
            "{}",
            json!({
                "bench": "backup-copy",
                "files": summary.files,
                "bytes": summary.bytes,
                "runs": options.runs,
                "median_ms": ms(median(&mut ours)),
                "min_ms": ms(ours[0]),
                "max_ms": ms(ours[ours.len() - 1]),
                "cp_a_ms": ms(median(&mut peer)),
                "cp_a_and_flush_ms": ms(median(&mut peer_flushed)),
                "ratio_to_cp_a": round(ratios[ratios.len() / 2]),
                "ratio_to_cp_a_and_flush": round(ratios_flushed[ratios_flushed.len() / 2]),
            })
        );
        Ok(())
    }

    fn take(&self, mode: Mode) -> Result<(Duration, Report)> {
        self.prepare()?;
        let request = Request {
            data: self.data.clone(),
            dest_dir: self.home.clone(),
            mode,
            immutable: Vec::new(),
            upgrade: None,
            today: jiff::Zoned::now().date(),
        };
        let begun = Instant::now();
        let outcome = take(&request, &())?;
        let time = begun.elapsed();
        let Outcome::Taken(report) = outcome else {
            bail!("no backup was taken");
        };
        ensure!(report.summary.method.to_string() == mode.to_string());
        fs::remove_dir_all(&report.path)?;
        Ok((time, *report))
    }

    /// How long `cp -a` takes, without and with a flush after it.
    fn cp(&self) -> Result<(Duration, Duration)> {
        self.prepare()?;
        let to = self.home.join("copy");
        let begun = Instant::now();
        let status = Command::new("cp")
            .arg("-a")
            .args([&self.data, &to])
            .status()
            .context("running cp")?;
        let copied = begun.elapsed();
        ensure!(status.success(), "cp: {status}");
        self.flush()?;
        let flushed = begun.elapsed();
        fs::remove_dir_all(&to)?;
        Ok((copied, flushed))
    }

    /// The same state before each run.
    fn prepare(&self) -> Result<()> {
        self.flush()?;
        let mut buffer = vec![0; 1 << 20];
        read_all(&self.data, &mut buffer)
    }

    fn flush(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(File::open(&self.home)?)?)
    }
}

fn read_all(dir: &Path, buffer: &mut [u8]) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            read_all(&entry.path(), buffer)?;
        } else {
            let mut file = File::open(entry.path())?;
            while file.read(buffer)? > 0 {}
        }
    }
    Ok(())
}

/// Content that no file system compresses (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn block(&mut self) -> Vec<u8> {
        (0..MIB / 8)
            .flat_map(|_| self.next().to_le_bytes())
            .collect()
    }
}

/// Sorts.
fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1000.0)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
