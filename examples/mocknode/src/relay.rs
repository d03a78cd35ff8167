//! A node that hands over to the next process: listeners and connections move, the data has one owner at a time.
//!
//! What is written in `docs/node-contract.md`, from the node's side. Before the commit a successor only looks whether it can go
//! on from the data; it changes nothing that its predecessor, which may take everything back, could not read. Once it serves it
//! executes the block that the predecessor could not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use baton_handover::{Handover, Listener, Serving, Settings as Terms, State};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::chain::Plan;
use crate::data::Data;
use crate::heart::{Holding, Open};
use crate::home::Home;
use crate::node::{Ending, Node, SharedView, View, look};
use crate::settings::{Behaviour, Poison, Settings};
use crate::units::Span;
use crate::version::Version;

/// Names the supervisor's directory for a node that it runs.
const CONTROL_DIR: &str = "BATON_CONTROL_DIR";
/// What the next process may take to open the data.
const FROZEN: Span = Span(std::time::Duration::from_mins(1));
/// What is still under way when the next process serves may take so long.
const DRAIN: Span = Span(std::time::Duration::from_secs(3));

/// Plans that are not on disk yet: they are committed with the next block.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Pending(Vec<Plan>);

impl State for Pending {
    const VERSION: u32 = 1;
}

/// The same in another schema, for a successor that is poisoned with it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct PendingLater(Vec<Plan>);

impl State for PendingLater {
    const VERSION: u32 = 2;
}

/// A node that serves, and what it serves on.
pub(crate) struct Running {
    pub(crate) serving: Serving,
    pub(crate) rpc: Option<Listener>,
    pub(crate) grpc: Option<Listener>,
    /// Where a supervisor asks; none if the path is too long for a socket.
    pub(crate) contract: Option<Listener>,
    pub(crate) holding: Holding,
    pub(crate) view: SharedView,
}

/// What a node begins with.
pub(crate) struct Beginning<'a> {
    pub(crate) home: &'a Home,
    pub(crate) settings: &'a Settings,
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) version: &'a Version,
    /// Where the RPC and gRPC listen, if they do.
    pub(crate) rpc: Option<SocketAddr>,
    pub(crate) grpc: Option<SocketAddr>,
}

/// Begins, alone or by taking over from the process that serves.
pub(crate) async fn begin(with: Beginning<'_>) -> Result<Running, Ending> {
    let Beginning {
        home,
        settings,
        behaviour,
        version,
        ..
    } = with;
    let failed = |error: &dyn std::fmt::Display| Ending::new(1, format!("Error: {error}"));
    let directory = std::env::var_os(CONTROL_DIR)
        .filter(|value| !value.is_empty())
        .map_or_else(|| home.0.join("handover"), PathBuf::from);
    let terms = Terms::named("mocknode")
        .control_dir(&directory)
        .own_stop_signals()
        .frozen(FROZEN.0)
        .drain(DRAIN.0);
    let terms = if behaviour.poison == Some(Poison::Schema) {
        terms.state::<PendingLater>("plans")
    } else {
        terms.state::<Pending>("plans")
    };
    let mut handover = Handover::begin(terms).await.map_err(|e| failed(&e))?;
    let poison = behaviour.poison.filter(|_| handover.has_predecessor());
    let rpc = listen(&mut handover, "rpc", with.rpc).await?;
    let grpc = listen(&mut handover, "grpc", with.grpc).await?;
    // The only thing that can be wrong with it is the length of the path.
    let contract = handover
        .unix("node", directory.join("node.sock"))
        .await
        .ok();
    if poison == Some(Poison::Hang) {
        std::future::pending::<()>().await;
    }

    let view: SharedView = Arc::default();
    if poison != Some(Poison::Schema)
        && let Some(Pending(plans)) = handover.state("plans").await.map_err(|e| failed(&e))?
    {
        look(&view).app.plans = plans;
    }
    let offered = view.clone();
    handover.offer_state("plans", move || Pending(look(&offered).app.plans.clone()));
    let open = {
        let (view, dir) = (view.clone(), home.data(settings));
        let (home, behaviour, version) = (home.clone(), behaviour.clone(), version.clone());
        let opened_before = AtomicBool::new(false);
        move || {
            if poison == Some(Poison::Open) {
                return Err(failed(&"the data cannot be opened: this node is poisoned").message);
            }
            let open = || {
                let data = Data::open(&dir, &behaviour, false)?;
                let mut node = Node {
                    data,
                    home: home.clone(),
                    version: version.clone(),
                    behaviour: behaviour.clone(),
                };
                for plan in look(&view).app.plans.clone() {
                    // those that were carried out meanwhile are refused
                    let _ = node.data.state.schedule(plan);
                }
                // who takes it back may have halted here, and goes on answering
                if opened_before.load(Relaxed) {
                    node.check_again()?;
                } else {
                    node.check()?;
                }
                Ok::<_, Ending>(node)
            };
            let node = open().map_err(|ending| ending.message)?;
            opened_before.store(true, Relaxed);
            let mut seen = look(&view);
            *seen = View {
                halted: seen.halted.take(),
                ..node.view()
            };
            Ok(Mutex::new(Open::new(node)))
        }
    };
    let data = handover
        .exclusive("data", open)
        .await
        .map_err(|e| failed(&e))?;
    let serving = handover.ready().await.map_err(|e| failed(&e))?;
    if poison == Some(Poison::Die) {
        crate::node::die();
    }
    let holding = Holding::Shared {
        data,
        runtime: Handle::current(),
    };
    Ok(Running {
        serving,
        rpc,
        grpc,
        contract,
        holding,
        view,
    })
}

async fn listen(
    handover: &mut Handover,
    name: &str,
    address: Option<SocketAddr>,
) -> Result<Option<Listener>, Ending> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = handover.tcp(name, address).await;
    let told = |error| Ending::new(1, format!("Error: failed to listen on {address}: {error}"));
    listener.map(Some).map_err(told)
}
