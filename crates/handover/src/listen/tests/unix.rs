use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::*;
use crate::reach::SocketPath;

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

/// Leaves a socket at the path that nobody answers on. A test that is just starting a program has copies of all descriptors
/// for a moment; so it waits until nobody does.
fn leave_behind(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).expect("bound"));
    eventually("the leftover answers still", || {
        StdStream::connect(path).is_err()
    });
    assert!(is_socket(path));
}

fn abstract_name(of: &str) -> UnixAddress {
    UnixAddress::Abstract(format!("baton-{of}-{}", std::process::id()).into_bytes())
}

fn seqpacket_to(path: &Path) -> UnixSeqpacket {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .expect("a socket");
    connect(&socket, &SocketAddrUnix::new(path).expect("a path")).expect("connected");
    UnixSeqpacket::new(socket).expect("registered")
}

#[test]
fn an_at_sign_begins_an_abstract_name() {
    assert_eq!(
        UnixAddress::from("@web"),
        UnixAddress::Abstract(b"web".to_vec())
    );
    assert_eq!(
        UnixAddress::from("./@web"),
        UnixAddress::Path("./@web".into())
    );
}

#[tokio::test]
async fn a_path_survives_its_predecessor_and_is_removed_by_the_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    let (_old, mut table) = fresh();
    let listener = table.unix("web", &path.as_path().into()).expect("bound");
    let mut client = StdStream::connect(&path).expect("queued");
    client.write_all(b"hello").expect("the kernel takes it");

    let (keeper, mut next) = successor(&table);
    let mut inherited = next.unix("web", &path.as_path().into()).expect("inherited");
    drop((listener, table));
    assert!(is_socket(&path), "the predecessor's end leaves the path");
    keeper.set(Flow::Open);
    let stream = soon(inherited.accept())
        .await
        .expect("no error")
        .expect("open");
    let mut stream = stream.into_std().expect("deregistered");
    stream.set_nonblocking(false).expect("blocking");
    let mut said = [0; 5];
    stream.read_exact(&mut said).expect("read");
    assert_eq!(&said, b"hello");

    next.unlink_paths(Paths::BoundHere);
    assert!(is_socket(&path), "it was inherited");
    next.unlink_paths(Paths::All);
    assert!(!path.exists());
}

#[tokio::test]
async fn an_abstract_name_is_inherited() {
    let address = abstract_name("inherited");
    let (_old, mut table) = fresh();
    let listener = table.unix("web", &address).expect("bound");
    let (_keeper, mut next) = successor(&table);
    let error = next.unix("http", &address).expect_err("held as web");
    assert!(
        matches!(&error, ListenError::Held { holder, .. } if holder == "web"),
        "{error}"
    );
    next.unix("web", &address).expect("inherited");
    drop(listener);
}

#[tokio::test]
async fn a_leftover_path_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    for (number, kind) in ["stream", "seqpacket", "datagram"].into_iter().enumerate() {
        let path = dir.path().join(kind);
        leave_behind(&path);
        let (_keeper, mut table) = fresh();
        let address = path.as_path().into();
        match number {
            0 => drop(table.unix("web", &address).expect("replaced")),
            1 => drop(table.unix_seqpacket("web", &address).expect("replaced")),
            _ => drop(table.unix_datagram("web", &address).expect("replaced")),
        }
        assert_eq!(table.offers().expect("described").len(), 1);
    }
}

#[tokio::test]
async fn what_somebody_serves_or_is_no_socket_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    let served = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    let (_keeper, mut table) = fresh();
    let error = table
        .unix("web", &path.as_path().into())
        .expect_err("served");
    assert!(matches!(error, ListenError::Answered { .. }), "{error}");
    // Another type of socket cannot be connected to, but is served all the same.
    let error = table
        .unix_datagram("web", &path.as_path().into())
        .expect_err("served");
    assert!(matches!(error, ListenError::Answered { .. }), "{error}");
    drop(served);

    let file = dir.path().join("file");
    std::fs::write(&file, "precious").expect("written");
    let error = table
        .unix("web", &file.as_path().into())
        .expect_err("a file");
    assert!(matches!(error, ListenError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read(&file).expect("still there"), b"precious");

    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let error = table
        .unix("web", &link.as_path().into())
        .expect_err("a link");
    assert!(matches!(error, ListenError::NotASocket { .. }), "{error}");

    let nowhere = dir.path().join("none").join("web");
    let error = table
        .unix("web", &nowhere.as_path().into())
        .expect_err("no directory");
    assert!(matches!(error, ListenError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn a_path_that_another_process_took_over_is_not_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    let (_keeper, mut table) = fresh();
    let _listener = table.unix("web", &path.as_path().into()).expect("bound");
    // The other is made first and renamed over, so that it cannot get the first one's inode number.
    let other = dir.path().join("other");
    let _other = std::os::unix::net::UnixListener::bind(&other).expect("bound");
    std::fs::rename(&other, &path).expect("renamed");
    table.unlink_paths(Paths::All);
    assert!(is_socket(&path));
}

#[tokio::test]
async fn a_directory_locked_for_long_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let lock = std::fs::File::open(dir.path()).expect("opened");
    lock.lock().expect("locked");
    let (_keeper, mut table) = fresh();
    let error = table
        .unix("web", &dir.path().join("web").as_path().into())
        .expect_err("locked");
    assert!(matches!(error, ListenError::Locked { .. }), "{error}");
    lock.unlock().expect("unlocked");
    table
        .unix("web", &dir.path().join("web").as_path().into())
        .expect("bound");
}

#[tokio::test]
async fn two_starts_at_once_do_not_both_take_a_leftover() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    for _ in 0..20 {
        leave_behind(&path);
        let start = || {
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                let (_keeper, mut table) = fresh();
                table
                    .unix("web", &path.as_path().into())
                    .map(|it| (it, table))
            })
        };
        let (first, second) = (start(), start());
        let (first, second) = (
            first.await.expect("no panic"),
            second.await.expect("no panic"),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        std::fs::remove_file(&path).expect("removed");
    }
}

#[tokio::test]
async fn paths_of_the_unclaimed_are_removed_when_they_are_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    let (_old, mut table) = fresh();
    let _listener = table.unix("web", &path.as_path().into()).expect("bound");
    let (_keeper, mut next) = successor(&table);
    assert_eq!(names(&next.unclaimed()), ["web"]);
    assert!(is_socket(&path));
    next.close_unclaimed();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_path_of_the_service_manager_is_left_to_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web");
    let activated = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    let (_keeper, mut table) = fresh();
    table
        .inherit_activated("web", activated.into())
        .expect("taken in");
    table
        .unix("web", &path.as_path().into())
        .expect("inherited");
    // The service manager's socket blocks; the table's does not.
    let (_next_keeper, next) = successor(&table);
    next.unlink_paths(Paths::All);
    table.unlink_paths(Paths::All);
    assert!(is_socket(&path));
}

#[tokio::test]
async fn addresses_out_of_bounds_are_refused() {
    let (_keeper, mut table) = fresh();
    let long = format!("/tmp/{}", "x".repeat(103));
    let error = table
        .unix("web", &long.as_str().into())
        .expect_err("108 bytes, and nearly all of them the last part");
    assert!(
        matches!(error, ListenError::Deep { limit: 82, .. }),
        "{error}"
    );
    let long = UnixAddress::Abstract(vec![b'x'; 108]);
    let error = table.unix("web", &long).expect_err("108 bytes");
    assert!(
        matches!(error, ListenError::Length { limit: 107, .. }),
        "{error}"
    );
    let error = table.unix("web", &"@".into()).expect_err("no name");
    assert!(matches!(error, ListenError::Length { .. }), "{error}");
    let error = table.unix("web", &"".into()).expect_err("no path");
    assert!(matches!(error, ListenError::Path { .. }), "{error}");
    let longest = UnixAddress::Abstract(vec![b'x'; 107]);
    table.unix("web", &longest).expect("at the limit");
}

#[tokio::test]
async fn a_path_of_any_length_is_handed_over_removed_and_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).expect("made");
    let path = deep.join("web");
    let reach = || SocketPath::of(&path).expect("a way");
    let connect = || StdStream::connect(reach().path());
    leave_behind(reach().path());

    let (_old, mut table) = fresh();
    let listener = table.unix("web", &path.as_path().into()).expect("bound");
    let (_other, mut other) = fresh();
    let error = other
        .unix("web", &path.as_path().into())
        .expect_err("it is served");
    assert!(matches!(error, ListenError::Answered { .. }), "{error}");
    let mut client = connect().expect("queued");
    client.write_all(b"hello").expect("the kernel takes it");

    let (keeper, mut next) = successor(&table);
    assert_eq!(next.unclaimed()[0].address, Address::Path(path.clone()));
    let mut inherited = next.unix("web", &path.as_path().into()).expect("inherited");
    drop((listener, table));
    keeper.set(Flow::Open);
    let accepted = soon(inherited.accept()).await.expect("no error");
    drop(accepted.expect("the client of before"));

    // And once more, from a process that did not bind it.
    let (_last, mut last) = successor(&next);
    drop((inherited, next));
    let _listener = last.unix("web", &path.as_path().into()).expect("inherited");
    connect().expect("somebody listens");
    last.unlink_paths(Paths::All);
    assert!(!path.exists());
}

#[tokio::test]
async fn seqpacket_keeps_messages_apart_across_a_handover() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("control");
    let (_old, mut table) = fresh();
    let listener = table
        .unix_seqpacket("control", &path.as_path().into())
        .expect("bound");
    let client = seqpacket_to(&path);
    client.send(b"one").await.expect("sent");
    client.send(b"three").await.expect("sent");
    let (keeper, mut next) = successor(&table);
    let mut inherited = next
        .unix_seqpacket("control", &path.as_path().into())
        .expect("inherited");
    drop((listener, table));
    keeper.set(Flow::Open);
    let server = soon(inherited.accept())
        .await
        .expect("no error")
        .expect("open");
    let mut buffer = [0; 4];
    assert_eq!(soon(server.recv(&mut buffer)).await.expect("a message"), 3);
    assert_eq!(&buffer[..3], b"one");
    let error = soon(server.recv(&mut buffer))
        .await
        .expect_err("it does not fit");
    assert_eq!(
        error.to_string(),
        "a message of 5 bytes does not fit into 4"
    );
    // Moved on as a parcel would be, the connection is the same.
    let server = UnixSeqpacket::new(server.into_fd()).expect("registered again");
    server.send(b"back").await.expect("sent");
    assert_eq!(soon(client.recv(&mut buffer)).await.expect("a message"), 4);
    drop(server);
    assert_eq!(soon(client.recv(&mut buffer)).await.expect("end"), 0);
}
