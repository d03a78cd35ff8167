//! Why a program was refused, under the codes clients of Bytom know.

/// Why a program was refused.
///
/// `Display` gives the text bytomd puts in `error_detail`; [`Error::code`] and [`Error::summary`] give what it puts in
/// `code` and `msg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// An opcode took from the alternative stack when it was empty.
    #[error("alt stack underflow")]
    AltStackUnderflow,
    /// An operand has a size or a value that the opcode does not take.
    #[error("bad value")]
    BadValue,
    /// An opcode asked for a fact that the [`Context`](super::Context) does not hold, as the amount of a vote.
    #[error("wrong context")]
    WrongContext,
    /// An opcode needed more items than the data stack holds.
    #[error("data stack underflow")]
    DataStackUnderflow,
    /// An opcode without meaning stood in a transaction of version 1, which reserves it.
    #[error("disallowed opcode")]
    DisallowedOpcode,
    /// `DIV` or `MOD` by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The program ended with an empty stack, or with a false item on top.
    #[error("false VM result")]
    FalseResult,
    /// The program is longer than 2³¹ − 1 bytes.
    #[error("program size exceeds maxint32")]
    LongProgram,
    /// A number does not fit in 255 bits, or a difference is negative.
    #[error("range error")]
    Range,
    /// `FAIL` was executed.
    #[error("RETURN executed")]
    Return,
    /// The gas is spent.
    #[error("run limit exceeded")]
    RunLimitExceeded,
    /// The operand of the last instruction is cut off.
    #[error("unexpected end of program")]
    ShortProgram,
    /// The text of a program holds a word that is no opcode, number, datum or label.
    #[error("unrecognized token")]
    Token,
    /// `PICK` was given a depth of 2⁶³ or more, which bytomd does not survive; the whole program is refused, also from
    /// within a predicate.
    #[error("unexpected error")]
    Unexpected,
    /// The program is for a version of the machine other than 1.
    #[error("unsupported VM")]
    UnsupportedVm,
    /// `VERIFY`, `EQUALVERIFY` or `NUMEQUALVERIFY` met a false item.
    #[error("VERIFY failed")]
    VerifyFailed,
    /// The length of a `PUSHDATA4` runs past what 32 bits can address.
    #[error("arithmetic overflow")]
    Overflow,
}

impl Error {
    /// The number in the code of bytomd's API: 761 is `BTM761`; 0 where bytomd has no code of its own.
    ///
    /// Source: the table of bytomd v2's `api/errors.go`.
    pub fn code(self) -> u16 {
        match self {
            Error::AltStackUnderflow => 760,
            Error::BadValue => 761,
            Error::WrongContext => 762,
            Error::DataStackUnderflow => 763,
            Error::DisallowedOpcode => 764,
            Error::DivisionByZero => 765,
            Error::FalseResult => 766,
            Error::LongProgram => 767,
            Error::Range => 768,
            Error::Return => 769,
            Error::RunLimitExceeded => 770,
            Error::ShortProgram => 771,
            Error::Token => 772,
            Error::Unexpected => 773,
            Error::UnsupportedVm => 774,
            Error::VerifyFailed => 775,
            Error::Overflow => 0,
        }
    }

    /// The sentence bytomd's API gives with the code.
    pub fn summary(self) -> &'static str {
        match self {
            Error::AltStackUnderflow => "Alt stack underflow",
            Error::BadValue => "Bad value",
            Error::WrongContext => "Wrong context",
            Error::DataStackUnderflow => "Data stack underflow",
            Error::DisallowedOpcode => "Disallowed opcode",
            Error::DivisionByZero => "Division by zero",
            Error::FalseResult => "False result for executing VM",
            Error::LongProgram => "Program size exceeds max int32",
            Error::Range => "Arithmetic range error",
            Error::Return => "RETURN executed",
            Error::RunLimitExceeded => "Run limit exceeded because the BTM Fee is insufficient",
            Error::ShortProgram => "Unexpected end of program",
            Error::Token => "Unrecognized token",
            Error::Unexpected => "Unexpected error",
            Error::UnsupportedVm => "Unsupported VM because the version of VM is mismatched",
            Error::VerifyFailed => "VERIFY failed",
            Error::Overflow => "Bytom API Error",
        }
    }
}
