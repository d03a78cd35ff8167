use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};

use proptest::prelude::*;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, recvmsg, sendmsg, socket_with, socketpair,
};

use super::*;

fn of(descriptor: impl AsFd) -> Description {
    Description::of(descriptor).expect("the kernel tells")
}

#[test]
fn tcp_listeners_and_connections_differ_in_accepting() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let found = of(&listener);
    assert_eq!((found.kind, found.accepting), (Kind::Tcp, true));
    assert_eq!(found.address, Address::Inet(address));
    assert_ne!(found.inode, 0);

    let connection = TcpStream::connect(address).expect("connected");
    let found = of(&connection);
    assert_eq!((found.kind, found.accepting), (Kind::Tcp, false));
}

#[test]
fn udp_and_ipv6_are_told_apart() {
    let found = of(UdpSocket::bind("[::1]:0").expect("IPv6 loopback"));
    assert_eq!((found.kind, found.accepting), (Kind::Udp, false));
    assert!(matches!(found.address, Address::Inet(SocketAddr::V6(_))));
    // The kernel sets the flag by itself for an address that cannot stand for an IPv4 one.
    assert!(found.v6only);
    let found = of(UdpSocket::bind("127.0.0.1:0").expect("bound"));
    assert!(!found.v6only);
}

#[test]
fn unix_sockets_have_paths_abstract_names_or_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("stream");
    let found = of(UnixListener::bind(&path).expect("bound"));
    assert_eq!((found.kind, found.accepting), (Kind::Unix, true));
    assert_eq!(found.address, Address::Path(path));

    let name = format!("baton-describe-{}", std::process::id());
    let address = UnixAddr::from_abstract_name(&name).expect("a name");
    let found = of(UnixDatagram::bind_addr(&address).expect("bound"));
    assert_eq!((found.kind, found.accepting), (Kind::UnixDatagram, false));
    assert_eq!(found.address, Address::Abstract(name.into_bytes()));

    let found = of(UnixDatagram::unbound().expect("a socket"));
    assert_eq!(found.address, Address::None);
}

#[test]
fn what_is_no_socket_is_a_file_with_an_inode() {
    let file = tempfile::tempfile().expect("a file");
    let found = of(&file);
    assert_eq!(found.kind, Kind::File);
    let again = of(file.try_clone().expect("a duplicate"));
    assert_eq!(found, again);
    assert_ne!(found, of(tempfile::tempfile().expect("another")));
}

#[test]
fn other_families_are_refused_by_number() {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )
    .expect("a netlink socket");
    let error = Description::of(&socket).expect_err("it cannot be handed over");
    assert!(error.to_string().contains("family 16"), "{error}");
}

/// Sends a descriptor through a socket pair, as a handover does.
fn passed(descriptor: impl AsFd) -> OwnedFd {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .expect("a pair");
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(
        &ours,
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::empty(),
    )
    .expect("sent");

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        &theirs,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("received");
    control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .expect("a descriptor came along")
}

#[test]
fn a_passed_descriptor_is_what_its_sender_describes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.set_nonblocking(true).expect("the mode is set");
    let claimed = of(&listener);
    let received = passed(&listener);
    assert_ne!(received.as_raw_fd(), listener.as_raw_fd());
    verify(&received, &claimed).expect("the very same socket");

    let file = tempfile::tempfile().expect("a file");
    verify(passed(&file), &of(&file)).expect("a file may block");
}

#[test]
fn every_difference_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let error = verify(passed(&udp), &of(&listener)).expect_err("another socket");
    let said = error.to_string();
    for part in [
        "its kind is udp, not tcp",
        "SO_ACCEPTCONN is false, not true",
        "its address",
        "its inode",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("SO_REUSEPORT"), "{said}");
}

#[test]
fn a_socket_made_blocking_by_another_holder_is_refused_and_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.set_nonblocking(true).expect("the mode is set");
    let received = passed(&listener);
    // The mode belongs to the open file: what one holder does, all holders see.
    listener.set_nonblocking(false).expect("the mode is set");
    let error = verify(&received, &of(&listener)).expect_err("it would hang the runtime");
    assert!(matches!(error, VerifyError::Blocking(_)), "{error}");
    assert!(!is_nonblocking(&listener).expect("the kernel tells"));
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<SocketAddr>().prop_map(Address::Inet),
        prop::collection::vec(1_u8.., 1..108)
            .prop_map(|bytes| Address::Path(std::ffi::OsString::from_vec(bytes).into())),
        prop::collection::vec(any::<u8>(), 1..107).prop_map(Address::Abstract),
        Just(Address::None),
    ]
}

prop_compose! {
    fn any_description()(
        kind in prop::sample::select(vec![
            Kind::Tcp, Kind::Udp, Kind::Unix, Kind::UnixDatagram, Kind::UnixSeqpacket, Kind::File,
        ]),
        address in any_address(),
        accepting: bool,
        reuse_port: bool,
        v6only: bool,
        device: u64,
        inode: u64,
    ) -> Description {
        Description { kind, address, accepting, reuse_port, v6only, device, inode }
    }
}

proptest! {
    #[test]
    fn a_description_survives_the_wire(description in any_description()) {
        let bytes = postcard::to_stdvec(&description).expect("encoded");
        let back: Description = postcard::from_bytes(&bytes).expect("decoded");
        prop_assert_eq!(&back, &description);
        prop_assert!(differences(&description, &back).is_empty());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = postcard::from_bytes::<Description>(&bytes);
    }

    #[test]
    fn two_descriptions_differ_exactly_if_something_is_named(left in any_description(), right in any_description()) {
        prop_assert_eq!(differences(&left, &right).is_empty(), left == right);
    }
}
