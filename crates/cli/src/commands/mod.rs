//! The commands, the same for both faces.

pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod handover;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod stage;
pub(crate) mod tell;
pub(crate) mod version;

use anyhow::anyhow;

use crate::context::Context;
use crate::ending::Ending;

/// What comes of a command.
pub(crate) type Outcome = anyhow::Result<Ending>;

/// `config`: every setting and where it came from.
pub(crate) fn config(context: &Context) -> Outcome {
    let loaded = context.load()?;
    context.say(&loaded.to_string());
    Ok(Ending::Done)
}

/// A runtime for one thread, which is all that is needed: what blocks has threads of its own.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(|e| anyhow!("starting the asynchronous runtime: {e}"))
}
