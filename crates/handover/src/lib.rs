//! Replaces a running process without losing a connection, a byte or a lock.
