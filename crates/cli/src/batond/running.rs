//! The commands that run a node, or ask one that runs.

use std::time::{Duration, Instant};

use baton_node::configuration::Configuration;
use baton_node::control::{Request, ask};
use baton_node::home::Home;
use baton_node::lock::Lock;
use baton_node::namespace::Name;
use baton_node::node;
use baton_node::settings::{Environment, Flags};

use super::Failure;
use crate::console::{err, out};

/// How long a node may take to say how it is.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a node that was told to stop is waited for. Its own limits are shorter.
const STOP: Duration = Duration::from_mins(10);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the node of a home until it is told to stop.
pub(super) fn node(home: Home, flags: &Flags, environment: &Environment) -> Result<(), Failure> {
    if !home.path().is_dir() {
        return Err(Failure::plain(format!(
            "there is no directory {}; is --home right? `batond init` makes a home",
            home.path().display()
        )));
    }
    let configuration = Configuration::load(home, flags, environment).map_err(Failure::of)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::of)?;
    let ran = runtime.block_on(node::run(configuration));
    // whatever still blocks must not keep the process
    runtime.shutdown_timeout(Duration::from_secs(1));
    ran.map_err(|error| {
        // bytomd's texts begin as they are
        err(&format!("{error}\n"));
        Failure::Silent
    })
}

pub(super) fn status(home: &Home) -> Result<(), Failure> {
    let status = ask(home, &Request::Status, ANSWER).map_err(Failure::of)?;
    let text = serde_json::to_string_pretty(&status).map_err(Failure::of)?;
    out(&format!("{text}\n"));
    Ok(())
}

pub(super) fn stop(home: &Home) -> Result<(), Failure> {
    let name = Name::global();
    ask(home, &Request::Stop { name }, ANSWER).map_err(Failure::of)?;
    let until = Instant::now() + STOP;
    while let Some(pid) = Lock::holder(&home.lock()) {
        if Instant::now() >= until {
            let text = format!("the node (pid {pid}) has not stopped within {STOP:?}");
            return Err(Failure::plain(text));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
