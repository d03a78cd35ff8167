//! A fetch killed at every step: no half release, ever, and the next fetch works.
//!
//! `cargo test -p baton-supervisor --features failpoints --test fetch_crash`. The fetch runs in a process of
//! its own (this very program, started again), which sends itself SIGKILL at the fault point.
#![cfg(feature = "failpoints")]

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_supervisor::fetch::{Limits, Request, Unobserved, os_arch, release};
use rustix::process::{Signal, getpid, kill_process};

/// Environment of the child: where, what, which fault point, at which of its hits.
const DIR: &str = "FETCH_CRASH_DIR";
const INFO: &str = "FETCH_CRASH_INFO";
const POINT: &str = "FETCH_CRASH_POINT";
const HIT: &str = "FETCH_CRASH_HIT";

/// The child. Does nothing when it is run as one of the tests.
#[test]
fn child() {
    let (Ok(dir), Ok(info)) = (std::env::var(DIR), std::env::var(INFO)) else {
        return;
    };
    if let Ok(point) = std::env::var(POINT) {
        match std::env::var(HIT).unwrap().parse::<usize>() {
            Ok(hit) => {
                let hits = AtomicUsize::new(0);
                let kill = move || {
                    if hits.fetch_add(1, Ordering::SeqCst) + 1 == hit {
                        kill_process(getpid(), Signal::KILL).unwrap();
                        // The signal is on its way; nothing more may happen.
                        loop {
                            thread::park();
                        }
                    }
                };
                fail::cfg_callback(point, kill).unwrap();
            }
            Err(_) => fail::cfg(point, "return").unwrap(),
        }
    }
    let request = Request {
        upgrades_dir: PathBuf::from(dir),
        dir_name: "v2".to_owned(),
        daemon_name: "simd".to_owned(),
        info,
        must_have_checksum: true,
        os_arch: os_arch(),
        environment: None,
        limits: Limits {
            total: Duration::from_mins(1),
            ..Limits::default()
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match runtime.block_on(release(&request, Arc::new(Unobserved))) {
        Ok(fetched) => println!("outcome: {:?}", fetched.outcome),
        Err(error) => println!("error: {error}"),
    }
}

/// Runs the child.
fn fetch(home: &Home, point: Option<(&str, &str)>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, home.upgrades())
        .env(INFO, &home.info);
    if let Some((point, hit)) = point {
        command.env(POINT, point).env(HIT, hit);
    }
    command.output().unwrap()
}

fn was_killed(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt;
    output.status.signal() == Some(Signal::KILL.as_raw())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A home, and a server with the release for it.
struct Home {
    dir: tempfile::TempDir,
    info: String,
    binary: Vec<u8>,
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl Home {
    fn new() -> Self {
        let mut binary = b"#!/bin/sh\necho v2\nexit 0\n".to_vec();
        // Does not compress well, so that it arrives in several pieces.
        let mut state = 1u32;
        while binary.len() < 600_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            binary.extend(format!("#{state:x}\n").bytes());
        }
        let artefact = zip(&[("simd", &binary), ("lib/a.so", b"a"), ("lib/b.so", b"b")]);
        let sum = {
            use sha2::Digest;
            hex::encode(sha2::Sha256::digest(&artefact))
        };
        let ranges = Arc::default();
        let base = serve(artefact, Arc::clone(&ranges));
        let url = format!("{base}/simd.zip?checksum=sha256:{sum}");
        Self {
            dir: tempfile::tempdir().unwrap(),
            info: format!(r#"{{"binaries":{{"any":"{url}"}}}}"#),
            binary,
            ranges,
        }
    }

    fn upgrades(&self) -> PathBuf {
        self.dir.path().join("upgrades")
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.upgrades().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.upgrades()).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// There is no binary, or all of it, executable, with all that belongs to it.
    fn is_whole_or_not_there(&self) {
        if !self.path("v2/bin/simd").exists() {
            return;
        }
        self.is_whole();
    }

    fn is_whole(&self) {
        let path = self.path("v2/bin/simd");
        assert_eq!(fs::read(&path).unwrap(), self.binary);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o111, 0o111);
        assert!(self.path("v2/lib/a.so").exists());
        assert!(self.path("v2/lib/b.so").exists());
        assert!(self.path("v2/.baton-fetched.json").exists());
    }

    /// The next fetch ends right and leaves nothing lying about.
    fn next_fetch_works(&self) {
        let output = fetch(self, None);
        assert!(stdout(&output).contains("outcome: "), "{}", stdout(&output));
        self.is_whole();
        assert_eq!(self.names(), ["v2"]);
    }
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Serves a file, with ranges, until the test program ends.
fn serve(bytes: Vec<u8>, ranges: Arc<Mutex<Vec<Option<String>>>>) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let app = Router::new().fallback(move |request: HttpRequest| {
                let response = answer(&bytes, &request, &ranges);
                async move { response }
            });
            axum::serve(listener, app).await.unwrap();
        });
    });
    format!("http://{}", told.recv().unwrap())
}

fn answer(bytes: &[u8], request: &HttpRequest, log: &Mutex<Vec<Option<String>>>) -> Response {
    let range = request.headers().get(header::RANGE);
    let range = range.map(|r| r.to_str().unwrap().to_owned());
    log.lock().unwrap().push(range.clone());
    let tag = (header::ETAG, "\"v2\"".to_owned());
    let Some(range) = range else {
        return ([tag], bytes.to_vec()).into_response();
    };
    let from: usize = range["bytes=".len()..range.len() - 1].parse().unwrap();
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    let headers = [tag, (header::CONTENT_RANGE, range)];
    let rest = bytes[from..].to_vec();
    (StatusCode::PARTIAL_CONTENT, headers, rest).into_response()
}

/// The steps of every fetch, with how often at most they are tried.
const STEPS: [(&str, usize); 9] = [
    ("fetch::claimed", 1),
    ("fetch::piece", 4),
    ("fetch::write", 4),
    ("fetch::downloaded", 1),
    ("fetch::staged", 1),
    ("fetch::checked", 1),
    ("fetch::synced", 1),
    ("fetch::renamed", 1),
    ("fetch::placed", 1),
];

#[test]
fn killed_anywhere_while_a_release_is_fetched() {
    for (point, hits) in STEPS {
        for hit in 1..=hits {
            let home = Home::new();
            let output = fetch(&home, Some((point, &hit.to_string())));
            assert!(was_killed(&output), "{point} {hit}: {}", stdout(&output));
            home.is_whole_or_not_there();
            // Nobody who lists the releases sees the unfinished one.
            let listed = home
                .names()
                .iter()
                .any(|n| home.path(n).join("bin/simd").exists());
            let committed = matches!(point, "fetch::renamed" | "fetch::placed");
            assert_eq!(listed, committed, "{point} {hit}");
            home.next_fetch_works();
        }
    }
}

#[test]
fn killed_anywhere_while_a_directory_is_completed() {
    for (point, hits) in [
        ("fetch::synced", 1),
        ("fetch::merge", 3),
        ("fetch::merged", 1),
        ("fetch::placed", 1),
    ] {
        for hit in 1..=hits {
            let home = Home::new();
            home.write("v2/upgrade-info.json", "{}");
            home.write("v2/lib/a.so", "operator's");
            let output = fetch(&home, Some((point, &hit.to_string())));
            assert!(was_killed(&output), "{point} {hit}: {}", stdout(&output));
            home.is_whole_or_not_there();
            home.next_fetch_works();
            let read = |inside: &str| fs::read_to_string(home.path(inside)).unwrap();
            assert_eq!(read("v2/upgrade-info.json"), "{}");
            assert_eq!(read("v2/lib/a.so"), "operator's");
            assert_eq!(read("v2/lib/b.so"), "b");
        }
    }
}

#[test]
fn what_was_downloaded_before_the_kill_is_not_downloaded_again() {
    let home = Home::new();
    let output = fetch(&home, Some(("fetch::write", "4")));
    assert!(was_killed(&output));
    let have = fs::metadata(home.path(".fetch-v2/artefact")).unwrap().len();
    assert!(have > 0);
    home.next_fetch_works();
    let ranges = home.ranges.lock().unwrap().clone();
    assert_eq!(ranges, [None, Some(format!("bytes={have}-"))]);

    // And not asked for at all when it was complete.
    let home = Home::new();
    let output = fetch(&home, Some(("fetch::downloaded", "1")));
    assert!(was_killed(&output));
    home.next_fetch_works();
    assert_eq!(home.ranges.lock().unwrap().len(), 1);
}

#[test]
fn what_a_power_cut_did_to_the_download_is_found() {
    let home = Home::new();
    let output = fetch(&home, Some(("fetch::write", "4")));
    assert!(was_killed(&output));
    // The length arrived on the disk, the contents did not.
    let artefact = home.path(".fetch-v2/artefact");
    let have = fs::metadata(&artefact).unwrap().len();
    fs::write(&artefact, vec![0; usize::try_from(have).unwrap()]).unwrap();
    home.next_fetch_works();
    let ranges = home.ranges.lock().unwrap().clone();
    assert_eq!(ranges, [None, Some(format!("bytes={have}-")), None]);

    // The note of its origin is rubbish.
    let home = Home::new();
    let output = fetch(&home, Some(("fetch::write", "4")));
    assert!(was_killed(&output));
    fs::write(home.path(".fetch-v2/artefact.json"), "\0\0\0").unwrap();
    home.next_fetch_works();
}

#[test]
fn a_full_disk_is_told_with_figures_and_the_next_fetch_continues() {
    let home = Home::new();
    let output = fetch(&home, Some(("fetch::write", "full")));
    let text = stdout(&output);
    assert!(
        text.contains("error: downloading: no space left in "),
        "{text}"
    );
    assert!(
        text.contains(" bytes needed, ") && text.contains(" bytes free;"),
        "{text}"
    );
    assert!(!home.path("v2").exists());
    home.next_fetch_works();
}

#[test]
fn a_fetch_waits_for_another_process_and_takes_over_when_that_dies() {
    let home = Home::new();
    let output = thread::scope(|scope| {
        // One is killed in the middle, at whatever moment that is for the other two.
        let killed = scope.spawn(|| fetch(&home, Some(("fetch::staged", "1"))));
        let others = [(); 2].map(|()| scope.spawn(|| fetch(&home, None)));
        killed.join().unwrap();
        others.map(|o| stdout(&o.join().unwrap()))
    });
    for text in output {
        assert!(text.contains("outcome: "), "{text}");
    }
    home.is_whole();
    assert_eq!(home.names(), ["v2"]);
}
