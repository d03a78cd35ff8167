//! Which backups go.

use std::os::unix::fs::symlink;

use super::super::Mode;
use super::super::manifest::MANIFEST;
use super::super::testing::Home;
use super::*;

fn prune_home(home: &Home, keep: usize) -> Pruned {
    prune(&home.path, &home.data(), keep, &()).unwrap()
}

fn kept(home: &Home) -> Vec<String> {
    home.list().iter().map(|e| e.name.to_string()).collect()
}

#[test]
fn the_newest_are_kept_and_zero_keeps_all() {
    let home = Home::new();
    let paths: Vec<_> = (0..4).map(|_| home.take(Mode::Auto).path).collect();
    assert_eq!(prune_home(&home, 0), Pruned::default());
    assert_eq!(prune_home(&home, 4), Pruned::default());
    assert_eq!(prune_home(&home, 2).removed, paths[..2]);
    assert_eq!(
        kept(&home),
        ["data-backup-2026-11-3-3", "data-backup-2026-11-3-4"]
    );
    assert_eq!(home.names().len(), 3);
}

#[test]
fn nothing_goes_when_the_newest_is_damaged() {
    let home = Home::new();
    home.take(Mode::Copy);
    let newest = home.take(Mode::Copy).path;
    fs::write(newest.join("cs.wal/wal"), "short").unwrap();
    let pruned = prune_home(&home, 1);
    assert!(pruned.removed.is_empty());
    let why = pruned.held_back.unwrap();
    assert!(
        why.contains("damaged (1 differences; cs.wal/wal has 5 bytes"),
        "{why}"
    );
    fs::remove_file(newest.join(MANIFEST)).unwrap();
    // Without its manifest it is not Baton's any more, and the other is the only one.
    assert_eq!(prune_home(&home, 1), Pruned::default());
    assert_eq!(kept(&home).len(), 2);
}

#[test]
fn only_batons_own_of_this_data_go() {
    let (home, other) = (Home::new(), Home::new());
    fs::create_dir(home.path.join("data-backup-2020-1-1")).unwrap();
    let mut request = other.request(Mode::Copy);
    request.dest_dir.clone_from(&home.path);
    super::super::take(&request, &()).unwrap();
    let first = home.take(Mode::Copy).path;
    home.take(Mode::Copy);
    assert_eq!(prune_home(&home, 1).removed, [first]);
    assert_eq!(kept(&home).len(), 3);
}

#[test]
fn a_backup_that_the_node_now_lives_in_is_not_removed() {
    let home = Home::new();
    let first = home.take(Mode::Copy).path;
    fs::rename(home.data(), home.path.join("old")).unwrap();
    symlink(&first, home.data()).unwrap();
    let entries = home.list();
    let source = home.path.join("data");
    assert_eq!(ours(entries.clone(), &source).len(), 1);
    // The data's real path is now the backup's own; and even if a backup were recorded with it:
    assert!(ours(entries, &first).is_empty());
    assert_eq!(prune_home(&home, 1), Pruned::default());
    assert!(first.exists());
}
