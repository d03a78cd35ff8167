//! The release of a plan, brought here from where the plan says: whole or not at all.

pub mod archive;
mod causes;
mod disk;
