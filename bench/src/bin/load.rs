//! Load from the command line: clients of every kind against one or several servers, for a time.
//!
//! `bench-load [--to ADDR] [--fresh N[@ADDR]] [--keep-alive N[@ADDR]] [--blind N[@ADDR]] [--echo N[@ADDR]]
//! [--silent N] [--stalled N] [--websocket N[@ADDR]] [--datagram N[@ADDR]] [--seconds 10] [--think-ms 10]
//! [--patience-ms 10000] [--path /] [--requests N] [--strict]`
//!
//! Echo clients without an address get a plain echo server, in a process of its own: what this machine and the
//! generator do by themselves.
//!
//! Prints what the clients saw as one JSON line, at the end or when it gets SIGINT or SIGTERM; with
//! `--strict` it fails if anything was lost. It says `ready` on standard error once every client has had an answer.

#[path = "load/plain.rs"]
mod plain;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use baton_bench::load::{Group, Kind, Load};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// How long all clients together have to get their first answer.
const BEGIN: Duration = Duration::from_mins(1);
/// The first argument of this program when it is the plain echo server.
pub(crate) const PLAIN_ECHO: &str = "--plain-echo";
/// Descriptors this process needs besides its connections.
pub(crate) const BESIDES: u64 = 64;

struct Options {
    to: Option<SocketAddr>,
    groups: Vec<(Kind, usize, Option<SocketAddr>)>,
    silent: usize,
    stalled: usize,
    time: Duration,
    think: Duration,
    patience: Option<Duration>,
    path: String,
    requests: Option<u64>,
    strict: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(e) => {
            eprintln!("Error: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(PLAIN_ECHO) {
        return plain::serve();
    }
    let mut options = Options::read(std::env::args().skip(1))?;
    let clients: usize = options.groups.iter().map(|(_, clients, _)| clients).sum();
    raise_limit(clients as u64 + BESIDES)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let needs_echo = |(kind, _, target): &(Kind, usize, Option<SocketAddr>)| {
        *kind == Kind::Echo && target.is_none()
    };
    let _server = if options.to.is_none() && options.groups.iter().any(needs_echo) {
        let server = plain::Server::start(clients)?;
        for group in options.groups.iter_mut().filter(|group| needs_echo(group)) {
            group.2 = Some(server.address);
        }
        Some(server)
    } else {
        None
    };
    let (report, is_clean) = runtime.block_on(load(&options))?;
    println!("{report}");
    Ok(if options.strict && !is_clean {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn load(options: &Options) -> Result<(Value, bool)> {
    let mut load = Load::start(options.groups()?);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let end = tokio::time::sleep(options.time);
    tokio::pin!(end);
    tokio::select! {
        ready = load.ready(BEGIN.min(options.time)) => match ready {
            Ok(()) => eprintln!("ready"),
            Err(e) => eprintln!("{e}"),
        },
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    tokio::select! {
        () = &mut end => {}
        () = load.ended() => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    let report = load.stop().await;
    let mut line = json!({ "bench": "load" });
    if let (Value::Object(line), Value::Object(report)) = (&mut line, report.json()) {
        line.extend(report);
    }
    Ok((line, report.is_clean()))
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            to: None,
            groups: Vec::new(),
            silent: 0,
            stalled: 0,
            time: Duration::from_secs(10),
            think: Duration::from_millis(10),
            patience: None,
            path: "/".to_owned(),
            requests: None,
            strict: false,
        };
        while let Some(arg) = args.next() {
            if arg == "--strict" {
                options.strict = true;
                continue;
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| arg.strip_prefix("--") == Some(kind.name()));
            if let Some(kind) = kind {
                let (clients, target) = match value.split_once('@') {
                    Some((clients, target)) => (
                        clients,
                        Some(target.parse().with_context(|| target.to_owned())?),
                    ),
                    None => (value.as_str(), None),
                };
                options.groups.push((
                    kind,
                    clients.parse().with_context(|| value.clone())?,
                    target,
                ));
                continue;
            }
            let milliseconds = || Ok::<_, anyhow::Error>(Duration::from_millis(value.parse()?));
            match arg.as_str() {
                "--to" => options.to = Some(value.parse().with_context(|| value.clone())?),
                "--silent" => options.silent = value.parse()?,
                "--stalled" => options.stalled = value.parse()?,
                "--seconds" => options.time = Duration::from_secs(value.parse()?),
                "--think-ms" => options.think = milliseconds()?,
                "--patience-ms" => options.patience = Some(milliseconds()?),
                "--path" => options.path = value,
                "--requests" => options.requests = Some(value.parse()?),
                other => bail!("unknown option {other}"),
            }
        }
        ensure!(
            !options.groups.is_empty(),
            "no clients are asked for; for example --keep-alive 8"
        );
        ensure!(
            options.time <= Duration::from_hours(24),
            "--seconds must be a day at most"
        );
        Ok(options)
    }

    fn groups(&self) -> Result<Vec<Group>> {
        let groups = self.groups.iter().map(|(kind, clients, target)| {
            let target = target.or(self.to);
            let target = target.with_context(|| {
                format!("--{} needs an address: N@ADDR, or --to ADDR", kind.name())
            })?;
            let mut group = Group::new(*kind, target, *clients)
                .think(self.think)
                .path(&self.path)
                .silent(self.silent)
                .stalled(self.stalled);
            if let Some(patience) = self.patience {
                group = group.patience(patience);
            }
            if let Some(requests) = self.requests {
                group = group.requests(requests);
            }
            Ok(group)
        });
        groups.collect()
    }
}

/// Lets this process have so many descriptors.
pub(crate) fn raise_limit(needed: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // Above the hard limit only the privileged get.
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    let wanted = Rlimit {
        current: Some(needed),
        maximum,
    };
    setrlimit(Resource::Nofile, wanted).with_context(|| {
        format!(
            "{needed} descriptors are needed and {:?} allowed",
            limit.maximum
        )
    })
}
