use std::fs;
use std::io::{Cursor, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ::tar::{EntryType, Header};
use ::zip::write::SimpleFileOptions;

use super::*;

const BOUNDS: Bounds = Bounds {
    entries: 100,
    bytes: 1 << 20,
};

/// An entry of an archive to be made.
#[derive(Clone)]
pub(in crate::fetch) struct Item<'a> {
    pub(in crate::fetch) kind: EntryType,
    pub(in crate::fetch) name: &'a str,
    pub(in crate::fetch) target: &'a str,
    pub(in crate::fetch) mode: u32,
    pub(in crate::fetch) data: &'a [u8],
}

impl<'a> Item<'a> {
    pub(in crate::fetch) fn file(name: &'a str, data: &'a [u8]) -> Self {
        Self {
            kind: EntryType::Regular,
            name,
            target: "",
            mode: 0o644,
            data,
        }
    }

    pub(in crate::fetch) fn dir(name: &'a str) -> Self {
        Self {
            kind: EntryType::Directory,
            mode: 0o755,
            ..Self::file(name, b"")
        }
    }

    pub(in crate::fetch) fn link(kind: EntryType, name: &'a str, target: &'a str) -> Self {
        Self {
            kind,
            target,
            ..Self::file(name, b"")
        }
    }
}

/// A tar file, with names as they are, however bad.
pub(in crate::fetch) fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        out.extend(tar_header(item, item.data.len() as u64).as_bytes());
        out.extend(item.data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn tar_header(item: &Item<'_>, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..item.name.len()].copy_from_slice(item.name.as_bytes());
    header.as_old_mut().linkname[..item.target.len()].copy_from_slice(item.target.as_bytes());
    header.set_entry_type(item.kind);
    header.set_mode(item.mode);
    header.set_size(size);
    header.set_cksum();
    header
}

pub(in crate::fetch) fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gz => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Compression::Bz2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Compression::Xz => {
            let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }
        Compression::Zst => zstd::encode_all(bytes, 1).unwrap(),
    }
}

pub(in crate::fetch) fn zip_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut zip = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for item in items {
        let options = SimpleFileOptions::default().unix_permissions(item.mode);
        match item.kind {
            EntryType::Directory => zip.add_directory(item.name, options).unwrap(),
            EntryType::Symlink => zip.add_symlink(item.name, item.target, options).unwrap(),
            _ => {
                zip.start_file(item.name, options).unwrap();
                zip.write_all(item.data).unwrap();
            }
        }
    }
    zip.finish().unwrap().into_inner()
}

/// Every kind that holds several files, with a name for it.
pub(in crate::fetch) fn all_packings(items: &[Item<'_>]) -> Vec<(&'static str, Vec<u8>)> {
    let tar = tar_of(items);
    let mut packed = vec![("zip", zip_of(items))];
    for (names, compression) in [
        (&["tar"][..], Compression::None),
        (&["tar.gz", "tgz"], Compression::Gz),
        (&["tar.bz2", "tbz2"], Compression::Bz2),
        (&["tar.xz", "txz"], Compression::Xz),
        (&["tar.zst", "tzst"], Compression::Zst),
    ] {
        let bytes = compress(compression, &tar);
        packed.extend(names.iter().map(|name| (*name, bytes.clone())));
    }
    packed
}

struct Sandbox {
    outer: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("root")).unwrap();
        fs::write(outer.path().join("outside"), "untouched").unwrap();
        Self { outer }
    }

    fn root(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    fn unpack_within(
        &self,
        bytes: &[u8],
        kind: &str,
        bounds: Bounds,
    ) -> Result<Vec<PathBuf>, ArchiveError> {
        let artefact = self.outer.path().join("artefact");
        fs::write(&artefact, bytes).unwrap();
        let kind = Kind::named(kind).unwrap();
        let mut go_on = |_| ControlFlow::Continue(());
        let single = Path::new("bin/simd");
        let result = unpack(&artefact, kind, &self.root(), single, bounds, &mut go_on);
        let outside = fs::read_to_string(self.outer.path().join("outside")).unwrap();
        assert_eq!(outside, "untouched");
        let names = fs::read_dir(self.outer.path()).unwrap().count();
        assert_eq!(names, 3, "something appeared outside");
        result
    }

    fn unpack(&self, bytes: &[u8], kind: &str) -> Result<Vec<PathBuf>, ArchiveError> {
        self.unpack_within(bytes, kind, BOUNDS)
    }
}

fn unpack_error(bytes: &[u8], kind: &str) -> String {
    let result = Sandbox::new().unpack(bytes, kind);
    result.expect_err("it is hostile").to_string()
}

#[test]
fn every_kind_unpacks_to_the_same_tree() {
    let big = vec![7; 200_000];
    let items = [
        Item::dir("./"),
        Item::dir("bin/"),
        Item {
            mode: 0o755,
            ..Item::file("bin/simd", b"the binary")
        },
        Item::file("lib/deep/libwasmvm.so.1", &big),
        Item::link(
            EntryType::Symlink,
            "lib/libwasmvm.so",
            "deep/libwasmvm.so.1",
        ),
        Item::link(EntryType::Symlink, "bin/lib", "../lib"),
    ];
    for (kind, bytes) in all_packings(&items) {
        let dir = Sandbox::new();
        let files = dir
            .unpack(&bytes, kind)
            .unwrap_or_else(|e| panic!("{kind}: {e}"));
        let expected = ["bin/simd", "lib/deep/libwasmvm.so.1"].map(PathBuf::from);
        assert_eq!(files, expected, "{kind}");
        let read = |name: &str| fs::read(dir.root().join(name)).unwrap();
        assert_eq!(read("bin/simd"), b"the binary");
        assert_eq!(read("lib/libwasmvm.so"), big);
        let mode = fs::metadata(dir.root().join("bin/simd")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o111, 0o111, "{kind}");
    }
}

#[test]
fn single_files_unpack_in_every_compression() {
    for (kind, compression) in [
        ("gz", Compression::Gz),
        ("bz2", Compression::Bz2),
        ("xz", Compression::Xz),
        ("zst", Compression::Zst),
    ] {
        let dir = Sandbox::new();
        // Two members one after another are one file, as with `cat a.gz b.gz`.
        let mut bytes = compress(compression, b"hello ");
        bytes.extend(compress(compression, b"world"));
        let files = dir.unpack(&bytes, kind).unwrap();
        assert_eq!(files, [PathBuf::from("bin/simd")]);
        let text = fs::read(dir.root().join("bin/simd")).unwrap();
        assert_eq!(text, b"hello world", "{kind}");
    }
}

#[test]
fn hard_links_to_earlier_files_are_made() {
    let tar = tar_of(&[
        Item::file("a", b"text"),
        Item::link(EntryType::Link, "dir/b", "./a"),
    ]);
    let dir = Sandbox::new();
    dir.unpack(&tar, "tar").unwrap();
    assert_eq!(fs::read(dir.root().join("dir/b")).unwrap(), b"text");
}

#[test]
fn set_id_bits_and_foreign_write_permission_are_dropped() {
    let item = Item {
        mode: 0o6777,
        ..Item::file("simd", b"x")
    };
    for (kind, bytes) in all_packings(&[item]) {
        let dir = Sandbox::new();
        dir.unpack(&bytes, kind).unwrap();
        let mode = fs::metadata(dir.root().join("simd")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o7022, 0, "{kind}");
    }
}

#[test]
fn entries_that_lead_outside_are_refused() {
    let symlink = EntryType::Symlink;
    for (items, part) in [
        (vec![Item::file("../outside", b"x")], "contains '..'"),
        (vec![Item::file("a/../../outside", b"x")], "contains '..'"),
        (vec![Item::file("/tmp/outside", b"x")], "absolute path"),
        (vec![Item::dir("../evil")], "contains '..'"),
        (
            vec![Item::link(symlink, "l", "../outside")],
            "\"l\" is a link to \"../outside\"",
        ),
        (
            vec![Item::link(symlink, "l", "/etc/passwd")],
            "is a link to",
        ),
        (
            vec![
                Item::link(symlink, "s/d", ".."),
                Item::link(symlink, "x", "s/d/.."),
            ],
            "\"x\" is a link to \"s/d/..\"",
        ),
        (
            vec![
                Item::link(symlink, "s/d", ".."),
                Item::link(symlink, "s/x", "d/.."),
            ],
            "\"s/x\" is a link to \"d/..\"",
        ),
        (
            vec![Item::link(symlink, "l", "."), Item::file("l/x", b"x")],
            "through the link \"l\"",
        ),
        (
            vec![Item::link(symlink, "l", "a"), Item::file("./l", b"x")],
            "twice",
        ),
        (
            vec![Item::file("a", b"x"), Item::file("a/b", b"x")],
            "lies below \"a\"",
        ),
        (vec![Item::file("./", b"x")], ""),
    ] {
        for (kind, bytes) in all_packings(&items) {
            if part.is_empty() {
                // A file named like the root is a directory to tar and zip alike: harmless.
                Sandbox::new().unpack(&bytes, kind).unwrap();
                continue;
            }
            let error = unpack_error(&bytes, kind);
            assert!(error.contains(part), "{kind}: {error}");
        }
    }
}

#[test]
fn hard_links_to_anything_else_are_refused() {
    let hard = EntryType::Link;
    for (items, target) in [
        (vec![Item::link(hard, "l", "../outside")], "../outside"),
        (vec![Item::link(hard, "l", "/etc/passwd")], "/etc/passwd"),
        (
            vec![Item::link(hard, "l", "later"), Item::file("later", b"x")],
            "later",
        ),
        (
            vec![
                Item::link(EntryType::Symlink, "s", "elsewhere"),
                Item::link(hard, "l", "s"),
            ],
            "s",
        ),
        (vec![Item::dir("d"), Item::link(hard, "l", "d")], "d"),
    ] {
        let error = unpack_error(&tar_of(&items), "tar");
        let part = format!("is a hard link to \"{target}\"");
        assert!(error.contains(&part), "{error}");
    }
}

#[test]
fn devices_pipes_and_unknown_things_are_refused() {
    for (kind, part) in [
        (EntryType::Char, "a character device"),
        (EntryType::Block, "a block device"),
        (EntryType::Fifo, "a named pipe"),
        (EntryType::new(b'V'), "unknown type 'V'"),
    ] {
        let item = Item {
            kind,
            ..Item::file("x", b"")
        };
        let error = unpack_error(&tar_of(&[item]), "tar");
        assert!(error.contains(part), "{error}");
    }
    // The file type of a zip entry is the upper half of its mode.
    let zip = zip_of(&[Item::file("pipe", b"")]);
    let zip = patch_zip_mode(zip, 0o010_644);
    let error = unpack_error(&zip, "zip");
    assert!(error.contains("a device or pipe"), "{error}");
}

/// Sets the mode in the (only) entry of the directory of a zip file.
fn patch_zip_mode(mut zip: Vec<u8>, mode: u32) -> Vec<u8> {
    let at = zip.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    zip[at + 38..at + 42].copy_from_slice(&(mode << 16).to_le_bytes());
    zip
}

#[test]
fn a_name_may_appear_once() {
    let items = [Item::file("same", b"1"), Item::file("same", b"2")];
    let error = unpack_error(&tar_of(&items), "tar");
    assert!(
        error.contains("\"same\" is in the archive twice"),
        "{error}"
    );
    let items = [Item::file("./same", b"1"), Item::file("same", b"2")];
    let error = unpack_error(&zip_of(&items), "zip");
    assert!(
        error.contains("\"same\" is in the archive twice"),
        "{error}"
    );
    // The writer refuses equal names, so one is renamed afterwards.
    let zip = zip_of(&[Item::file("same", b"1"), Item::file("diff", b"2")]);
    let error = unpack_error(&replace(&zip, b"diff", b"same"), "zip");
    assert!(
        error.contains("announces 2 entries but has 1 different names"),
        "{error}"
    );
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..=out.len() - from.len() {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}

#[test]
fn there_is_a_limit_on_entries() {
    let names: Vec<String> = (0..101).map(|i| format!("f{i}")).collect();
    let items: Vec<Item<'_>> = names.iter().map(|n| Item::file(n, b"")).collect();
    for (kind, bytes) in all_packings(&items) {
        let error = unpack_error(&bytes, kind);
        assert!(
            error.contains("more than 100 entries (limit)"),
            "{kind}: {error}"
        );
    }
    for (kind, bytes) in all_packings(&items[..100]) {
        let files = Sandbox::new().unpack(&bytes, kind).unwrap();
        assert_eq!(files.len(), 100, "{kind}");
    }
}

#[test]
fn bombs_are_stopped_at_the_limit_on_bytes() {
    let zeros = vec![0; (1 << 20) + 1];
    for (kind, bytes) in all_packings(&[Item::file("simd", &zeros)]) {
        let dir = Sandbox::new();
        let error = dir.unpack(&bytes, kind).unwrap_err().to_string();
        assert!(
            error.contains("more than 1048576 bytes (limit)"),
            "{kind}: {error}"
        );
    }
    for (kind, compression) in [
        ("gz", Compression::Gz),
        ("bz2", Compression::Bz2),
        ("xz", Compression::Xz),
        ("zst", Compression::Zst),
    ] {
        let error = unpack_error(&compress(compression, &zeros), kind);
        assert!(error.contains("(limit)"), "{kind}: {error}");
    }
}

#[test]
fn a_zip_that_lies_about_its_sizes_is_stopped_too() {
    let zeros = vec![0; (1 << 20) + 1];
    let mut zip = zip_of(&[Item::file("simd", &zeros)]);
    let at = zip.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    zip[at + 24..at + 28].copy_from_slice(&5u32.to_le_bytes());
    let error = unpack_error(&zip, "zip");
    assert!(
        error.contains("(limit)") || error.contains("cannot be read"),
        "{error}"
    );
}

#[test]
fn sparse_files_are_bounded_by_what_they_unpack_to() {
    // A terabyte of hole, described in one header.
    let sparse = |real: u64, name: &str| {
        let mut header = tar_header(
            &Item {
                kind: EntryType::GNUSparse,
                ..Item::file(name, b"")
            },
            4,
        );
        let gnu = header.as_gnu_mut().unwrap();
        let octal = |field: &mut [u8], value: u64| {
            field
                .copy_from_slice(format!("{value:0width$o}\0", width = field.len() - 1).as_bytes());
        };
        octal(&mut gnu.sparse[0].offset, real - 4);
        octal(&mut gnu.sparse[0].numbytes, 4);
        octal(&mut gnu.realsize, real);
        header.set_cksum();
        let mut out = header.as_bytes().to_vec();
        out.extend(b"tail");
        out.resize(1024, 0);
        out
    };
    let end = [0; 1024];
    let small = [sparse(10_000, "simd").as_slice(), &end].concat();
    let dir = Sandbox::new();
    dir.unpack(&small, "tar").unwrap();
    let unpacked = fs::read(dir.root().join("simd")).unwrap();
    assert_eq!((unpacked.len(), &unpacked[9_996..]), (10_000, &b"tail"[..]));

    let huge = [sparse(1 << 32, "simd").as_slice(), &end].concat();
    let error = unpack_error(&huge, "tar");
    assert!(error.contains("more than 1048576 bytes (limit)"), "{error}");
    // Many that are small each, compressed.
    let many: Vec<u8> = (0..90)
        .flat_map(|i| sparse(20_000, &format!("f{i}")))
        .collect();
    let many = compress(Compression::Gz, &[many.as_slice(), &end].concat());
    let error = unpack_error(&many, "tar.gz");
    assert!(error.contains("more than 1048576 bytes (limit)"), "{error}");
}

#[test]
fn sparse_files_in_the_other_format_are_named() {
    let records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
    let pax = Item {
        kind: EntryType::XHeader,
        ..Item::file("pax", records)
    };
    let error = unpack_error(&tar_of(&[pax, Item::file("simd", b"x")]), "tar");
    assert!(error.contains("\"simd\" is a sparse file"), "{error}");
}

#[test]
fn headers_cannot_fill_the_memory() {
    // A "long name" of 64 MiB, which compresses to nothing.
    let name = vec![b'a'; 64 << 20];
    let long = Item {
        kind: EntryType::GNULongName,
        ..Item::file("././@LongLink", &name)
    };
    let tar = compress(Compression::Zst, &tar_of(&[long, Item::file("x", b"x")]));
    let error = unpack_error(&tar, "tar.zst");
    assert!(
        error.contains("headers take more than 1048576 bytes"),
        "{error}"
    );

    // A zip whose directory announces few entries with long comments, 300 times 64 KiB.
    let mut zip = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..300 {
        let options = SimpleFileOptions::default();
        zip.start_file(format!("{}{i}", "n".repeat(65_000)), options)
            .unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let bounds = Bounds {
        entries: 1000,
        bytes: 1 << 20,
    };
    let error = Sandbox::new()
        .unpack_within(&zip, "zip", bounds)
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("headers take more than 16777216 bytes"),
        "{error}"
    );
}

#[test]
fn decoders_are_not_given_the_memory_that_a_file_demands() {
    // An xz block whose header asks for a dictionary of 1.5 GiB.
    let mut xz = compress(Compression::Xz, b"hello");
    let header = 12..12 + (usize::from(xz[12]) + 1) * 4;
    assert_eq!(
        xz[14..16],
        [0x21, 1],
        "the LZMA2 filter with one byte of properties"
    );
    xz[16] = 37;
    let mut sum = flate2::Crc::new();
    sum.update(&xz[header.start..header.end - 4]);
    xz[header.end - 4..header.end].copy_from_slice(&sum.sum().to_le_bytes());
    let error = unpack_error(&xz, "xz");
    assert!(error.contains("memory limit"), "{error}");
    // A zstd frame with a window of 2 GiB and one raw block of one byte.
    let zst = [0x28, 0xB5, 0x2F, 0xFD, 0, 21 << 3, 9, 0, 0, b'x'];
    let error = unpack_error(&zst, "zst");
    assert!(error.contains("too much memory"), "{error}");
}

#[test]
fn damaged_empty_and_mislabelled_archives_are_told() {
    for (kind, bytes) in all_packings(&[Item::file("simd", &[1; 5000])]) {
        let error = unpack_error(&bytes[..bytes.len() / 2], kind);
        assert!(error.contains("cannot be read as"), "{kind}: {error}");
        let error = unpack_error(b"<html>not found</html>", kind);
        assert!(error.contains("cannot be read as"), "{kind}: {error}");
    }
    for kind in ["gz", "bz2", "xz", "zst"] {
        let error = unpack_error(b"<html>not found</html>", kind);
        assert!(error.contains("cannot be read as"), "{kind}: {error}");
    }
    for (kind, bytes) in all_packings(&[]) {
        let error = unpack_error(&bytes, kind);
        assert!(error.contains("empty"), "{kind}: {error}");
    }
}

#[test]
fn the_check_value_at_the_end_of_a_compressed_tar_is_read() {
    for compression in [Compression::Gz, Compression::Xz] {
        let mut bytes = compress(compression, &tar_of(&[Item::file("simd", b"x")]));
        let at = bytes.len() - 6;
        bytes[at] ^= 0xFF;
        let kind = ["tar.gz", "tar.xz"][usize::from(compression == Compression::Xz)];
        let error = unpack_error(&bytes, kind);
        assert!(error.contains("cannot be read as"), "{kind}: {error}");
    }
}

#[test]
fn encrypted_and_oddly_compressed_zip_entries_are_named() {
    let mut zip = zip_of(&[Item::file("simd", b"x")]);
    for signature in [&b"PK\x01\x02"[..], b"PK\x03\x04"] {
        let at = zip.windows(4).position(|w| w == signature).unwrap();
        let flags = at + if signature[2] == 1 { 8 } else { 6 };
        zip[flags] |= 1;
    }
    let error = unpack_error(&zip, "zip");
    assert!(error.contains("\"simd\" is encrypted"), "{error}");

    let mut zip = zip_of(&[Item::file("simd", b"x")]);
    for signature in [&b"PK\x01\x02"[..], b"PK\x03\x04"] {
        let at = zip.windows(4).position(|w| w == signature).unwrap();
        let method = at + if signature[2] == 1 { 10 } else { 8 };
        zip[method] = 14;
    }
    let error = unpack_error(&zip, "zip");
    assert!(error.contains("not supported in zip files"), "{error}");
}

#[test]
fn unpacking_can_be_cancelled() {
    let dir = Sandbox::new();
    let artefact = dir.outer.path().join("artefact");
    fs::write(&artefact, tar_of(&[Item::file("simd", b"x")])).unwrap();
    let mut stop = |_| ControlFlow::Break(());
    let kind = Kind::Tar(Compression::None);
    let root = dir.root();
    let result = unpack(&artefact, kind, &root, Path::new("x"), BOUNDS, &mut stop);
    assert!(matches!(result, Err(ArchiveError::Cancelled)));
}

proptest::proptest! {
    /// Archives with random bytes changed neither panic nor reach outside.
    #[test]
    fn no_damage_reaches_outside(
        packing in 0usize..10,
        changes in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 1..8),
    ) {
        let items = [
            Item::dir("bin"),
            Item::file("bin/simd", b"binary"),
            Item::link(EntryType::Symlink, "lib", "bin"),
            Item::link(EntryType::Link, "copy", "bin/simd"),
        ];
        let tar = tar_of(&items);
        let (kind, mut bytes) = if packing < 6 {
            ("tar", tar)
        } else {
            ("zip", zip_of(&items[..3]))
        };
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
            if kind == "tar" {
                // Keep the checksums right, or nothing but the first header is ever reached.
                let header = at / 512 * 512;
                if let Some(block) = bytes.get(header..header + 512) {
                    let mut fixed = Header::new_old();
                    fixed.as_mut_bytes().copy_from_slice(block);
                    fixed.set_cksum();
                    bytes[header..header + 512].copy_from_slice(fixed.as_bytes());
                }
            }
        }
        let _ = Sandbox::new().unpack(&bytes, kind);
    }
}
