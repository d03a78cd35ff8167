//! What a program sees of the transaction it guards.

use crate::entry::{Mapped, ResultKind};
use crate::vm::{Error, OutputCheck, TxView, VM_VERSION};

/// The transaction as the program of one of its inputs sees it.
pub(super) struct View<'a> {
    pub(super) transaction: &'a Mapped,
    pub(super) input: usize,
}

impl TxView for View<'_> {
    fn signature_hash(&self) -> [u8; 32] {
        let entries = self.transaction.entries();
        let hash = entries.signature_hash(self.input);
        hash.expect("a view is of an input that exists").0
    }

    fn check_output(&self, wanted: &OutputCheck<'_>) -> Result<bool, Error> {
        let index = usize::try_from(wanted.index).map_err(|_| Error::BadValue)?;
        let outputs = &self.transaction.transaction().outputs;
        let output = outputs.get(index).ok_or(Error::BadValue)?;
        if output.amount != wanted.amount || wanted.asset_id != output.asset_id.as_bytes() {
            return Ok(false);
        }
        Ok(match self.transaction.entries().outputs[index].kind {
            // a retirement is an entry of VM version 0, without a program, with an empty list of state data
            ResultKind::Retirement => {
                let emptied = wanted.state().next().is_none() && !wanted.state_is(&[]);
                wanted.vm_version == 0
                    && (wanted.any_retirement || wanted.program.is_empty())
                    && emptied
            }
            ResultKind::Original | ResultKind::Vote => {
                wanted.vm_version == VM_VERSION
                    && wanted.program == output.control_program
                    && wanted.state_is(&output.state_data)
            }
        })
    }
}
