//! The commands other than `start`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::{self, ClientError};
use crate::data::{Data, DataError};
use crate::home::{Home, HomeError};
use crate::log::{say, say_on_stderr};
use crate::settings::{Behaviour, Settings, Style};
use crate::units::Size;
use crate::version::{self, StampError, Version};

/// A grandchild that nobody ends does so itself after so long.
const GRANDCHILD_LIFE: Duration = Duration::from_mins(10);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Stamp(#[from] StampError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("no address of the RPC: neither --node nor rpc.laddr in {}/config/config.toml", .0.display())]
    NoAddress(PathBuf),
}

type Done = Result<ExitCode, CommandError>;

/// How `version`, `status` and `query` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One line of JSON
    Json,
}

/// `init`: makes a home, and if asked, a data directory as big as a real one.
pub(crate) fn init(
    home: &Home,
    names: (&str, &str),
    settings: &Settings,
    overwrite: bool,
    fill: (u32, Size),
) -> Done {
    let (moniker, chain_id) = names;
    home.init(moniker, chain_id, settings, overwrite)?;
    let (files, Size(size)) = fill;
    if files > 0 {
        let behaviour = Behaviour::from(settings);
        let mut data = Data::open(&home.data(settings), &behaviour, false)?;
        for _ in 0..files {
            data.fill(size)?;
        }
        data.close()?;
    }
    let told = json!({ "moniker": moniker, "chain_id": chain_id, "home": home.0 });
    say_on_stderr(&format!("{told}\n"));
    Ok(ExitCode::SUCCESS)
}

/// `version`: who am I.
pub(crate) fn version(version: &Version, long: bool, output: Output) -> ExitCode {
    let name = &version.0;
    let about = json!({
        "name": "mocknode",
        "server_name": "mocknode",
        "version": name,
        "commit": "",
        "build_tags": "",
        "cosmos_sdk_version": "v0.50.13",
    });
    match (long, output) {
        (false, _) => say(&format!("{name}\n")),
        (true, Output::Json) => say(&format!("{about}\n")),
        (true, Output::Text) => {
            for (key, value) in about.as_object().into_iter().flatten() {
                say(&format!("{key}: {}\n", value.as_str().unwrap_or_default()));
            }
        }
    }
    ExitCode::SUCCESS
}

/// The address at which the RPC of `home` answers.
fn address(home: &Home, node: Option<String>) -> Result<String, CommandError> {
    let address = match node {
        Some(node) => Some(node),
        None => home.rpc_address()?,
    };
    address.ok_or_else(|| CommandError::NoAddress(home.0.clone()))
}

/// `status`: where the chain is, as the running node says.
pub(crate) fn status(
    home: &Home,
    node: Option<String>,
    flags: &Settings,
    version: &Version,
) -> Done {
    let casing = Behaviour::from(&home.settings(flags, version)?).status_casing;
    let answer = client::get(&address(home, node)?, "/status")?;
    let result = &answer["result"];
    match casing {
        Style::New => say(&format!("{result}\n")),
        Style::Old => say_on_stderr(&format!("{}\n", in_old_casing(result))),
    }
    Ok(ExitCode::SUCCESS)
}

/// The status as SDK 0.47 and earlier print it.
fn in_old_casing(result: &Value) -> Value {
    let validator = &result["validator_info"];
    json!({
        "NodeInfo": result["node_info"],
        "SyncInfo": result["sync_info"],
        "ValidatorInfo": {
            "Address": validator["address"],
            "PubKey": validator["pub_key"],
            "VotingPower": validator["voting_power"],
        },
    })
}

/// `query upgrade plan`: the plan that comes next.
pub(crate) fn query_plan(home: &Home, node: Option<String>, output: Output) -> Done {
    let answer = client::get(&address(home, node)?, "/mock/plan")?;
    let plan = &answer["plan"];
    let text = match (plan, output) {
        (Value::Null, _) => "{}".to_owned(),
        (plan, Output::Json) => {
            let (name, info) = (&plan["name"], &plan["info"]);
            let height = plan["height"].to_string();
            let time = "0001-01-01T00:00:00Z";
            json!({ "plan": { "name": name, "time": time, "height": height, "info": info } })
                .to_string()
        }
        (plan, Output::Text) => format!(
            "plan:\n  height: \"{}\"\n  info: {}\n  name: {}\n  time: \"0001-01-01T00:00:00Z\"",
            plan["height"], plan["info"], plan["name"]
        ),
    };
    say(&format!("{text}\n"));
    Ok(ExitCode::SUCCESS)
}

/// `pre-upgrade`: what a supervisor runs before the first start of a new version.
pub(crate) fn pre_upgrade(home: &Home, flags: &Settings, version: &Version) -> Done {
    let code = match home.pre_upgrade_code()? {
        Some(code) => code,
        None => home.settings(flags, version)?.pre_upgrade.unwrap_or(0),
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    home.record(version, "pre-upgrade", json!({ "code": code, "cwd": cwd }));
    Ok(ExitCode::from(code))
}

/// `verify`: is every byte of the data as it was written?
pub(crate) fn verify(home: &Home, flags: &Settings, version: &Version) -> Done {
    let settings = home.settings(flags, version)?;
    let data = Data::open(&home.data(&settings), &Behaviour::from(&settings), true)?;
    let told = json!({ "height": data.height(), "app_height": data.state.height });
    say(&format!("{told}\n"));
    Ok(ExitCode::SUCCESS)
}

/// `stamp`: makes a copy of this executable that says it is another version.
pub(crate) fn stamp(name: &str, out: &Path) -> Done {
    version::stamp(Path::new("/proc/self/exe"), name, out)?;
    Ok(ExitCode::SUCCESS)
}

/// What `--grandchild` starts: writes into the data directory until somebody ends it.
pub(crate) fn grandchild(data: &Path, stubborn: bool) -> Done {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |source| CommandError::Io { what, source }
    };
    let pid_file = data.join("grandchild.pid");
    std::fs::write(&pid_file, format!("{}\n", std::process::id())).map_err(failed(&pid_file))?;
    let log = data.join("grandchild.log");
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let mut file = file.map_err(failed(&log))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(failed(Path::new("runtime")))?;
    let work = async {
        let mut ears = Vec::new();
        if stubborn {
            // a signal somebody listens to does nothing else
            for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
                ears.push(signal(kind)?);
            }
        }
        let born = Instant::now();
        while born.elapsed() < GRANDCHILD_LIFE {
            file.write_all(b"still here\n")?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    runtime.block_on(work).map_err(failed(&log))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_casing_keeps_the_values() {
        let new = json!({
            "node_info": { "network": "n" },
            "sync_info": { "latest_block_height": "7" },
            "validator_info": { "address": "A", "pub_key": 1, "voting_power": "10" },
        });
        let old = in_old_casing(&new);
        assert_eq!(old["SyncInfo"]["latest_block_height"], "7");
        assert_eq!(old["NodeInfo"]["network"], "n");
        assert_eq!(old["ValidatorInfo"]["VotingPower"], "10");
    }
}
