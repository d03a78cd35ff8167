//! Validation: whether a transaction is good, judged by itself.
//!
//! [`validate_transaction`] looks at all that a transaction says: form, balance of each asset, gas, programs. Whether
//! what it spends is there to be spent needs the state and is looked at by [`apply`](crate::state::apply).
//! [`check_relay`] is what a node asks beyond that before it takes a transaction for its pool, and [`estimate_gas`]
//! what it tells a wallet beforehand.
//!
//! The rules are those of bytomd v2 (`protocol/validation`) and so are codes and texts. Some codes of bytomd never
//! occur: 733 is not used by bytomd itself; 735, 738 to 742 and 745 tell of entries that contradict each other, which
//! cannot be when they are [derived](crate::entry) from one transaction. 712, an input that is not known, is for the
//! pool. Two rules are stricter than bytomd's, both about coinbases: they have no inputs beside them, and they take the
//! form that [`coinbase`](crate::state::coinbase) tells.

mod estimate;
mod gas;
mod lasting;
mod outputs;
mod rejection;
mod relay;
mod transaction;

pub use estimate::{Estimate, Signers, estimate_chain_gas, estimate_gas};
pub use gas::GasStatus;
pub use lasting::is_lasting;
pub use rejection::{CoinbaseFault, Place, ProgramFailure, Rejection};
pub use relay::{DEFAULT_MAX_FEE_NEU, Refusal, check_relay};
pub use transaction::{BlockContext, Contracts, check_time_range, validate_transaction};
