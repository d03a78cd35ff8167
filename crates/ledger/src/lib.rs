//! The ledger: blocks, transactions, the virtual machine and the state machine.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no task.
