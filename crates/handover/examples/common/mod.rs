//! What all examples do alike: read their options, and say who they are.

#![allow(unreachable_pub)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use baton_handover::{Serving, Settings};

/// The options of an example.
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where generations find each other.
    pub control_dir: PathBuf,
    /// What else was given, in pairs: `--name value`.
    pub more: Vec<(String, String)>,
}

impl Options {
    /// What was given for an option, if it was given; the last word counts.
    pub fn option(&self, name: &str) -> Option<&str> {
        let given = self.more.iter().rfind(|(key, _)| key == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The settings of this example, with what was given: `--timeout-ms 500`, `--max-draining 1`, `--staged yes`, `--nginx PIDFILE`, …
    pub fn settings(&self, name: &str) -> Settings {
        let number = |name: &str| self.option(name).and_then(|value| value.parse().ok());
        let limit = |name: &str| number(name).map(Duration::from_millis);
        let mut settings = Settings::named(self.option("name").unwrap_or(name));
        settings = settings.control_dir(&self.control_dir);
        for (name, set) in [
            ("timeout-ms", Settings::timeout as fn(_, _) -> _),
            ("boundary-ms", Settings::boundary),
            ("release-ms", Settings::release),
            ("frozen-ms", Settings::frozen),
            ("drain-ms", Settings::drain),
        ] {
            if let Some(limit) = limit(name) {
                settings = set(settings, limit);
            }
        }
        if let Some(most) = number("max-draining").and_then(|most| usize::try_from(most).ok()) {
            settings = settings.max_draining(most);
        }
        if self.option("staged").is_some() {
            settings = settings.staged();
        }
        if let Some(path) = self.option("pid-file") {
            settings = settings.pid_file(path);
        }
        if let Some(path) = self.option("nginx") {
            settings = settings.nginx_signals().pid_file(path);
        }
        if let Some(path) = self.option("upgrade-on-file") {
            settings = settings.upgrade_on_file(path);
        }
        if self.option("fd-store").is_some() {
            settings = settings.fd_store();
        }
        settings
    }
}

/// The options of this process; ends it with a word about the usage if they are not understood.
pub fn options() -> Options {
    // Tests stop a handover in the middle by fault points, named in the variable FAILPOINTS.
    std::mem::forget(fail::FailScenario::setup());
    let level = std::env::var("LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(level.unwrap_or(tracing::Level::INFO))
        .init();
    let usage = || -> ! {
        eprintln!("usage: --listen ADDRESS:PORT --control-dir DIRECTORY");
        std::process::exit(2);
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut listen, mut control_dir, mut more) = (None, None, Vec::new());
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--listen" => listen = value.parse().ok(),
            [name, value] if name == "--control-dir" => control_dir = Some(PathBuf::from(value)),
            [name, value] if name.starts_with("--") => {
                more.push((name[2..].to_owned(), value.clone()));
            }
            _ => usage(),
        }
    }
    let (Some(listen), Some(control_dir)) = (listen, control_dir) else {
        usage()
    };
    Options {
        listen,
        control_dir,
        more,
    }
}

/// Says who serves where, on standard output.
pub fn say(name: &str, serving: &Serving, address: SocketAddr) {
    println!(
        "{name}: pid {} generation {} listens on {address}",
        std::process::id(),
        serving.generation()
    );
}
