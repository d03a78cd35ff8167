//! What a plan's `info` says about where its binaries are.
//!
//! Three forms: nothing, a URL whose content is the real info, or JSON
//! `{"binaries": {"linux/amd64": "<url>", "any": "<url>"}}` keyed by Go's names for systems. Parsing is
//! pure; the URL is fetched elsewhere. Texts are those of Cosmovisor, for people who know them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::source::{Source, SourceError};

/// A plan's `info`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// The info is somewhere else: a URL or an absolute path.
    At(String),
    /// The info is here.
    Here(Binaries),
}

/// Where the binary for each system is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binaries(BTreeMap<String, String>);

/// What is wrong with a plan's `info`.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// There is none, so there is nothing to fetch.
    #[error("plan info must not be blank")]
    Blank,
    /// It is neither a URL nor the JSON it should be.
    #[error("could not parse plan info: {0}")]
    Malformed(String),
    /// It has no binary for this machine.
    #[error("cannot find binary for os/arch: neither {os_arch}, nor any (the plan has: {known})")]
    NoBinary {
        /// This machine.
        os_arch: String,
        /// The keys that are there.
        known: String,
    },
    /// It lists no binaries at all.
    #[error("no \"binaries\" entries found")]
    NoEntries,
    /// A key that is not `os/arch` or `any`.
    #[error("invalid os/arch format in key \"{0}\"")]
    InvalidKey(String),
    /// A value that is not a URL we can use, or lacks the checksum asked for.
    #[error("invalid url \"{url}\" in binaries[{key}]: {source}")]
    InvalidUrl {
        /// The key it stands under.
        key: String,
        /// The text found there.
        url: String,
        /// What is wrong with it.
        source: SourceError,
    },
}

impl Info {
    /// Reads a plan's `info`.
    pub fn read(info: &str) -> Result<Self, InfoError> {
        let info = info.trim();
        if info.is_empty() {
            return Err(InfoError::Blank);
        }
        if is_location(info) {
            return Ok(Self::At(info.to_owned()));
        }
        Binaries::parse(info).map(Self::Here)
    }
}

impl Binaries {
    /// Reads the JSON form. Keys other than `binaries` are ignored; its name is matched without
    /// regard to case, as Go's decoder does.
    pub fn parse(text: &str) -> Result<Self, InfoError> {
        let malformed = |reason: String| InfoError::Malformed(reason);
        let value: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let object = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            other => {
                let what = kind(&other);
                return Err(malformed(format!("expected a JSON object, got {what}")));
            }
        };
        let binaries = object
            .into_iter()
            .rev()
            .find(|(key, _)| key.eq_ignore_ascii_case("binaries"))
            .map(|(_, value)| value);
        match binaries {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::Object(map)) => map
                .into_iter()
                .map(|(key, value)| match value {
                    Value::String(url) => Ok((key, url)),
                    other => Err(malformed(format!(
                        "\"binaries\": the value of \"{key}\" must be a URL in quotes, got {}",
                        kind(&other)
                    ))),
                })
                .collect::<Result<_, _>>()
                .map(Self),
            Some(other) => Err(malformed(format!(
                "\"binaries\" must be an object of os/arch to URL, got {}",
                kind(&other)
            ))),
        }
    }

    /// The key and URL for a machine: its own, else `any`.
    pub fn choose(&self, os_arch: &str) -> Result<(&str, &str), InfoError> {
        [os_arch, "any"]
            .iter()
            .find_map(|key| self.0.get_key_value(*key))
            .map(|(key, url)| (key.as_str(), url.as_str()))
            .ok_or_else(|| InfoError::NoBinary {
                os_arch: os_arch.to_owned(),
                known: match self.0.len() {
                    0 => "nothing".to_owned(),
                    _ => self.0.keys().cloned().collect::<Vec<_>>().join(", "),
                },
            })
    }

    /// Checks every entry without touching the network: there is one, keys are `os/arch` or `any`,
    /// values are URLs that can be fetched, with a checksum when that is asked for.
    pub fn validate_basic(&self, must_have_checksum: bool) -> Result<(), InfoError> {
        if self.0.is_empty() {
            return Err(InfoError::NoEntries);
        }
        for (key, url) in &self.0 {
            if key != "any" && !is_os_arch(key) {
                return Err(InfoError::InvalidKey(key.clone()));
            }
            source(key, url, must_have_checksum)?;
        }
        Ok(())
    }

    /// All keys and URLs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// Reads the URL that stands under `key`.
pub(super) fn source(key: &str, url: &str, must_have_checksum: bool) -> Result<Source, InfoError> {
    Source::parse(url, must_have_checksum).map_err(|source| InfoError::InvalidUrl {
        key: key.to_owned(),
        url: super::source::redact(url),
        source,
    })
}

/// This machine in Go's words, such as `linux/amd64`.
pub fn os_arch() -> String {
    format!(
        "{}/{}",
        go_os(std::env::consts::OS),
        go_arch(std::env::consts::ARCH, cfg!(target_endian = "little"))
    )
}

fn go_os(os: &str) -> &str {
    match os {
        "macos" => "darwin",
        other => other,
    }
}

fn go_arch(arch: &str, little_endian: bool) -> &str {
    match (arch, little_endian) {
        ("x86_64", _) => "amd64",
        ("x86", _) => "386",
        ("aarch64", _) => "arm64",
        ("loongarch64", _) => "loong64",
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        ("mips64", true) => "mips64le",
        (other, _) => other,
    }
}

/// Whether Go's `url.ParseRequestURI` would take the text for a URL: an absolute path, or a scheme
/// followed by `:/`.
fn is_location(text: &str) -> bool {
    if text.bytes().any(|b| b.is_ascii_control()) {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    text.split_once(":/").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Letters or digits on both sides of a slash, anywhere in the key: Cosmovisor's pattern is not
/// anchored, so `linux/amd64_v3` passes.
fn is_os_arch(key: &str) -> bool {
    key.as_bytes()
        .windows(3)
        .any(|w| w[1] == b'/' && w[0].is_ascii_alphanumeric() && w[2].is_ascii_alphanumeric())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(text: &str) -> Binaries {
        match Info::read(text).unwrap() {
            Info::Here(binaries) => binaries,
            Info::At(url) => panic!("taken for a URL: {url}"),
        }
    }

    /// Cosmovisor's `TestParseInfo`, the cases that need no file.
    #[test]
    fn parse_info() {
        let good = here(r#"{"binaries":{"os1/arch1":"url1","os2/arch2":"url2"}}"#);
        assert_eq!(
            good.iter().collect::<Vec<_>>(),
            [("os1/arch1", "url1"), ("os2/arch2", "url2")]
        );
        let blank = Info::read("   ").unwrap_err().to_string();
        assert_eq!(blank, "plan info must not be blank");
        assert_eq!(here("{}"), Binaries::default());
        for (text, part) in [
            (r#"{"binaries":["foo","bar"]}"#, "got an array"),
            (
                r#"{"binaries":{"os1/arch1":1,"os2/arch2":2}}"#,
                "\"os1/arch1\" must be a URL in quotes, got a number",
            ),
            ("v2 is coming", "expected"),
            (r#"{"binaries":{}} trailing"#, "trailing"),
            ("[]", "got an array"),
            (r#""https://example.com/plan.json""#, "got a string"),
            ("git::https://example.com/x", "expected"),
        ] {
            let error = Info::read(text).unwrap_err().to_string();
            assert!(error.starts_with("could not parse plan info: "), "{error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_lenient_where_go_is() {
        assert_eq!(here("null"), Binaries::default());
        assert_eq!(here(r#"{"binaries":null,"x":[1]}"#), Binaries::default());
        let binaries = here(r#"{"Binaries":{"any":"u"},"notes":"see https://x"}"#);
        assert_eq!(binaries.choose("linux/amd64").unwrap(), ("any", "u"));
    }

    #[test]
    fn urls_and_absolute_paths_are_locations() {
        for text in [
            "https://example.com/plan.json",
            " file:///plan.json?checksum=sha256:00 ",
            "/srv/plan.json",
            "s3://bucket/plan.json",
        ] {
            let read = Info::read(text).unwrap();
            assert_eq!(read, Info::At(text.trim().to_owned()));
        }
    }

    #[test]
    fn this_machine_then_any_then_an_error_that_lists_what_there_is() {
        let binaries = here(r#"{"binaries":{"linux/arm64":"a","any":"b"}}"#);
        assert_eq!(
            binaries.choose("linux/arm64").unwrap(),
            ("linux/arm64", "a")
        );
        assert_eq!(binaries.choose("linux/amd64").unwrap(), ("any", "b"));
        let binaries = here(r#"{"binaries":{"linux/arm64":"a","darwin/arm64":"b"}}"#);
        assert_eq!(
            binaries.choose("linux/amd64").unwrap_err().to_string(),
            "cannot find binary for os/arch: neither linux/amd64, nor any \
             (the plan has: darwin/arm64, linux/arm64)"
        );
        let empty = Binaries::default().choose("linux/amd64").unwrap_err();
        assert!(empty.to_string().ends_with("(the plan has: nothing)"));
    }

    #[test]
    fn names_of_systems_are_those_of_go() {
        assert_eq!(go_os("macos"), "darwin");
        assert_eq!(go_os("linux"), "linux");
        assert_eq!(go_arch("x86_64", true), "amd64");
        assert_eq!(go_arch("aarch64", true), "arm64");
        assert_eq!(go_arch("powerpc64", true), "ppc64le");
        assert_eq!(go_arch("riscv64", true), "riscv64");
        assert!(is_os_arch(&os_arch()), "{}", os_arch());
    }

    /// Cosmovisor's `TestBinaryDownloadURLMapValidateBasic`, case by case.
    #[test]
    fn validate_basic() {
        let sum =
            "checksum=sha256:b5a2c96250612366ea272ffac6d9744aaf4b45aacd96aa7cfcb931ee3b558259";
        let good = format!("https://v1.cosmos.network/sdk?{sum}");
        let bad = format!("https://v1.cosmos.network:not-a-port/sdk?{sum}");
        let bare = "https://v1.cosmos.network/sdk".to_owned();
        let check = |entries: &[(&str, &String)], enforce: bool| {
            Binaries(
                entries
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).clone()))
                    .collect(),
            )
            .validate_basic(enforce)
            .map_err(|e| e.to_string())
        };
        let fails = |entries: &[(&str, &String)], enforce: bool, parts: &[&str]| {
            let error = check(entries, enforce).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
        };
        fails(&[], false, &["no \"binaries\" entries found"]);
        fails(&[("", &good)], false, &["invalid os/arch", "\"\""]);
        fails(&[("badkey", &good)], false, &["invalid os/arch", "badkey"]);
        check(&[("any", &good)], true).unwrap();
        check(&[("darwin/amd64", &good)], true).unwrap();
        fails(
            &[("isa/url", &good), ("nota/url", &bad)],
            false,
            &["invalid url", "nota/url", "invalid port"],
        );
        check(&[("darwin/amd64", &bare)], false).unwrap();
        fails(
            &[("darwin/amd64", &bare)],
            true,
            &["binaries[darwin/amd64]", "missing checksum query parameter"],
        );
        fails(
            &[
                ("any", &good),
                ("darwin/amd64", &good),
                ("windows/bad", &bad),
            ],
            false,
            &["invalid url", "windows/bad", "invalid port"],
        );
        fails(
            &[("any", &good), ("badkey", &good), ("linux/386", &good)],
            false,
            &["invalid os/arch", "badkey"],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).{0,120}") {
            let _ = Info::read(&text);
        }
    }
}
