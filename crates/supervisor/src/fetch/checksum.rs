//! A checksum says which bytes the plan's authors meant.
//!
//! Three forms reach us (go-getter's, which Cosmovisor uses): `algorithm:hex`, bare hex whose length
//! tells the algorithm, and a list of checksums as `sha256sum` (GNU) or `md5` (BSD) write them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::digest::DynDigest;

/// A hash function that a checksum may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// 128 bits. Finds broken transfers, does not withstand a forger.
    Md5,
    /// 160 bits. Finds broken transfers, does not withstand a forger.
    Sha1,
    /// 256 bits.
    Sha256,
    /// 512 bits.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name as it stands in a URL: `md5`, `sha1`, `sha256` or `sha512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of its digest in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(name))
    }

    fn by_length(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.length() == bytes)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an artefact must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The expected digest, `algorithm.length()` bytes.
    pub digest: Vec<u8>,
}

/// Why a text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// An algorithm that is not one of the four.
    #[error("unsupported checksum type: {0} (supported: md5, sha1, sha256, sha512, file)")]
    Unsupported(String),
    /// Something other than hex digits.
    #[error("{0:?} is not hexadecimal")]
    NotHex(String),
    /// Hex digits of a length that no algorithm has.
    #[error("Unknown type for checksum {0} ({len} hex digits fit none of md5, sha1, sha256, sha512)", len = .0.len())]
    UnknownLength(String),
    /// A named algorithm with a digest of another length.
    #[error(
        "{algorithm} has {expected} hex digits, got {got}",
        expected = .algorithm.length() * 2
    )]
    WrongLength {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many hex digits were given.
        got: usize,
    },
}

impl Checksum {
    /// Reads `algorithm:hex`, or bare hex whose length tells the algorithm.
    pub fn parse(text: &str) -> Result<Self, ChecksumError> {
        match text.split_once(':') {
            Some((name, hex)) => Self::named(name, hex),
            None => Self::bare(text),
        }
    }

    fn named(name: &str, hex: &str) -> Result<Self, ChecksumError> {
        let algorithm =
            Algorithm::by_name(name).ok_or_else(|| ChecksumError::Unsupported(name.to_owned()))?;
        let digest = hex::decode(hex).map_err(|_| ChecksumError::NotHex(hex.to_owned()))?;
        if digest.len() != algorithm.length() {
            return Err(ChecksumError::WrongLength {
                algorithm,
                got: hex.len(),
            });
        }
        Ok(Self { algorithm, digest })
    }

    fn bare(hex: &str) -> Result<Self, ChecksumError> {
        let digest = hex::decode(hex).map_err(|_| ChecksumError::NotHex(hex.to_owned()))?;
        let algorithm = Algorithm::by_length(digest.len())
            .ok_or_else(|| ChecksumError::UnknownLength(hex.to_owned()))?;
        Ok(Self { algorithm, digest })
    }

    /// Finds the checksum of `names` (the ways a list may call the same file) in a list. Lines that
    /// are no checksums (signatures, headings) are passed over; a line of nothing but a digest is
    /// taken for any file, as go-getter does.
    pub fn find_in_list(list: &str, names: &[String]) -> Option<Self> {
        list.lines().find_map(|line| {
            let (checksum, name) = list_line(line)?;
            (name.is_empty() || names.iter().any(|n| n == name)).then_some(checksum)
        })
    }
}

/// One line of a list: BSD `SHA256 (name) = hex`, or GNU `hex  name` and `hex *name`.
fn list_line(line: &str) -> Option<(Checksum, &str)> {
    let line = line.trim();
    if let Some((algorithm, rest)) = line.split_once(" (")
        && let Some((name, hex)) = rest.rsplit_once(')')
        && let Some(hex) = hex.trim_start().strip_prefix('=')
    {
        return Some((Checksum::named(algorithm, hex.trim()).ok()?, name));
    }
    let (hex, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = name.trim_start();
    // `*` marks binary mode, `?` what `shasum -p` writes.
    let name = name.strip_prefix(['*', '?']).unwrap_or(name);
    Some((Checksum::bare(hex).ok()?, name))
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, hex::encode(&self.digest))
    }
}

/// A hash being computed while the bytes pass by.
pub(super) struct Hasher(Box<dyn DynDigest + Send>);

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => Box::new(md5::Md5::default()),
            Algorithm::Sha1 => Box::new(sha1::Sha1::default()),
            Algorithm::Sha256 => Box::new(sha2::Sha256::default()),
            Algorithm::Sha512 => Box::new(sha2::Sha512::default()),
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.finalize().into_vec()
    }

    /// The digest of what passed by so far.
    pub(super) fn so_far(&self) -> Vec<u8> {
        self.0.box_clone().finalize().into_vec()
    }

    /// Starts again at nothing.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }

    /// Hashes all that `reader` yields.
    pub(super) fn of(
        algorithm: Algorithm,
        reader: &mut impl std::io::Read,
    ) -> std::io::Result<Vec<u8>> {
        let mut hasher = Self::new(algorithm);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                n => hasher.update(&buffer[..n]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [(&str, &str); 4] = [
        ("md5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        (
            "sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "sha512",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ),
    ];

    #[test]
    fn named_and_bare_forms_agree_with_the_published_digests_of_nothing() {
        for (name, hex) in EMPTY {
            let named = Checksum::parse(&format!("{name}:{hex}")).unwrap();
            assert_eq!(named, Checksum::parse(hex).unwrap());
            assert_eq!(
                named,
                Checksum::parse(&format!("{name}:{}", hex.to_uppercase())).unwrap()
            );
            assert_eq!(named.to_string(), format!("{name}:{hex}"));
            let hashed = Hasher::of(named.algorithm, &mut std::io::empty()).unwrap();
            assert_eq!(hashed, named.digest, "{name}");
        }
    }

    #[test]
    fn bad_checksums_say_what_is_wrong() {
        for (text, part) in [
            ("crc32:00000000", "unsupported checksum type: crc32"),
            ("sha256:zz", "not hexadecimal"),
            ("sha256:abcd", "sha256 has 64 hex digits, got 4"),
            ("abcd", "Unknown type for checksum abcd (4 hex digits"),
            ("abc", "not hexadecimal"),
        ] {
            let error = Checksum::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn lists_of_both_styles_are_searched_by_name() {
        let sha256 = EMPTY[2].1;
        let md5 = EMPTY[0].1;
        let other = "0".repeat(64);
        for list in [
            format!("{other}  other\n{sha256}  simd.tar.gz\n"),
            format!("{other} *other\n{sha256} *simd.tar.gz"),
            format!("# release v2\n\n{other}  other\r\n{sha256}  ./simd.tar.gz\r\n"),
            format!("SHA256 (other) = {other}\nSHA256 (simd.tar.gz) = {sha256}\n"),
            format!("{other}  my other file\n{sha256}\n"),
        ] {
            let names = ["simd.tar.gz".to_owned(), "./simd.tar.gz".to_owned()];
            let found = Checksum::find_in_list(&list, &names);
            assert_eq!(found, Some(Checksum::bare(sha256).unwrap()), "{list}");
        }
        let names = ["a (1)".to_owned()];
        let found = Checksum::find_in_list(&format!("MD5 (a (1)) = {md5}"), &names);
        assert_eq!(found, Some(Checksum::bare(md5).unwrap()));
        let absent = format!("{other}  other\nnonsense simd.tar.gz\n");
        let names = ["simd.tar.gz".to_owned()];
        assert_eq!(Checksum::find_in_list(&absent, &names), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,80}", list in "(?s).{0,200}") {
            let _ = Checksum::parse(&text);
            let _ = Checksum::find_in_list(&list, &[text]);
        }
    }
}
