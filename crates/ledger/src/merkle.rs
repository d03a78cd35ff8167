//! The merkle tree of a block's transaction ids.
//!
//! A leaf is SHA3-256 of `00` and a transaction's id, an inner node SHA3-256 of `01`, the left and the right node.
//! Of n leaves the largest power of two below n go to the left. (bytomd v2, `protocol/bc/types/merkle.go`.)

use crate::hash::{Hash, sha3_256};

fn leaf(id: &Hash) -> Hash {
    sha3_256(&[&[0], id.as_bytes()])
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    sha3_256(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// How many of `leaves` (two at least) are under the left child.
fn left_of(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

/// The root of the tree over `ids`; [`Hash::OF_NOTHING`] if there are none.
pub fn root(ids: &[Hash]) -> Hash {
    match ids {
        [] => Hash::OF_NOTHING,
        [id] => leaf(id),
        _ => {
            let (left, right) = ids.split_at(left_of(ids.len()));
            inner(&root(left), &root(right))
        }
    }
}
