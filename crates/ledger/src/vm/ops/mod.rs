//! What the opcodes do, by family. The base cost is taken before a handler is called (see the table in `opcode`).

#![expect(clippy::unnecessary_wraps, reason = "all handlers have one type")]

pub(super) mod bitwise;
pub(super) mod control;
pub(super) mod crypto;
pub(super) mod introspection;
pub(super) mod numeric;
pub(super) mod push;
pub(super) mod splice;
pub(super) mod stack;
