//! The merkle tree of a block's transaction ids, and proofs that some of them are in it.
//!
//! A leaf is SHA3-256 of `00` and a transaction's id, an inner node SHA3-256 of `01`, the left and the right node.
//! Of n leaves the largest power of two below n go to the left. (bytomd v2, `protocol/bc/types/merkle.go`.)
//!
//! A [`Proof`] lists, from the root down and from left to right, what stands at each node: an inner node with a
//! wanted leaf below it, a wanted leaf, or the hash of a subtree without any. Leaves stand at different depths, so
//! three flags are needed where Bitcoin has two.

use thiserror::Error;

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

/// A subtree without a wanted leaf: its hash stands for it.
pub const FLAG_ASSIST: u8 = 0;
/// An inner node above a wanted leaf: its children follow.
pub const FLAG_PARENT: u8 = 1;
/// A wanted leaf: its hash follows.
pub const FLAG_LEAF: u8 = 2;

/// No tree is deeper: a block has fewer than 2^31 transactions.
const MAX_DEPTH: usize = 31;

/// Shows that transactions are in a block, in the form of bytomd's `get-merkle-proof`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The hashes of wanted leaves and of subtrees without any (`tx_hashes`).
    pub hashes: Vec<Hash>,
    /// [`FLAG_ASSIST`], [`FLAG_PARENT`] or [`FLAG_LEAF`] for each node.
    pub flags: Vec<u8>,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The flags tell of more nodes than there are.
    #[error("merkle proof: the {missing} end before the tree is whole")]
    Incomplete {
        /// `flags` or `hashes`.
        missing: &'static str,
    },
    /// There are flags or hashes left when the tree is whole.
    #[error("merkle proof: {flags} flags and {hashes} hashes are left over")]
    Surplus {
        /// Flags left over.
        flags: usize,
        /// Hashes left over.
        hashes: usize,
    },
    /// A flag has no meaning.
    #[error("merkle proof: unknown flag {0}")]
    Flag(u8),
    /// The flags describe a tree that is deeper than any block's.
    #[error("merkle proof: the tree is deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A leaf in the proof is not the next wanted transaction.
    #[error("merkle proof: leaf {index} is not that of the wanted transaction")]
    WrongLeaf {
        /// The number of the leaf among the wanted ones.
        index: usize,
    },
    /// There are fewer leaves in the proof than wanted transactions.
    #[error("merkle proof: {found} leaves for {wanted} transactions")]
    MissingLeaves {
        /// Leaves in the proof.
        found: usize,
        /// Transactions to be proven.
        wanted: usize,
    },
    /// The tree has another root.
    #[error("merkle proof: its root is {found}, the block's is {wanted}")]
    WrongRoot {
        /// The root of the proof's tree.
        found: Hash,
        /// The root in the block header.
        wanted: Hash,
    },
}

impl Proof {
    /// Makes the proof for those of `ids` (a block's, in order) for which `is_wanted`.
    ///
    /// If none is wanted, the root alone stands in the proof; for a block without transactions it is empty.
    pub fn new(ids: &[Hash], is_wanted: impl Fn(&Hash) -> bool) -> Self {
        let mut proof = Self::default();
        if !ids.is_empty() {
            proof.add(ids, &is_wanted);
        }
        proof
    }

    /// Adds the subtree over `ids`, of which there is at least one.
    fn add(&mut self, ids: &[Hash], is_wanted: &impl Fn(&Hash) -> bool) {
        if !ids.iter().any(is_wanted) {
            self.flags.push(FLAG_ASSIST);
            self.hashes.push(root(ids));
        } else if let [id] = ids {
            self.flags.push(FLAG_LEAF);
            self.hashes.push(leaf(id));
        } else {
            self.flags.push(FLAG_PARENT);
            let (left, right) = ids.split_at(left_of(ids.len()));
            self.add(left, is_wanted);
            self.add(right, is_wanted);
        }
    }

    /// Checks that the proof shows exactly the transactions `wanted`, in the order of the block, to be under
    /// `merkle_root`.
    ///
    /// Stricter than bytomd, which overlooks what is left over and fills what is missing with
    /// [`Hash::OF_NOTHING`].
    pub fn verify(&self, wanted: &[Hash], merkle_root: &Hash) -> Result<(), ProofError> {
        let mut walk = Walk {
            flags: self.flags.iter(),
            hashes: self.hashes.iter(),
            wanted,
            leaves: 0,
        };
        let found = walk.subtree(0)?;
        let (flags, hashes) = (walk.flags.len(), walk.hashes.len());
        if flags + hashes > 0 {
            return Err(ProofError::Surplus { flags, hashes });
        }
        if walk.leaves < wanted.len() {
            return Err(ProofError::MissingLeaves {
                found: walk.leaves,
                wanted: wanted.len(),
            });
        }
        if found != *merkle_root {
            return Err(ProofError::WrongRoot {
                found,
                wanted: *merkle_root,
            });
        }
        Ok(())
    }
}

/// A proof being read.
struct Walk<'a> {
    flags: std::slice::Iter<'a, u8>,
    hashes: std::slice::Iter<'a, Hash>,
    wanted: &'a [Hash],
    leaves: usize,
}

impl Walk<'_> {
    /// The hash of the next subtree, whose root is at `depth`.
    fn subtree(&mut self, depth: usize) -> Result<Hash, ProofError> {
        if depth > MAX_DEPTH {
            return Err(ProofError::TooDeep);
        }
        let flag = self.flags.next();
        match *flag.ok_or(ProofError::Incomplete { missing: "flags" })? {
            FLAG_ASSIST => self.hash(),
            FLAG_LEAF => {
                let hash = self.hash()?;
                let index = self.leaves;
                if self.wanted.get(index).map(leaf) != Some(hash) {
                    return Err(ProofError::WrongLeaf { index });
                }
                self.leaves += 1;
                Ok(hash)
            }
            FLAG_PARENT => {
                let left = self.subtree(depth + 1)?;
                let right = self.subtree(depth + 1)?;
                Ok(inner(&left, &right))
            }
            other => Err(ProofError::Flag(other)),
        }
    }

    fn hash(&mut self) -> Result<Hash, ProofError> {
        let hash = self.hashes.next();
        hash.copied()
            .ok_or(ProofError::Incomplete { missing: "hashes" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(count: usize) -> Vec<Hash> {
        (0..count).map(|i| sha3_256(&[&i.to_le_bytes()])).collect()
    }

    #[test]
    fn the_left_side_is_the_largest_power_of_two_below() {
        let lefts: Vec<_> = (2..=9).map(left_of).collect();
        assert_eq!(lefts, [1, 2, 2, 4, 4, 4, 4, 8]);
        let ids = ids(3);
        let by_hand = inner(&inner(&leaf(&ids[0]), &leaf(&ids[1])), &leaf(&ids[2]));
        assert_eq!(root(&ids), by_hand);
        assert_eq!(root(&[]), Hash::OF_NOTHING);
    }

    #[test]
    fn a_proof_of_nothing_is_the_root() {
        let ids = ids(5);
        let proof = Proof::new(&ids, |_| false);
        assert_eq!(proof.flags, [FLAG_ASSIST]);
        assert_eq!(proof.hashes, [root(&ids)]);
        assert_eq!(proof.verify(&[], &root(&ids)), Ok(()));
        assert_eq!(Proof::new(&[], |_| true), Proof::default());
    }

    #[test]
    fn what_is_wrong_with_a_proof_is_named() {
        let ids = ids(5);
        let root = root(&ids);
        let wanted = &ids[2..=2];
        let good = Proof::new(&ids, |id| wanted.contains(id));
        assert_eq!(good.verify(wanted, &root), Ok(()));
        assert_eq!(
            good.verify(&ids[3..=3], &root),
            Err(ProofError::WrongLeaf { index: 0 })
        );
        assert_eq!(
            good.verify(&ids[2..=3], &root),
            Err(ProofError::MissingLeaves {
                found: 1,
                wanted: 2
            })
        );
        assert_eq!(
            good.verify(wanted, &Hash::ZERO),
            Err(ProofError::WrongRoot {
                found: root,
                wanted: Hash::ZERO
            })
        );
        let damaged = |damage: &dyn Fn(&mut Proof)| {
            let mut proof = good.clone();
            damage(&mut proof);
            proof.verify(wanted, &root).unwrap_err()
        };
        assert_eq!(
            damaged(&|p| p.flags.push(0)),
            ProofError::Surplus {
                flags: 1,
                hashes: 0
            }
        );
        assert_eq!(
            damaged(&|p| p.hashes.truncate(p.hashes.len() - 1)),
            ProofError::Incomplete { missing: "hashes" }
        );
        assert_eq!(
            damaged(&|p| p.flags.truncate(p.flags.len() - 1)),
            ProofError::Incomplete { missing: "flags" }
        );
        assert_eq!(damaged(&|p| p.flags[0] = 3), ProofError::Flag(3));
        assert_eq!(
            damaged(&|p| p.flags = vec![FLAG_PARENT; 1_000_000]),
            ProofError::TooDeep
        );
    }

    proptest! {
        #[test]
        fn every_selection_can_be_proven(wanted in prop::collection::vec(any::<bool>(), 1..40)) {
            let ids = ids(wanted.len());
            let chosen: Vec<Hash> = ids.iter().zip(&wanted).filter(|(_, w)| **w).map(|(id, _)| *id).collect();
            let proof = Proof::new(&ids, |id| chosen.contains(id));
            prop_assert_eq!(proof.verify(&chosen, &root(&ids)), Ok(()));
        }

        #[test]
        fn random_proofs_never_panic(
            flags in prop::collection::vec(0_u8..4, 0..40),
            hashes in prop::collection::vec(any::<[u8; 32]>(), 0..10),
        ) {
            let proof = Proof { flags, hashes: hashes.into_iter().map(Hash).collect() };
            prop_assert!(proof.verify(&ids(2), &Hash::ZERO).is_err());
        }
    }
}
