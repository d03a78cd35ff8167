//! The chain on disk: blocks, state and indexes in one store transaction, and the pool of transactions to come.
