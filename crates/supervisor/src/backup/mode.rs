//! How a file may come into a backup: shared by the file system, shared by a second name, or
//! written again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the operator asks for (`BATON_BACKUP_MODE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The first of reflink, hardlink and copy that works.
    #[default]
    Auto,
    /// Clones only; an error where the file system cannot.
    Reflink,
    /// Immutable files are linked, all others copied; a file that cannot be linked is copied too.
    Hardlink,
    /// Every file is copied.
    Copy,
    /// No backup.
    Off,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Files share their blocks until one is written to.
    Reflink,
    /// Immutable files have a second name, others are copied.
    Hardlink,
    /// Files are copied.
    Copy,
    /// The node wrote them itself.
    Snapshot,
}

/// Not a mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a backup mode (auto, reflink, hardlink, copy or off)")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "auto" => Ok(Self::Auto),
            "reflink" => Ok(Self::Reflink),
            "hardlink" => Ok(Self::Hardlink),
            "copy" => Ok(Self::Copy),
            "off" => Ok(Self::Off),
            other => Err(UnknownMode(other.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Reflink => "reflink",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reflink => "reflink",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
            Self::Snapshot => "snapshot",
        })
    }
}

/// A method that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The method.
    pub method: Method,
    /// Why not.
    pub why: String,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}: {}", self.method, self.why)
    }
}

/// Tries the methods that a mode allows, in order. A probe says why a method does not work here.
///
/// `Err` names the reason for which a demanded reflink is impossible.
pub(crate) fn choose(
    mode: Mode,
    mut probe: impl FnMut(Method) -> Option<String>,
) -> Result<(Method, Vec<Passed>), String> {
    let wanted: &[Method] = match mode {
        Mode::Auto => &[Method::Reflink, Method::Hardlink],
        Mode::Reflink => &[Method::Reflink],
        Mode::Hardlink => &[Method::Hardlink],
        Mode::Copy | Mode::Off => &[],
    };
    let mut passed = Vec::new();
    for &method in wanted {
        match probe(method) {
            None => return Ok((method, passed)),
            Some(why) if mode == Mode::Reflink => return Err(why),
            Some(why) => passed.push(Passed { method, why }),
        }
    }
    Ok((Method::Copy, passed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_shown() {
        for mode in [
            Mode::Auto,
            Mode::Reflink,
            Mode::Hardlink,
            Mode::Copy,
            Mode::Off,
        ] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!(
            "Auto".parse::<Mode>().unwrap_err().to_string(),
            "\"Auto\" is not a backup mode (auto, reflink, hardlink, copy or off)"
        );
    }

    #[test]
    fn auto_takes_the_first_that_works_and_tells_why_the_others_do_not() {
        let only = |works: Option<Method>| {
            move |method| (Some(method) != works).then(|| format!("no {method}"))
        };
        let (method, passed) = choose(Mode::Auto, only(Some(Method::Reflink))).unwrap();
        assert_eq!((method, passed.len()), (Method::Reflink, 0));
        let (method, passed) = choose(Mode::Auto, only(Some(Method::Hardlink))).unwrap();
        assert_eq!(method, Method::Hardlink);
        assert_eq!(passed[0].to_string(), "not reflink: no reflink");
        let (method, passed) = choose(Mode::Auto, only(None)).unwrap();
        assert_eq!((method, passed.len()), (Method::Copy, 2));
    }

    #[test]
    fn a_demanded_reflink_is_not_replaced_by_copies_but_a_hardlink_is() {
        let nothing = |_| Some("cannot".to_owned());
        assert_eq!(choose(Mode::Reflink, nothing).unwrap_err(), "cannot");
        assert_eq!(choose(Mode::Hardlink, nothing).unwrap().0, Method::Copy);
        let all = |_| None;
        assert_eq!(choose(Mode::Copy, all).unwrap().0, Method::Copy);
    }
}
