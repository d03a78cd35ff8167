//! What was typed after a command's name.

use std::collections::BTreeMap;

/// Arguments and flags of one command. Of flags that were not given it knows the defaults.
///
/// There may be passwords in it: it is not printable.
#[derive(Default)]
pub struct Input {
    arguments: Vec<String>,
    flags: BTreeMap<&'static str, Given>,
}

struct Given {
    value: String,
    is_given: bool,
}

impl Input {
    pub(crate) fn new(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            flags: BTreeMap::new(),
        }
    }

    pub(crate) fn set(&mut self, flag: &'static str, value: String, is_given: bool) {
        self.flags.insert(flag, Given { value, is_given });
    }

    /// All arguments.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The argument at this place, counted from zero; empty if there is none.
    pub fn argument(&self, place: usize) -> &str {
        self.arguments.get(place).map_or("", String::as_str)
    }

    /// The arguments from this place on.
    pub fn rest(&self, place: usize) -> &[String] {
        self.arguments.get(place..).unwrap_or_default()
    }

    /// The flag's value or default.
    pub fn flag(&self, name: &str) -> &str {
        self.flags.get(name).map_or("", |flag| &flag.value)
    }

    /// Whether the flag was given.
    pub fn is_given(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|flag| flag.is_given)
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.flag(name) == "true"
    }
}
