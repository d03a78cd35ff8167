//! Making a block out of what the pool has.

use crate::block::Draft;
use crate::chain::Chain;
use crate::error::ChainError;
use crate::pool::Pool;

impl Chain {
    /// A block to be proposed after the tip: transactions in the order of arrival, parents before children, as many as
    /// its gas and bytes allow.
    ///
    /// `program` is who will be paid, `arbitrary` what the coinbase says after the height; it must not begin with a
    /// digit. `now_ms` is the clock, in milliseconds since 1970; the block is not earlier than the interval allows. A
    /// transaction that turns out not to be valid leaves the pool; the draft does without it.
    pub fn draft(
        &self,
        pool: &Pool,
        program: &[u8],
        arbitrary: &[u8],
        now_ms: u64,
    ) -> Result<Draft, ChainError> {
        let _ = (pool, program, arbitrary, now_ms);
        todo!()
    }
}
