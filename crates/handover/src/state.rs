//! State that travels to the next generation.
//!
//! A state has a name and a version. The successor says which versions it reads, the predecessor writes the newest that both know, and if
//! there is none the handover is refused before anything is frozen. So a newer program can hand over to an older one as well.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::frame::Versions;

/// A state that travels.
///
/// Most programs need no more than a version:
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Rooms { names: Vec<String> }
///
/// impl baton_handover::State for Rooms {
///     const VERSION: u32 = 1;
/// }
/// ```
///
/// A program that still reads and writes older versions lowers [`State::OLDEST`] and writes [`State::write`] and
/// [`State::read`] itself. The default form is [postcard](https://docs.rs/postcard).
pub trait State: Serialize + DeserializeOwned {
    /// The version this program prefers. Raise it whenever the written form changes.
    const VERSION: u32;

    /// The oldest version that this program both reads and writes.
    const OLDEST: u32 = Self::VERSION;

    /// Writes the state in one of the versions from `OLDEST` to `VERSION`.
    fn write(&self, version: u32, mut into: &mut dyn Write) -> io::Result<()> {
        let _ = version;
        postcard::to_io(self, &mut into)
            .map(|_| ())
            .map_err(io::Error::other)
    }

    /// Reads the state from what a predecessor wrote in one of the versions from `OLDEST` to `VERSION`.
    fn read(version: u32, bytes: &[u8]) -> io::Result<Self> {
        let _ = version;
        let (state, rest) = postcard::take_from_bytes(bytes).map_err(io::Error::other)?;
        if rest.is_empty() {
            Ok(state)
        } else {
            Err(io::Error::other(format!(
                "{} bytes are left over",
                rest.len()
            )))
        }
    }
}

/// The versions of a state that this program reads and writes.
pub(crate) fn versions<T: State>() -> Versions {
    Versions {
        oldest: T::OLDEST,
        newest: T::VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Cache {
        entries: Vec<(String, u64)>,
    }

    impl State for Cache {
        const VERSION: u32 = 3;
        const OLDEST: u32 = 2;
    }

    #[test]
    fn versions_are_the_programs() {
        assert_eq!(
            versions::<Cache>(),
            Versions {
                oldest: 2,
                newest: 3
            }
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in proptest::collection::vec((".{0,8}", any::<u64>()), 0..20), cut in 1usize..4) {
            let cache = Cache { entries };
            let mut bytes = Vec::new();
            cache.write(3, &mut bytes).unwrap();
            prop_assert_eq!(&Cache::read(3, &bytes).unwrap(), &cache);
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert!(Cache::read(3, &longer).is_err());
            let shorter = &bytes[..bytes.len().saturating_sub(cut)];
            prop_assert!(Cache::read(3, shorter).is_err() || shorter.len() == bytes.len());
        }
    }
}
