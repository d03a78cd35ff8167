//! From a request to an answer: who is let in, how much at a time, where the work is done, and what the answer looks like.

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod cache;
pub(crate) mod compress;
pub(crate) mod gate;
pub(crate) mod lanes;
pub(crate) mod metrics;
pub(crate) mod response;
mod service;

pub(crate) use response::Body;
