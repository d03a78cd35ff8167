//! Whole fetches against a real server and a real file system.

mod releases;
mod server;
mod transfers;
mod upstream;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checksum::{Algorithm, Hasher};
use super::*;

/// A script that knows its version, `length` bytes long.
fn script(version: &str, length: usize) -> Vec<u8> {
    let mut text = format!("#!/bin/sh\necho {version}\nexit 0\n").into_bytes();
    let mut line = 0;
    while text.len() < length {
        // Every line differs, so that a misplaced piece changes the hash.
        text.extend(format!("# {line:020}\n").bytes());
        line += 1;
    }
    text.truncate(length.max(40));
    text
}

fn hex_of(algorithm: Algorithm, bytes: &[u8]) -> String {
    hex::encode(Hasher::of(algorithm, &mut &*bytes).unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    hex_of(Algorithm::Sha256, bytes)
}

fn info_of(url: &str) -> String {
    format!(r#"{{"binaries":{{"{}":"{url}"}}}}"#, os_arch())
}

/// Limits for tests: the same rules, no long waits.
fn quick() -> Limits {
    Limits {
        total: Duration::from_mins(1),
        attempts: 4,
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(5),
        retry_after_max: Duration::from_millis(10),
        ..Limits::default()
    }
}

/// A home for releases.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn upgrades(&self) -> PathBuf {
        self.0.path().join("upgrades")
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.upgrades().join(inside)
    }

    fn write(&self, inside: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn request(&self, info: &str) -> Request {
        Request {
            upgrades_dir: self.upgrades(),
            dir_name: "v2".to_owned(),
            daemon_name: "simd".to_owned(),
            info: info.to_owned(),
            must_have_checksum: false,
            os_arch: os_arch(),
            environment: None,
            limits: quick(),
        }
    }

    async fn fetch_info(&self, info: &str) -> Result<Fetched, FetchError> {
        let result = release(&self.request(info), Arc::new(Unobserved)).await;
        if result.is_err() {
            assert!(!self.path("v2/bin/simd").exists(), "half a release is left");
        }
        result
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, FetchError> {
        self.fetch_info(&info_of(url)).await
    }

    /// The binary that is installed, after a look at the rest.
    fn binary(&self) -> Vec<u8> {
        let path = self.path("v2/bin/simd");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "executable for all");
        fs::read(path).unwrap()
    }

    /// Names in `upgrades`, sorted.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.upgrades()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn text(result: Result<Fetched, FetchError>) -> String {
    result.expect_err("it should fail").to_string()
}

fn contains(result: Result<Fetched, FetchError>, part: &str) {
    let text = text(result);
    assert!(text.contains(part), "{part:?} is not in: {text}");
}

/// The future can be spawned.
#[test]
fn a_fetch_may_run_on_any_thread() {
    fn is_send<T: Send>(_: T) {}
    let home = Home::new();
    let request = home.request("");
    is_send(release(&request, Arc::new(Unobserved)));
}
