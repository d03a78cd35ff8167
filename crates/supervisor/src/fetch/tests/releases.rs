//! From a plan's info to a release, and what may be in the way.

use std::ops::ControlFlow;

use axum::http::header;
use tar::EntryType;

use super::super::archive::Compression;
use super::super::archive::tests::{Item, all_packings, compress, tar_of};
use super::server::*;
use super::*;

#[tokio::test]
async fn a_raw_binary_becomes_a_release_with_a_note_of_its_origin() {
    let bytes = script("v2.0.1", 5000);
    let server = Server::of(bytes.clone()).await;
    let home = Home::new();
    let sum = sha256(&bytes);
    let url = format!("{}?x=1&checksum=sha256:{sum}&y=2", server.url("/simd"));
    let fetched = home.fetch(&url).await.unwrap();
    assert_eq!(fetched.outcome, Outcome::Installed);
    assert_eq!(fetched.binary, home.path("v2/bin/simd"));
    assert!(fetched.warnings.is_empty(), "{:?}", fetched.warnings);
    assert_eq!(home.binary(), bytes);
    let mode = fs::metadata(&fetched.binary).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o755, "for everybody to read and run");
    assert_eq!(home.names(), ["v2"]);
    assert_eq!(server.targets(), ["/simd?x=1&y=2"]);
    let agent = server.seen()[0]
        .header(header::USER_AGENT)
        .unwrap()
        .to_owned();
    assert!(agent.starts_with("baton/"), "{agent}");

    let record = Record::read(&home.path("v2")).unwrap();
    assert_eq!(fetched.record.as_ref(), Some(&record));
    assert_eq!(record.url, url);
    assert_eq!(record.checksum, Some(format!("sha256:{sum}")));
    assert_eq!(record.binary_sha256, sum);
    assert_eq!(record.bytes, 5000);
    assert_eq!(record.version.as_deref(), Some("v2.0.1"));
}

#[tokio::test]
async fn every_archive_and_every_checksum_goes() {
    use Algorithm::{Md5, Sha1, Sha256, Sha512};
    let bytes = script("v2", 5000);
    let items = [
        Item::file("simd", &bytes),
        Item::file("lib/libwasmvm.so", b"library"),
    ];
    let packed = all_packings(&items);
    let files = packed.clone();
    let server = Server::start(move |_, seen| {
        let kind = seen.target.strip_prefix("/simd.").unwrap();
        let (_, bytes) = files.iter().find(|(k, _)| *k == kind).unwrap();
        whole(bytes, None)
    })
    .await;
    for (index, (kind, archive)) in packed.iter().enumerate() {
        let algorithm = [Md5, Sha1, Sha256, Sha512][index % 4];
        let hex = hex_of(algorithm, archive);
        let checksum = match index % 2 {
            0 => format!("{algorithm}:{hex}"),
            _ => hex,
        };
        let url = server.url(&format!("/simd.{kind}?checksum={checksum}"));
        let home = Home::new();
        let fetched = home
            .fetch(&url)
            .await
            .unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(fetched.outcome, Outcome::Installed, "{kind}");
        assert_eq!(home.binary(), bytes, "{kind}");
        let library = fs::read(home.path("v2/lib/libwasmvm.so")).unwrap();
        assert_eq!(library, b"library", "{kind}");
        assert!(!home.path("v2/simd").exists());
    }
}

#[tokio::test]
async fn single_compressed_binaries_and_named_packings_go() {
    let bytes = script("v2", 5000);
    for (suffix, compression) in [
        (".gz", Compression::Gz),
        (".bz2", Compression::Bz2),
        (".xz", Compression::Xz),
        (".zst", Compression::Zst),
    ] {
        let server = Server::of(compress(compression, &bytes)).await;
        for target in [
            format!("/simd-linux{suffix}"),
            format!("/download?id=7&archive={}", &suffix[1..]),
        ] {
            let home = Home::new();
            home.fetch(&server.url(&target)).await.unwrap();
            assert_eq!(home.binary(), bytes, "{target}");
        }
    }
    // Not unpacked when the URL says so: then it is no program.
    let server = Server::of(compress(Compression::Gz, &bytes)).await;
    let home = Home::new();
    contains(
        home.fetch(&server.url("/simd.gz?archive=false")).await,
        "is a gzip file; if its URL does not end in .tar.gz or .gz",
    );
}

#[tokio::test]
async fn checksums_are_found_in_lists() {
    let bytes = script("v2", 5000);
    let sum = sha256(&bytes);
    let gnu = format!("{}  other\n{sum} *simd\n", "0".repeat(64));
    let bsd = format!("SHA256 (simd) = {sum}\n");
    let file = bytes.clone();
    let server = Server::start(move |_, seen| match seen.target.as_str() {
        "/v2/gnu" => whole(gnu.as_bytes(), None),
        "/v2/bsd" => whole(bsd.as_bytes(), None),
        "/v2/others" => whole(b"nothing of use\n", None),
        "/v2/simd" => whole(&file, None),
        _ => status(404),
    })
    .await;
    for list in ["gnu", "bsd"] {
        let home = Home::new();
        let list = server.url(&format!("/v2/{list}"));
        let url = format!("{}?checksum=file:{list}", server.url("/v2/simd"));
        let fetched = home.fetch(&url).await.unwrap();
        let record = fetched.record.unwrap();
        assert_eq!(record.checksum, Some(format!("sha256:{sum}")));
        assert_eq!(home.binary(), bytes);
    }
    let home = Home::new();
    let list = home.write("sums", format!("{sum}\n").as_bytes());
    let url = format!(
        "{}?checksum=file:{}",
        server.url("/v2/simd"),
        list.display()
    );
    home.fetch(&url).await.unwrap();
    for (list, part) in [
        ("others", "no checksum found in: "),
        ("absent", "Error downloading checksum file: GET "),
    ] {
        let home = Home::new();
        let list = server.url(&format!("/v2/{list}"));
        let url = format!("{}?checksum=file:{list}", server.url("/v2/simd"));
        let before = server.targets().len();
        contains(home.fetch(&url).await, part);
        let asked = &server.targets()[before..];
        assert!(
            !asked.contains(&"/v2/simd".to_owned()),
            "fetched without proof"
        );
    }
}

#[tokio::test]
async fn the_wrong_bytes_are_refused_in_the_known_words() {
    let bytes = script("v2", 5000);
    let server = Server::of(bytes.clone()).await;
    let home = Home::new();
    let bad = "2c22e34510bd1d4ad2343cdc54f7165bccf30caef73f39af7dd1db2795a3da48";
    let url = server.url("/simd");
    let error = home
        .fetch(&format!("{url}?checksum=sha256:{bad}"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Checksums did not match for {url}.\nExpected: {bad}\nGot: {}",
            sha256(&bytes)
        )
    );
    assert_eq!(error.stage().prefix(), "cannot download binary. ");
    assert_eq!(server.seen().len(), 1, "not tried again");
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn only_the_binary_of_this_machine_is_fetched() {
    let bytes = script("v2", 5000);
    let server = Server::of(bytes.clone()).await;
    let url = |path: &str| server.url(path);
    let info = format!(
        r#"{{"binaries":{{"plan9/mips":"{}","any":"{}","{}":"{}"}}}}"#,
        url("/plan9"),
        url("/any"),
        os_arch(),
        url("/mine")
    );
    let home = Home::new();
    home.fetch_info(&info).await.unwrap();
    assert_eq!(server.targets(), ["/mine"]);

    let home = Home::new();
    let mut request = home.request(&info);
    request.os_arch = "darwin/arm64".to_owned();
    release(&request, Arc::new(Unobserved)).await.unwrap();
    assert_eq!(server.targets(), ["/mine", "/any"]);

    let home = Home::new();
    let error = home.fetch_info(r#"{"binaries":{}}"#).await.unwrap_err();
    let part = format!(
        "cannot find binary for os/arch: neither {}, nor any",
        os_arch()
    );
    assert!(error.to_string().starts_with(&part), "{error}");
    assert_eq!(error.stage().prefix(), "");
}

#[tokio::test]
async fn the_info_may_be_behind_a_url() {
    let bytes = script("v2", 5000);
    let file = bytes.clone();
    let server = Server::start(move |_, seen| {
        let host = seen.header(header::HOST).unwrap();
        let info = info_of(&format!("http://{host}/simd"));
        match seen.target.as_str() {
            "/plan.json" => whole(format!("\n{info}\n").as_bytes(), None),
            "/plan.json.gz" => whole(&compress(Compression::Gz, info.as_bytes()), None),
            "/empty" => whole(b" \n", None),
            "/html" => whole(b"<html>", None),
            "/endless" => endless(),
            "/bomb.gz" => whole(&compress(Compression::Gz, &b" ".repeat(2 << 20)), None),
            "/simd" => whole(&file, None),
            _ => status(404),
        }
    })
    .await;
    for target in ["/plan.json", "/plan.json.gz"] {
        let home = Home::new();
        home.fetch_info(&server.url(target)).await.unwrap();
        assert_eq!(home.binary(), bytes);
    }
    for (target, part) in [
        (
            "/empty",
            format!("no content returned by \"{}\"", server.url("/empty")),
        ),
        ("/html", "could not parse plan info: ".to_owned()),
        (
            "/absent",
            format!("could not download url \"{}\"", server.url("/absent")),
        ),
        ("/endless", "at most 1048576 are fetched (limit)".to_owned()),
        ("/bomb.gz", "more than 1048576 bytes (limit)".to_owned()),
    ] {
        let home = Home::new();
        let error = home.fetch_info(&server.url(target)).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Info, "{error}");
        assert!(error.to_string().contains(&part), "{target}: {error}");
        assert!(home.names().is_empty());
    }
}

#[tokio::test]
async fn demanded_checksums_are_demanded_of_every_url() {
    let bytes = script("v2", 5000);
    let info = |sum: &str| info_of(&format!("http://127.0.0.1:1/simd{sum}"));
    let plan = info("").into_bytes();
    let plan_sum = sha256(&plan);
    let file = bytes.clone();
    let server = Server::start(move |_, seen| match seen.target.as_str() {
        "/plan.json" => whole(&plan, None),
        _ => whole(&file, None),
    })
    .await;
    let home = Home::new();
    let fetch = async |info: &str| {
        let mut request = home.request(info);
        request.must_have_checksum = true;
        release(&request, Arc::new(Unobserved)).await
    };
    let missing = "missing checksum query parameter";
    // The binary's URL.
    contains(fetch(&info_of(&server.url("/simd"))).await, missing);
    // The info's URL.
    contains(fetch(&server.url("/plan.json")).await, missing);
    assert!(server.seen().is_empty(), "{:?}", server.targets());
    // The binary's URL in an info that has its own.
    let url = server.url(&format!("/plan.json?checksum={plan_sum}"));
    contains(fetch(&url).await, missing);
    // Both have one.
    let url = server.url(&format!("/simd?checksum={}", sha256(&bytes)));
    fetch(&info_of(&url)).await.unwrap();
}

#[tokio::test]
async fn a_missing_checksum_is_told() {
    let server = Server::of(script("v2", 5000)).await;
    let home = Home::new();
    let fetched = home.fetch(&server.url("/simd")).await.unwrap();
    assert!(
        fetched.warnings[0].contains("has no checksum"),
        "{:?}",
        fetched.warnings
    );
}

#[tokio::test]
async fn what_is_no_program_for_this_machine_is_refused_and_called_by_its_name() {
    let mut elf = vec![0; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[16] = 2;
    let foreign = if cfg!(target_arch = "s390x") { 62 } else { 22 };
    elf[18] = foreign;
    elf[5] = if foreign == 22 { 2 } else { 1 };
    if foreign == 22 {
        elf.swap(16, 17);
        elf.swap(18, 19);
    }
    for (bytes, part) in [
        (
            b"<!DOCTYPE html><title>Sign in</title>".to_vec(),
            "an HTML page",
        ),
        (Vec::new(), "an empty file"),
        (elf, "; this machine is "),
        (b"#!/no/such/interpreter\n".to_vec(), "does not start: "),
    ] {
        let server = Server::of(bytes).await;
        let home = Home::new();
        let error = home.fetch(&server.url("/simd")).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Check);
        let error = error.to_string();
        assert!(
            error.contains(part) && error.contains(&server.url("/simd")),
            "{error}"
        );
        assert!(home.names().is_empty(), "{:?}", home.names());
    }
}

#[tokio::test]
async fn a_version_command_that_fails_is_reported_and_no_more() {
    let server = Server::of(b"#!/bin/sh\necho what? >&2\nexit 1\n".to_vec()).await;
    let home = Home::new();
    let fetched = home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(fetched.outcome, Outcome::Installed);
    assert!(
        fetched.warnings[0].contains("exit status: 1: what?"),
        "{:?}",
        fetched.warnings
    );
}

#[tokio::test]
async fn hostile_archives_leave_no_trace() {
    let bytes = script("v2", 5000);
    let items = [
        Item::file("bin/simd", &bytes),
        Item::file("../../evil", b"x"),
    ];
    for (kind, archive) in all_packings(&items) {
        let server = Server::of(archive).await;
        let home = Home::new();
        contains(
            home.fetch(&server.url(&format!("/simd.{kind}"))).await,
            "archive entry \"../../evil\" leads out of the archive",
        );
        assert!(home.names().is_empty(), "{kind}: {:?}", home.names());
        assert!(!home.0.path().join("evil").exists());
    }
}

#[tokio::test]
async fn unpacking_can_be_cancelled_and_keeps_the_download() {
    let bytes = script("v2", 5000);
    let (kind, archive) = all_packings(&[Item::file("simd", &bytes)])[0].clone();
    let server = Server::of(archive.clone()).await;
    let url = server.url(&format!("/simd.{kind}?checksum={}", sha256(&archive)));
    let home = Home::new();
    let stop = |p: &Progress| match p.step {
        Step::Unpacking => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let request = home.request(&info_of(&url));
    let error = release(&request, Arc::new(stop)).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    // What was downloaded is there for the next one.
    home.fetch(&url).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_note_that_an_archive_brings_is_not_believed() {
    let bytes = script("v2", 5000);
    let note = ".baton-fetched.json";
    for item in [
        Item::file(note, b"{}"),
        Item::link(EntryType::Symlink, note, "bin/simd"),
    ] {
        let archive = tar_of(&[Item::file("bin/simd", &bytes), item]);
        let server = Server::of(archive).await;
        let home = Home::new();
        let fetched = home.fetch(&server.url("/simd.tar")).await.unwrap();
        assert_eq!(home.binary(), bytes);
        assert_eq!(Record::read(&home.path("v2")), fetched.record);
    }
}

#[tokio::test]
async fn a_directory_without_a_binary_is_completed() {
    let bytes = script("v2", 5000);
    let archive = all_packings(&[
        Item::file("simd", &bytes),
        Item::file("lib/a.so", b"new"),
        Item::file("lib/b.so", b"new"),
    ]);
    let (kind, archive) = archive[0].clone();
    let server = Server::of(archive).await;
    let home = Home::new();
    home.write("v2/upgrade-info.json", b"{}");
    home.write("v2/lib/a.so", b"mine");
    // What Cosmovisor leaves after a download that failed.
    fs::create_dir_all(home.path("v2/bin")).unwrap();
    let fetched = home
        .fetch(&server.url(&format!("/simd.{kind}")))
        .await
        .unwrap();
    assert_eq!(fetched.outcome, Outcome::Completed);
    assert_eq!(home.binary(), bytes);
    assert_eq!(fs::read(home.path("v2/upgrade-info.json")).unwrap(), b"{}");
    assert_eq!(fs::read(home.path("v2/lib/a.so")).unwrap(), b"mine");
    assert_eq!(fs::read(home.path("v2/lib/b.so")).unwrap(), b"new");
    let told = fetched
        .warnings
        .iter()
        .any(|w| w.contains("v2/lib/a.so was there"));
    assert!(told, "{:?}", fetched.warnings);
}

#[tokio::test]
async fn a_release_that_is_there_is_recognised_without_asking_anybody() {
    let bytes = script("v2", 5000);
    let server = Server::of(bytes.clone()).await;
    let url = server.url(&format!("/simd?checksum=sha256:{}", sha256(&bytes)));
    let home = Home::new();
    home.fetch(&url).await.unwrap();
    let again = home.fetch(&url).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    assert_eq!(again.record.unwrap().url, url);
    // The same artefact from another mirror.
    let mirror = format!("https://mirror.example/simd?checksum={}", sha256(&bytes));
    let again = home.fetch(&mirror).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    assert_eq!(server.seen().len(), 1);
    // Placed by hand, but the very same bytes.
    let home = Home::new();
    home.write("v2/bin/simd", &bytes);
    assert_eq!(
        home.fetch(&url).await.unwrap().outcome,
        Outcome::AlreadyThere
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn another_binary_is_named_and_kept() {
    let bytes = script("v2", 5000);
    let server = Server::of(bytes.clone()).await;
    let sum = sha256(&bytes);
    let url = server.url(&format!("/simd?checksum=sha256:{sum}"));
    let mine = script("mine", 50);
    let zip = "https://h/simd.zip";
    for (info, part) in [
        (info_of(&url), "its checksum is not the one in the plan"),
        (info_of(&server.url("/simd")), "put there by hand"),
        (info_of(zip), "put there by hand"),
        (String::new(), "put there by hand"),
        ("not json".to_owned(), "put there by hand"),
    ] {
        let home = Home::new();
        let path = home.write("v2/bin/simd", &mine);
        let fetched = home.fetch_info(&info).await.unwrap();
        let Outcome::Kept { why } = &fetched.outcome else {
            panic!("{info}: {:?}", fetched.outcome)
        };
        assert!(why.contains(part), "{info}: {why}");
        assert!(fetched.warnings[0].contains(path.to_str().unwrap()));
        assert_eq!(fs::read(&path).unwrap(), mine);
    }
    // Fetched, but for another plan; then changed.
    let home = Home::new();
    home.fetch(&url).await.unwrap();
    let other = format!("https://h/simd?checksum={}", "0".repeat(64));
    let fetched = home.fetch(&other).await.unwrap();
    let why = format!("it was fetched from {url}");
    assert_eq!(fetched.outcome, Outcome::Kept { why });
    home.write("v2/bin/simd", &mine);
    let fetched = home.fetch(&url).await.unwrap();
    let why = "it was changed since it was fetched".to_owned();
    assert_eq!(fetched.outcome, Outcome::Kept { why });
    assert_eq!(server.seen().len(), 1);
}

type Prepare<'a> = &'a dyn Fn(&Home);

#[tokio::test]
async fn what_cannot_be_used_and_is_not_ours_is_named_and_left() {
    let server = Server::of(script("v2", 5000)).await;
    let url = server.url("/simd");
    let link = |to: &str, at: PathBuf| {
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, at).unwrap();
    };
    let cases: [(Prepare<'_>, &str, &str); 6] = [
        (
            &|h| drop(h.write("v2/bin/simd", b"")),
            "v2/bin/simd",
            "it is an empty file",
        ),
        (
            &|h| drop(h.write("v2/bin/simd", b"<html>")),
            "v2/bin/simd",
            "it is an HTML page",
        ),
        (
            &|h| link("/gone/simd", h.path("v2/bin/simd")),
            "v2/bin/simd",
            "it is a link to /gone/simd, which is not a file",
        ),
        (
            &|h| fs::create_dir_all(h.path("v2/bin/simd")).unwrap(),
            "v2/bin/simd",
            "it is not a file",
        ),
        (&|h| drop(h.write("v2", b"")), "v2", "it is not a directory"),
        (
            &|h| link("gone", h.path("v2")),
            "v2",
            "which is not a directory",
        ),
    ];
    for (prepare, path, part) in cases {
        let home = Home::new();
        prepare(&home);
        let result = release(&home.request(&info_of(&url)), Arc::new(Unobserved)).await;
        let error = text(result);
        let path = home.path(path);
        let start = format!("{} is in the way: ", path.display());
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains(part), "{error}");
        assert!(error.ends_with("; move it away and try again"), "{error}");
        assert!(fs::symlink_metadata(path).is_ok(), "it was left");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn two_fetches_of_one_release_both_end_right() {
    let bytes = script("v2", 300_000);
    let server = Server::of(bytes.clone()).await;
    let home = Home::new();
    let url = server.url("/simd");
    let (a, b, c) = tokio::join!(home.fetch(&url), home.fetch(&url), home.fetch(&url));
    let mut outcomes = [a, b, c].map(|r| r.unwrap().outcome);
    outcomes.sort_by_key(|o| *o != Outcome::Installed);
    let there = Outcome::AlreadyThere;
    assert_eq!(outcomes, [Outcome::Installed, there.clone(), there]);
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.seen().len(), 1);
    assert_eq!(home.names(), ["v2"]);
}

#[tokio::test]
async fn fetches_of_different_releases_do_not_disturb_each_other() {
    let bytes = script("v2", 300_000);
    let server = Server::of(bytes.clone()).await;
    let home = Home::new();
    let requests = ["v2", "v3", "v4"].map(|name| Request {
        dir_name: name.to_owned(),
        ..home.request(&info_of(&server.url("/simd")))
    });
    let fetch = |i: usize| release(&requests[i], Arc::new(Unobserved));
    let (a, b, c) = tokio::join!(fetch(0), fetch(1), fetch(2));
    for result in [a, b, c] {
        assert_eq!(result.unwrap().outcome, Outcome::Installed);
    }
    assert_eq!(home.names(), ["v2", "v3", "v4"]);
}

#[tokio::test]
async fn dead_leftovers_go_with_the_next_fetch() {
    let server = Server::of(script("v2", 5000)).await;
    let home = Home::new();
    for name in [".fetch-v1", ".fetch-v2"] {
        home.write(&format!("{name}/baton-fetch.lock"), b"");
        home.write(&format!("{name}/release/bin/simd"), b"half");
        home.write(&format!("{name}/artefact"), b"half");
    }
    home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(home.names(), ["v2"]);
    assert_eq!(home.binary(), script("v2", 5000));
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let home = Home::new();
    for name in ["", ".", "..", "a/b", ".fetch-v2"] {
        let mut request = home.request("");
        request.dir_name = name.to_owned();
        contains(
            release(&request, Arc::new(Unobserved)).await,
            "cannot be used as a file name",
        );
        request.dir_name = "v2".to_owned();
        request.daemon_name = name.to_owned();
        contains(release(&request, Arc::new(Unobserved)).await, "DAEMON_NAME");
    }
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn a_local_file_is_copied_and_never_linked() {
    let bytes = script("v2", 5000);
    let home = Home::new();
    let original = home.0.path().join("my simd");
    fs::write(&original, &bytes).unwrap();
    home.fetch(original.to_str().unwrap()).await.unwrap();
    let meta = fs::symlink_metadata(home.path("v2/bin/simd")).unwrap();
    assert!(meta.is_file());
    fs::write(&original, "changed").unwrap();
    assert_eq!(home.binary(), bytes);

    let home = Home::new();
    let pipe = home.0.path().join("pipe");
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    for path in [pipe.as_path(), Path::new("/dev/zero"), home.0.path()] {
        let result = home.fetch(path.to_str().unwrap()).await;
        contains(result, "source path must be a file");
    }
}
