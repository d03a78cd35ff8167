use std::collections::BTreeSet;

use super::*;

fn options() -> Options {
    Options {
        extension: "ldb",
        table_every: 3,
        table_size: 2_000,
        keep: 40,
        tear_on_kill: false,
    }
}

fn body(height: u64) -> Vec<u8> {
    format!("block {height}").into_bytes()
}

fn grow(store: &mut Store, to: u64) {
    for height in store.height() + 1..=to {
        store.append(height, &body(height)).unwrap();
    }
}

fn files(dir: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|ext| ext == extension)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in files(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    assert_eq!((store.height(), store.base()), (0, 0));
    let mut opened = 0;
    for stop in [1, 2, 3, 4, 12, 13, 100] {
        grow(&mut store, stop);
        store.close().unwrap();
        store = Store::open(dir.path(), options(), true).unwrap();
        opened += 1;
        assert_eq!(store.height(), stop);
        assert_eq!(store.last(), Some(&*body(stop)));
    }
    assert_eq!(opened, 7);
    for height in store.base()..=100 {
        assert_eq!(store.get(height).unwrap(), Some(body(height)), "{height}");
    }
    assert!(
        (40..=61).contains(&(100 - store.base())),
        "{}",
        store.base()
    );
    assert_eq!(store.get(101).unwrap(), None);
    assert_eq!(store.get(1).unwrap(), None);
}

#[test]
fn tables_are_created_and_unlinked_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    for height in 1..=200 {
        grow(&mut store, height);
        for name in files(dir.path()) {
            if has_extension(&name, "ldb") {
                let bytes = fs::read(dir.path().join(&name)).unwrap();
                let first = seen.entry(name.clone()).or_insert_with(|| bytes.clone());
                assert_eq!(*first, bytes, "{name} changed at height {height}");
            }
        }
    }
    let now = files(dir.path());
    assert!(
        seen.keys().any(|name| !now.contains(name)),
        "nothing was unlinked"
    );
    assert!(now.contains("CURRENT"));
    assert_eq!(
        now.iter().filter(|name| has_extension(name, "log")).count(),
        1
    );
}

/// A kill can come between any two system calls; each state of the directory between appends is
/// one of them, and so is each with the newest file missing its end.
#[test]
fn a_copy_at_any_moment_between_appends_opens_at_that_height() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    for height in 1..=40 {
        grow(&mut store, height);
        let snapshot = tempfile::tempdir().unwrap();
        copy(dir.path(), snapshot.path());
        let copied = Store::open(snapshot.path(), options(), true).unwrap();
        assert_eq!(copied.height(), height);
    }
}

#[test]
fn a_missing_or_mixed_up_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    grow(&mut store, 20);
    store.close().unwrap();
    let early = tempfile::tempdir().unwrap();
    copy(dir.path(), early.path());
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    grow(&mut store, 50);
    store.close().unwrap();

    let names = files(dir.path());
    assert!(names.len() >= 4, "{names:?}");
    for name in &names {
        let torn = tempfile::tempdir().unwrap();
        copy(dir.path(), torn.path());
        fs::remove_file(torn.path().join(name)).unwrap();
        let error = Store::open(torn.path(), options(), false).err();
        let text = error.expect(name).to_string();
        assert!(text.starts_with("store version mismatch"), "{text}");
    }
    for name in files(early.path()) {
        if name == "CURRENT" || name.starts_with("MANIFEST") {
            fs::copy(early.path().join(&name), dir.path().join(&name)).unwrap();
        }
    }
    assert!(Store::open(dir.path(), options(), false).is_err());
}

#[test]
fn a_kill_while_the_store_is_made_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), options(), false).unwrap();
    fs::remove_file(dir.path().join("CURRENT")).unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    grow(&mut store, 1);
    assert_eq!(files(dir.path()).len(), 3);
    fs::remove_file(dir.path().join("CURRENT")).unwrap();
    assert!(Store::open(dir.path(), options(), false).is_err());
}

#[test]
fn leftovers_are_removed_and_foreign_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    grow(&mut store, 5);
    store.close().unwrap();
    fs::write(dir.path().join("000900.ldb"), "half a table").unwrap();
    fs::write(dir.path().join("NOTES"), "the operator's").unwrap();
    let store = Store::open(dir.path(), options(), true).unwrap();
    assert_eq!(store.height(), 5);
    let names = files(dir.path());
    assert!(
        !names.contains("000900.ldb") && names.contains("NOTES"),
        "{names:?}"
    );
}

#[test]
fn filler_makes_it_big_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), options(), false).unwrap();
    store.fill(50_000).unwrap();
    store.fill(50_000).unwrap();
    grow(&mut store, 200);
    store.close().unwrap();
    let store = Store::open(dir.path(), options(), true).unwrap();
    assert_eq!(store.height(), 200);
    let big = files(dir.path())
        .into_iter()
        .filter(|name| fs::metadata(dir.path().join(name)).unwrap().len() == 50_000);
    assert_eq!(big.count(), 2);
}

#[test]
fn a_store_that_tears_is_whole_only_after_a_clean_close() {
    let unsafe_store = Options {
        tear_on_kill: true,
        ..options()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), unsafe_store.clone(), false).unwrap();
    for height in 1..=30 {
        grow(&mut store, height);
        assert_eq!(store.get(height).unwrap(), Some(body(height)));
        let killed = tempfile::tempdir().unwrap();
        copy(dir.path(), killed.path());
        let error = Store::open(killed.path(), unsafe_store.clone(), false).err();
        let text = error.expect("a torn store").to_string();
        assert!(text.contains("is missing, the manifest names it"), "{text}");
    }
    store.close().unwrap();
    let store = Store::open(dir.path(), unsafe_store, true).unwrap();
    assert_eq!(store.height(), 30);
}
