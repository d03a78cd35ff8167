use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_nodes_own_user_gets_at_it() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".baton");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let (_listener, name) = bind(&dir).unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join(SOCKET)), 0o600);
    StdStream::connect(dir.join(SOCKET)).unwrap();
    drop(name);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[tokio::test]
async fn the_leftover_of_a_dead_supervisor_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    for leftover in [SOCKET, FRESH] {
        drop(StdListener::bind(dir.path().join(leftover)).unwrap());
    }
    let (_listener, _name) = bind(dir.path()).unwrap();
    StdStream::connect(dir.path().join(SOCKET)).unwrap();
    assert!(!dir.path().join(FRESH).exists());
}

#[tokio::test]
async fn a_supervisor_that_lives_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, _name) = bind(dir.path()).unwrap();
    let error = bind(dir.path()).unwrap_err();
    assert!(matches!(error, ControlError::InUse(_)), "{error}");
    StdStream::connect(dir.path().join(SOCKET)).unwrap();
}

#[tokio::test]
async fn a_supervisor_too_busy_to_accept_lives_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET);
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _first = StdStream::connect(&path).unwrap();
    assert!(answers(&path).unwrap());
    assert!(answers(&path).unwrap());
}

#[tokio::test]
async fn what_is_not_a_socket_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET);
    fs::write(&path, "mine").unwrap();
    let error = bind(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("control.sock is not a socket; move it away"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[tokio::test]
async fn a_path_that_is_too_long_for_an_address_does() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(SOCKET);
    StdStream::connect(&path).unwrap_err();
    let (listener, name) = bind(&dir).unwrap();
    let address = SocketPath::of(&path).unwrap();
    let client = StdStream::connect(address.path()).unwrap();
    listener.accept().await.unwrap();
    drop(client);
    // The one that was bound before is noticed, and so is its death.
    assert!(matches!(bind(&dir).unwrap_err(), ControlError::InUse(_)));
    drop(listener);
    let (_listener, second) = bind(&dir).unwrap();
    drop(name);
    assert!(path.exists(), "a name that another has taken stays");
    drop(second);
    assert!(!path.exists());
}
