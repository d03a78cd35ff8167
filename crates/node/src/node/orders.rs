//! What the node is told through its control socket.

use std::error::Error;

use baton_ledger::{Address, AssetId, Output};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::info;

use super::estate::start;
use super::{Node, slots::Event};
use crate::access;
use crate::control::{Answer, Command, Request, StatusReport};
use crate::namespace::{Name, View};
use crate::settings::Settings;

impl Node {
    /// Does what a command says; `true` if that is to stop the node.
    pub(super) fn obey(&self, command: Command) -> bool {
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
                Ok(access::obey(
                    &*view.tokens().ok_or("the namespace is being closed")?,
                    &order,
                )?)
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
        let Some(view) = self.slots.running_view(name) else {
            return tell(
                answer,
                Answer::Refused(format!(
                    "namespace {name} does not run; `batond namespace list` tells which do"
                )),
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
        let Some(view) = self.slots.view(&Name::global()) else {
            return Answer::Refused("another process serves now: ask again".to_owned());
        };
        let others = self.slots.reports();
        let others = others.into_iter().filter(|one| !one.name.is_global());
        let global = view.report(&Name::global());
        let uptime_s = self.since.elapsed().as_secs();
        value(&StatusReport::new(
            global,
            others.collect(),
            self.api,
            uptime_s,
        ))
    }

    /// Starts those namespaces whose lines in `config.toml` say so; a failure of one is told and holds up nobody.
    pub(super) fn start_listed(&self, settings: &Settings) {
        for listed in &settings.namespaces {
            // of those that it knows a predecessor has told what becomes of them
            if self.slots.add(&listed.name)
                && listed.start
                && let Err(why) = self.start(&listed.name)
            {
                self.slots.started(&listed.name, Err(why));
            }
        }
    }

    fn start(&self, name: &Name) -> Result<(), String> {
        if !self.slots.has(name) {
            return Err(format!(
                "there is no namespace {name}; `batond namespace list` names them, `batond namespace create` makes one"
            ));
        }
        self.slots.starting(name)?;
        let (opener, events) = (self.opener.clone(), self.slots.events());
        let name = name.clone();
        tokio::task::spawn_blocking(move || {
            let started = start(&opener, &name).map(Box::new);
            // without a receiver the node has ended
            let _ = events.send(Event::Started(name, started));
        });
        Ok(())
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
