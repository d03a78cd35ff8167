//! The table of opcodes: number, name, base cost and meaning, each in one row.
//!
//! Source: bytomd v2's `protocol/vm/ops.go`. What an opcode costs beyond its base (memory, bytes looked at, keys) is
//! told where its handler is.

use super::error::Error;
use super::machine::Machine;
use super::ops::{bitwise, control, crypto, introspection, numeric, push, splice, stack};

/// One opcode, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Op(pub u8);

pub(super) type Handler = fn(&mut Machine<'_>) -> Result<(), Error>;

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    /// Empty where the name follows from the number.
    name: &'static str,
    /// Gas taken before anything else happens.
    pub(super) cost: i64,
    pub(super) run: Handler,
}

macro_rules! opcodes {
    ($($number:literal $constant:ident $name:literal $cost:literal $handler:path;)*) => {
        impl Op {
            $(
                #[doc = concat!("`", $name, "`, base cost ", stringify!($cost), " gas.")]
                pub const $constant: Op = Op($number);
            )*
        }

        const NAMED: &[(u8, Definition)] =
            &[$(($number, Definition { name: $name, cost: $cost, run: $handler })),*];
    };
}

opcodes! {
    0x00 FALSE "FALSE" 1 push::empty;
    0x4c PUSHDATA1 "PUSHDATA1" 1 push::operand;
    0x4d PUSHDATA2 "PUSHDATA2" 1 push::operand;
    0x4e PUSHDATA4 "PUSHDATA4" 1 push::operand;
    0x61 NOP "NOP" 1 push::nothing;

    0x63 JUMP "JUMP" 1 control::jump;
    0x64 JUMPIF "JUMPIF" 1 control::jump_if;
    0x69 VERIFY "VERIFY" 1 control::verify;
    0x6a FAIL "FAIL" 1 control::fail;
    0xc0 CHECKPREDICATE "CHECKPREDICATE" 256 control::check_predicate;

    0x6b TOALTSTACK "TOALTSTACK" 2 stack::to_alt;
    0x6c FROMALTSTACK "FROMALTSTACK" 2 stack::from_alt;
    0x6d TWO_DROP "2DROP" 2 stack::two_drop;
    0x6e TWO_DUP "2DUP" 2 stack::two_dup;
    0x6f THREE_DUP "3DUP" 3 stack::three_dup;
    0x70 TWO_OVER "2OVER" 2 stack::two_over;
    0x71 TWO_ROT "2ROT" 2 stack::two_rot;
    0x72 TWO_SWAP "2SWAP" 2 stack::two_swap;
    0x73 IFDUP "IFDUP" 1 stack::if_dup;
    0x74 DEPTH "DEPTH" 1 stack::depth;
    0x75 DROP "DROP" 1 stack::drop;
    0x76 DUP "DUP" 1 stack::dup;
    0x77 NIP "NIP" 1 stack::nip;
    0x78 OVER "OVER" 1 stack::over;
    0x79 PICK "PICK" 2 stack::pick;
    0x7a ROLL "ROLL" 2 stack::roll;
    0x7b ROT "ROT" 2 stack::rot;
    0x7c SWAP "SWAP" 1 stack::swap;
    0x7d TUCK "TUCK" 1 stack::tuck;

    0x7e CAT "CAT" 4 splice::cat;
    0x7f SUBSTR "SUBSTR" 4 splice::substr;
    0x80 LEFT "LEFT" 4 splice::left;
    0x81 RIGHT "RIGHT" 4 splice::right;
    0x82 SIZE "SIZE" 1 splice::size;
    0x89 CATPUSHDATA "CATPUSHDATA" 4 splice::cat_pushdata;

    0x83 INVERT "INVERT" 1 bitwise::invert;
    0x84 AND "AND" 1 bitwise::and;
    0x85 OR "OR" 1 bitwise::or;
    0x86 XOR "XOR" 1 bitwise::xor;
    0x87 EQUAL "EQUAL" 1 bitwise::equal;
    0x88 EQUALVERIFY "EQUALVERIFY" 1 bitwise::equal_verify;

    0x8b ONE_ADD "1ADD" 2 numeric::increment;
    0x8c ONE_SUB "1SUB" 2 numeric::decrement;
    0x8d TWO_MUL "2MUL" 2 numeric::double;
    0x8e TWO_DIV "2DIV" 2 numeric::halve;
    0x91 NOT "NOT" 2 numeric::not;
    0x92 ZERO_NOTEQUAL "0NOTEQUAL" 2 numeric::not_zero;
    0x93 ADD "ADD" 2 numeric::add;
    0x94 SUB "SUB" 2 numeric::sub;
    0x95 MUL "MUL" 8 numeric::mul;
    0x96 DIV "DIV" 8 numeric::div;
    0x97 MOD "MOD" 8 numeric::modulo;
    0x98 LSHIFT "LSHIFT" 8 numeric::left_shift;
    0x99 RSHIFT "RSHIFT" 8 numeric::right_shift;
    0x9a BOOLAND "BOOLAND" 2 numeric::bool_and;
    0x9b BOOLOR "BOOLOR" 2 numeric::bool_or;
    0x9c NUMEQUAL "NUMEQUAL" 2 numeric::equal;
    0x9d NUMEQUALVERIFY "NUMEQUALVERIFY" 2 numeric::equal_verify;
    0x9e NUMNOTEQUAL "NUMNOTEQUAL" 2 numeric::not_equal;
    0x9f LESSTHAN "LESSTHAN" 2 numeric::less;
    0xa0 GREATERTHAN "GREATERTHAN" 2 numeric::greater;
    0xa1 LESSTHANOREQUAL "LESSTHANOREQUAL" 2 numeric::less_or_equal;
    0xa2 GREATERTHANOREQUAL "GREATERTHANOREQUAL" 2 numeric::greater_or_equal;
    0xa3 MIN "MIN" 2 numeric::min;
    0xa4 MAX "MAX" 2 numeric::max;
    0xa5 WITHIN "WITHIN" 4 numeric::within;

    0xa8 SHA256 "SHA256" 0 crypto::sha256;
    0xaa SHA3 "SHA3" 0 crypto::sha3;
    0xab HASH160 "HASH160" 0 crypto::hash160;
    0xac CHECKSIG "CHECKSIG" 1024 crypto::check_sig;
    0xad CHECKMULTISIG "CHECKMULTISIG" 0 crypto::check_multi_sig;
    0xae TXSIGHASH "TXSIGHASH" 256 crypto::tx_sig_hash;

    0xc1 CHECKOUTPUT "CHECKOUTPUT" 16 introspection::check_output;
    0xc2 ASSET "ASSET" 1 introspection::asset;
    0xc3 AMOUNT "AMOUNT" 1 introspection::amount;
    0xc4 PROGRAM "PROGRAM" 1 introspection::program;
    0xc9 INDEX "INDEX" 1 introspection::index;
    0xca ENTRYID "ENTRYID" 1 introspection::entry_id;
    0xcb OUTPUTID "OUTPUTID" 1 introspection::output_id;
    0xcd BLOCKHEIGHT "BLOCKHEIGHT" 1 introspection::block_height;
}

static TABLE: [Definition; 256] = table();

const fn table() -> [Definition; 256] {
    // What no row names is an expansion opcode.
    let mut table = [Definition {
        name: "",
        cost: 1,
        run: push::nothing,
    }; 256];
    let mut n = Op::DATA_1.0;
    while n <= Op::DATA_75.0 {
        table[n as usize].run = push::operand;
        n += 1;
    }
    n = Op::TRUE.0;
    while n <= Op::SIXTEEN.0 {
        table[n as usize].run = push::small_number;
        n += 1;
    }
    let mut row = 0;
    while row < NAMED.len() {
        table[NAMED[row].0 as usize] = NAMED[row].1;
        row += 1;
    }
    table
}

impl Op {
    /// `DATA_1`, the first of the 75 opcodes that push the 1 to 75 bytes which follow.
    pub const DATA_1: Op = Op(0x01);
    /// `DATA_20`, which pushes the hash of a key.
    pub const DATA_20: Op = Op(0x14);
    /// `DATA_32`, which pushes a hash or a key.
    pub const DATA_32: Op = Op(0x20);
    /// `DATA_75`, the last of its kind.
    pub const DATA_75: Op = Op(0x4b);
    /// `1`, also called `TRUE`, the first of the 16 opcodes that push a small number.
    pub const TRUE: Op = Op(0x51);
    /// `16`, the last of its kind.
    pub const SIXTEEN: Op = Op(0x60);

    pub(super) fn definition(self) -> &'static Definition {
        &TABLE[usize::from(self.0)]
    }

    /// The gas taken before the opcode does anything; memory and bytes looked at come on top.
    pub fn base_cost(self) -> u64 {
        self.definition().cost.unsigned_abs()
    }

    /// How many bytes a `DATA_n` pushes.
    pub(super) fn data_length(self) -> Option<usize> {
        (Op::DATA_1..=Op::DATA_75)
            .contains(&self)
            .then_some(usize::from(self.0))
    }

    /// The number a small-number opcode pushes, 1 to 16.
    pub(super) fn small_number(self) -> Option<u8> {
        (Op::TRUE..=Op::SIXTEEN)
            .contains(&self)
            .then(|| self.0 - Op::TRUE.0 + 1)
    }

    /// Whether the opcode pushes data that stand in the program: `FALSE`, `DATA_n`, `PUSHDATAn` and the numbers to 16.
    pub fn is_push(self) -> bool {
        self <= Op::PUSHDATA4 || self.small_number().is_some()
    }

    /// Whether the opcode has no meaning yet: refused in a transaction of version 1, of no effect in later ones.
    pub fn is_expansion(self) -> bool {
        self.definition().name.is_empty() && !self.is_push()
    }

    /// The opcode of that name; `0` and `TRUE` are other names of `FALSE` and `1`.
    ///
    /// Expansion opcodes are found as they are printed, `NOPx50`.
    pub fn from_name(name: &str) -> Option<Op> {
        match name {
            "" => return None,
            "0" => return Some(Op::FALSE),
            "TRUE" => return Some(Op::TRUE),
            _ => {}
        }
        if let Some((number, _)) = NAMED.iter().find(|(_, row)| row.name == name) {
            return Some(Op(*number));
        }
        let op = if let Some(number) = name.strip_prefix("NOPx") {
            Op(u8::from_str_radix(number, 16).ok()?)
        } else if let Some(length) = name.strip_prefix("DATA_") {
            Op(length.parse().ok()?)
        } else {
            Op(name.parse::<u8>().ok()?.checked_add(Op::TRUE.0 - 1)?)
        };
        // Only the spelling that Display gives: no `DATA_05`, `NOPx76` or `+3`.
        (op.to_string() == name).then_some(op)
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(length) = self.data_length() {
            write!(f, "DATA_{length}")
        } else if let Some(number) = self.small_number() {
            write!(f, "{number}")
        } else if self.is_expansion() {
            write!(f, "NOPx{:02x}", self.0)
        } else {
            f.write_str(self.definition().name)
        }
    }
}
