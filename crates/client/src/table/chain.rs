//! Blocks and what they hold.

use super::{Answer, Command, Flag, addition, at_least, count, exactly, in_v1, row, text};
use crate::body::{argument, block, block_of_flags, merkle_proof};

/// Which block, by `--hash` or `--height`.
const BLOCK_FLAGS: &[Flag] = &[
    text("hash", "hash of block"),
    count("height", "height of block"),
];

pub(super) const ROWS: &[Command] = &[
    row("get-block-hash", "", "Get the hash of most recent block"),
    row("get-block-count", "", "Get the number of most recent block"),
    row(
        "get-block",
        "<hash> | <height>",
        "Get a whole block matching the given hash or height",
    )
    .takes(exactly(1))
    .makes(block),
    row(
        "get-block-header",
        "<hash> | <height>",
        "Get the header of a block matching the given hash or height",
    )
    .takes(exactly(1))
    .makes(block),
    row(
        "decode-program",
        "<program>",
        "decode program to instruction and data",
    )
    .takes(exactly(1))
    .sends(&[argument("program", 0)]),
    in_v1(
        "get-difficulty",
        "",
        "Get the difficulty of most recent block (of bytomd v1)",
    )
    .flags(BLOCK_FLAGS)
    .makes(block_of_flags),
    in_v1(
        "get-hash-rate",
        "",
        "Get the hash rate of most recent block (of bytomd v1)",
    )
    .flags(BLOCK_FLAGS)
    .makes(block_of_flags),
    addition(
        "chain-status",
        "",
        "Print the newest, the justified and the finalized block",
    ),
    addition(
        "get-raw-block",
        "<hash> | <height>",
        "Get a block as hexadecimal digits",
    )
    .takes(exactly(1))
    .makes(block),
    addition(
        "get-vote-result",
        "<hash> | <height>",
        "Get the votes that validators had at a block",
    )
    .takes(exactly(1))
    .makes(block)
    .prints(Answer::List),
    addition(
        "get-merkle-proof",
        "<blockHash> <txID(s)>",
        "Get the proof that transactions are in a block",
    )
    .takes(at_least(2))
    .makes(merkle_proof),
];
