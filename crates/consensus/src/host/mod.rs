//! The application that consensus decides for.

mod proposals;
mod streams;

pub use proposals::ProposalsError;
