//! The built executable, watched from outside: real processes, sockets and files.

mod common;
mod halts;
mod relay;
mod serves;
mod stops;
