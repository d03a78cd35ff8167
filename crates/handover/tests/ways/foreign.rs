//! Sockets lent to programs that know nothing of the library: here to a shell, which can say what it was given.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use baton_handover::foreign::{Convention, Socket};
use baton_handover::{ListenError, UnixAddress};

/// What a program finds: the variables, and what is open beside the standard streams.
const TELL: &str = r#"
echo "pid $LISTEN_PID $$ fds $LISTEN_FDS names $LISTEN_FDNAMES nginx $NGINX"
for fd in /proc/$$/fd/*; do echo "open ${fd##*/} $(readlink "$fd" | cut -d: -f1)"; done"#;

fn lend() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples/lend")
}

fn run(words: &[&str], script: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(lend())
        .args(words)
        .args(["--", "sh", "-c", script])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The descriptors that are sockets, but for those that a shell opens for itself.
fn sockets(lines: &[String]) -> Vec<&str> {
    let open = lines.iter().filter_map(|line| line.strip_prefix("open "));
    open.filter_map(|line| line.strip_suffix(" socket"))
        .collect()
}

#[test]
fn a_program_finds_its_sockets_as_systemd_or_nginx_would_pass_them() {
    let words = ["http=127.0.0.1:0", "admin=127.0.0.1:0", "third=[::1]:0"];
    let told = lines(&run(&words, TELL, &[("NGINX", "9;")]));
    let words_of: Vec<&str> = told[0].split(' ').collect();
    assert_eq!(words_of[1], words_of[2], "LISTEN_PID is the program's own");
    assert!(
        told[0].ends_with("fds 3 names http:admin:third nginx "),
        "{told:?}"
    );
    assert_eq!(sockets(&told), ["3", "4", "5"]);

    let mut words = words.to_vec();
    words.insert(0, "--nginx");
    let told = lines(&run(&words, TELL, &[]));
    assert_eq!(told[0].split(" fds ").nth(1), Some(" names  nginx 3;4;5;"));
    assert_eq!(sockets(&told), ["3", "4", "5"]);
}

#[test]
fn what_the_service_manager_passed_is_passed_on_whatever_else_is_bound() {
    // The standard input is a socket of systemd's, so to speak; the shell puts it where systemd would.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let launch = r#"exec 3<&0 </dev/null
LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=given exec "$@""#;
    let output = Command::new("sh")
        .args(["-c", launch, "sh"])
        .arg(lend())
        .args(["own=127.0.0.1:0", "--", "sh", "-c", TELL])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .output()
        .unwrap();
    let told = lines(&output);
    assert!(told[0].contains("fds 2 names given:own"), "{told:?}");
    assert_eq!(sockets(&told), ["3", "4"]);
}

#[test]
fn a_program_that_cannot_be_executed_is_told_as_a_shell_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    for (program, code, why) in [
        ("/no/such/program", 127, "No such file"),
        (folder.path().to_str().unwrap(), 126, "denied"),
    ] {
        let output = Command::new(lend())
            .args(["http=127.0.0.1:0", "--", program])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(program) && said.contains(why), "{said}");
    }
    let alone = Command::new(lend()).arg("__listen-exec").output().unwrap();
    assert_eq!(alone.status.code(), Some(126), "called by hand");
}

#[test]
fn paths_get_their_mode_and_go_at_the_end_and_names_are_checked() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let address = UnixAddress::from(path.clone());
    let socket = Socket::unix("web", &address, Some(0o640)).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(socket.unlink().unwrap());
    assert!(!path.exists());
    assert!(!socket.unlink().unwrap(), "it is gone already");

    let any = "127.0.0.1:0".parse().unwrap();
    let error = Socket::tcp("a:b", any).unwrap_err();
    assert!(matches!(error, ListenError::Name { .. }), "{error}");
    let http = Socket::tcp("http", any).unwrap();
    assert!(!http.is_activated());
    assert!(baton_handover::foreign::command(Convention::Systemd, &[&http], &[]).is_err());
}
