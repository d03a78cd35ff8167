//! `mocknode start`: opens the data, serves, obeys signals, ends.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::process::CommandExt;
use std::process::{Command as Process, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use baton_handover::{Ending as HowOver, Serving};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::server::TcpIncoming;

use crate::contract;
use crate::data::Data;
use crate::grpc;
use crate::heart::{self, Holding, Open};
use crate::home::Home;
use crate::log;
use crate::node::{Command, Commands, Ending, MAX_COMMANDS, Node, SharedView};
use crate::relay;
use crate::rpc::{self, About, Rpc};
use crate::settings::{Behaviour, Grandchild, HaltStyle, Settings};
use crate::units::Span;
use crate::version::Version;

/// Runs the node until it ends.
pub(crate) fn start(home: Home, flags: &Settings, version: Version) -> ExitCode {
    match try_start(home, flags, version) {
        Ok(code) => ExitCode::from(code),
        Err(ending) => {
            log::say_on_stderr(&format!("{}\n", ending.message));
            ExitCode::from(ending.code)
        }
    }
}

fn try_start(home: Home, flags: &Settings, version: Version) -> Result<u8, Ending> {
    let error = |error: &dyn std::fmt::Display| Ending::new(1, format!("Error: {error}"));
    let settings = home.settings(flags, &version).map_err(|e| error(&e))?;
    home.ensure(&settings).map_err(|e| error(&e))?;
    let mut behaviour = Behaviour::from(&settings);
    let worn_out = settings
        .fail_times
        .is_some_and(|times| home.failures() >= times);
    let fail_after = settings.fail_after.filter(|_| !worn_out);
    behaviour.fail_at = behaviour.fail_at.filter(|_| !worn_out);

    let args: Vec<String> = std::env::args().skip(1).collect();
    let cwd = std::env::current_dir().unwrap_or_default();
    home.record(&version, "start", json!({ "args": args, "cwd": cwd }));
    let pid = std::process::id();
    log::info("starting node", &[("version", &version.0), ("pid", &pid)]);
    thread::sleep(
        settings
            .start_delay
            .map_or(Duration::ZERO, |Span(delay)| delay),
    );
    if fail_after == Some(Span::default()) {
        home.count_failure();
        return Err(Ending::new(
            behaviour.fail_code,
            "panic: mock failure at start",
        ));
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| error(&e))?;
    if settings.handover == Some(true) {
        return runtime.block_on(serve_in_turn(
            home, version, behaviour, &settings, fail_after,
        ));
    }
    let data = Data::open(&home.data(&settings), &behaviour, false)?;
    let mut node = Node {
        data,
        home,
        version,
        behaviour,
    };
    node.handshake()?;
    if let Some(kind) = settings.grandchild {
        spawn_grandchild(&node, kind).map_err(|e| error(&e))?;
    }
    runtime.block_on(serve(node, &settings, fail_after))
}

/// Serves until the node ends.
async fn serve(node: Node, settings: &Settings, fail_after: Option<Span>) -> Result<u8, Ending> {
    let signals = signals().map_err(|error| ending(&error))?;
    let view: SharedView = Arc::new(Mutex::new(node.view()));
    let (commands, orders) = sync_channel(MAX_COMMANDS);
    let chain_id = node.home.chain_id();

    if let Some(listener) = listen_rpc(&node.home, settings)? {
        let address = local(&listener);
        let about = about(&node.home, &node.version, &node.behaviour, &address);
        let rpc = Rpc {
            view: view.clone(),
            commands: commands.clone(),
            about,
        };
        tokio::spawn(axum::serve(listener, rpc::router(rpc)).into_future());
        log::info("serving RPC", &[("addr", &address)]);
    }
    if let Some(listener) = listen_grpc(&node.home, settings)? {
        let address = local(&listener);
        let server = tonic::transport::Server::builder()
            .add_routes(grpc::routes(view.clone(), chain_id))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        tokio::spawn(server);
        log::info("serving gRPC", &[("addr", &address)]);
    }
    let life = Life {
        behaviour: node.behaviour.clone(),
        home: node.home.clone(),
        version: node.version.clone(),
        commands,
        serving: None,
    };
    life.lived(
        Holding::Own(Box::new(Open::new(node))),
        view,
        orders,
        signals,
        fail_after,
    )
    .await
}

/// Serves as one of a line of processes that hand over to each other.
async fn serve_in_turn(
    home: Home,
    version: Version,
    behaviour: Behaviour,
    settings: &Settings,
    fail_after: Option<Span>,
) -> Result<u8, Ending> {
    let signals = signals().map_err(|error| ending(&error))?;
    let noted = home.rpc_address().map_err(|e| ending(&e))?;
    let rpc = choose(settings.rpc.as_deref(), noted.as_deref())?;
    let noted = home.grpc_address().map_err(|e| ending(&e))?;
    let grpc = choose(settings.grpc.as_deref(), noted.as_deref())?;
    let running = relay::begin(relay::Beginning {
        home: &home,
        settings,
        behaviour: &behaviour,
        version: &version,
        rpc,
        grpc,
    })
    .await?;
    let relay::Running {
        serving,
        rpc,
        grpc,
        contract,
        holding,
        view,
    } = running;
    let (commands, orders) = sync_channel(MAX_COMMANDS);
    let address = rpc.as_ref().and_then(|rpc| rpc.local_addr().ok());
    let shown = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    let asked = Rpc {
        view: view.clone(),
        commands: commands.clone(),
        about: about(&home, &version, &behaviour, &shown),
    };
    if let (Some(listener), Some(address)) = (rpc, address) {
        home.publish_rpc(address).map_err(|e| ending(&e))?;
        let (serving, router) = (serving.clone(), rpc::router(asked.clone()));
        tokio::spawn(async move { serving.http(listener, router).await });
        log::info("serving RPC", &[("addr", &address)]);
    }
    if let Some(listener) = grpc {
        let address = listener.local_addr().map_err(|e| ending(&e))?;
        home.publish_grpc(address).map_err(|e| ending(&e))?;
        let services = grpc::routes(view.clone(), home.chain_id());
        let (serving, router) = (serving.clone(), services.prepare().into_axum_router());
        tokio::spawn(async move { serving.http(listener, router).await });
        log::info("serving gRPC", &[("addr", &address)]);
    }
    if let Some(listener) = contract {
        let (serving, router) = (serving.clone(), contract::router(asked));
        tokio::spawn(async move { serving.http(listener, router).await });
    }
    log::info("serving", &[("generation", &serving.generation())]);
    let life = Life {
        behaviour,
        home,
        version,
        commands,
        serving: Some(serving),
    };
    life.lived(holding, view, orders, signals, fail_after).await
}

fn about(home: &Home, version: &Version, behaviour: &Behaviour, address: &str) -> Arc<About> {
    Arc::new(About {
        chain_id: home.chain_id(),
        version: version.0.clone(),
        rpc_address: format!("tcp://{address}"),
        catching_up: behaviour.halt_style == HaltStyle::BlockSync,
    })
}

/// A node that serves, until it ends.
struct Life {
    behaviour: Behaviour,
    home: Home,
    version: Version,
    commands: Commands,
    /// Of a node that hands over.
    serving: Option<Serving>,
}

impl Life {
    async fn lived(
        self,
        holding: Holding,
        view: SharedView,
        orders: Receiver<Command>,
        mut signals: mpsc::Receiver<(&'static str, u8)>,
        fail_after: Option<Span>,
    ) -> Result<u8, Ending> {
        let (end, mut ended) = oneshot::channel();
        let behaviour = self.behaviour.clone();
        let heart = move || {
            // a receiver that is gone has ended the process
            let _ = end.send(heart::run(holding, &behaviour, &view, &orders));
        };
        let spawned = thread::Builder::new().name("chain".into()).spawn(heart);
        spawned.map_err(|error| Ending::new(1, format!("Error: starting a thread: {error}")))?;

        let failure = async {
            match fail_after {
                Some(Span(time)) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(failure);
        let over = over(self.serving.clone());
        tokio::pin!(over);
        let mut stopping = None;
        let mut beating = true;
        loop {
            tokio::select! {
                ending = &mut ended, if beating => match (ending, &self.serving) {
                    (Ok(None), None) => {
                        log::say("Flushed\n");
                        return Ok(stopping.unwrap_or(0));
                    }
                    // connections are finished first
                    (Ok(None), Some(serving)) => {
                        beating = false;
                        serving.stop().await;
                    }
                    (Ok(Some(ending)), _) => return Err(ending),
                    (Err(_), _) => return Err(Ending::new(2, "panic: the chain's thread is gone")),
                },
                how = &mut over => {
                    log::say(match how {
                        HowOver::HandedOver => "Handed over\n",
                        HowOver::Stopped => "Flushed\n",
                    });
                    return Ok(stopping.unwrap_or(0));
                }
                () = &mut failure => {
                    self.home.count_failure();
                    return Err(Ending::new(self.behaviour.fail_code, "panic: mock failure"));
                }
                Some((name, number)) = signals.recv() => {
                    self.home.record(&self.version, "signal", json!({ "signal": name }));
                    log::info("received signal", &[("signal", &name)]);
                    match name {
                        "SIGQUIT" => return Err(Ending::new(2, "SIGQUIT: quit")),
                        "SIGINT" | "SIGTERM" if self.behaviour.ignore_term => {
                            log::info("ignoring signal", &[("signal", &name)]);
                        }
                        "SIGINT" | "SIGTERM" if stopping.is_none() => {
                            stopping = Some(self.behaviour.exit_on_term.unwrap_or(128 + number));
                            stop(&self.commands, self.behaviour.stop_delay);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

async fn over(serving: Option<Serving>) -> HowOver {
    match serving {
        Some(serving) => serving.ended().await,
        None => std::future::pending().await,
    }
}

/// Tells the node to end. It may be busy, and the queue full; that must not stop us from seeing
/// it end by itself.
fn stop(commands: &Commands, delay: Duration) {
    let commands = commands.clone();
    tokio::task::spawn_blocking(move || {
        // if the node has ended by itself there is nobody to tell
        let _ = commands.send(Command::Stop(delay));
    });
}

/// The signals a node may get, by name and number.
fn signals() -> io::Result<mpsc::Receiver<(&'static str, u8)>> {
    let (sender, receiver) = mpsc::channel(16);
    for (kind, name) in [
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::quit(), "SIGQUIT"),
        (SignalKind::hangup(), "SIGHUP"),
        (SignalKind::user_defined1(), "SIGUSR1"),
        (SignalKind::user_defined2(), "SIGUSR2"),
        (SignalKind::window_change(), "SIGWINCH"),
    ] {
        let mut stream: Signal = signal(kind)?;
        let sender = sender.clone();
        let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
        tokio::spawn(async move {
            while stream.recv().await.is_some() && sender.send((name, number)).await.is_ok() {}
        });
    }
    Ok(receiver)
}

fn local(listener: &TcpListener) -> String {
    let address = listener.local_addr();
    address.map_or_else(|_| "?".to_owned(), |address| address.to_string())
}

/// Listens for the RPC and notes where in `config/config.toml`.
fn listen_rpc(home: &Home, settings: &Settings) -> Result<Option<TcpListener>, Ending> {
    let noted = home.rpc_address().map_err(|e| ending(&e))?;
    let listener = listen(settings.rpc.as_deref(), noted.as_deref())?;
    if let Some(address) = listener.as_ref().and_then(|l| l.local_addr().ok()) {
        home.publish_rpc(address).map_err(|e| ending(&e))?;
    }
    Ok(listener)
}

/// Listens for gRPC and notes where in `config/app.toml`.
fn listen_grpc(home: &Home, settings: &Settings) -> Result<Option<TcpListener>, Ending> {
    let noted = home.grpc_address().map_err(|e| ending(&e))?;
    let listener = listen(settings.grpc.as_deref(), noted.as_deref())?;
    if let Some(address) = listener.as_ref().and_then(|l| l.local_addr().ok()) {
        home.publish_grpc(address).map_err(|e| ending(&e))?;
    }
    Ok(listener)
}

fn ending(error: &dyn std::fmt::Display) -> Ending {
    Ending::new(1, format!("Error: {error}"))
}

/// Listens at the `wanted` address, else at the one that is `noted`. If any port will do, the one
/// that is noted is tried first, so that a node that is restarted stays where it was.
fn listen(wanted: Option<&str>, noted: Option<&str>) -> Result<Option<TcpListener>, Ending> {
    let Some(wanted) = wanted.or(noted).filter(|wanted| *wanted != "off") else {
        return Ok(None);
    };
    let wanted = parse_address(wanted)?;
    let noted = noted.and_then(|noted| parse_address(noted).ok());
    let same = noted.filter(|noted| wanted.port() == 0 && noted.ip() == wanted.ip());
    let again = same.and_then(|noted| bind(noted).ok());
    let listener = match again {
        Some(listener) => Ok(listener),
        None => bind(wanted),
    };
    let told = |error| {
        ending(&format!(
            "failed to listen on {wanted}: listen tcp {wanted}: {error}"
        ))
    };
    listener.map(Some).map_err(told)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // std sets SO_REUSEADDR, so a port in TIME_WAIT can be had
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Where a node listens that hands over: as [`listen`] would, but for a port that is taken.
fn choose(wanted: Option<&str>, noted: Option<&str>) -> Result<Option<SocketAddr>, Ending> {
    let Some(wanted) = wanted.or(noted).filter(|wanted| *wanted != "off") else {
        return Ok(None);
    };
    let wanted = parse_address(wanted)?;
    let noted = noted.and_then(|noted| parse_address(noted).ok());
    let same = noted.filter(|noted| wanted.port() == 0 && noted.ip() == wanted.ip());
    // Whoever serves now has the port; a free one is free for us too.
    let free = same.filter(|noted| StdListener::bind(noted).is_ok());
    Ok(Some(free.unwrap_or(wanted)))
}

fn parse_address(text: &str) -> Result<SocketAddr, Ending> {
    let bare = text.strip_prefix("tcp://").unwrap_or(text);
    let bare = bare.replace("localhost", "127.0.0.1");
    bare.parse().map_err(|_| {
        ending(&format!(
            "address {text:?}: write IP:PORT, e.g. 127.0.0.1:26657"
        ))
    })
}

/// Starts a child that goes on writing into the data directory.
fn spawn_grandchild(node: &Node, kind: Grandchild) -> io::Result<()> {
    let mut process = Process::new(std::env::current_exe()?);
    // `baton` is us only under this name
    process
        .arg0("mocknode")
        .arg("grandchild")
        .arg(node.data.dir());
    if kind == Grandchild::Stubborn {
        process.arg("--stubborn");
    }
    process
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = process.spawn()?;
    let pid = child.id();
    node.home
        .record(&node.version, "grandchild", json!({ "child": pid }));
    log::info("started grandchild", &[("pid", &pid)]);
    Ok(())
}
