use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

use proptest::prelude::*;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::*;
use crate::describe;
use crate::gate::gate;

const OWN: u32 = 77;

fn plan(
    pid: &str,
    fds: &str,
    names: Option<&str>,
) -> Result<Vec<(RawFd, String)>, ActivationError> {
    passed(Some(pid), Some(fds), names, OWN)
}

fn named(name: &str, number: RawFd) -> (RawFd, String) {
    (number, name.to_owned())
}

#[test]
fn descriptors_have_numbers_from_three_and_names() {
    let found = plan("77", "2", Some("web:admin")).expect("valid");
    assert_eq!(found, [named("web", 3), named("admin", 4)]);
    let found = plan("77", "2", None).expect("valid");
    assert_eq!(found, [named("unknown", 3), named("unknown", 4)]);
    let found = plan("77", "2", Some(":web")).expect("valid");
    assert_eq!(found, [named("unknown", 3), named("web", 4)]);
    assert_eq!(plan("77", "0", Some("")).expect("valid"), []);
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    assert_eq!(plan("78", "2", None).expect("not ours"), []);
    assert_eq!(plan("78", "nonsense", None).expect("not ours"), []);
    assert_eq!(passed(None, Some("2"), None, OWN).expect("for nobody"), []);
    assert_eq!(passed(Some("77"), None, None, OWN).expect("nothing"), []);
}

#[test]
fn nonsense_is_named() {
    for (pid, fds, names, said) in [
        ("self", "1", None, "LISTEN_PID=\"self\""),
        ("77", "-1", None, "LISTEN_FDS=\"-1\""),
        ("77", "4097", None, "from 0 to 4096"),
        ("77", "2", Some("web"), "1 names for 2 descriptors"),
        ("77", "1", Some("web:admin"), "2 names for 1 descriptors"),
    ] {
        let error = plan(pid, fds, names)
            .expect_err("it must be refused")
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn equal_names_become_members_of_a_group() {
    let of = |names: &[&str]| -> Vec<String> {
        let names = distinct(names.iter().copied()).expect("valid");
        names.iter().map(Name::to_string).collect()
    };
    assert_eq!(of(&["web", "web", "web"]), ["web", "web#1", "web#2"]);
    assert_eq!(of(&["web", "web", "web#1"]), ["web", "web#2", "web#1"]);
    assert_eq!(of(&["web#1", "web#1"]), ["web#1", "web#2"]);
    let error = distinct(["a#b"].into_iter()).expect_err("no number");
    assert!(matches!(error, InheritError::Name { .. }), "{error}");
}

proptest! {
    #[test]
    fn any_environment_is_read_or_refused(pid in "(77|.{0,5})", fds in "([0-9]{1,4}|.{0,5})", names in proptest::option::of(".{0,40}")) {
        if let Ok(found) = plan(&pid, &fds, names.as_deref()) {
            prop_assert!(found.len() <= MAX_SHAREABLES);
            prop_assert!(found.iter().zip(FIRST..).all(|((number, _), expected)| *number == expected));
        }
    }

    #[test]
    fn names_end_up_distinct(names in proptest::collection::vec("[ab](#[1-3])?", 0..20)) {
        let named = distinct(names.iter().map(String::as_str)).expect("valid");
        prop_assert_eq!(named.len(), names.len());
        prop_assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}

#[test]
fn a_child_is_not_told_of_its_parents_descriptors() {
    let mut command = Command::new("true");
    conceal(&mut command);
    let removed: Vec<_> = command
        .get_envs()
        .filter(|(_, value)| value.is_none())
        .collect();
    assert_eq!(removed.len(), VARIABLES.len());
}

/// The variable under which the test in the child finds where its service manager listens.
const ACTIVATED: &str = "BATON_TEST_ACTIVATED";

/// Runs the test `name` of this program again, as a service manager would start a service: with `sockets` from number 3 on.
fn activated(name: &str, sockets: Vec<OwnedFd>, names: &str, notify: &std::path::Path) {
    let mut command = Command::new("bash");
    let count = sockets.len();
    let moves: Vec<String> = sockets
        .into_iter()
        .zip(FIRST..)
        .map(|(socket, target)| {
            // Above those that are moved to, so that no move overwrites what another one is to move.
            let high = rustix::io::fcntl_dupfd_cloexec(&socket, 100).expect("a duplicate");
            let number = sys::pass(&mut command, high);
            format!("exec {target}<&{number} {number}<&-;")
        })
        .collect();
    let script = format!(
        "{} export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names}; exec \"$@\"",
        moves.join(" ")
    );
    let output = command
        .args(["-c", &script, "bash"])
        .arg(std::env::current_exe().expect("the test program"))
        .args([
            "--exact",
            &format!("activation::tests::{name}"),
            "--nocapture",
        ])
        .env(ACTIVATED, "1")
        .env("NOTIFY_SOCKET", notify)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{complained}"
    );
}

fn stored(manager: &UnixDatagram) -> (String, Vec<OwnedFd>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 256];
    let message = recvmsg(
        manager,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("a message");
    let descriptors = control
        .drain()
        .filter_map(|it| match it {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let text = String::from_utf8(bytes[..message.bytes].to_vec()).expect("text");
    (text, descriptors)
}

#[test]
fn what_the_service_manager_passes_is_claimed_by_name_and_stored() {
    if std::env::var_os(ACTIVATED).is_some() {
        inside_the_service();
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let notify = dir.path().join("notify");
    let manager = UnixDatagram::bind(&notify).expect("bound");
    manager
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .expect("a deadline");
    let web = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let control = UnixListener::bind(dir.path().join("control")).expect("bound");
    let twin = web.try_clone().expect("a duplicate");
    activated(
        "what_the_service_manager_passes_is_claimed_by_name_and_stored",
        vec![
            web.try_clone().expect("a duplicate").into(),
            control.into(),
            twin.into(),
        ],
        "web:control:web",
        &notify,
    );

    let (text, descriptors) = stored(&manager);
    assert_eq!(text, "FDSTORE=1\nFDNAME=web\nFDPOLL=0\n");
    let [descriptor] = &descriptors[..] else {
        panic!("one descriptor came along");
    };
    let described = Description::of(descriptor).expect("described");
    assert_eq!(described, Description::of(&web).expect("described"));
    let (text, descriptors) = stored(&manager);
    assert_eq!(text, "FDSTOREREMOVE=1\nFDNAME=web\n");
    assert!(descriptors.is_empty());
}

fn inside_the_service() {
    let (_keeper, gate) = gate();
    let mut table = Shareables::new(gate);
    assert_eq!(
        inherit(&mut table).expect("taken"),
        2,
        "the twin is left out"
    );
    let names: Vec<_> = table.unclaimed().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["control", "web"]);
    let again = inherit(&mut table).expect_err("they have been taken");
    assert!(matches!(again, ActivationError::Adopt { .. }), "{again}");

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let web = table
            .tcp("web", "127.0.0.1:0".parse().expect("an address"))
            .expect("inherited");
        assert!(describe::is_nonblocking(&web).expect("described"));
        let marked = rustix::io::fcntl_getfd(&web).expect("open");
        assert!(marked.contains(rustix::io::FdFlags::CLOEXEC));
        store("web", web.as_fd()).expect("the service manager listens");
        remove("web").expect("the service manager listens");
    });
}
