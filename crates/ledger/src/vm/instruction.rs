//! Reading instructions from a program's bytes.

use std::ops::Range;

use super::error::Error;
use super::opcode::Op;

/// The longest program, in bytes (bytomd v2's `ParseOp`).
pub const MAX_PROGRAM_LENGTH: usize = i32::MAX as usize;

/// An instruction as it stands in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction<'p> {
    /// What it does.
    pub op: Op,
    /// What it pushes, or the address it jumps to (4 bytes, little endian); empty for the others.
    pub data: &'p [u8],
}

impl Instruction<'_> {
    /// Where a `JUMP` or `JUMPIF` leads.
    pub fn target(&self) -> Option<u32> {
        match self.op {
            Op::JUMP | Op::JUMPIF => self.data.try_into().ok().map(u32::from_le_bytes),
            _ => None,
        }
    }
}

/// Where the parts of an instruction stand in its program.
pub(super) struct Location {
    pub(super) op: Op,
    pub(super) operand: Range<usize>,
}

/// Finds the parts of the instruction at `at`; it ends where its operand ends.
pub(super) fn locate(program: &[u8], at: usize) -> Result<Location, Error> {
    if program.len() > MAX_PROGRAM_LENGTH {
        return Err(Error::LongProgram);
    }
    let op = Op(*program.get(at).ok_or(Error::ShortProgram)?);
    let start = at + 1;
    let (start, length) = match op {
        Op::PUSHDATA1 => (
            start + 1,
            usize::from(u8::from_le_bytes(prefix(program, start)?)),
        ),
        Op::PUSHDATA2 => (
            start + 2,
            usize::from(u16::from_le_bytes(prefix(program, start)?)),
        ),
        Op::PUSHDATA4 => {
            let length = u32::from_le_bytes(prefix(program, start)?);
            // Programs are addressed with 32 bits; `start` is well below that.
            let address = u32::try_from(start + 4).map_err(|_| Error::Overflow)?;
            address.checked_add(length).ok_or(Error::Overflow)?;
            (start + 4, length as usize)
        }
        Op::JUMP | Op::JUMPIF => (start, 4),
        _ => (start, op.data_length().unwrap_or(0)),
    };
    let end = start + length;
    if end > program.len() {
        return Err(Error::ShortProgram);
    }
    Ok(Location {
        op,
        operand: start..end,
    })
}

fn prefix<const N: usize>(program: &[u8], at: usize) -> Result<[u8; N], Error> {
    program[at..]
        .first_chunk()
        .copied()
        .ok_or(Error::ShortProgram)
}

/// The bytes that small-number opcodes push.
static SMALL_NUMBERS: [u8; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

pub(super) fn small_number(op: Op) -> Option<&'static [u8]> {
    op.small_number()
        .map(|n| &SMALL_NUMBERS[usize::from(n)..=usize::from(n)])
}

/// The instructions of a program in the order they stand, ending with the first that is broken.
pub fn instructions(program: &[u8]) -> Instructions<'_> {
    Instructions { program, at: 0 }
}

/// See [`instructions`].
#[derive(Debug, Clone)]
pub struct Instructions<'p> {
    program: &'p [u8],
    at: usize,
}

impl Instructions<'_> {
    /// Where the next instruction stands, in bytes from the start.
    pub fn position(&self) -> usize {
        self.at.min(self.program.len())
    }
}

impl<'p> Iterator for Instructions<'p> {
    type Item = Result<Instruction<'p>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.program.len() {
            return None;
        }
        Some(match locate(self.program, self.at) {
            Ok(Location { op, operand }) => {
                self.at = operand.end;
                Ok(Instruction {
                    op,
                    data: small_number(op).unwrap_or(&self.program[operand]),
                })
            }
            Err(error) => {
                self.at = usize::MAX;
                Err(error)
            }
        })
    }
}
