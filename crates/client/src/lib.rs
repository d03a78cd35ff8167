//! A client of bytomd's API: one table of commands, and what `batoncli` does with it.
