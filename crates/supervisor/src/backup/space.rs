//! How much room a copy needs, and how much there is.

use std::io;
use std::path::Path;

use super::carry::{How, Order};
use super::tree::{Kind, Node};

/// What is left free for everything else on that disk, in bytes.
const HEADROOM: u64 = 16 << 20;

/// A manifest's line, in bytes: two long paths are rare.
const LINE: u64 = 400;

/// The room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// `None` where the file system makes inodes as it needs them.
    pub(crate) inodes: Option<u64>,
    /// Bytes of a block.
    pub(crate) block: u64,
}

/// Asks a file system for its room.
pub(crate) type Ask<'a> = &'a dyn Fn(&Path) -> io::Result<Room>;

/// What the kernel says, for a user without privileges: the blocks reserved for root are not ours.
pub(crate) fn ask(path: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Room {
        bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: (stat.f_files > 0).then_some(stat.f_favail),
        block: stat.f_frsize.max(512),
    })
}

/// The room that a copy needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Need {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// Reckons what the files ordered, and the directories and symlinks around them, will take.
pub(crate) fn need(nodes: &[Node], orders: &[Order<'_>], block: u64) -> Need {
    let blocks = |bytes: u64| bytes.div_ceil(block).saturating_mul(block);
    let mut need = Need {
        bytes: HEADROOM + blocks(LINE * nodes.len() as u64),
        inodes: 1,
    };
    for node in nodes.iter().filter(|n| n.kind != Kind::File) {
        // A directory takes blocks for its names, about as many as the original.
        need.bytes = need
            .bytes
            .saturating_add(blocks(node.seen.allocated.max(1)));
        need.inodes += 1;
    }
    for order in orders {
        let seen = order.node.seen;
        match order.how {
            How::Linked => {}
            How::Cloned => {
                need.bytes = need.bytes.saturating_add(block);
                need.inodes += 1;
            }
            How::Copied => {
                let bytes = blocks(seen.size).min(blocks(seen.allocated));
                need.bytes = need.bytes.saturating_add(bytes);
                need.inodes += 1;
            }
        }
    }
    need
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn only_what_is_written_counts_and_holes_do_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/a.sst"), vec![1; 10_000]).unwrap();
        fs::write(dir.path().join("log"), vec![1; 5000]).unwrap();
        let sparse = File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let tree = Tree::scan(dir.path(), &[], || false).unwrap();
        let orders = |how: fn(&Node) -> How| -> Vec<Order<'_>> {
            tree.files()
                .map(|node| Order {
                    node,
                    how: how(node),
                    strict: false,
                    expect: None,
                })
                .collect()
        };
        let need_of = |how| need(&tree.nodes, &orders(how), 4096);
        let copied = need_of(|_| How::Copied);
        let linked = need_of(|n| {
            if n.rel.ends_with("a.sst") {
                How::Linked
            } else {
                How::Copied
            }
        });
        assert_eq!(copied.bytes - linked.bytes, 12_288);
        assert_eq!((copied.inodes, linked.inodes), (6, 5));
        let nothing = need(&tree.nodes, &[], 4096);
        assert_eq!(copied.bytes - nothing.bytes, 12_288 + 8192);
        assert!(need_of(|_| How::Cloned).bytes - nothing.bytes == 3 * 4096);
    }

    #[test]
    fn the_kernel_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let room = ask(dir.path()).unwrap();
        assert!(room.bytes > 0 && room.block >= 512, "{room:?}");
        assert!(ask(&dir.path().join("missing")).is_err());
    }
}
