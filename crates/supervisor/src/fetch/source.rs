//! A URL of a plan, taken apart: where the bytes are, how they are packed, what they must hash to.
//!
//! Plans carry go-getter URLs, in which the query parameters `checksum` and `archive` are meant for
//! the one who fetches and never reach the server. All other parameters are left as they stand, in
//! their order, because signed URLs depend on it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::archive::Kind;
use super::checksum::{Checksum, ChecksumError};

/// What can be fetched, for messages.
const SUPPORTED: &str = "supported: http://, https://, file:// and absolute paths";

/// Where an artefact is and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where its bytes are.
    pub location: Location,
    /// How it is packed; `None` when it is the file itself.
    pub archive: Option<Kind>,
    /// What it must hash to, if the plan says.
    pub checksum: Option<Expected>,
}

/// A place that bytes can be had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A web server, `http` or `https`.
    Http(Url),
    /// A file of this machine, by absolute path.
    File(PathBuf),
}

/// What an artefact must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The checksum stands in the URL.
    Is(Checksum),
    /// The checksum stands in a list somewhere else.
    Listed {
        /// The list.
        list: Box<Source>,
        /// The names by which the list may call the artefact.
        names: Vec<String>,
    },
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It does not parse.
    #[error("{0}")]
    Invalid(#[from] url::ParseError),
    /// It is not absolute.
    #[error("not an absolute URL ({SUPPORTED})")]
    Relative,
    /// A scheme that is not fetched.
    #[error("download not supported for scheme '{0}' ({SUPPORTED})")]
    Scheme(String),
    /// go-getter's `git::https://…`.
    #[error("forced getters such as '{0}::' are not supported ({SUPPORTED})")]
    Forced(String),
    /// go-getter's `https://host/archive.zip//inner`.
    #[error(
        "a '//' in the path selects a sub-directory, which is not supported; name the file itself"
    )]
    Subdirectory,
    /// `file://host/…`.
    #[error("a file URL must name a file of this machine, not of host '{0}'; use file:///path")]
    FileHost(String),
    /// `?archive=` with an unknown value.
    #[error("unknown archive type '{0}' (supported: {list}, or false)", list = Kind::NAMES.join(", "))]
    Archive(String),
    /// `?checksum=` with an unusable value.
    #[error("invalid checksum: {0}")]
    Checksum(#[from] ChecksumError),
    /// `?checksum=file:` with an unusable URL.
    #[error("invalid checksum: list \"{url}\": {source}")]
    List {
        /// The URL of the list.
        url: String,
        /// What is wrong with it.
        source: Box<SourceError>,
    },
    /// A list whose own checksum is in another list.
    #[error("the checksum of a list of checksums must stand in its URL")]
    NestedList,
    /// Checksums are demanded and this URL has none.
    #[error("missing checksum query parameter")]
    MissingChecksum,
}

impl Source {
    /// Reads a URL or an absolute path. With `must_have_checksum` one without a checksum is refused.
    pub fn parse(text: &str, must_have_checksum: bool) -> Result<Self, SourceError> {
        if let Some((getter, _)) = text.split_once("::")
            && !getter.is_empty()
            && getter.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return Err(SourceError::Forced(getter.to_owned()));
        }
        let mut url = if text.starts_with('/') {
            Url::parse(&format!("file://{text}"))?
        } else {
            Url::parse(text).map_err(|e| match e {
                url::ParseError::RelativeUrlWithoutBase => SourceError::Relative,
                other => other.into(),
            })?
        };
        if !matches!(url.scheme(), "http" | "https" | "file") {
            return Err(SourceError::Scheme(url.scheme().to_owned()));
        }
        if has_subdirectory(text) {
            return Err(SourceError::Subdirectory);
        }

        let (archive, checksum) = take_magic_parameters(&mut url);
        let path = percent_decode_str(url.path())
            .decode_utf8_lossy()
            .into_owned();
        let archive = match archive.as_deref() {
            None => Kind::of_path(&path),
            // The spellings that Go's `strconv.ParseBool` takes for false.
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => None,
            Some(name) => {
                Some(Kind::named(name).ok_or_else(|| SourceError::Archive(name.to_owned()))?)
            }
        };
        let checksum = match checksum.as_deref() {
            None if must_have_checksum => return Err(SourceError::MissingChecksum),
            None => None,
            Some(value) => Some(expected(value, &path)?),
        };
        Ok(Self {
            location: location(url)?,
            archive,
            checksum,
        })
    }
}

fn location(mut url: Url) -> Result<Location, SourceError> {
    url.set_fragment(None);
    if url.scheme() != "file" {
        return Ok(Location::Http(url));
    }
    match url.host_str() {
        None | Some("" | "localhost") => {}
        Some(host) => return Err(SourceError::FileHost(host.to_owned())),
    }
    let _ = url.set_host(None);
    url.to_file_path()
        .map(Location::File)
        .map_err(|()| SourceError::Relative)
}

/// Removes `archive` and `checksum` from the query and returns their first non-empty values.
fn take_magic_parameters(url: &mut Url) -> (Option<String>, Option<String>) {
    let (mut archive, mut checksum) = (None, None);
    let Some(query) = url.query().map(str::to_owned) else {
        return (None, None);
    };
    let mut kept = Vec::new();
    for raw in query.split('&') {
        let Some((key, value)) = url::form_urlencoded::parse(raw.as_bytes()).next() else {
            kept.push(raw);
            continue;
        };
        let slot = match &*key {
            "archive" => &mut archive,
            "checksum" => &mut checksum,
            _ => {
                kept.push(raw);
                continue;
            }
        };
        if slot.is_none() && !value.is_empty() {
            *slot = Some(value.into_owned());
        }
    }
    let kept = kept.join("&");
    url.set_query((!kept.is_empty()).then_some(kept.as_str()));
    (archive, checksum)
}

fn expected(value: &str, path: &str) -> Result<Expected, SourceError> {
    let Some(list_url) = value.strip_prefix("file:") else {
        return Ok(Expected::Is(Checksum::parse(value)?));
    };
    // `file:///sums` is both `file:` + a path with an empty host and a file URL; both mean /sums.
    let list_url = match list_url.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        _ => list_url,
    };
    let list = Source::parse(list_url, false).map_err(|source| SourceError::List {
        url: redact(list_url),
        source: Box::new(source),
    })?;
    if matches!(list.checksum, Some(Expected::Listed { .. })) {
        return Err(SourceError::NestedList);
    }
    let names = names_in_list(path, &list.location);
    Ok(Expected::Listed {
        list: Box::new(list),
        names,
    })
}

/// The ways a list may call the artefact at `path`: its name, its path from the list's directory,
/// its whole path.
fn names_in_list(path: &str, list: &Location) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let list_path = match list {
        Location::Http(url) => percent_decode_str(url.path())
            .decode_utf8_lossy()
            .into_owned(),
        Location::File(path) => path.to_string_lossy().into_owned(),
    };
    let directory = &list_path[..=list_path.rfind('/').unwrap_or(0)];
    let relative = path.strip_prefix(directory).unwrap_or(name);
    let mut names = vec![name.to_owned(), format!("./{name}")];
    if relative != name {
        names.extend([relative.to_owned(), format!("./{relative}")]);
    }
    names.push(path.to_owned());
    names
}

fn has_subdirectory(text: &str) -> bool {
    let before_query = text.split('?').next().unwrap_or(text);
    let path = before_query
        .split_once("://")
        .map_or(before_query, |(_, rest)| rest);
    path.contains("//")
}

/// A URL for messages: without the password it may carry.
pub fn redact(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(Some("xxxxx"));
            url.into()
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(&redact(url.as_str())),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::Compression;
    use super::*;

    const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Source {
        Source::parse(text, false).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn error(text: &str) -> String {
        Source::parse(text, false).unwrap_err().to_string()
    }

    #[test]
    fn magic_parameters_are_taken_and_the_rest_stays_as_it_was() {
        let source = parse(&format!(
            "https://h/x?sig=a%2Fb&archive=tar.gz&checksum={SUM}&z=1&a=+"
        ));
        let Location::Http(url) = &source.location else {
            panic!("not http")
        };
        assert_eq!(url.as_str(), "https://h/x?sig=a%2Fb&z=1&a=+");
        assert_eq!(source.archive, Some(Kind::Tar(Compression::Gz)));
        assert_eq!(
            source.checksum,
            Some(Expected::Is(Checksum::parse(SUM).unwrap()))
        );
        let bare = parse(&format!("http://h/x?checksum={SUM}"));
        assert_eq!(bare.location.to_string(), "http://h/x");
    }

    #[test]
    fn packing_is_told_by_suffix_or_parameter() {
        for (url, kind) in [
            ("https://h/a.zip", Some(Kind::Zip)),
            ("https://h/a.tar", Some(Kind::Tar(Compression::None))),
            ("https://h/a.tar.gz", Some(Kind::Tar(Compression::Gz))),
            ("https://h/a.tgz?x=1", Some(Kind::Tar(Compression::Gz))),
            ("https://h/a.tbz2", Some(Kind::Tar(Compression::Bz2))),
            ("https://h/a.tar.bz2", Some(Kind::Tar(Compression::Bz2))),
            ("https://h/a.txz", Some(Kind::Tar(Compression::Xz))),
            ("https://h/a.tar.xz", Some(Kind::Tar(Compression::Xz))),
            ("https://h/a.tzst", Some(Kind::Tar(Compression::Zst))),
            ("https://h/a.tar.zst", Some(Kind::Tar(Compression::Zst))),
            ("https://h/a.gz", Some(Kind::Single(Compression::Gz))),
            ("https://h/a.bz2", Some(Kind::Single(Compression::Bz2))),
            ("https://h/a.xz", Some(Kind::Single(Compression::Xz))),
            ("https://h/a.zst", Some(Kind::Single(Compression::Zst))),
            ("https://h/a", None),
            ("https://h/zip", None),
            ("https://h/a.zip?archive=false", None),
            ("https://h/a?archive=zip", Some(Kind::Zip)),
            ("/srv/a.zip", Some(Kind::Zip)),
        ] {
            assert_eq!(parse(url).archive, kind, "{url}");
        }
    }

    #[test]
    fn files_are_named_by_url_or_path() {
        for text in [
            "file:///srv/a%20b?checksum=",
            "/srv/a b",
            "file://localhost/srv/a%20b",
        ] {
            let source = parse(text);
            assert_eq!(source.location, Location::File("/srv/a b".into()), "{text}");
            assert_eq!(source.checksum, None);
        }
    }

    #[test]
    fn lists_may_be_anywhere_and_call_the_file_in_several_ways() {
        for (value, location) in [
            ("file:https://h/v2/SHA256SUMS", "https://h/v2/SHA256SUMS"),
            ("file:https%3A%2F%2Fh%2Fs%3Fa%3D1%26b", "https://h/s?a=1&b"),
            ("file:/srv/sums", "/srv/sums"),
            ("file:///srv/sums", "/srv/sums"),
            ("file:file:///srv/sums", "/srv/sums"),
        ] {
            let source = parse(&format!("https://h/v2/linux/simd?checksum={value}"));
            let Some(Expected::Listed { list, names }) = source.checksum else {
                panic!("{value}: no list")
            };
            assert_eq!(list.location.to_string(), location, "{value}");
            assert!(names.contains(&"simd".to_owned()), "{names:?}");
        }
        let source = parse("https://h/v2/linux/simd?checksum=file:https://h/v2/SUMS");
        let Some(Expected::Listed { names, .. }) = source.checksum else {
            panic!("no list")
        };
        assert!(names.contains(&"linux/simd".to_owned()), "{names:?}");
    }

    #[test]
    fn what_is_not_supported_is_named_together_with_what_is() {
        for (text, part) in [
            ("git::https://h/x", "'git::'"),
            ("s3://bucket/x", "scheme 's3' (supported: http://, https://"),
            ("ipfs://Qm/x", "scheme 'ipfs'"),
            ("github.com/org/simd", "not an absolute URL (supported:"),
            ("./simd", "not an absolute URL"),
            ("https://h/a.zip//bin", "sub-directory"),
            ("file://other/x", "host 'other'"),
            ("https://h/x?archive=rar", "'rar' (supported: zip, tar,"),
            ("https://h/x?checksum=crc32:00", "invalid checksum: unsup"),
            ("https://h/x?checksum=file:ftp://h/s", "scheme 'ftp'"),
            (
                "https://h/x?checksum=file:https://h/s%3Fchecksum=file:/t",
                "must stand in its URL",
            ),
            ("https://h:port/x", "invalid port"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }

    #[test]
    fn checksums_are_demanded_when_asked() {
        let missing = Source::parse("https://h/x?checksum=", true).unwrap_err();
        assert_eq!(missing.to_string(), "missing checksum query parameter");
        Source::parse(&format!("https://h/x?checksum={SUM}"), true).unwrap();
        Source::parse("https://h/x?checksum=file:https://h/s", true).unwrap();
    }

    #[test]
    fn passwords_do_not_reach_messages() {
        let source = parse("https://me:secret@h/x");
        assert_eq!(source.location.to_string(), "https://me:xxxxx@h/x");
        assert_eq!(redact("not a url"), "not a url");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(https?://|file://|/)?.{0,80}") {
            let _ = Source::parse(&text, true);
        }
    }
}
