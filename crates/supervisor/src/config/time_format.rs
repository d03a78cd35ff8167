//! How log lines spell the time: the twelve layouts of Go's `time` package, or not at all.

/// A value of `COSMOVISOR_TIMEFORMAT_LOGS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// No time: the set but empty value.
    Empty,
    /// `01/02 03:04:05PM '06 -0700`
    Layout,
    /// `Mon Jan _2 15:04:05 2006`
    Ansic,
    /// `Mon Jan _2 15:04:05 MST 2006`
    UnixDate,
    /// `Mon Jan 02 15:04:05 -0700 2006`
    RubyDate,
    /// `02 Jan 06 15:04 MST`
    Rfc822,
    /// `02 Jan 06 15:04 -0700`
    Rfc822z,
    /// `Monday, 02-Jan-06 15:04:05 MST`
    Rfc850,
    /// `Mon, 02 Jan 2006 15:04:05 MST`
    Rfc1123,
    /// `Mon, 02 Jan 2006 15:04:05 -0700`
    Rfc1123z,
    /// `2006-01-02T15:04:05Z07:00`
    Rfc3339,
    /// `2006-01-02T15:04:05.999999999Z07:00`
    Rfc3339nano,
    /// `3:04PM`, the default
    #[default]
    Kitchen,
}

impl TimeFormat {
    /// The accepted names as an error lists them.
    pub const NAMES: &str = "layout|ansic|unixdate|rubydate|rfc822|rfc822z|rfc850|rfc1123|rfc1123z|rfc3339|rfc3339nano|kitchen";

    /// Every value, each once.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::Layout,
        Self::Ansic,
        Self::UnixDate,
        Self::RubyDate,
        Self::Rfc822,
        Self::Rfc822z,
        Self::Rfc850,
        Self::Rfc1123,
        Self::Rfc1123z,
        Self::Rfc3339,
        Self::Rfc3339nano,
        Self::Kitchen,
    ];

    /// The value of that name, if there is one. Names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        self.name_and_layout().0
    }

    /// The layout in Go's notation, as `config` prints it.
    pub const fn layout(self) -> &'static str {
        self.name_and_layout().1
    }

    const fn name_and_layout(self) -> (&'static str, &'static str) {
        match self {
            Self::Empty => ("", ""),
            Self::Layout => ("layout", "01/02 03:04:05PM '06 -0700"),
            Self::Ansic => ("ansic", "Mon Jan _2 15:04:05 2006"),
            Self::UnixDate => ("unixdate", "Mon Jan _2 15:04:05 MST 2006"),
            Self::RubyDate => ("rubydate", "Mon Jan 02 15:04:05 -0700 2006"),
            Self::Rfc822 => ("rfc822", "02 Jan 06 15:04 MST"),
            Self::Rfc822z => ("rfc822z", "02 Jan 06 15:04 -0700"),
            Self::Rfc850 => ("rfc850", "Monday, 02-Jan-06 15:04:05 MST"),
            Self::Rfc1123 => ("rfc1123", "Mon, 02 Jan 2006 15:04:05 MST"),
            Self::Rfc1123z => ("rfc1123z", "Mon, 02 Jan 2006 15:04:05 -0700"),
            Self::Rfc3339 => ("rfc3339", "2006-01-02T15:04:05Z07:00"),
            Self::Rfc3339nano => ("rfc3339nano", "2006-01-02T15:04:05.999999999Z07:00"),
            Self::Kitchen => ("kitchen", "3:04PM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_names_are_the_known_ones() {
        let listed: Vec<_> = TimeFormat::NAMES.split('|').collect();
        assert_eq!(listed.len() + 1, TimeFormat::ALL.len());
        for name in listed {
            assert_eq!(TimeFormat::from_name(name).unwrap().name(), name);
        }
        assert_eq!(TimeFormat::from_name("Kitchen"), None);
        assert_eq!(TimeFormat::from_name(""), Some(TimeFormat::Empty));
    }
}
