//! How shareables are called.
//!
//! The name decides which inherited descriptor is which, across processes, releases and service managers; so it has to be valid
//! for all of them. systemd's rule for descriptor names is the narrowest: printable ASCII without colon, at most 255 bytes
//! (`FileDescriptorName=` in systemd.socket(5)). A group's members share a base name: `web`, `web#1`, `web#2`.

use std::fmt;

/// The longest name, in bytes, member number included: systemd's limit for `FDNAME`.
pub(crate) const MAX_NAME: usize = 255;

/// The most descriptors one table holds.
pub(crate) const MAX_SHAREABLES: usize = 4096;

/// The longest base name: `#4095` must still fit.
const MAX_BASE: usize = MAX_NAME - 5;

/// The name of one descriptor: a base and, in a group, the number of the member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    base: String,
    member: usize,
}

impl Name {
    /// The first (or only) descriptor of that base name; or what is wrong with the name.
    pub(crate) fn base(base: &str) -> Result<Self, &'static str> {
        if base.is_empty() {
            return Err("it is empty");
        }
        if base.len() > MAX_BASE {
            return Err("it is longer than 250 bytes");
        }
        if !base.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err("only printable ASCII is allowed");
        }
        if base.contains([':', '#']) {
            return Err("':' and '#' are not allowed");
        }
        Ok(Self {
            base: base.to_owned(),
            member: 0,
        })
    }

    /// Reads a name with its member number, as another process sent it.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        let Some((base, digits)) = name.split_once('#') else {
            return Self::base(name);
        };
        let canonical =
            digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let member = digits.parse().ok().filter(|_| canonical);
        match member {
            Some(member) if member < MAX_SHAREABLES => Ok(Self::base(base)?.member(member)),
            _ => Err("after '#' a number from 1 to 4095 is expected"),
        }
    }

    /// The same base with another member number.
    pub(crate) fn member(&self, member: usize) -> Self {
        Self {
            base: self.base.clone(),
            member,
        }
    }

    /// Whether both belong to one group.
    pub(crate) fn same_base(&self, other: &Self) -> bool {
        self.base == other.base
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        if self.member > 0 {
            write!(f, "#{}", self.member)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_systemd_would_refuse_is_refused() {
        for bad in ["", "a:b", "a#b", "a\nb", "a\u{7f}", "é", &"x".repeat(251)] {
            assert!(Name::base(bad).is_err(), "{bad:?}");
        }
        for bad in ["a#0", "a#01", "a#", "a#4096", "a#-1", "a#+1", "#1", "a#1#2"] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        let longest = Name::base(&"x".repeat(250)).expect("at the limit");
        assert_eq!(longest.member(4095).to_string().len(), MAX_NAME);
    }

    proptest! {
        #[test]
        fn names_survive_the_wire(base in "[ -\"$-9;-~]{1,250}", member in 0_usize..MAX_SHAREABLES) {
            let name = Name::base(&base).expect("valid").member(member);
            prop_assert_eq!(Name::parse(&name.to_string()), Ok(name));
        }

        #[test]
        fn what_parses_prints_the_same(text in ".{0,300}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
