//! The built executable, watched from outside: real processes, sockets and files.

mod common;
mod halts;
mod serves;
mod stops;
