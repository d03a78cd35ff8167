//! `baton serve` with foreign servers: reloads under load, bad releases, deaths, systemd, nginx, gunicorn.

mod foreign;
mod life;
mod load;
mod reload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{BATON, Home, Running, Text};

/// A server under `baton serve`, with its state in a directory of its own.
struct Served {
    home: Home,
    running: Running,
}

impl Served {
    /// Starts it, and waits until a process serves.
    fn start(options: &[&str], program: &[&str]) -> Self {
        Self::start_in(Home::new("none"), options, program)
    }

    /// The same, beside what the test has put into the directory.
    fn start_in(home: Home, options: &[&str], program: &[&str]) -> Self {
        let mut served = Self {
            running: spawn(&home, options, program),
            home,
        };
        served.until("a process serves", |status| !status["serves"].is_null());
        served
    }

    /// The test server, which says that it is ready, on a port of the kernel's.
    fn python(options: &[&str]) -> Self {
        let all = [&["--listen", "http=127.0.0.1:0", "--ready-notify"], options].concat();
        Self::start(&all, &python(&["--notify"]))
    }

    fn baton(&self, words: &[&str], program: &[&str]) -> Output {
        let state = self.home.at("state");
        let mut all = [&["serve"], words, &["--state-dir", state.to_str().unwrap()]].concat();
        if !program.is_empty() {
            all.push("--");
            all.extend(program);
        }
        self.home.run(BATON, &all)
    }

    fn status(&self) -> Value {
        let out = self.baton(&["status", "--json"], &[]).out();
        serde_json::from_str(&out).unwrap_or_default()
    }

    fn until(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        let (home, seen) = (&self.home, &mut status);
        self.running.wait_until(what, |_| {
            let state = home.at("state");
            let words = [
                "serve",
                "status",
                "--json",
                "--state-dir",
                state.to_str().unwrap(),
            ];
            *seen = serde_json::from_str(&home.run(BATON, &words).out()).unwrap_or_default();
            condition(seen)
        });
        status
    }

    fn address(&self) -> SocketAddr {
        let status = self.status();
        let address = status["listeners"][0]["address"].as_str();
        address.expect("it listens").parse().unwrap()
    }

    /// The process that serves.
    fn pid(&self) -> i32 {
        let pid = self.status()["serves"]["pid"].as_i64();
        i32::try_from(pid.expect("somebody serves")).unwrap()
    }

    /// Reloads, which has to succeed, and waits until the process before is gone.
    fn reload(&mut self) {
        let out = self.baton(&["reload"], &[]);
        assert_eq!(out.code(), Some(0), "{}{}", out.out(), out.err());
        self.until("the old process has ended", |status| {
            status["leaving"].as_array().is_some_and(Vec::is_empty)
        });
    }
}

fn spawn(home: &Home, options: &[&str], program: &[&str]) -> Running {
    let state = home.at("state");
    let words = ["serve", "--state-dir", state.to_str().unwrap()];
    home.spawn(BATON, &[&words, options, &["--"], program].concat())
}

/// The test server with these options.
fn python<'a>(options: &[&'a str]) -> Vec<&'a str> {
    const SERVER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/e2e/serve/server.py"
    );
    let system = Path::new("/usr/bin/python3");
    let program = if system.exists() {
        "/usr/bin/python3"
    } else {
        "python3"
    };
    [&[program, SERVER], options].concat()
}

/// The tool's path, if it is installed; says so if it is not.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not installed (apt-get install it to run this test)");
    }
    found
}
