//! `version`: ours, and the node's.

use std::ffi::OsString;
use std::process::Output;
use std::time::Duration;

use anyhow::anyhow;
use baton_supervisor::config::Loaded;
use baton_supervisor::life::Ended;
use baton_supervisor::node::spawn::how;
use baton_supervisor::run::oneshot;
use serde_json::Value;
use tokio::time::timeout;

use super::{Outcome, runtime};
use crate::console;
use crate::context::{Context, Face};
use crate::ending::Ending;

/// Our version, spelled as Cosmovisor spells its own.
pub(crate) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// How long the node may take to tell its version as JSON.
const ANSWER: Duration = Duration::from_mins(1);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// As JSON.
    pub(crate) json: bool,
    /// Without the node's.
    pub(crate) own_only: bool,
}

/// Tells our version and, unless it is not wanted, the node's.
pub(crate) fn version(context: &Context, wanted: Wanted, args: Vec<OsString>) -> Outcome {
    let own = match context.face {
        Face::Cosmovisor => "cosmovisor",
        Face::Baton => "baton",
    };
    match wanted {
        Wanted {
            json: true,
            own_only: true,
        } => {
            context.say(&serde_json::json!({format!("{own}_version"): VERSION}).to_string());
            Ok(Ending::Done)
        }
        Wanted { json: true, .. } => {
            let loaded = load(context)?;
            let node = node_json(&loaded)?;
            context.say(&format!(
                r#"{{"{own}_version":"{VERSION}","app_version":{node}}}"#
            ));
            Ok(Ending::Done)
        }
        Wanted { own_only, .. } => {
            context.say(&format!("{own} version: {VERSION}"));
            if own_only {
                return Ok(Ending::Done);
            }
            let loaded = load(context)?;
            context.start_log(&loaded.config);
            let mut all = vec![OsString::from("version")];
            all.extend(args);
            let ended = runtime()?.block_on(oneshot::run(&loaded.config, &all));
            succeeded(ended.map_err(failed)?)
        }
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("failed to run version command: {error}")
}

fn load(context: &Context) -> anyhow::Result<Loaded> {
    context.load().map_err(failed)
}

fn succeeded(ended: Ended) -> Outcome {
    match ended {
        Ended::Code(0) => Ok(Ending::Done),
        other => Err(failed(other.text())),
    }
}

/// The node's version as the JSON that it prints, on one line. Nodes before SDK 0.50 print it to
/// stderr.
fn node_json(loaded: &Loaded) -> anyhow::Result<String> {
    let asking = async {
        let args = ["version", "--long", "--output", "json"];
        timeout(ANSWER, oneshot::output(&loaded.config, &args)).await
    };
    let output = runtime()?
        .block_on(asking)
        .map_err(|_| failed(format!("the node gave no answer within {ANSWER:?}")))?
        .map_err(failed)?;
    let Output { stdout, stderr, .. } = &output;
    if let Err(error) = succeeded(how(output.status)) {
        console::err(&String::from_utf8_lossy(stderr));
        return Err(error);
    }
    let compact =
        |text: &[u8]| serde_json::from_slice::<Value>(text).map(|value| value.to_string());
    compact(stdout).or_else(|error| {
        compact(stderr).map_err(|_| {
            anyhow!(
                "can't print version output, expected valid json from APP, got: {} - {error}",
                String::from_utf8_lossy(stdout)
            )
        })
    })
}
