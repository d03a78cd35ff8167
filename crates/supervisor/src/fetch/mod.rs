//! The release of a plan, brought here from where the plan says: whole or not at all.

pub mod archive;
mod causes;
pub mod checksum;
mod disk;
pub mod info;
pub mod source;
