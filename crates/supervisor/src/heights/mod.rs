//! Where is the chain? The node is asked, in the cheapest way that works.
//!
//! First its own socket, if it is one that hands over; then its RPC, then its gRPC, and only if neither answers its own `status` command, which
//! starts a process each time. The way that worked is tried first the next time. Each attempt has
//! a short deadline, and a failure says what was tried and why it did not work. How often to ask
//! is the caller's decision.
//!
//! The height is that of the node's block store. At an upgrade's halt this is the plan's height
//! already, although the application has not executed that block.

mod command;
mod grpc;
mod rpc;
mod status;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::node::contract;

pub use command::CommandError;
pub use grpc::{GrpcError, current_plan};
pub use rpc::RpcError;

/// How long the RPC, or gRPC, may take to answer.
const NETWORK_DEADLINE: Duration = Duration::from_secs(2);
/// How long the `status` command may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(5);

/// Where to ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's home; its `config/config.toml` tells the address of the RPC.
    pub home: PathBuf,
    /// The address of the RPC, if the operator set one (`BATON_RPC_ADDRESS`).
    pub rpc_address: Option<String>,
    /// The address of gRPC (`DAEMON_GRPC_ADDRESS`).
    pub grpc_address: String,
    /// The arguments the node is run with; `--rpc.laddr` among them wins over `config.toml`.
    pub node_args: Vec<String>,
    /// The control directory, where a node that hands over can be asked.
    pub control_dir: Option<PathBuf>,
}

/// A way to learn the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The node's own socket, as `docs/node-contract.md` has it.
    Node,
    /// The node's HTTP RPC, `/status`.
    Rpc,
    /// The node's gRPC, `GetLatestBlock`.
    Grpc,
    /// The node's command `status`.
    Command,
}

/// A height, and how it was learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Height of the node's block store.
    pub height: u64,
    /// Who told it.
    pub source: Source,
    /// When it was told.
    pub at: Instant,
    /// The plan, by name and height, before which the node says that it has stopped.
    pub halted: Option<(String, u64)>,
}

/// Why one source did not tell the height.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The RPC did not.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// gRPC did not.
    #[error(transparent)]
    Grpc(#[from] GrpcError),
    /// The command did not.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The height cannot be learnt now.
#[derive(Debug)]
pub struct Unknown {
    /// What was tried, in this order, and why it failed.
    pub tried: Vec<(Source, SourceError)>,
}

impl Error for Unknown {}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node's height is unknown")?;
        for (index, (source, error)) in self.tried.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{source}: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Rpc => "rpc",
            Self::Grpc => "grpc",
            Self::Command => "command",
        })
    }
}

/// Reads a node's height.
#[derive(Debug)]
pub struct Heights {
    settings: Settings,
    rpc: rpc::Client,
    /// The source that told the last height.
    working: Option<Source>,
}

impl Heights {
    /// A reader of the height of the node that `settings` describe. Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            rpc: rpc::Client::default(),
            working: None,
        }
    }

    /// Asks for the height over the network only, which starts no process.
    pub async fn read_network(&mut self) -> Result<Reading, Unknown> {
        self.read_from(&order(self.working)[..2], Path::new(""))
            .await
    }

    /// Asks for the height; `bin` is the node's executable, whose `status` is the last resort.
    pub async fn read(&mut self, bin: &Path) -> Result<Reading, Unknown> {
        self.read_from(&order(self.working), bin).await
    }

    /// Asks on the node's own socket, where there is one.
    async fn ask_node(&mut self) -> Option<Reading> {
        let directory = self.settings.control_dir.as_deref()?;
        let about = contract::about(directory).await.ok()?;
        let reading = Reading {
            height: about.height?,
            source: Source::Node,
            at: Instant::now(),
            halted: about.halted.map(|plan| (plan.name, plan.height)),
        };
        self.note(Source::Node, &[]);
        Some(reading)
    }

    async fn read_from(&mut self, sources: &[Source], bin: &Path) -> Result<Reading, Unknown> {
        if let Some(reading) = self.ask_node().await {
            return Ok(reading);
        }
        let mut tried = Vec::new();
        for &source in sources {
            match self.ask(source, bin).await {
                Ok(height) => {
                    self.note(source, &tried);
                    return Ok(Reading {
                        height,
                        source,
                        at: Instant::now(),
                        halted: None,
                    });
                }
                Err(error) => tried.push((source, error)),
            }
        }
        self.working = None;
        Err(Unknown { tried })
    }

    async fn ask(&mut self, source: Source, bin: &Path) -> Result<u64, SourceError> {
        let Settings {
            home,
            rpc_address,
            grpc_address,
            node_args,
            control_dir: _,
        } = &self.settings;
        Ok(match source {
            Source::Node => unreachable!("asked before these"),
            Source::Rpc => {
                // read anew each time: a node may pick another port when it is restarted
                let address = rpc::Address::of_node(rpc_address.as_deref(), node_args, home)?;
                self.rpc.height(&address, NETWORK_DEADLINE).await?
            }
            Source::Grpc => grpc::height(grpc_address, NETWORK_DEADLINE).await?,
            Source::Command => command::height(bin, home, COMMAND_DEADLINE).await?,
        })
    }

    /// Remembers the source that works, and says so if it is another one than before.
    fn note(&mut self, source: Source, tried: &[(Source, SourceError)]) {
        if self.working != Some(source) {
            tracing::info!(%source, "reading the node's height");
            for (failed, error) in tried {
                tracing::info!(source = %failed, %error, "this source does not tell the height");
            }
        }
        self.working = Some(source);
    }
}

/// The order in which to ask, given which source worked the last time. The command is always
/// last: it costs a process, and the others may have come up meanwhile.
fn order(working: Option<Source>) -> [Source; 3] {
    match working {
        Some(Source::Grpc) => [Source::Grpc, Source::Rpc, Source::Command],
        _ => [Source::Rpc, Source::Grpc, Source::Command],
    }
}

/// What happened underneath: clients say "transport error" and keep the cause.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests;
