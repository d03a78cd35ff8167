//! What a program may learn about the transaction it guards.

use std::borrow::Cow;

use super::error::Error;

/// What a program is run with.
///
/// An absent fact makes the opcode that asks for it fail with [`Error::WrongContext`]: a veto has no amount, an
/// issuance spends no output.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The version of the machine the program is for; only 1 exists.
    pub vm_version: u64,
    /// The program in the form that is executed (see [`executed_form`](crate::program::executed_form)).
    pub program: &'a [u8],
    /// The state data of the output that is spent; they start on the alternative stack, the last on top.
    pub state: &'a [Vec<u8>],
    /// The arguments of the witness; they start on the data stack, the last on top.
    pub arguments: &'a [Vec<u8>],
    /// The id of the entry whose program this is: the spend, veto or issuance.
    pub entry_id: [u8; 32],
    /// The version of the transaction; in version 1 opcodes without meaning are refused.
    pub tx_version: Option<u64>,
    /// The height of the block the transaction is validated for.
    pub block_height: Option<u64>,
    /// The asset that is spent or issued.
    pub asset_id: Option<[u8; 32]>,
    /// How much of it, in its smallest unit.
    pub amount: Option<u64>,
    /// The position at which the value enters the mux.
    pub destination: Option<u64>,
    /// The id of the output that is spent.
    pub spent_output_id: Option<[u8; 32]>,
    /// The transaction itself.
    pub tx: Option<&'a dyn TxView>,
}

impl<'a> Context<'a> {
    /// A context that knows the program and its arguments, and nothing of a transaction.
    pub fn new(program: &'a [u8], arguments: &'a [Vec<u8>]) -> Self {
        Context {
            vm_version: 1,
            program,
            state: &[],
            arguments,
            entry_id: [0; 32],
            tx_version: None,
            block_height: None,
            asset_id: None,
            amount: None,
            destination: None,
            spent_output_id: None,
            tx: None,
        }
    }

    /// Tells an error with the program and its arguments, as bytomd does in `error_detail`.
    pub fn explain(&self, error: Error) -> String {
        let text = crate::program::disassemble(self.program).unwrap_or_else(|_| "???".to_owned());
        let arguments: Vec<String> = self.arguments.iter().map(hex::encode).collect();
        let program = hex::encode(self.program);
        format!(
            "{error} [prog {program} = {text}; args {}]: {error}",
            arguments.join(" ")
        )
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("program", &hex::encode(self.program))
            .field("entry_id", &hex::encode(self.entry_id))
            .finish_non_exhaustive()
    }
}

/// What the machine asks the transaction when a program wants to know.
pub trait TxView {
    /// What signatures of the entry sign: SHA3-256 of the entry's id and the transaction's id.
    fn signature_hash(&self) -> [u8; 32];

    /// Whether the output at `wanted.index` of the mux that the entry flows into is the wanted one.
    ///
    /// Without such an output the error is [`Error::BadValue`]; an entry that flows nowhere has [`Error::WrongContext`].
    fn check_output(&self, wanted: &OutputCheck<'_>) -> Result<bool, Error>;
}

/// The output that `CHECKOUTPUT` asks for.
#[derive(Debug, Clone, Copy)]
pub struct OutputCheck<'c> {
    /// Its position among the destinations of the mux.
    pub index: u64,
    /// Its amount.
    pub amount: u64,
    /// Its asset; 32 bytes if it is to match anything.
    pub asset_id: &'c [u8],
    /// The version of the machine for its program.
    pub vm_version: u64,
    /// Its control program.
    pub program: &'c [u8],
    /// Whether a retirement matches with any program: transactions of version 1, outside of predicates.
    pub any_retirement: bool,
    pub(super) state: &'c [Cow<'c, [u8]>],
    pub(super) state_used: bool,
}

impl OutputCheck<'_> {
    /// The alternative stack, which is the state data wanted, the topmost item last.
    pub fn state(&self) -> impl Iterator<Item = &[u8]> {
        self.state.iter().map(AsRef::as_ref)
    }

    /// Whether `state`, the data of an output, is what the alternative stack holds.
    ///
    /// An output without data matches only while nothing was ever put on that stack: bytomd tells an absent list from
    /// an emptied one.
    pub fn state_is(&self, state: &[Vec<u8>]) -> bool {
        self.state_used != state.is_empty()
            && self.state.len() == state.len()
            && self
                .state
                .iter()
                .zip(state)
                .all(|(held, wanted)| held.as_ref() == wanted.as_slice())
    }

    /// Whether the alternative stack fits a retirement, which bytomd gives an empty list: it was used and is empty.
    pub fn state_is_retired(&self) -> bool {
        self.state_used && self.state.is_empty()
    }
}
