//! Programs as text, in the forms bytomd reads and prints.
//!
//! [`assemble`] and [`disassemble`] are each other's inverse up to the choice of push instruction: pushes are written
//! as data and come back as the shortest push of them. [`listing`] shows every instruction as it stands.

use std::collections::HashMap;
use std::fmt::Write as _;

use ruint::aliases::U256;

use super::build::push_data;
use crate::vm::{self, Op, encode_number, instructions};

/// Why a text is no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A word is no opcode, number, datum, jump or label; `PUSHDATAn` and jumps without a target are not written.
    #[error("assembling a program: unrecognized token {0:?}")]
    UnknownWord(String),
    /// The datum after `0x` is not hexadecimal.
    #[error("assembling a program: {0:?} is not hexadecimal")]
    BadHex(String),
    /// The target of a jump is neither a label nor a 32-bit address.
    #[error("assembling a program: {0:?} is no address to jump to")]
    BadAddress(String),
    /// A label stands in two places.
    #[error("assembling a program: label {0} redefined")]
    LabelRedefined(String),
    /// A jump leads to a label that stands nowhere.
    #[error("assembling a program: undefined label {0}")]
    UndefinedLabel(String),
    /// A quoted datum has no end.
    #[error("assembling a program: no closing quote after {0:?}")]
    UnclosedQuote(String),
    /// The program cannot be addressed.
    #[error("assembling a program: {}", vm::Error::LongProgram)]
    TooLong,
}

impl AssembleError {
    /// The number in bytomd's code, as [`vm::Error::code`].
    pub fn code(&self) -> u16 {
        match self {
            AssembleError::UnknownWord(_) | AssembleError::UnclosedQuote(_) => {
                vm::Error::Token.code()
            }
            _ => 0,
        }
    }
}

/// Reads a program from words parted by white space.
///
/// A word is the name of an opcode; a number below 2²⁵⁶; `0x` and bytes in hexadecimal; bytes between single quotes,
/// in which a backslash takes the next character as it is; `$label`; or `JUMP:` and `JUMPIF:` followed by a label or an
/// address. Numbers and bytes are pushed, and push instructions follow from them.
pub fn assemble(text: &str) -> Result<Vec<u8>, AssembleError> {
    let mut program = Vec::new();
    let mut labels: HashMap<&str, u32> = HashMap::new();
    let mut uses: Vec<(usize, &str)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = split_word(rest)?;
        rest = after.trim_start();
        if let Some(target) = word.strip_prefix("JUMP:") {
            jump(&mut program, &mut uses, Op::JUMP, target)?;
        } else if let Some(target) = word.strip_prefix("JUMPIF:") {
            jump(&mut program, &mut uses, Op::JUMPIF, target)?;
        } else if word.starts_with('$') {
            let address = i32::try_from(program.len()).map_err(|_| AssembleError::TooLong)?;
            if labels.insert(word, address.cast_unsigned()).is_some() {
                return Err(AssembleError::LabelRedefined(word.to_owned()));
            }
        } else {
            datum(&mut program, word)?;
        }
    }
    for (at, label) in uses {
        let address = labels
            .get(label)
            .ok_or_else(|| AssembleError::UndefinedLabel(label.to_owned()))?;
        program[at..at + 4].copy_from_slice(&address.to_le_bytes());
    }
    Ok(program)
}

/// The first word and what follows it; a quoted word ends with its quote.
fn split_word(text: &str) -> Result<(&str, &str), AssembleError> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok(text.split_at(end));
    };
    let mut escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return Ok(text.split_at(at + 2)),
            _ => {}
        }
    }
    Err(AssembleError::UnclosedQuote(text.to_owned()))
}

fn jump<'t>(
    program: &mut Vec<u8>,
    uses: &mut Vec<(usize, &'t str)>,
    op: Op,
    target: &'t str,
) -> Result<(), AssembleError> {
    program.push(op.0);
    let address = if target.starts_with('$') {
        uses.push((program.len(), target));
        0
    } else if target.starts_with(|first: char| first.is_ascii_digit()) {
        target
            .parse()
            .map_err(|_| AssembleError::BadAddress(target.to_owned()))?
    } else {
        return Err(AssembleError::BadAddress(target.to_owned()));
    };
    program.extend_from_slice(&u32::to_le_bytes(address));
    Ok(())
}

fn datum(program: &mut Vec<u8>, word: &str) -> Result<(), AssembleError> {
    let unknown = || AssembleError::UnknownWord(word.to_owned());
    if let Some(op) = Op::from_name(word) {
        if matches!(
            op,
            Op::PUSHDATA1 | Op::PUSHDATA2 | Op::PUSHDATA4 | Op::JUMP | Op::JUMPIF
        ) {
            return Err(unknown());
        }
        program.push(op.0);
    } else if let Some(digits) = word.strip_prefix("0x") {
        let data = hex::decode(digits).map_err(|_| AssembleError::BadHex(word.to_owned()))?;
        push_data(program, &data);
    } else if let Some(quoted) = word.strip_prefix('\'') {
        push_data(
            program,
            unescape(quoted.strip_suffix('\'').ok_or_else(unknown)?).as_bytes(),
        );
    } else {
        push_data(program, &encode_number(number(word).ok_or_else(unknown)?));
    }
    Ok(())
}

fn unescape(quoted: &str) -> String {
    let mut characters = quoted.chars();
    std::iter::from_fn(|| match characters.next() {
        Some('\\') => characters.next(),
        other => other,
    })
    .collect()
}

/// A decimal number; with a minus, what it is modulo 2²⁵⁶, though the machine takes no such number.
fn number(word: &str) -> Option<U256> {
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = U256::from_str_radix(digits, 10).ok()?;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// The names bytomd gives to labels, in this order; then again with 2, 3 and so on.
const LABELS: [&str; 26] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet",
    "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
    "uniform", "victor", "whisky", "xray", "yankee", "zulu",
];

fn label(index: usize) -> String {
    let name = LABELS[index % LABELS.len()];
    match index / LABELS.len() {
        0 => format!("${name}"),
        round => format!("${name}{}", round + 1),
    }
}

/// Writes a program as [`assemble`] reads it: opcodes by name, data (small numbers too) in hexadecimal after `0x`,
/// targets of jumps as labels.
///
/// A label whose address lies within an instruction stands nowhere.
pub fn disassemble(program: &[u8]) -> Result<String, vm::Error> {
    let mut labels: HashMap<usize, String> = HashMap::new();
    for instruction in instructions(program) {
        if let Some(target) = instruction?.target() {
            let next = labels.len();
            labels.entry(target as usize).or_insert_with(|| label(next));
        }
    }
    let mut words = Vec::new();
    let mut parsed = instructions(program);
    loop {
        words.extend(labels.get(&parsed.position()).cloned());
        let Some(instruction) = parsed.next() else {
            break;
        };
        let instruction = instruction?;
        words.push(match instruction.target() {
            Some(target) => format!("{}:{}", instruction.op, labels[&(target as usize)]),
            None if instruction.data.is_empty() => instruction.op.to_string(),
            None => format!("0x{}", hex::encode(instruction.data)),
        });
    }
    Ok(words.join(" "))
}

/// Shows a program as bytomd's `decode-program` does: a line for each instruction, its name, a space and its operand
/// in hexadecimal.
///
/// `decode-program` gives it the [`executed_form`](super::executed_form) of P2WPKH and P2WSH programs.
pub fn listing(program: &[u8]) -> Result<String, vm::Error> {
    instructions(program).try_fold(String::new(), |mut text, instruction| {
        let instruction = instruction?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", instruction.op, hex::encode(instruction.data));
        Ok(text)
    })
}
