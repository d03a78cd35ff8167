//! What operators ask of the running supervisor.

use std::time::Instant;

use tracing::info;

use super::Driver;
use super::handing::StopStart;
use crate::life::Event;
use crate::telling::change::{Change, How, Phase};
use crate::telling::{self, Answer, Ask, Reload, Request, Retry};
use crate::upgrade::Way;

impl Driver {
    /// Answers what an operator asked over the control socket, now or when it is done.
    pub(super) async fn asked(&mut self, ask: Ask) {
        let Ask { request, answer } = ask;
        let refused = |why: &str, what_to_do: &str| Answer::Refused {
            why: why.to_owned(),
            what_to_do: what_to_do.to_owned(),
        };
        let answered = match request {
            Request::Backup if self.node.is_some() => refused(
                "the node is running, and a copy of data that is being written to may be torn",
                "stop the supervisor, then run `baton backup`",
            ),
            Request::Backup => refused(
                "the supervisor is busy with the node's upgrade",
                "see `baton status`",
            ),
            Request::Reload(wanted) => match self.refuse_reload(&wanted).await {
                Some(refusal) => refusal,
                None => return self.reload(wanted, answer).await,
            },
            Request::Retry(wanted) => self.retry(wanted).await,
        };
        // The one who asked may have gone.
        let _ = answer.send(answered);
    }

    async fn refuse_reload(&mut self, wanted: &Reload) -> Option<Answer> {
        let refused = |why: &str, what_to_do: &str| {
            Some(Answer::Refused {
                why: why.to_owned(),
                what_to_do: what_to_do.to_owned(),
            })
        };
        if self.node.is_none() || !self.life.is_at_rest() {
            return refused(
                &format!("the supervisor is {}", self.life.state_name()),
                "see `baton status`, and try again when the node runs",
            );
        }
        if self.can_hand_over().await {
            return None;
        }
        if wanted.handover_only || wanted.dry_run {
            return refused(
                "this node cannot hand over to the next process: it would be stopped and started",
                "leave --handover-only and --dry-run away if that may be",
            );
        }
        if wanted.exec.is_some() {
            return refused(
                "this node cannot hand over, and what is stopped is started again from `current`",
                "put the binary in place of the release's own, and leave --exec away",
            );
        }
        None
    }

    async fn reload(&mut self, wanted: Reload, answer: tokio::sync::oneshot::Sender<Answer>) {
        info!(exec = ?wanted.exec, dry_run = wanted.dry_run, "asked to reload the node");
        if self.can_hand_over().await {
            self.reload = Some((wanted, answer));
            return self.feed(Event::Reload(Way::Relay)).await;
        }
        let pid = self.last_leader().unsigned_abs();
        self.stop_start = Some(StopStart {
            from: pid,
            asked: Instant::now(),
            ended: None,
            answer,
        });
        self.telling.tell(telling::Event::NodeStopping {
            pid,
            why: "reload".to_owned(),
        });
        self.feed(Event::Reload(Way::StopAndStart)).await;
    }

    /// A node that was stopped at the operator's wish has been started again.
    pub(super) fn started_again(&mut self, release: &str, binary: &std::path::Path, pid: i32) {
        let Some(reload) = self.stop_start.take() else {
            return;
        };
        let ended = reload.ended.unwrap_or_else(Instant::now);
        let change = Change {
            why: "reload".to_owned(),
            how: How::StoppedAndStarted,
            from: reload.from,
            to: pid.unsigned_abs(),
            release: release.to_owned(),
            binary: binary.to_owned(),
            took: reload.asked.elapsed(),
            pause: reload.asked.elapsed(),
            longest_freeze_us: None,
            moved: std::collections::BTreeMap::new(),
            phases: vec![
                Phase {
                    phase: "stop".to_owned(),
                    took: ended.saturating_duration_since(reload.asked),
                },
                Phase {
                    phase: "start".to_owned(),
                    took: ended.elapsed(),
                },
            ],
        };
        info!("{}", change.sentence());
        self.telling.tell(telling::Event::NodeChanged {
            generation: self.generation,
            change: Box::new(change.clone()),
        });
        let _ = reload.answer.send(Answer::Changed {
            change: Box::new(change),
        });
    }

    async fn retry(&mut self, wanted: Retry) -> Answer {
        let standing = self.life.upgrade().filter(|machine| machine.is_standing());
        let (Some(machine), true) = (standing, self.life.is_at_rest()) else {
            return Answer::Refused {
                why: "no upgrade waits to be tried again".to_owned(),
                what_to_do: "see `baton status`".to_owned(),
            };
        };
        let (name, height) = (
            machine.journal.plan.name.clone(),
            machine.journal.plan.height,
        );
        let step = machine.journal.stage.name().to_owned();
        let way = if wanted.stop {
            Way::StopAndStart
        } else {
            Way::Relay
        };
        info!(name, height, ?way, "asked to try the upgrade again");
        self.telling.tell(telling::Event::UpgradeResumed {
            name: name.clone(),
            height,
            step,
        });
        if wanted.stop {
            self.asked_to_stop = Some(Instant::now());
            self.telling.tell(telling::Event::NodeStopping {
                pid: self.last_leader().unsigned_abs(),
                why: format!("upgrade {name}"),
            });
        }
        self.feed(Event::Retry(way)).await;
        Answer::Accepted {
            text: format!("trying upgrade {name} again; follow it with `baton events --follow`"),
        }
    }
}
