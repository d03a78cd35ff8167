//! What clients suffer when a server is replaced under load: nginx, `HAProxy`, and our `web`
//! example, one after the other under the same clients.
//!
//! `bench-handover [nginx] [haproxy] [web] [upgrade] [--web FILE] [--ours FILE] [--peers DIR] [--runs 20] [--nginx FILE] [--haproxy FILE] [--upgrades 8]
//! [--fresh 8] [--keep-alive 20] [--blind 20] [--think-ms 10] [--pause-ms 1000]`
//!
//! `upgrade` is another measurement: how long the upgrade of a trivial, idle server takes, ours (`--ours`) and
//! those of `bench/peers` (`--peers`, the directory of their executables).
//!
//! One JSON line each. A server that is not there is skipped, which is said in its line. Keep-alive
//! clients look whether their connection still stands before they ask; blind ones do not.

#[path = "handover/haproxy.rs"]
mod haproxy;
#[path = "handover/nginx.rs"]
mod nginx;
#[path = "handover/process.rs"]
mod process;
#[path = "handover/server.rs"]
mod server;
#[path = "handover/upgrade.rs"]
mod upgrade;
#[path = "handover/web.rs"]
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use server::{Clients, measure};

/// What can be measured, in this order.
const BENCHES: [&str; 4] = ["nginx", "haproxy", "web", "upgrade"];

struct Options {
    benches: Vec<&'static str>,
    clients: Clients,
    runs: usize,
    ours: Option<PathBuf>,
    peers: PathBuf,
    nginx: PathBuf,
    haproxy: PathBuf,
    web: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("Error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for name in &options.benches {
        if *name == "upgrade" {
            for server in upgrade::servers(options.ours.as_deref(), &options.peers) {
                println!(
                    "{}",
                    runtime.block_on(upgrade::measure(&server, options.runs))?
                );
            }
            continue;
        }
        let line = runtime
            .block_on(options.measure(name))
            .with_context(|| format!("measuring {name}"))?;
        println!("{line}");
    }
    Ok(())
}

impl Options {
    async fn measure(&self, name: &str) -> Result<serde_json::Value> {
        let missing =
            |what: &str| Ok(json!({ "bench": format!("handover-{name}"), "skipped": what }));
        let is_missing = |path: &PathBuf| !path.is_file();
        match (name, &self.web) {
            ("nginx", _) if is_missing(&self.nginx) => missing(&format!(
                "no {}; it is in Debian's nginx-light",
                self.nginx.display()
            )),
            ("nginx", _) => measure(nginx::Nginx::start(&self.nginx).await?, &self.clients).await,
            ("haproxy", _) if is_missing(&self.haproxy) => missing(&format!(
                "no {}; it is in Debian's haproxy",
                self.haproxy.display()
            )),
            ("haproxy", _) => {
                measure(haproxy::Haproxy::start(&self.haproxy).await?, &self.clients).await
            }
            (_, None) => missing("--web does not name our example's executable"),
            (_, Some(path)) => measure(web::Web::start(path).await?, &self.clients).await,
        }
    }

    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            benches: Vec::new(),
            clients: Clients {
                upgrades: 8,
                fresh: 8,
                keep_alive: 20,
                blind: 20,
                think: Duration::from_millis(10),
                pause: Duration::from_secs(1),
            },
            nginx: "/usr/sbin/nginx".into(),
            haproxy: "/usr/sbin/haproxy".into(),
            web: None,
            runs: 20,
            ours: None,
            peers: Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/target/release"),
        };
        while let Some(arg) = args.next() {
            if let Some(bench) = BENCHES.into_iter().find(|bench| *bench == arg) {
                options.benches.push(bench);
                continue;
            }
            let value = args
                .next()
                .with_context(|| format!("{arg} needs a value"))?;
            let clients = &mut options.clients;
            match arg.as_str() {
                "--nginx" => options.nginx = value.into(),
                "--haproxy" => options.haproxy = value.into(),
                "--ours" => options.ours = Some(value.into()),
                "--peers" => options.peers = value.into(),
                "--runs" => options.runs = value.parse()?,
                "--web" => options.web = Some(value.into()),
                "--upgrades" => clients.upgrades = value.parse()?,
                "--fresh" => clients.fresh = value.parse()?,
                "--keep-alive" => clients.keep_alive = value.parse()?,
                "--blind" => clients.blind = value.parse()?,
                "--think-ms" => clients.think = Duration::from_millis(value.parse()?),
                "--pause-ms" => clients.pause = Duration::from_millis(value.parse()?),
                other => {
                    bail!("{other} is neither an option nor one of nginx, haproxy, web, upgrade")
                }
            }
        }
        ensure!(options.runs > 0, "--runs must not be 0");
        ensure!(options.clients.upgrades > 0, "--upgrades must not be 0");
        if options.benches.is_empty() {
            options.benches = BENCHES.to_vec();
        }
        Ok(options)
    }
}
