//! How values of the ledger are written in JSON.

/// Values that are written as their text: hashes and assets.
pub(crate) mod as_text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}

/// The 32 bytes of hashes and assets, for the store.
pub(crate) mod as_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) trait Name: From<[u8; 32]> {
        fn bytes(&self) -> &[u8; 32];
    }

    impl Name for baton_ledger::Hash {
        fn bytes(&self) -> &[u8; 32] {
            self.as_bytes()
        }
    }

    impl Name for baton_ledger::AssetId {
        fn bytes(&self) -> &[u8; 32] {
            self.as_bytes()
        }
    }

    pub(crate) fn serialize<T: Name, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.bytes().serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Name, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        <[u8; 32]>::deserialize(from).map(T::from)
    }
}

/// A list of byte strings in hexadecimal; `null` is none.
pub(crate) mod hex_list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(hex::encode))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Option::<Vec<String>>::deserialize(from)?.unwrap_or_default();
        texts
            .iter()
            .map(|text| hex::decode(text).map_err(Error::custom))
            .collect()
    }
}
