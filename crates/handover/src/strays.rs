//! What this process has open that the table does not know.
//!
//! A listening socket that a library opened by itself is not handed over: its clients are refused when this process ends. It
//! cannot be passed without a name, but it can be found and named to the program's author. The same look at `/proc/self/fd`
//! tells how many descriptors there are, and whether the limit leaves room for those to come.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use crate::describe::{Address, Kind};
use crate::sys;

/// Where the kernel lists this process's descriptors.
const DESCRIPTORS: &str = "/proc/self/fd";

/// A listening socket that would not be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stray {
    /// Its descriptor number.
    pub(crate) number: RawFd,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) address: Address,
}

/// Why there may not be room for more descriptors.
#[derive(Debug, Error)]
pub enum HeadroomError {
    /// The hard limit is too low.
    #[error(
        "{open} descriptors are open and {extra} more are needed, but the hard limit of open files is {hard}: \
         raise it (LimitNOFILE= in the systemd unit, `ulimit -Hn`, or --ulimit nofile= of the container)"
    )]
    HardLimit {
        /// How many are open.
        open: u64,
        /// How many more are needed.
        extra: u64,
        /// The hard limit (`RLIMIT_NOFILE`).
        hard: u64,
    },
    /// The soft limit could not be raised to the hard one.
    #[error("cannot raise the soft limit of open files from {soft} to {wanted}")]
    Raise {
        /// The soft limit there is.
        soft: u64,
        /// The limit that was asked for.
        wanted: u64,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The open descriptors could not be counted.
    #[error("cannot count the open descriptors in {DESCRIPTORS}")]
    Count {
        /// The kernel's answer.
        source: io::Error,
    },
}

/// The listening sockets of this process whose inode is not among `known`.
pub(crate) fn listening_strays(known: &BTreeSet<u64>) -> io::Result<Vec<Stray>> {
    let mut strays = Vec::new();
    for number in numbers()? {
        // A descriptor may be closed, or become another one, while we look: what cannot be described is not a listener of ours.
        let Some(description) = sys::describe_listener(number) else {
            continue;
        };
        if description.accepting && !known.contains(&description.inode) {
            strays.push(Stray {
                number,
                kind: description.kind,
                address: description.address,
            });
        }
    }
    Ok(strays)
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> io::Result<usize> {
    // The directory itself is open while it is read.
    Ok(numbers()?.len().saturating_sub(1))
}

/// Makes sure that `extra` more descriptors can be opened, raising the soft limit if need be and the hard limit allows.
pub(crate) fn ensure_headroom(extra: u64) -> Result<(), HeadroomError> {
    let open = open_descriptors().map_err(|source| HeadroomError::Count { source })?;
    let open = u64::try_from(open).expect("a count fits into 64 bits");
    let limit = getrlimit(Resource::Nofile);
    let Some(wanted) = soft_limit(open, extra, limit)? else {
        return Ok(());
    };
    let raised = Rlimit {
        current: Some(wanted),
        ..limit
    };
    setrlimit(Resource::Nofile, raised).map_err(|errno| HeadroomError::Raise {
        soft: limit.current.unwrap_or(u64::MAX),
        wanted,
        source: errno.into(),
    })?;
    tracing::info!(
        from = limit.current,
        to = wanted,
        "raised the soft limit of open files"
    );
    Ok(())
}

/// The soft limit to ask for, if the one there is does not do.
fn soft_limit(open: u64, extra: u64, limit: Rlimit) -> Result<Option<u64>, HeadroomError> {
    let needed = open.saturating_add(extra);
    if limit.current.is_none_or(|soft| needed <= soft) {
        return Ok(None);
    }
    match limit.maximum {
        Some(hard) if needed > hard => Err(HeadroomError::HardLimit { open, extra, hard }),
        // All there is to be had: the descriptors to come are not the last.
        Some(hard) => Ok(Some(hard)),
        None => Ok(Some(needed)),
    }
}

fn numbers() -> io::Result<Vec<RawFd>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(DESCRIPTORS)? {
        if let Some(number) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::describe::Description;

    #[test]
    fn a_listener_that_the_table_does_not_know_is_found_and_named() {
        let known = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let stray = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let connection = std::net::TcpStream::connect(stray.local_addr().expect("an address"))
            .expect("connected");
        let inode = Description::of(&known).expect("described").inode;
        // Other tests of this program have listeners of their own.
        let found = listening_strays(&BTreeSet::from([inode])).expect("looked");
        let number = |number| found.iter().find(|it| it.number == number);
        let expected = Address::Inet(stray.local_addr().expect("an address"));
        assert_eq!(number(stray.as_raw_fd()).expect("found").address, expected);
        assert_eq!(number(known.as_raw_fd()), None);
        assert_eq!(number(connection.as_raw_fd()), None);
    }

    #[test]
    fn open_descriptors_are_counted() {
        let _file = std::fs::File::open("/dev/null").expect("opened");
        assert!(open_descriptors().expect("counted") >= 4);
    }

    #[test]
    fn the_soft_limit_is_raised_only_if_need_be_and_not_over_the_hard_one() {
        let limit = |current, maximum| Rlimit { current, maximum };
        let decide = |extra, limit| soft_limit(100, extra, limit);
        assert_eq!(
            decide(924, limit(Some(1024), Some(4096))).expect("fits"),
            None
        );
        assert_eq!(
            decide(925, limit(Some(1024), Some(4096))).expect("fits"),
            Some(4096)
        );
        assert_eq!(
            decide(925, limit(Some(1024), None)).expect("fits"),
            Some(1025)
        );
        assert_eq!(decide(u64::MAX, limit(None, None)).expect("fits"), None);
        let error = decide(3997, limit(Some(1024), Some(4096))).expect_err("too many");
        assert!(
            error
                .to_string()
                .contains("the hard limit of open files is 4096"),
            "{error}"
        );
    }
}
