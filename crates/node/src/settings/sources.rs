//! Who gives a setting its value: a flag, else the environment, else `config.toml`, else the default.

use std::collections::BTreeMap;
use std::fmt;

use super::document::{Document, plain};
use super::keys::{KEYS, Key, Treatment, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag, `--p2p.laddr`.
    Flag,
    /// A variable of the environment.
    Environment(String),
    /// `config.toml`.
    File,
    /// The table of settings.
    Default,
}

/// Something that is wrong with the configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The flag, variable, key or file.
    pub place: String,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Problem {
    /// A problem at that place.
    pub fn new(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self {
            place: place.to_string(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// The environment of the process, as far as it is of interest; a copy, so that tests need not change their own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of this process. What is not UTF-8 is not ours.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        let known = pairs.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        known.collect()
    }

    /// The value of a variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    /// As in bytomd, `TMHOME` is another spelling of `TM_HOME`, and wins over it.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let short: Vec<_> = all
            .iter()
            .filter_map(|(name, value)| {
                let rest = name.strip_prefix("TM").filter(|rest| !rest.is_empty())?;
                (!rest.starts_with('_')).then(|| (format!("TM_{rest}"), value.clone()))
            })
            .collect();
        all.extend(short);
        Self(all)
    }
}

/// Flags as they were given: the name of the setting and the text of the value.
pub type Flags = BTreeMap<String, String>;

/// All values, each with its source, and what is to be said about them.
#[derive(Debug, Clone, Default)]
pub struct Values {
    all: BTreeMap<&'static str, (Value, Source)>,
    /// What is accepted but has no effect.
    pub warnings: Vec<Problem>,
    /// What cannot be accepted.
    pub problems: Vec<Problem>,
}

impl Values {
    /// Asks every source about every setting.
    pub fn gather(flags: &Flags, environment: &Environment, file: &Document) -> Self {
        let mut gathered = Self::default();
        for key in KEYS {
            let (value, source) = gathered.of_key(key, flags, environment, file);
            if let Treatment::Ignored(why) = key.treatment
                && value != key.default_value()
            {
                let place = place(key, &source);
                gathered
                    .warnings
                    .push(Problem::new(place, format_args!("ignored: {why}")));
            }
            gathered.all.insert(key.name, (value, source));
        }
        for name in file.values.keys() {
            if super::keys::key(name).is_none() {
                let what = "there is no such setting; the line has no effect";
                let place = format!("config.toml: {name}");
                gathered.warnings.push(Problem::new(place, what));
            }
        }
        gathered
    }

    fn of_key(
        &mut self,
        key: &'static Key,
        flags: &Flags,
        environment: &Environment,
        file: &Document,
    ) -> (Value, Source) {
        let variable = key.variable();
        let variables = match key.name {
            // the only override of the API's address that bytomd has
            "api_addr" => vec!["LISTEN".to_owned(), variable],
            _ => vec![variable],
        };
        let given = flags
            .get(key.name)
            .map(|text| (Some(text.clone()), Source::Flag));
        let given = given.or_else(|| {
            let set = variables
                .into_iter()
                .find_map(|name| Some((environment.get(&name)?.to_owned(), name)));
            set.map(|(text, name)| (Some(text), Source::Environment(name)))
        });
        let given = given.or_else(|| {
            let value = file.values.get(key.name)?;
            Some((plain(value, key.kind), Source::File))
        });
        let Some((text, source)) = given else {
            return (key.default_value(), Source::Default);
        };
        let parsed = match &text {
            Some(text) => key.parse(text).map_err(|unfit| unfit.to_string()),
            None => Err(format!("{} is wanted", key.kind)),
        };
        match parsed {
            Ok(value) => (value, source),
            Err(what) => {
                self.problems.push(Problem::new(place(key, &source), what));
                (key.default_value(), Source::Default)
            }
        }
    }

    /// Where the value of a setting came from, for people: `--mining`, `TM_MINING`, `config.toml: mining`.
    pub fn place(&self, name: &str) -> String {
        let (_, source) = self.get(name);
        place(
            super::keys::key(name).expect("asked by a name of the table"),
            source,
        )
    }

    /// The value of a text.
    pub(super) fn text(&self, name: &str) -> String {
        match self.get(name) {
            (Value::Text(text), _) => text.clone(),
            _ => unreachable!("{name} is a text in the table"),
        }
    }

    /// The value of a switch.
    pub(super) fn switch(&self, name: &str) -> bool {
        match self.get(name) {
            (Value::Switch(on), _) => *on,
            _ => unreachable!("{name} is a switch in the table"),
        }
    }

    /// The value of a number.
    pub(super) fn number(&self, name: &str) -> u64 {
        match self.get(name) {
            (Value::Number(number), _) => *number,
            _ => unreachable!("{name} is a number in the table"),
        }
    }

    fn get(&self, name: &str) -> &(Value, Source) {
        self.all
            .get(name)
            .unwrap_or_else(|| unreachable!("{name} is in the table"))
    }
}

fn place(key: &Key, source: &Source) -> String {
    match source {
        Source::Flag => format!("--{}", key.name),
        Source::Environment(variable) => format!("{variable} in the environment"),
        Source::File => format!("config.toml: {}", key.name),
        Source::Default => format!("the default of {}", key.name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Kind, key};
    use super::*;

    /// A value that is not the default, the `n`th of four that differ.
    fn another(key: &Key, n: u64) -> String {
        match key.kind {
            Kind::Text => format!("value-{n}"),
            Kind::Number(least, _) => (least + 1 + n).to_string(),
            Kind::Switch => n.is_multiple_of(2).to_string(),
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        for key in KEYS {
            for given in 0..8 {
                let (flag, variable, line) = (given & 4 != 0, given & 2 != 0, given & 1 != 0);
                let mut flags = Flags::new();
                let mut environment = Vec::new();
                let mut file = Document::default();
                let mut wanted = key.default.to_owned();
                if line {
                    wanted = another(key, 0);
                    file.values
                        .insert(key.name.to_owned(), toml::Value::String(wanted.clone()));
                }
                if variable {
                    wanted = another(key, 1);
                    environment.push((key.variable(), wanted.clone()));
                }
                if flag {
                    wanted = another(key, 2);
                    flags.insert(key.name.to_owned(), wanted.clone());
                }
                let values = Values::gather(&flags, &Environment::from_iter(environment), &file);
                assert_eq!(values.problems, []);
                let (found, _) = values.get(key.name);
                assert_eq!(found.to_string(), wanted, "{} with {given:03b}", key.name);
            }
        }
    }

    #[test]
    fn a_file_may_have_the_right_type_or_a_text() {
        let file =
            Document::parse("mining = true\n[p2p]\nmax_num_peers = 7\nskip_upnp = \"true\"\n");
        let values = Values::gather(&Flags::new(), &Environment::default(), &file.unwrap());
        assert!(values.switch("mining") && values.switch("p2p.skip_upnp"));
        assert_eq!(values.number("p2p.max_num_peers"), 7);
        assert_eq!((values.warnings, values.problems), (vec![], vec![]));
    }

    #[test]
    fn listen_wins_over_the_variable_and_tmhome_is_tm_home() {
        let environment = Environment::from_iter([
            ("LISTEN", "127.0.0.1:1"),
            ("TM_API_ADDR", "127.0.0.1:2"),
            ("TMMONIKER", "short"),
            ("TM_LOG_LEVEL", ""),
        ]);
        let file = Document::parse("log_level = \"warn\"").unwrap();
        let values = Values::gather(&Flags::new(), &environment, &file);
        assert_eq!(values.text("api_addr"), "127.0.0.1:1");
        assert_eq!(values.text("moniker"), "short");
        assert_eq!(values.text("log_level"), "warn");
        assert_eq!(values.place("api_addr"), "LISTEN in the environment");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let file = Document::parse(
            "fast_sync = false\nminig = true\nmining = \"yes\"\n[p2p]\nmax_num_peers = [1]\n",
        );
        let flags = Flags::from([("stop_grace".to_owned(), "0".to_owned())]);
        let environment = Environment::from_iter([("TM_WALLET_TXINDEX", "maybe")]);
        let values = Values::gather(&flags, &environment, &file.unwrap());
        let problems: Vec<_> = values.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "config.toml: mining: \"yes\" is not true or false",
                "--stop_grace: \"0\" is not a whole number from 1 to 3600",
                "config.toml: p2p.max_num_peers: a whole number from 1 to 1000 is wanted",
                "TM_WALLET_TXINDEX in the environment: \"maybe\" is not true or false",
            ]
        );
        let warnings: Vec<_> = values.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "config.toml: fast_sync: ignored: a node always catches up as fast as it can",
                "config.toml: minig: there is no such setting; the line has no effect",
            ]
        );
        assert!(key("minig").is_none());
    }
}
