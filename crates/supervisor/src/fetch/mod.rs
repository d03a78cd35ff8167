//! The release of a plan, brought here from where the plan says: whole or not at all.

pub mod archive;
mod causes;
pub mod checksum;
mod disk;
mod elf;
pub mod executable;
pub mod info;
pub mod source;
pub mod start;
