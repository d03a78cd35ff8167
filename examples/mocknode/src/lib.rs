//! A small daemon.
