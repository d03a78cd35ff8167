//! A home and what its settings say, read once.

use crate::home::{Home, Paths};
use crate::settings::{Document, DocumentError, Environment, Flags, Problem, Settings, Values};

/// A home and its settings, which are good.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The home.
    pub home: Home,
    /// The paths in it.
    pub paths: Paths,
    /// The settings.
    pub settings: Settings,
    /// What was accepted but has no effect.
    pub warnings: Vec<Problem>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// `config.toml` cannot be read at all.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Some values cannot be accepted; all are told.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Configuration {
    /// Reads the settings of a home.
    pub fn load(
        home: Home,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let file = Document::read(&home.config())?;
        let values = Values::gather(flags, environment, &file);
        let judged = Settings::of(values, &file).map_err(ConfigurationError::Problems)?;
        let mut settings = judged.settings;
        settings.log.places = environment.get("BYTOM_DEBUG").is_some();
        Ok(Self {
            paths: home.paths(&settings),
            home,
            settings,
            warnings: judged.warnings,
        })
    }

    /// Reads the settings of a namespace other than `global`, which flags and environment do not reach.
    pub fn of_namespace(home: Home) -> Result<Self, ConfigurationError> {
        Self::load(home, &Flags::new(), &Environment::default())
    }
}
