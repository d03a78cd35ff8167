use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use super::*;

/// A descriptor as an exec would leave it: open, without the mark, owned by nobody.
fn inherited(fd: OwnedFd) -> RawFd {
    fcntl_setfd(&fd, FdFlags::empty()).expect("the mark can be cleared");
    std::os::fd::IntoRawFd::into_raw_fd(fd)
}

#[test]
fn an_inherited_descriptor_is_adopted_once_and_marked() {
    let (left, mut right) = UnixStream::pair().expect("a pair");
    let number = inherited(left.into());
    let adopted = adopt(number, Expect::Socket).expect("it is an open socket");
    assert_eq!(adopted.as_raw_fd(), number);
    assert!(
        fcntl_getfd(&adopted)
            .expect("open")
            .contains(FdFlags::CLOEXEC)
    );
    let again = adopt(number, Expect::Socket).expect_err("it has an owner now");
    assert!(matches!(again, AdoptError::NotInherited { .. }), "{again}");
    drop(adopted);
    assert_eq!(right.read(&mut [0]).expect("end of file"), 0);
}

#[test]
fn what_was_not_inherited_is_refused() {
    assert!(matches!(
        adopt(2, Expect::Anything),
        Err(AdoptError::Standard { .. })
    ));
    assert!(matches!(
        adopt(-1, Expect::Anything),
        Err(AdoptError::Standard { .. })
    ));
    assert!(matches!(
        adopt(1_000_000, Expect::Anything),
        Err(AdoptError::NotOpen { .. })
    ));
    let own = std::fs::File::open("/dev/null").expect("it opens");
    let refused = adopt(own.as_raw_fd(), Expect::Anything).expect_err("opened here");
    assert!(
        matches!(refused, AdoptError::NotInherited { .. }),
        "{refused}"
    );
    let number = inherited(own.into());
    let refused = adopt(number, Expect::Socket).expect_err("a device");
    assert!(
        matches!(refused, AdoptError::NotASocket { .. }),
        "{refused}"
    );
    drop(adopt(number, Expect::Anything).expect("now it may be anything"));
}

#[test]
fn a_child_gets_the_one_descriptor_and_the_parent_keeps_its_mark() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (other, _other_end) = UnixStream::pair().expect("a pair");
    let theirs = OwnedFd::from(theirs);
    let kept = theirs.try_clone().expect("a duplicate");
    let mut command = Command::new("bash");
    let number = pass(&mut command, theirs);
    command
        .arg("-c")
        .arg(format!(
            "echo -n hello >&{number}; test -e /proc/self/fd/{} && echo -n leak >&{number}; exit 0",
            other.as_raw_fd()
        ))
        .stdin(Stdio::null());
    let mut child = command.spawn().expect("bash starts");
    assert!(fcntl_getfd(&kept).expect("open").contains(FdFlags::CLOEXEC));
    drop((command, kept));
    assert!(child.wait().expect("it ends").success());
    let mut said = String::new();
    let mut ours = ours;
    ours.read_to_string(&mut said)
        .expect("end of file: no copy is left in this process");
    assert_eq!(said, "hello");
}

#[test]
fn a_child_does_not_get_what_was_left_open_by_mistake() {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    // High, so that no other test of this program gets the number meanwhile.
    let null = std::fs::File::open("/dev/null").expect("it opens");
    let leak = rustix::io::fcntl_dupfd_cloexec(&null, 900).expect("a duplicate");
    fcntl_setfd(&leak, FdFlags::empty()).expect("the mark can be cleared");
    let look = format!("test -e /proc/self/fd/{}", leak.as_raw_fd());

    let mut careless = Command::new("bash");
    let status = careless.args(["-c", &look]).status().expect("bash runs");
    assert!(status.success(), "without care it is inherited");

    let mut careful = Command::new("bash");
    keep_descriptors(&mut careful);
    let number = pass(&mut careful, theirs.into());
    let said = format!("{look} && echo -n leak >&{number}; echo -n end >&{number}");
    let status = careful.args(["-c", &said]).status().expect("bash runs");
    assert!(status.success());
    drop(careful);
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("end of file");
    assert_eq!(text, "end");
}

#[test]
fn an_ordinary_file_is_not_mapped() {
    let file = tempfile::tempfile().expect("a temporary file");
    assert!(map_sealed(file.as_fd()).is_err());
}

#[test]
fn the_peer_of_a_connection_is_found() {
    let (left, _right) = UnixStream::pair().expect("a pair");
    let own = Pid::from_raw(i32::try_from(std::process::id()).expect("a pid"));
    let peer = peer_credentials(left.as_fd()).expect("credentials");
    assert_eq!(peer.pid, own);
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    let pidfd = peer_pidfd(left.as_fd()).expect("a pidfd");
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))
        .expect("it is open");
    assert!(
        info.contains(&format!("Pid:\t{}", std::process::id())),
        "{info}"
    );
    assert!(
        fcntl_getfd(&pidfd)
            .expect("open")
            .contains(FdFlags::CLOEXEC)
    );
}
