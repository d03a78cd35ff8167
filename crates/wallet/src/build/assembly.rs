//! A transaction in the making, and what is reserved for it.

use baton_ledger::{Address, Input, Output, Transaction, address::Prefix, codec::VARINT63_MAX};
use jiff::{SignedDuration, Timestamp};

use super::{BuildError, BuildRequest, DEFAULT_TTL, MAX_TTL};
use crate::{
    account::{Account, AccountName},
    error::WalletError,
    estimate::estimate,
    select::{Selected, Want},
    template::{SigningInstruction, Template, WitnessComponent},
    unspent::Unspent,
    wallet::Wallet,
};

/// Inputs and outputs so far. What was reserved is released when it is dropped before [`Self::finish`].
pub(super) struct Assembly<'w> {
    pub(super) wallet: &'w Wallet,
    transaction: Transaction,
    instructions: Vec<SigningInstruction>,
    now: Timestamp,
    until: Timestamp,
    reservations: Vec<u64>,
}

impl<'w> Assembly<'w> {
    pub(super) fn new(
        wallet: &'w Wallet,
        request: &BuildRequest,
        now: Timestamp,
    ) -> Result<Self, BuildError> {
        let ttl = match request.ttl {
            SignedDuration::ZERO => DEFAULT_TTL,
            ttl => ttl,
        };
        if ttl.is_negative() || ttl > MAX_TTL {
            return Err(BuildError::Ttl);
        }
        let mut transaction = request.base_transaction.clone().unwrap_or(Transaction {
            version: 1,
            ..Transaction::default()
        });
        if request.time_range != 0 {
            transaction.time_range = request.time_range;
        }
        Ok(Self {
            wallet,
            transaction,
            instructions: Vec::new(),
            now,
            until: now.checked_add(ttl).map_err(|_| BuildError::Ttl)?,
            reservations: Vec::new(),
        })
    }

    pub(super) fn account(&self, id: &str) -> Result<Account, BuildError> {
        Ok(self.wallet.account(AccountName::Id(id))?)
    }

    /// Reads an address: the program that pays to it.
    pub(super) fn program(&self, address: &str) -> Result<Vec<u8>, BuildError> {
        let prefix: Prefix = self.wallet.params().prefix;
        Ok(Address::decode(address, prefix)?.program())
    }

    pub(super) fn reserve(&mut self, want: &Want<'_>) -> Result<Selected, BuildError> {
        let selected = self.wallet.reserve(want, self.now, self.until)?;
        self.reservations.push(selected.reservation);
        Ok(selected)
    }

    pub(super) fn reserve_output(
        &mut self,
        id: &baton_ledger::Hash,
        unconfirmed: bool,
    ) -> Result<Unspent, BuildError> {
        let selected = self
            .wallet
            .reserve_output(id, unconfirmed, self.now, self.until)?;
        self.reservations.push(selected.reservation);
        let output = selected.outputs.into_iter().next();
        output.ok_or(BuildError::Wallet(WalletError::Missing("output")))
    }

    /// Adds an input with the components of its witness.
    pub(super) fn add_input(
        &mut self,
        input: Input,
        witness_components: Vec<WitnessComponent>,
    ) -> Result<(), BuildError> {
        check_amount(input.amount())?;
        self.instructions.push(SigningInstruction {
            position: self.transaction.inputs.len(),
            witness_components,
        });
        self.transaction.inputs.push(input);
        Ok(())
    }

    pub(super) fn add_output(&mut self, output: Output) -> Result<(), BuildError> {
        check_amount(output.amount)?;
        self.transaction.outputs.push(output);
        Ok(())
    }

    /// The whole transaction; what was reserved for it stays reserved.
    pub(super) fn finish(mut self) -> Result<Template, BuildError> {
        let template = template(
            std::mem::take(&mut self.transaction),
            std::mem::take(&mut self.instructions),
        );
        let params = self.wallet.params();
        let estimated = estimate(&template, params);
        let gas = (estimated.storage_neu + estimated.vm_neu) / params.gas_price_neu.max(1);
        if gas > params.max_transaction_gas {
            return Err(BuildError::TooManyInputs {
                inputs: template.raw_transaction.inputs.len(),
                gas,
                limit: params.max_transaction_gas,
            });
        }
        self.reservations.clear();
        Ok(template)
    }
}

impl Drop for Assembly<'_> {
    fn drop(&mut self) {
        for id in &self.reservations {
            self.wallet.release_reservation(*id);
        }
    }
}

pub(super) fn template(
    transaction: Transaction,
    signing_instructions: Vec<SigningInstruction>,
) -> Template {
    Template {
        fee: transaction.fee_neu(),
        raw_transaction: transaction,
        signing_instructions,
        allow_additional_actions: false,
    }
}

/// What the witness of an input that spends an account's output is made of: signatures, and the key or script.
pub(super) fn witness_of(
    account: &Account,
    output: &Unspent,
) -> Result<Vec<WitnessComponent>, BuildError> {
    let guard = account.guard(output.change, output.number)?;
    Ok(vec![
        WitnessComponent::by(&account.xpubs, &guard.path, account.quorum),
        WitnessComponent::Data { value: guard.shown },
    ])
}

fn check_amount(amount: u64) -> Result<(), BuildError> {
    if amount > VARINT63_MAX {
        return Err(BuildError::Amount(amount.into()));
    }
    Ok(())
}
