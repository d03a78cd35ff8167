//! Cosmovisor's own tests of downloads (x/upgrade/plan), by their names.

use super::super::archive::tests::{Item, zip_of};
use super::super::info::{Binaries, Info};
use super::*;

/// Files in a directory of their own, as file URLs with their checksum.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn save(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn url(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.save(name, bytes);
        format!(
            "file://{}?checksum=sha256:{}",
            path.display(),
            sha256(bytes)
        )
    }
}

const JUST_A_FILE: &[u8] = b"#!/bin/sh\necho 'I am just a file'\n";
const BAD: &str = "2c22e34510bd1d4ad2343cdc54f7165bccf30caef73f39af7dd1db2795a3da48";

async fn download(url: &str, daemon: &str) -> (Home, Result<Fetched, FetchError>) {
    let home = Home::new();
    let mut request = home.request(&info_of(url));
    request.daemon_name = daemon.to_owned();
    let result = release(&request, Arc::new(Unobserved)).await;
    (home, result)
}

#[tokio::test]
async fn download_upgrade() {
    let files = Files::new();
    let in_bin: &[u8] = b"#!/bin/sh\necho 'I am some file in bin'\n";
    let another: &[u8] = b"#!/bin/sh\necho 'I am just another file'\n";

    // url does not exist
    let url = format!("file:///never/gonna/be/a/thing.zip?checksum=sha256:{BAD}");
    contains(
        download(&url, "nothing").await.1,
        "no such file or directory",
    );

    // url has incorrect checksum
    let path = files.save("just-a-file", JUST_A_FILE);
    let url = format!("file://{}?checksum=sha256:{BAD}", path.display());
    let error = text(download(&url, "just-a-file").await.1);
    assert!(error.contains("Checksums did not match"), "{error}");
    assert!(error.contains(&format!("Expected: {BAD}")), "{error}");

    // url returns single file; archive with file in bin; archive with just expected file
    for (name, daemon, bytes, expected) in [
        (
            "just-a-file",
            "just-a-file",
            JUST_A_FILE.to_vec(),
            JUST_A_FILE,
        ),
        (
            "in-bin.zip",
            "some-file",
            zip_of(&[Item::file("bin/some-file", in_bin), Item::file("x", b"")]),
            in_bin,
        ),
        (
            "just-a-file.zip",
            "just-a-file",
            zip_of(&[Item::file("just-a-file", JUST_A_FILE)]),
            JUST_A_FILE,
        ),
    ] {
        let (home, result) = download(&files.url(name, &bytes), daemon).await;
        let binary = result.unwrap().binary;
        assert_eq!(binary, home.path("v2/bin").join(daemon));
        let mode = fs::metadata(&binary).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        assert_eq!(fs::read(binary).unwrap(), expected);
    }

    // url returns archive without expected file
    let zip = zip_of(&[
        Item::file("just-a-file", JUST_A_FILE),
        Item::file("binsome-file", in_bin),
        Item::file("another-file", another),
    ]);
    let url = files.url("all.zip", &zip);
    contains(
        download(&url, "not-expected").await.1,
        "result does not contain a bin/not-expected or not-expected file",
    );
}

#[tokio::test]
async fn download_url() {
    let files = Files::new();
    let binary = files.url("simd", JUST_A_FILE);
    let plan = info_of(&binary);
    let (path, sum) = (
        files.save("plan-info.json", plan.as_bytes()),
        sha256(plan.as_bytes()),
    );
    let url = |sum: &str| format!("file://{}?checksum=sha256:{sum}", path.display());

    // url does not exist
    let missing = format!("file:///never-gonna-be-a-thing?checksum=sha256:{BAD}");
    contains(
        Home::new().fetch_info(&missing).await,
        "could not download url",
    );
    // without checksum, with correct checksum, and as a path
    for info in [
        format!("file://{}", path.display()),
        url(&sum),
        path.display().to_string(),
    ] {
        let home = Home::new();
        home.fetch_info(&info).await.unwrap();
        assert_eq!(home.binary(), JUST_A_FILE);
    }
    // with incorrect checksum
    let error = text(Home::new().fetch_info(&url(BAD)).await);
    for part in [
        "Checksums did not match",
        &format!("Expected: {BAD}"),
        &format!("Got: {sum}"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    // plan is empty
    let empty = files.url("empty-plan-info.json", b"");
    contains(Home::new().fetch_info(&empty).await, "no content returned");
}

/// The cases of `TestParseInfo` that go through a URL; the others are beside the parser.
#[tokio::test]
async fn parse_info_by_url() {
    let files = Files::new();
    let missing = format!("file:///this/file/does/not/exist?checksum=sha256:{BAD}");
    let error = text(Home::new().fetch_info(&missing).await);
    assert!(error.contains("could not download url"), "{error}");
    assert!(
        error.contains("file:///this/file/does/not/exist"),
        "{error}"
    );
    for (name, json, part) in [
        (
            "binaries-wrong.json",
            r#"{"binaries":["foo","bar"]}"#,
            "got an array",
        ),
        (
            "binaries-wrong-value.json",
            r#"{"binaries":{"os1/arch1":1,"os2/arch2":2}}"#,
            "got a number",
        ),
    ] {
        let error = text(
            Home::new()
                .fetch_info(&files.url(name, json.as_bytes()))
                .await,
        );
        assert!(error.contains("could not parse plan info"), "{error}");
        assert!(error.contains(part), "{error}");
    }
}

/// `TestInfoValidateFull` and `TestBinaryDownloadURLMapCheckURLs` downloaded every platform's binary. Since
/// 1.7.1 only this machine's is, so each entry is made this machine's in turn.
#[tokio::test]
async fn validate_full_and_check_urls() {
    let files = Files::new();
    let info = format!(
        r#"{{"binaries":{{"darwin/amd64":"{}","linux/386":"{}","linux/arm":"{}","darwin/arm64":"{}"}}}}"#,
        files.url("darwin_amd64", b"#!/bin/sh\necho darwin/amd64\n"),
        files.url("linux_386", b"#!/bin/sh\necho linux/386\n"),
        format_args!(
            "file://{}?checksum=sha256:{BAD}",
            files.save("bad", JUST_A_FILE).display()
        ),
        format_args!("file:///no/such/file/exists/hopefully.zip?checksum=sha256:{BAD}"),
    );
    let Info::Here(binaries) = Info::read(&info).unwrap() else {
        panic!("taken for a URL")
    };
    binaries.validate_basic(true).unwrap();
    for (os_arch, result) in [
        ("darwin/amd64", Ok("darwin/amd64")),
        ("linux/386", Ok("linux/386")),
        ("linux/arm", Err("Checksums did not match")),
        ("darwin/arm64", Err("no such file or directory")),
    ] {
        let home = Home::new();
        let mut request = home.request(&info);
        request.os_arch = os_arch.to_owned();
        let fetched = release(&request, Arc::new(Unobserved)).await;
        match result {
            Ok(version) => {
                let record = fetched.unwrap().record.unwrap();
                assert_eq!(record.version.as_deref(), Some(version));
            }
            Err(part) => contains(fetched, part),
        }
    }
    let empty = Binaries::parse(r#"{"binaries":{}}"#).unwrap();
    let error = empty.validate_basic(false).unwrap_err().to_string();
    assert_eq!(error, "no \"binaries\" entries found");
}
