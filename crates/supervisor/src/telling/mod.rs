//! Everything that the supervisor tells the operator.

pub mod event;
mod event_text;
pub mod history;
mod outlet;
mod pace;
pub mod reader;
pub mod status;
mod status_apply;
mod status_text;
pub mod time;
pub mod words;
