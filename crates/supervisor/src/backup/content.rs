//! The bytes of one file, from one descriptor to another: holes stay holes, and the hash is that of
//! the whole content (what `b3sum` prints).
//!
//! The kernel copies (`copy_file_range`: no detour through this process, and on NFS none through
//! this machine), a piece at a time, and the hash is taken from the *source* while the piece is
//! warm, so that a copy that went wrong does not have a matching hash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use blake3::{Hash, Hasher};
use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::Errno;

use super::progress::Meter;

/// One piece: it should be in the processor's cache when the hash reads it again.
const PIECE: usize = 512 * 1024;

/// A worker's memory.
#[derive(Debug)]
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(vec![0; PIECE].into_boxed_slice())
    }
}

/// Why the content was not copied or read.
#[derive(Debug)]
pub(crate) enum Cut {
    Read(io::Error),
    Write(io::Error),
    /// The file ended here.
    Short(u64),
    Stopped,
}

/// A part of a file, up to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Bytes.
    Data(u64),
    /// Nothing is stored; it reads as zeros.
    Hole(u64),
}

/// Copies `size` bytes and tells their hash.
pub(crate) fn copy(
    from: &File,
    to: &File,
    size: u64,
    sparse: bool,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Hash, Cut> {
    let hash = pass(from, Some(to), size, sparse, scratch, meter)?;
    if sparse {
        to.set_len(size).map_err(Cut::Write)?;
    }
    Ok(hash)
}

/// Hashes a file's first `size` bytes.
pub(crate) fn hash(
    from: &File,
    size: u64,
    sparse: bool,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Hash, Cut> {
    pass(from, None, size, sparse, scratch, meter)
}

/// Goes through a file once, copies it if there is somewhere to, and hashes it.
fn pass(
    from: &File,
    to: Option<&File>,
    size: u64,
    sparse: bool,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<Hash, Cut> {
    let mut hasher = Hasher::new();
    let mut kernel = true;
    let mut at = 0;
    while at < size {
        let (end, hole) = match part(from, at, size, sparse)? {
            Part::Data(end) => (end, false),
            Part::Hole(end) => (end, true),
        };
        if hole {
            scratch.0.fill(0);
        }
        while at < end {
            if meter.stopped() {
                return Err(Cut::Stopped);
            }
            let len = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
            let piece = &mut scratch.0[..len];
            if !hole {
                let done = match to {
                    Some(to) if kernel => copy_in_kernel(from, to, at, len, &mut kernel)?,
                    _ => 0,
                };
                read(from, at, piece, size)?;
                if let Some(to) = to
                    && done < len
                {
                    to.write_all_at(&piece[done..], at + done as u64)
                        .map_err(Cut::Write)?;
                }
                meter.add(len as u64);
            }
            hasher.update(piece);
            at += len as u64;
        }
    }
    Ok(hasher.finalize())
}

/// How much the kernel copied. It may be less than asked for; what is missing is written from
/// memory. `usable` becomes false where it cannot copy at all between these two.
fn copy_in_kernel(
    from: &File,
    to: &File,
    at: u64,
    piece: usize,
    usable: &mut bool,
) -> Result<usize, Cut> {
    let (mut read_at, mut write_at) = (at, at);
    match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), piece) {
        Ok(done) => Ok(done),
        // Full disks are final; what else it says, plain reading and writing will say again.
        Err(full @ (Errno::NOSPC | Errno::DQUOT)) => Err(Cut::Write(full.into())),
        Err(_) => {
            *usable = false;
            Ok(0)
        }
    }
}

fn read(from: &File, at: u64, piece: &mut [u8], size: u64) -> Result<(), Cut> {
    match from.read_exact_at(piece, at) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            let now = from.metadata().map_err(Cut::Read)?.len();
            Err(Cut::Short(now.min(size)))
        }
        Err(e) => Err(Cut::Read(e)),
    }
}

/// The part of the file that begins at an offset.
fn part(from: &File, at: u64, size: u64, sparse: bool) -> Result<Part, Cut> {
    if !sparse {
        return Ok(Part::Data(size));
    }
    match seek(from, SeekFrom::Data(at)) {
        Ok(data) if data > at => Ok(Part::Hole(data.min(size))),
        Ok(_) => match seek(from, SeekFrom::Hole(at)) {
            Ok(hole) if hole > at => Ok(Part::Data(hole.min(size))),
            Ok(_) => Ok(Part::Data(size)),
            Err(e) => Err(Cut::Read(e.into())),
        },
        // Either no data follows, or the file was cut off.
        Err(Errno::NXIO) => match from.metadata().map_err(Cut::Read)?.len() {
            now if now < size => Err(Cut::Short(now)),
            _ => Ok(Part::Hole(size)),
        },
        // The file system does not know holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Part::Data(size)),
        Err(e) => Err(Cut::Read(e.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::unix::fs::MetadataExt;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len)
            .map(|i| u8::try_from(i * 7 % 251).unwrap())
            .collect()
    }

    fn file_with(parts: &[(u64, &[u8])], size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        for (at, part) in parts {
            file.write_all_at(part, *at).unwrap();
        }
        file.set_len(size).unwrap();
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut all = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut all, 0).unwrap();
        all
    }

    fn copied(from: &File, size: u64, sparse: bool) -> File {
        let to = tempfile::tempfile().unwrap();
        let meter = Meter::default();
        let mut scratch = Scratch::new();
        let hash_of_copy = copy(from, &to, size, sparse, &mut scratch, &meter).unwrap();
        assert_eq!(content(&to), content(from));
        assert_eq!(hash_of_copy, blake3::hash(&content(from)));
        assert_eq!(
            hash(from, size, sparse, &mut scratch, &meter).unwrap(),
            hash_of_copy
        );
        to
    }

    #[test]
    fn whole_files_of_all_sizes_are_copied_and_hashed() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            copied(
                &file_with(&[(0, &bytes(size))], size as u64),
                size as u64,
                false,
            );
        }
    }

    #[test]
    fn holes_stay_holes() {
        let mib = 1 << 20;
        for (parts, size) in [
            (vec![(0, 5000)], 64 * mib),
            (vec![(32 * mib, PIECE)], 64 * mib),
            (vec![(64 * mib - 9, 9)], 64 * mib),
            (vec![], 64 * mib),
            (vec![(mib, 1), (9 * mib + 3, 70_000)], 64 * mib + 1),
        ] {
            let data: Vec<_> = parts.iter().map(|&(at, len)| (at, bytes(len))).collect();
            let parts: Vec<_> = data.iter().map(|(at, d)| (*at, d.as_slice())).collect();
            let from = file_with(&parts, size);
            let to = copied(&from, size, true);
            let blocks = |f: &File| f.metadata().unwrap().blocks();
            // A hole smaller than a block of the destination may be filled.
            assert!(blocks(&to) <= blocks(&from) + 16, "{parts:?}");
            assert!(blocks(&to) * 512 < size / 2);
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_is_no_silent_hole() {
        for sparse in [false, true] {
            let from = file_with(&[(0, &bytes(1000))], 1000);
            let (to, meter) = (tempfile::tempfile().unwrap(), Meter::default());
            let mut scratch = Scratch::new();
            let cut = copy(&from, &to, 2000, sparse, &mut scratch, &meter).unwrap_err();
            assert!(matches!(cut, Cut::Short(1000)), "{cut:?}");
            let cut = hash(&from, 2000, sparse, &mut scratch, &meter).unwrap_err();
            assert!(matches!(cut, Cut::Short(1000)), "{cut:?}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_of_writing() {
        let from = file_with(&[(0, &bytes(1000))], 1000);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let meter = Meter::default();
        match copy(&from, &full, 1000, false, &mut Scratch::new(), &meter) {
            Err(Cut::Write(e)) => assert_eq!(e.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_kernel_does_not_copy_is_written() {
        // Appending is what copy_file_range refuses, and positioned writes then go to the end.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("to");
        let to = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        let data = bytes(2 * PIECE + 5);
        let from = file_with(&[(0, &data)], data.len() as u64);
        let meter = Meter::default();
        let size = data.len() as u64;
        copy(&from, &to, size, false, &mut Scratch::new(), &meter).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), data);
        assert_eq!(meter.bytes(), size);
    }

    #[test]
    fn a_stopped_meter_stops_the_copy() {
        let from = file_with(&[(0, &bytes(1000))], 1 << 30);
        let (to, meter) = (tempfile::tempfile().unwrap(), Meter::default());
        meter.stop();
        for sparse in [false, true] {
            let cut = copy(&from, &to, 1 << 30, sparse, &mut Scratch::new(), &meter);
            assert!(matches!(cut, Err(Cut::Stopped)));
        }
    }
}
