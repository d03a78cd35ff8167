//! The beginning of a generation: fresh, or by taking over from a predecessor. The program's text is the same.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::{info, warn};

use crate::activation;
use crate::channel::Channel;
use crate::connections::Kind;
use crate::control;
use crate::directory::{ControlDirectory, StartLock};
use crate::error::HandoverError;
use crate::exclusive::{BoxError, Exclusive, ExclusiveError, Resource};
use crate::gate::gate;
use crate::keeper::{self, Beginning, Predecessor};
use crate::launch::{self, Starter};
use crate::life::Life;
use crate::listen::{Shareables, UdpSocket, UnixAddress, UnixDatagram, UnixSeqpacketListener};
use crate::listener::Listener;
use crate::notify::Birth;
use crate::own::OwnListeners;
use crate::protocol::frame::{Hello, VERSIONS};
use crate::serving::Serving;
use crate::settings::Settings;
use crate::shared::{Launch, Shared, Writer, chain};
use crate::state::{State, versions};
use crate::strays;
use crate::taking::{Taken, Taking};

/// How many descriptors a process needs beside those that move.
const SPARE: u64 = 64;

/// A generation that does not serve yet.
///
/// It claims what it needs by name: what a predecessor hands over, else what it opens itself. [`ready`](Self::ready) is the commit. If
/// anything fails before that, the predecessor serves on as if nothing had been.
pub struct Handover {
    shared: Arc<Shared>,
    birth: Birth,
    taking: Option<Taking>,
    /// The predecessor's generation.
    from: Option<u64>,
    directory: Option<Arc<ControlDirectory>>,
    lock: Option<StartLock>,
    /// Listeners that were claimed: the kinds of connections that this program takes.
    kinds: Vec<String>,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Handover")
            .field("name", &self.shared.settings.name)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Handover {
    /// Begins a generation. Call it early, within a tokio runtime: whoever started this process for a handover waits for it.
    ///
    /// It takes over from the process that started it for that purpose, or from the generation found in the control directory, or begins
    /// afresh, with what the service manager passed (`LISTEN_FDS`).
    pub async fn begin(settings: Settings) -> Result<Self, HandoverError> {
        let launch = Launch::of_this_process(settings.exec.as_deref())?;
        let (keeper, gate) = gate();
        let mut shareables = Shareables::new(gate);
        if let Some(backlog) = settings.backlog {
            shareables.set_backlog(backlog);
        }
        let passed = activation::inherit(&mut shareables)?;
        if passed > 0 {
            info!(count = passed, "took descriptors from the service manager");
        }
        let held = std::env::var_os(launch::HELD).is_some();
        let inherited = launch::inherited()?;
        let shared = Arc::new(Shared::new(settings, launch, keeper, shareables));
        let directory = match &shared.settings.control_dir {
            Some(path) => Some(Arc::new(ControlDirectory::prepare(path)?)),
            None => None,
        };
        let mut this = Self {
            shared,
            birth: if held {
                Birth::Held
            } else {
                Birth::Independent
            },
            taking: None,
            from: None,
            directory,
            lock: None,
            kinds: Vec::new(),
        };
        if let Some(inherited) = inherited {
            let channel = Channel::new(inherited.socket)?;
            let predecessor = match inherited.starter {
                // The pair was made by the predecessor, which is therefore the peer.
                Starter::Predecessor => {
                    if !held {
                        this.birth = Birth::Spawned;
                    }
                    Life::of_peer(&channel).ok()
                }
                Starter::Supervisor => None,
            };
            this.take_from(channel, predecessor, inherited.nonce)
                .await?;
        } else {
            this.join_or_lock().await?;
        }
        Ok(this)
    }

    /// Looks for the generation that serves; without one, takes the lock of fresh starts.
    async fn join_or_lock(&mut self) -> Result<(), HandoverError> {
        let Some(directory) = self.directory.clone() else {
            return Ok(());
        };
        let limit = self.shared.settings.limits.timeout;
        let lock = directory.lock(limit).await?;
        for generation in directory.sweep()? {
            info!(
                generation,
                "removed the socket of a generation that is dead"
            );
        }
        if !self.shared.settings.join
            && let Some(generation) = directory.current()?
            && directory.connect()?.is_some()
        {
            return Err(HandoverError::Serves {
                directory: directory.path().display().to_string(),
                generation,
            });
        }
        match control::join(&directory).await? {
            None => self.lock = Some(lock),
            Some(channel) => {
                drop(lock);
                let predecessor = Life::of_peer(&channel).ok();
                self.take_from(channel, predecessor, String::new()).await?;
                // It died before it could give anything.
                if self.taking.is_none() {
                    self.lock = Some(directory.lock(limit).await?);
                }
            }
        }
        Ok(())
    }

    async fn take_from(
        &mut self,
        channel: Channel,
        predecessor: Option<Life>,
        nonce: String,
    ) -> Result<(), HandoverError> {
        let own = rustix::process::geteuid().as_raw();
        let uid = channel.peer()?.uid;
        if uid != own && uid != 0 {
            return Err(HandoverError::Foreign { uid, own });
        }
        let settings = &self.shared.settings;
        let hello = Hello {
            versions: VERSIONS,
            nonce,
            name: settings.name.clone(),
            pid: std::process::id(),
            program: self.shared.launch.program.display().to_string(),
            states: settings.states.clone(),
            requires: settings.requires.clone(),
            headroom: headroom(),
        };
        let taking = Taking::begin(Arc::clone(&self.shared), channel, predecessor, hello)
            .await
            .map_err(|reason| HandoverError::Failed { reason })?;
        self.from = taking.offer().map(|offer| offer.generation);
        if taking.is_alone() {
            warn!("the predecessor died before it could hand over; beginning without it");
        } else {
            info!(predecessor = self.from, "warming up to take over");
            self.taking = Some(taking);
        }
        Ok(())
    }

    /// Whether a predecessor is handing over to this process.
    pub fn has_predecessor(&self) -> bool {
        self.taking.is_some()
    }

    /// The TCP listener of that name: a predecessor's or the service manager's, else bound to the address. Port 0 takes
    /// whichever port was handed over.
    // `async` though nothing waits: the program's text stays the same if that changes.
    #[allow(clippy::unused_async)]
    pub async fn tcp(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> Result<Listener, HandoverError> {
        let listener = self.shared.shareables().tcp(name, address)?;
        Ok(Listener::tcp(listener, self.claim(name)))
    }

    /// A group of TCP listeners on one address, among which the kernel spreads connections (`SO_REUSEPORT`). All that were handed over
    /// are kept, even if `count` is less; each must be accepted from.
    #[allow(clippy::unused_async)]
    pub async fn tcp_group(
        &mut self,
        name: &str,
        address: SocketAddr,
        count: usize,
    ) -> Result<Vec<Listener>, HandoverError> {
        let group = self.shared.shareables().tcp_group(name, address, count)?;
        let kind = self.claim(name);
        Ok(group
            .into_iter()
            .map(|listener| Listener::tcp(listener, kind.clone()))
            .collect())
    }

    /// The Unix stream listener of that name, at a path or an abstract address (`@name`).
    #[allow(clippy::unused_async)]
    pub async fn unix(
        &mut self,
        name: &str,
        address: impl Into<UnixAddress>,
    ) -> Result<Listener, HandoverError> {
        let listener = self.shared.shareables().unix(name, &address.into())?;
        Ok(Listener::unix(listener, self.claim(name)))
    }

    /// The Unix seqpacket listener of that name. Its connections do not move; they drain.
    pub fn unix_seqpacket(
        &mut self,
        name: &str,
        address: impl Into<UnixAddress>,
    ) -> Result<UnixSeqpacketListener, HandoverError> {
        let address = address.into();
        Ok(self.shared.shareables().unix_seqpacket(name, &address)?)
    }

    /// The Unix datagram socket of that name.
    pub fn unix_datagram(
        &mut self,
        name: &str,
        address: impl Into<UnixAddress>,
    ) -> Result<UnixDatagram, HandoverError> {
        let address = address.into();
        Ok(self.shared.shareables().unix_datagram(name, &address)?)
    }

    /// The UDP socket of that name.
    #[allow(clippy::unused_async)]
    pub async fn udp(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> Result<UdpSocket, HandoverError> {
        Ok(self.shared.shareables().udp(name, address)?)
    }

    /// A group of UDP sockets on one address (`SO_REUSEPORT`).
    pub fn udp_group(
        &mut self,
        name: &str,
        address: SocketAddr,
        count: usize,
    ) -> Result<Vec<UdpSocket>, HandoverError> {
        Ok(self.shared.shareables().udp_group(name, address, count)?)
    }

    /// The open file of that name: a predecessor's, with its offset and its `flock`, or what `open` opens.
    pub fn file(
        &mut self,
        name: &str,
        open: impl FnOnce() -> io::Result<File>,
    ) -> Result<File, HandoverError> {
        Ok(self.shared.shareables().file(name, open)?)
    }

    /// Connections that belong to no listener: outgoing ones, or those that were upgraded to another protocol (WebSockets). What
    /// a predecessor moved in under this name comes out of [`Kind::arrival`].
    pub fn connections(&mut self, name: &str) -> Kind {
        self.claim(name)
    }

    /// Where to say which listeners this program opens by itself, each generation anew, so that they are not taken for forgotten ones.
    pub fn own_listeners(&self) -> OwnListeners {
        self.shared.own.clone()
    }

    fn claim(&mut self, name: &str) -> Kind {
        self.kinds.push(name.to_owned());
        self.shared.registry.kind(name)
    }

    /// Takes the state of that name from the predecessor, if it has one. The state has to be declared in the settings.
    ///
    /// The first call of this, of [`exclusive`](Self::exclusive) or of [`ready`](Self::ready) freezes the predecessor, so claim
    /// listeners and do what takes long before it.
    pub async fn state<T: State>(&mut self, name: &str) -> Result<Option<T>, HandoverError> {
        if !self.shared.settings.states.contains_key(name) {
            return Err(HandoverError::Undeclared {
                name: name.to_owned(),
            });
        }
        self.take_all().await?;
        let Some((version, sealed)) = self.taking.as_mut().and_then(|taking| taking.state(name))
        else {
            return Ok(None);
        };
        let read = sealed.read().and_then(|bytes| T::read(version, &bytes));
        match read {
            Ok(state) => Ok(Some(state)),
            Err(source) => {
                let error = HandoverError::State {
                    name: name.to_owned(),
                    version,
                    source,
                };
                Err(self.failed(error).await)
            }
        }
    }

    /// Says how the state of that name is made for the next generation. `snapshot` is called when connections stand still and exclusive
    /// resources are closed, on a thread that may block.
    pub fn offer_state<T: State>(
        &mut self,
        name: &str,
        snapshot: impl Fn() -> T + Send + Sync + 'static,
    ) {
        let writer = Writer {
            versions: versions::<T>(),
            write: Arc::new(move |version, into| snapshot().write(version, into)),
        };
        self.shared.add_writer(name, writer);
    }

    /// Opens a resource that only one generation may hold, once the predecessor has closed it. If it cannot be opened the handover
    /// fails and the predecessor opens it again. `open` is kept: it is called again if a later handover is rolled back.
    pub async fn exclusive<T, E>(
        &mut self,
        name: &str,
        open: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Exclusive<T>, HandoverError>
    where
        T: Send + Sync + 'static,
        E: Into<BoxError>,
    {
        self.take_all().await?;
        let exclusive = Exclusive::new(name, open);
        self.shared.add_exclusive(Arc::new(exclusive.clone()));
        let acquired = Resource::acquire(&exclusive).await;
        if let Some(taking) = &mut self.taking {
            taking
                .notice()
                .await
                .map_err(|reason| HandoverError::Failed { reason })?;
        }
        match acquired {
            Ok(()) => Ok(exclusive),
            Err(error) => Err(self.failed(error.into()).await),
        }
    }

    async fn take_all(&mut self) -> Result<(), HandoverError> {
        let Some(taking) = &mut self.taking else {
            return Ok(());
        };
        taking
            .take_all(self.kinds.clone())
            .await
            .map_err(|reason| HandoverError::Failed { reason })
    }

    /// Tells the predecessor why it is not to be.
    async fn failed(&mut self, error: HandoverError) -> HandoverError {
        if let Some(taking) = &mut self.taking {
            taking.fail(chain(&error)).await;
        }
        error
    }

    /// Gives up, and tells the predecessor and whoever asked for the handover why: a configuration that does not parse, for instance.
    pub async fn refuse(mut self, reason: &str) {
        if let Some(taking) = &mut self.taking {
            taking.fail(reason.to_owned()).await;
        }
    }

    /// The commit: from its return on this process serves, and its predecessor does no more.
    pub async fn ready(mut self) -> Result<Serving, HandoverError> {
        self.take_all().await?;
        let mut stopped_accepting = None;
        if let Some(taking) = &mut self.taking {
            let taken = taking
                .pledge()
                .await
                .map_err(|reason| HandoverError::Failed { reason })?;
            match taken {
                Taken::Owner {
                    stopped_accepting: at,
                } => stopped_accepting = Some(at),
                Taken::Alone => {
                    warn!(
                        "the predecessor died during the handover; serving with what it had given"
                    );
                    // What was open there is free now.
                    self.shared.acquire_all().await.map_err(|reason| {
                        HandoverError::Exclusive(ExclusiveError::Open {
                            name: "after the predecessor's death".to_owned(),
                            source: reason.into(),
                        })
                    })?;
                }
            }
        }
        let parcels = self
            .taking
            .as_mut()
            .map(Taking::parcels)
            .unwrap_or_default();
        let left_over = self
            .taking
            .as_ref()
            .map(Taking::left_over)
            .unwrap_or_default();
        for name in left_over {
            warn!(name, "a state came that this program did not ask for");
        }
        let predecessor = self.taking.take().map(|taking| {
            let offer = taking.offer().cloned();
            let (channel, life) = taking.into_predecessor();
            Predecessor {
                channel,
                life,
                generation: offer.as_ref().map_or(0, |offer| offer.generation),
                pid: offer.as_ref().map_or(0, |offer| offer.pid),
                staged: offer.as_ref().is_some_and(|offer| offer.staged),
                owned: stopped_accepting.is_some(),
            }
        });
        keeper::begin(Beginning {
            shared: self.shared,
            birth: self.birth,
            from: self.from,
            predecessor,
            parcels,
            directory: self.directory,
            lock: self.lock,
        })
    }
}

/// How many more descriptors this process could hold.
fn headroom() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let open = strays::open_descriptors().unwrap_or(0);
    let open = u64::try_from(open).unwrap_or(u64::MAX);
    limit.maximum.map_or(u64::MAX, |hard| {
        hard.saturating_sub(open).saturating_sub(SPARE)
    })
}
