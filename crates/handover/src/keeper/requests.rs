//! Who may ask for a handover, and how one begins.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command as Program;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::effects::SharedCargo;
use super::link::Link;
use super::run::{Asker, Run};
use super::{Driver, is_over};
use crate::Monotonic;
use crate::channel::{Channel, Peer};
use crate::control::{Busy, Incoming, Introduction, UpgradeRequest};
use crate::launch::{self, Starter};
use crate::life::Life;
use crate::notify::Moment;
use crate::protocol::frame::Frame;
use crate::protocol::predecessor::{Event, Phase, Terms};
use crate::report::Began;
use crate::serving::Command;

impl Driver {
    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::Upgrade(request, answer) => {
                let asked_by = "the program itself".to_owned();
                self.spawn(request, asked_by, Asker::Program(answer)).await;
            }
            Command::Stop => self.stop().await,
            Command::Wake => self.on(Event::Wake).await,
        }
    }

    pub(super) async fn stop(&mut self) {
        self.stops += 1;
        if self.stops > 1
            && matches!(
                self.machine.phase(),
                Phase::Draining { .. } | Phase::Stopping
            )
        {
            info!("told to stop again; closing what is left");
            self.drain();
            return;
        }
        self.on(Event::Stop).await;
    }

    pub(super) async fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Upgrade(peer, request, requester) => {
                let asked_by = format!("pid {} (user {})", peer.pid, peer.uid);
                self.spawn(request, asked_by, Asker::Client(requester))
                    .await;
            }
            Incoming::RollBack(peer, requester) => {
                info!(pid = peer.pid, uid = peer.uid, "asked to serve again");
                if matches!(self.machine.phase(), Phase::Asleep) {
                    self.on(Event::Wake).await;
                    requester.done().await;
                } else {
                    let phase = self.machine.phase().word();
                    let reason = format!(
                        "generation {} does not sleep (it is in phase {phase})",
                        self.generation
                    );
                    requester.refuse(reason).await;
                }
            }
            Incoming::Join(peer, channel) => self.join(peer, channel).await,
            Incoming::Introduce(peer, introduction, channel, requester) => {
                self.introduce(peer, introduction, channel, requester).await;
            }
        }
    }

    /// The older generations that still live: all that are in the control directory, or, without one, the direct predecessor.
    pub(super) fn older(&mut self) -> Vec<u64> {
        self.ancestors.retain(|ancestor| !is_over(&ancestor.life));
        let mut older: BTreeSet<u64> = self
            .ancestors
            .iter()
            .map(|ancestor| ancestor.generation)
            .collect();
        match self.directory.as_ref().map(|directory| directory.list()) {
            Some(Ok(listed)) => older.extend(
                listed
                    .iter()
                    .filter(|listed| listed.alive && listed.generation < self.generation)
                    .map(|listed| listed.generation),
            ),
            Some(Err(error)) => warn!(%error, "cannot look for older generations"),
            None => {}
        }
        older.into_iter().collect()
    }

    /// Why no handover can begin now.
    pub(super) fn hindrance(&mut self) -> Option<String> {
        if let Some(sleeper) = self.sleeper {
            return Some(format!(
                "generation {sleeper} sleeps, to be woken in place of this one: end it first"
            ));
        }
        let older = self.older();
        let limit = self.shared.settings.max_draining;
        if older.len() >= limit.max(1) && limit > 0 {
            let who: Vec<_> = older.iter().map(u64::to_string).collect();
            return Some(format!(
                "{} older generations still drain ({}), the limit is {limit}: wait for them or end them",
                older.len(),
                who.join(", ")
            ));
        }
        match self.machine.phase() {
            Phase::Serving => None,
            phase => Some(format!(
                "generation {} is in phase {}",
                self.generation,
                phase.word()
            )),
        }
    }

    /// Who is in the way, if a handover runs.
    pub(super) fn busy(&self) -> Option<Busy> {
        let run = self.run.as_ref().filter(|_| !self.handed_over)?;
        Some(Busy {
            asked_by: run.asked_by.clone(),
            since: run.since,
            to: self.generation + 1,
            phase: run.phase.to_owned(),
        })
    }

    pub(super) async fn refused(&mut self, asked_by: &str, asker: Asker) -> Option<Asker> {
        if let Some(busy) = self.busy() {
            warn!(asked_by, %busy, "asked for a handover while one runs");
            asker.busy(busy).await;
            return None;
        }
        if let Some(reason) = self.hindrance() {
            warn!(asked_by, reason, "asked for a handover that cannot begin");
            asker.refuse(reason).await;
            return None;
        }
        Some(asker)
    }

    /// Starts a successor and hands over to it.
    pub(super) async fn spawn(&mut self, request: UpgradeRequest, asked_by: String, asker: Asker) {
        let Some(asker) = self.refused(&asked_by, asker).await else {
            return;
        };
        let staged = request.staged || (self.shared.settings.staged && !request.dry_run);
        let nonce = match launch::nonce() {
            Ok(nonce) => nonce,
            Err(error) => return asker.refuse(format!("no random numbers: {error}")).await,
        };
        self.begin_run(
            asked_by,
            staged,
            asker,
            Some(nonce.clone()),
            request.dry_run,
            request.timeout,
        )
        .await;
        let own = &self.shared.launch;
        let path = request.exec.unwrap_or_else(|| own.program.clone());
        let mut program = Program::new(&path);
        match &request.arguments {
            Some(arguments) => program.args(arguments),
            None => program.args(&own.arguments),
        };
        program.current_dir(&own.directory);
        let started = tokio::task::spawn_blocking(move || {
            let (ours, theirs) = Channel::pair().map_err(std::io::Error::other)?;
            let child = launch::start(program, theirs, &nonce, Starter::Predecessor)?;
            Ok::<_, std::io::Error>((ours, child))
        })
        .await;
        let started = started
            .unwrap_or_else(|_| Err(std::io::Error::other("the attempt panicked")))
            .and_then(|(ours, child)| {
                let channel = Channel::new(ours).map_err(std::io::Error::other)?;
                Ok((channel, Life::of(child.id())?, child))
            });
        match started {
            Ok((channel, life, child)) => {
                info!(pid = child.id(), program = %path.display(), "started a successor");
                self.follow(Link {
                    channel: Arc::new(channel),
                    pid: child.id(),
                    life: Some(life),
                    child: Some(child),
                    began: Began::Spawn,
                    closed: false,
                    death_told: false,
                });
            }
            Err(error) => {
                let why = format!("cannot start {}: {error}", path.display());
                self.on(Event::NotStarted { why }).await;
            }
        }
    }

    pub(super) async fn join(&mut self, peer: Peer, channel: Channel) {
        let asked_by = format!("pid {} (user {}), which joins", peer.pid, peer.uid);
        let hindrance = self
            .busy()
            .map(|busy| busy.to_string())
            .or_else(|| self.hindrance());
        if let Some(reason) = hindrance {
            warn!(asked_by, reason, "asked for a handover that cannot begin");
            let _ = channel.send_now(&Frame::Refuse { reason });
            return;
        }
        let life = Life::of_peer(&channel);
        let staged = self.shared.settings.staged;
        self.begin_run(asked_by, staged, Asker::Nobody, None, false, None)
            .await;
        if let Err(error) = &life {
            warn!(%error, "cannot watch the successor");
        }
        self.follow(Link {
            channel: Arc::new(channel),
            life: life.ok(),
            child: None,
            pid: peer.pid,
            began: Began::Join,
            closed: false,
            death_told: false,
        });
    }

    pub(super) async fn introduce(
        &mut self,
        peer: Peer,
        introduction: Introduction,
        channel: Channel,
        requester: crate::control::Requester,
    ) {
        let asked_by = format!(
            "pid {} (user {}), for pid {}",
            peer.pid, peer.uid, introduction.pid
        );
        let asker = Asker::Client(requester);
        let Some(asker) = self.refused(&asked_by, asker).await else {
            let _ = channel.send_now(&Frame::Refuse {
                reason: "the predecessor is busy".to_owned(),
            });
            return;
        };
        let staged = self.shared.settings.staged && !introduction.dry_run;
        self.begin_run(
            asked_by,
            staged,
            asker,
            Some(introduction.nonce),
            introduction.dry_run,
            introduction.timeout,
        )
        .await;
        self.follow(Link {
            channel: Arc::new(channel),
            life: Life::of(introduction.pid).ok(),
            child: None,
            pid: introduction.pid,
            began: Began::Held,
            closed: false,
            death_told: false,
        });
    }

    pub(super) async fn begin_run(
        &mut self,
        asked_by: String,
        staged: bool,
        asker: Asker,
        nonce: Option<String>,
        rehearsal: bool,
        timeout: Option<Duration>,
    ) {
        let settings = &self.shared.settings;
        self.timeout = timeout.unwrap_or(settings.limits.timeout);
        info!(asked_by, rehearsal, staged, "handing over");
        self.cargo = SharedCargo::default();
        self.run = Some(Run::new(asked_by, staged, asker));
        let shareables = self.shared.shareables().offers().map_or_else(
            |_| Vec::new(),
            |offers| {
                offers
                    .into_iter()
                    .map(|(listing, _)| listing.name)
                    .collect()
            },
        );
        let terms = Terms {
            name: settings.name.clone(),
            nonce,
            generation: self.generation,
            pid: std::process::id(),
            shareables,
            exclusives: self
                .shared
                .exclusives()
                .iter()
                .map(|resource| resource.name().to_owned())
                .collect(),
            states: self
                .shared
                .writers()
                .into_iter()
                .map(|(name, writer)| (name, writer.versions))
                .collect(),
            connections: self
                .shared
                .registry
                .counts()
                .into_iter()
                .filter(|(_, counts)| counts.live > 0)
                .map(|(kind, counts)| (kind, counts.live as u64))
                .collect::<BTreeMap<_, _>>(),
            rehearsal,
            staged,
            take_back: settings.take_back,
        };
        self.notify(&Moment::HandoverBegins {
            to: self.generation + 1,
            at: Monotonic::now(),
        });
        self.on(Event::Begin(terms)).await;
    }
}
