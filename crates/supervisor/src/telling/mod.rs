//! Everything that the supervisor tells the operator.

pub mod event;
mod event_text;
pub mod time;
pub mod words;
