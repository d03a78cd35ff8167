//! `top`: the node and its supervisor, live.
//!
//! ```text
//! control socket ─┐
//! history ────────┼─► feed ─► News ─► Model ─► view ─► the terminal      model, cards, fit, view: pure
//! keys, signals ──┘                     └────► lines ─► stdout, if that is no terminal
//! ```

mod card;
mod cards;
mod feed;
mod fit;
mod lines;
mod model;
mod pace;
mod screen;
#[cfg(test)]
mod testing;
mod view;

use std::io::IsTerminal;

use baton_supervisor::telling::Time;

use crate::commands::{Outcome, runtime};
use crate::context::Context;
use crate::ending::Ending;

pub(crate) use self::card::{Card, Side, Tone};
pub(crate) use self::feed::watch;
pub(crate) use self::model::{Model, News};
pub(crate) use self::screen::{Ends, show};

/// How the node is watched.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    /// Print lines, in a terminal too
    #[arg(long)]
    plain: bool,
}

/// Shows the home's node until somebody leaves.
pub(crate) fn top(context: &Context, args: &TopArgs) -> Outcome {
    let home = context.home()?;
    runtime()?.block_on(async {
        let mut model = Model::new(&home, Time::now());
        let (_, mut news) = watch(&home);
        if !args.plain && has_screen() {
            show(&mut model, &mut news).await?;
        } else {
            lines::print(&mut model, &mut news).await;
        }
        Ok(Ending::Done)
    })
}

/// Is there a terminal that can be drawn on?
pub(crate) fn has_screen() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}
