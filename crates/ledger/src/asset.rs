//! The name of an asset follows from who may issue it and from what it says it is.

use sha3::{Digest, Sha3_256};

use crate::codec::Writer;
use crate::hash::{AssetId, Hash, sha3_256};

/// The virtual machine that runs issuance and control programs (bytomd v2 knows no other).
pub const VM_VERSION: u64 = 1;

/// The hash of an asset's definition (JSON text, by custom).
pub fn definition_hash(definition: &[u8]) -> Hash {
    sha3_256(&[definition])
}

/// The id of the asset that `issuance_program`, run by virtual machine `vm_version`, issues:
/// SHA3-256 over the version (eight bytes, least significant first), the program (a varstr) and the definition's hash.
///
/// Source: bytomd v2, `protocol/bc/asset.go`.
pub fn asset_id(issuance_program: &[u8], vm_version: u64, definition_hash: &Hash) -> AssetId {
    let mut hasher = Sha3_256::new();
    let mut writer = Writer::new(&mut hasher);
    writer.u64_le(vm_version);
    writer.varstr(issuance_program);
    writer.bytes(definition_hash.as_bytes());
    AssetId(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // create-asset and list-assets of a bytomd v2.0.6 on a solonet
    const ASSETS: [[&str; 3]; 2] = [
        [
            "071a8a81d10decb5c9fc94e378441ef68861f26b10c95ff5d185a1ca2382775b",
            "ae207fa8016266b92750d9115d35fa5416033af20938422f03c76e2fe2b0a294e8ed5151ad",
            "7b0a202022646563696d616c73223a20382c0a2020226465736372697074696f6e223a207b7d2c0a2020226e616d65223a2022474f4c44222c0a20202273796d626f6c223a2022474f4c44220a7d",
        ],
        [
            "c67d8e86c158fa3045aae9fbc210b6a3791fe864c26f057a93a80d74795d4126",
            "ae2029e3d0c9cccace87443b6cc890a2d49f35deea7c95082dde9d679be9b92faa5a2072009c5ddb1b4b1d3c519bf4a5f9bf1a10e5c74a179301570a00fb75079959745252ad",
            "7b0a202022646563696d616c73223a20332c0a2020226e616d65223a202253494c564552222c0a20202273796d626f6c223a2022534c56220a7d",
        ],
    ];

    #[test]
    fn ids_of_real_assets() {
        for [id, program, definition] in ASSETS {
            let program = hex::decode(program).unwrap();
            let definition = hex::decode(definition).unwrap();
            let computed = asset_id(&program, VM_VERSION, &definition_hash(&definition));
            assert_eq!(computed.to_string(), id);
        }
    }
}
