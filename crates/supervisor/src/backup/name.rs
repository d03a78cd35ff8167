//! The names of backups: `data-backup-Y-M-D` as Cosmovisor gives them (no zero padding, local
//! date), and `-2`, `-3`… for more of one day.

use std::ffi::OsStr;
use std::fmt;

use jiff::civil::Date;

/// The most backups of one day.
pub(crate) const MAX_PER_DAY: u32 = 999;

/// The name of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The day.
    pub date: Date,
    /// Which one of that day, from 1.
    pub number: u32,
}

impl Name {
    /// Reads a name. Cosmovisor's padded look-alikes are not its names.
    pub fn parse(name: &OsStr) -> Option<Self> {
        let rest = name.to_str()?.strip_prefix("data-backup-")?;
        let numbers: Vec<u32> = rest
            .split('-')
            .map(|n| match n.as_bytes() {
                [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => n.parse().ok(),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let (&[y, m, d], number) = match &numbers[..] {
            [ymd @ .., n] if numbers.len() == 4 && *n > 1 => (<&[u32; 3]>::try_from(ymd).ok()?, *n),
            ymd => (<&[u32; 3]>::try_from(ymd).ok()?, 1),
        };
        let date = Date::new(y.try_into().ok()?, m.try_into().ok()?, d.try_into().ok()?).ok()?;
        Some(Self { date, number })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data-backup-{}", Day(self.date))?;
        numbered(f, self.number)
    }
}

/// A date as Cosmovisor writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day(pub(crate) Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.0;
        write!(f, "{}-{}-{}", date.year(), date.month(), date.day())
    }
}

/// `-2`, `-3`… after what is not the first of its name.
pub(crate) fn numbered(f: &mut fmt::Formatter<'_>, number: u32) -> fmt::Result {
    if number > 1 {
        write!(f, "-{number}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn names_are_cosmovisors() {
        let name = |date, number| Name { date, number };
        for (name, text) in [
            (name(date(2024, 3, 7), 1), "data-backup-2024-3-7"),
            (name(date(2026, 11, 21), 2), "data-backup-2026-11-21-2"),
            (name(date(2026, 11, 21), 13), "data-backup-2026-11-21-13"),
        ] {
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::parse(OsStr::new(text)), Some(name));
        }
        for other in [
            "data-backup-2024-03-07",
            "data-backup-2024-3",
            "data-backup-2024-3-7-1",
            "data-backup-2024-3-7-0",
            "data-backup-2024-3-7-2-2",
            "data-backup-2024-13-7",
            "data-backup-2024-2-30",
            "data-backup-2024-+3-7",
            "data-backup-99999-3-7",
            ".data-backup-2024-3-7.1.partial",
            "data-backup-",
            "data",
        ] {
            assert_eq!(Name::parse(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn the_second_of_a_day_is_later_than_the_first() {
        let name = |text: &str| Name::parse(OsStr::new(text)).unwrap();
        assert!(name("data-backup-2024-3-7-10") > name("data-backup-2024-3-7-9"));
        assert!(name("data-backup-2024-3-10") > name("data-backup-2024-3-9-2"));
    }
}
