//! Contracts by alias: code, and the two programs that register and call it.

use baton_ledger::program;
use serde::{Deserialize, Serialize};

use crate::{
    account::MAX_ALIAS_LEN,
    error::WalletError,
    layout,
    store::{Order, pages},
    wallet::Wallet,
};

/// Most bytes of code that is kept.
pub const MAX_CONTRACT_LEN: usize = 1 << 20;

/// A contract. In JSON as `list-contracts` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// SHA3-256 of the code.
    #[serde(with = "hex::serde")]
    pub id: [u8; 32],
    /// Its name here; need not be unique.
    pub alias: String,
    /// The code.
    #[serde(with = "hex::serde")]
    pub contract: Vec<u8>,
    /// The control program that the code guards.
    #[serde(with = "hex::serde")]
    pub call_program: Vec<u8>,
    /// The control program that registers the code.
    #[serde(with = "hex::serde")]
    pub register_program: Vec<u8>,
}

impl Wallet {
    /// Keeps a contract; nothing is registered in the chain by this.
    pub fn create_contract(&self, alias: &str, code: &[u8]) -> Result<Contract, WalletError> {
        let alias = trimmed(alias)?;
        if code.is_empty() {
            return Err(WalletError::EmptyContract);
        }
        if code.len() > MAX_CONTRACT_LEN {
            return Err(WalletError::LongProgram {
                found: code.len(),
                limit: MAX_CONTRACT_LEN,
            });
        }
        let id = program::script_hash(code);
        let contract = Contract {
            id,
            alias,
            contract: code.to_vec(),
            call_program: program::call_contract(&id),
            register_program: program::register_contract(code),
        };
        self.change(|draft| {
            let key = layout::contract(&id);
            if draft.contains(&key)? {
                return Err(WalletError::DuplicateContract(id));
            }
            draft.put(key, &contract);
            Ok(())
        })?;
        Ok(contract)
    }

    /// Gives a contract another alias.
    pub fn rename_contract(&self, id: &[u8; 32], alias: &str) -> Result<(), WalletError> {
        let alias = trimmed(alias)?;
        self.change(|draft| {
            let key = layout::contract(id);
            let mut contract: Contract = draft.get(&key)?.ok_or(WalletError::NoContract(*id))?;
            contract.alias = alias;
            draft.put(key, &contract);
            Ok(())
        })
    }

    /// The contract with this id.
    pub fn contract(&self, id: &[u8; 32]) -> Result<Contract, WalletError> {
        let key = layout::contract(id);
        let value = self.read()?.get(&key)?;
        layout::decode(&key, &value.ok_or(WalletError::NoContract(*id))?)
    }

    /// All contracts, in the order of their ids.
    pub fn contracts(&self) -> Result<Vec<Contract>, WalletError> {
        pages(&*self.read()?, layout::CONTRACTS, Order::Ascending)
            .map(|record| {
                let (key, value) = record?;
                layout::decode(&key, &value)
            })
            .collect()
    }
}

fn trimmed(alias: &str) -> Result<String, WalletError> {
    match alias.trim() {
        "" => Err(WalletError::EmptyAlias("contract")),
        alias if alias.len() > MAX_ALIAS_LEN => Err(WalletError::LongAlias(alias.len())),
        alias => Ok(alias.to_owned()),
    }
}
