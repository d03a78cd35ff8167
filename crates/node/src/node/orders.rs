//! What the node is told through its control socket.

use std::error::Error;

use baton_ledger::{Address, AssetId, Output};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Node, slots::Event};
use crate::access;
use crate::configuration::Configuration;
use crate::control::{Answer, Command, Request, StatusReport};
use crate::lock::Lock;
use crate::logging::Log;
use crate::namespace::{Name, Running, View};
use crate::settings::Settings;
use crate::step::Patience;

impl Node {
    /// Does what a command says; `true` if that is to stop the node.
    pub(super) fn obey(&mut self, command: Command) -> bool {
        let Command { request, answer } = command;
        match request {
            Request::Status => tell(answer, self.status()),
            Request::Namespaces => tell(answer, value(&self.slots.reports())),
            Request::Start { name } => match self.start(&name) {
                Ok(()) => self.slots.answer_later(&name, answer),
                Err(why) => tell(answer, Answer::Refused(why)),
            },
            Request::Stop { name } if name.is_global() => {
                tell(answer, Answer::Done(serde_json::Value::Null));
                return true;
            }
            Request::Stop { name } => match self.slots.stop(&name, None) {
                Ok(()) => self.slots.answer_later(&name, answer),
                Err(why) => tell(answer, Answer::Refused(why)),
            },
            Request::Pay {
                name,
                address,
                amount_neu,
            } => self.of_chain(&name, answer, move |view| {
                let address = Address::decode(&address, view.prefix())?;
                let output = Output::original(AssetId::BTM, amount_neu, address.program());
                let id = view.purse().pay(vec![output])?;
                Ok(json!({ "tx_id": id.to_string() }))
            }),
            Request::Token { name, order } => self.of_chain(&name, answer, move |view| {
                Ok(access::obey(view.tokens(), &order)?)
            }),
            Request::Plan { name } => self.of_chain(&name, answer, |view| {
                Ok(serde_json::to_value(view.planner().situation()?)?)
            }),
            Request::SignPlan { name, choice } => self.of_chain(&name, answer, move |view| {
                Ok(serde_json::to_value(view.planner().sign(&choice)?)?)
            }),
            Request::SubmitPlan {
                name,
                choice,
                signatures,
            } => self.of_chain(&name, answer, move |view| {
                let id = view.planner().submit(&choice, signatures)?;
                Ok(json!({ "tx_id": id.to_string() }))
            }),
            Request::Learn { name } => {
                self.slots.add(&name);
                info!(namespace = %name, "there is a new namespace");
                tell(answer, Answer::Done(serde_json::Value::Null));
            }
            Request::Forget { name } if name.is_global() => {
                let why = "global is the node itself and cannot be destroyed".to_owned();
                tell(answer, Answer::Refused(why));
            }
            Request::Forget { name } => tell(
                answer,
                match self.slots.forget(&name) {
                    Ok(()) => Answer::Done(serde_json::Value::Null),
                    Err(why) => Answer::Refused(why),
                },
            ),
        }
        false
    }

    /// Does something with a namespace's chain that may take a while.
    fn of_chain(
        &self,
        name: &Name,
        answer: oneshot::Sender<Answer>,
        work: impl FnOnce(&View) -> Result<Value, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) {
        let found = self.slots.running().find(|(other, _)| *other == name);
        let Some(view) = found.map(|(_, running)| running.view().clone()) else {
            return tell(
                answer,
                Answer::Refused(format!("namespace {name} does not run")),
            );
        };
        tokio::task::spawn_blocking(move || {
            tell(
                answer,
                match work(&view) {
                    Ok(value) => Answer::Done(value),
                    Err(error) => Answer::Refused(error.to_string()),
                },
            );
        });
    }

    fn status(&self) -> Answer {
        let others = self.slots.reports();
        let others = others.into_iter().filter(|one| !one.name.is_global());
        let global = self.view.report(&Name::global());
        let uptime_s = self.since.elapsed().as_secs();
        value(&StatusReport::new(
            global,
            others.collect(),
            self.api,
            uptime_s,
        ))
    }

    /// Starts those namespaces whose lines in `config.toml` say so; a failure of one is told and holds up nobody.
    pub(super) fn start_listed(&mut self, settings: &Settings) {
        for listed in &settings.namespaces {
            self.slots.add(&listed.name);
            if listed.start
                && let Err(why) = self.start(&listed.name)
            {
                self.slots.started(&listed.name, Err(why));
            }
        }
    }

    fn start(&mut self, name: &Name) -> Result<(), String> {
        if !self.slots.has(name) {
            return Err(format!(
                "there is no namespace {name}; `batond namespace list` names them, `batond namespace create` makes one"
            ));
        }
        self.slots.starting(name)?;
        let opening = Opening {
            name: name.clone(),
            home: self.home.namespace(name),
            log: self.log.clone(),
            patience: self.patience.clone(),
            websockets: self.serving.connections(&format!("websockets of {name}")),
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let name = opening.name.clone();
            let opened = opening.open().await.map(Box::new);
            // without a receiver the node has ended
            let _ = events.send(Event::Started(name, opened));
        });
        Ok(())
    }
}

/// What is needed to open a namespace other than `global`.
struct Opening {
    name: Name,
    home: crate::home::Home,
    log: Log,
    patience: Patience,
    websockets: baton_handover::connections::Kind,
}

impl Opening {
    async fn open(self) -> Result<Running, String> {
        if !self.home.path().is_dir() {
            return Err(format!("there is no {}", self.home.path().display()));
        }
        let configuration =
            Configuration::of_namespace(self.home).map_err(|error| error.to_string())?;
        let lock = Lock::take(&configuration.home.lock()).map_err(|error| error.to_string())?;
        self.log
            .open(&self.name, &configuration.paths.log)
            .map_err(|error| format!("its log: {error}"))?;
        for warning in &configuration.warnings {
            warn!(namespace = %self.name, "{warning}");
        }
        let (name, patience) = (self.name, self.patience);
        Running::start(name, configuration, Some(lock), self.websockets, patience)
            .await
            .map_err(|error| error.to_string())
    }
}

fn tell(to: oneshot::Sender<Answer>, answer: Answer) {
    // who asked may have gone
    let _ = to.send(answer);
}

fn value<T: serde::Serialize>(of: &T) -> Answer {
    match serde_json::to_value(of) {
        Ok(value) => Answer::Done(value),
        Err(error) => Answer::Refused(format!("it cannot be written: {error}")),
    }
}
