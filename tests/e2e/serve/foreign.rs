//! Servers that many people run.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use super::load::{Load, get};
use super::{Served, tool};
use crate::support::{Home, Text, eventually};

/// A port that is free now. nginx has to know it beforehand, since it knows its sockets by their address.
fn free_port() -> u16 {
    let any = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    any.local_addr().unwrap().port()
}

fn nginx_configuration(home: &Home, port: u16, text: &str) -> String {
    let folder = home.path().display();
    let configuration = format!(
        "worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{text}'; }} }}
  server {{ listen unix:{folder}/state/ready.sock; location / {{ return 200 ok; }} }}
}}
"
    );
    let path = home.at("nginx.conf");
    fs::write(&path, configuration).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn nginx_is_reloaded_under_load_and_a_bad_configuration_changes_nothing() {
    let Some(nginx) = tool("nginx") else { return };
    let home = Home::new("none");
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let file = nginx_configuration(&home, port, "one");
    let listen = format!("http={address}");
    let options = ["--listen", &listen, "--nginx", "--ready-url", "/"];
    let program = [nginx.to_str().unwrap(), "-c", &file];
    let mut served = Served::start_in(home, &options, &program);
    for descriptor in [3, 4] {
        let path = format!("/proc/{}/fdinfo/{descriptor}", served.pid());
        let about = fs::read_to_string(path).unwrap();
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits();
        assert_ne!(flags & nonblock, 0, "workers would block each other");
    }
    let load = Load::on(address, 3);
    for _ in 0..5 {
        served.reload();
        load.goes_on();
    }
    nginx_configuration(&served.home, port, "two");
    served.reload();
    eventually("the new configuration", || {
        get(address, "/").is_some_and(|answer| answer.body == "two")
    });
    fs::write(served.home.at("nginx.conf"), "no_such_directive on;").unwrap();
    let out = served.baton(&["reload"], &[]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("generation 7 serves on"),
        "{}",
        out.err()
    );
    assert_eq!(get(address, "/").unwrap().body, "two");
    load.goes_on();
    let tally = load.stop();
    tally.check();
    println!(
        "nginx: {} requests, {} sent again",
        tally.requests, tally.retried
    );
    let out = served.running.stop();
    assert_eq!(out.code(), Some(0), "{}", out.err());
}

#[test]
fn gunicorn_is_reloaded_under_load_and_a_bad_application_changes_nothing() {
    let Some(gunicorn) = tool("gunicorn") else {
        return;
    };
    let home = Home::new("none");
    let application = home.at("app.py");
    let write = |text: &str| fs::write(&application, text).unwrap();
    let good = |body: &str| {
        format!(
            "def app(environ, start_response):
    body = b'{body}'
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
"
        )
    };
    write(&good("one"));
    let folder = home.path().to_str().unwrap().to_owned();
    let options = [
        "--listen",
        "http=127.0.0.1:0",
        "--ready-notify",
        "--ready-url",
        "/",
    ];
    let program = [
        gunicorn.to_str().unwrap(),
        "--chdir",
        &folder,
        "--workers",
        "2",
        "--threads",
        "2",
        "app:app",
    ];
    let mut served = Served::start_in(home, &options, &program);
    let address = served.address();
    let load = Load::on(address, 2);
    for _ in 0..5 {
        served.reload();
        load.goes_on();
    }
    write(&good("two"));
    served.reload();
    assert_eq!(get(address, "/").unwrap().body, "two");
    write("no python");
    let out = served.baton(&["reload"], &[]);
    assert_eq!(out.code(), Some(1));
    assert!(
        out.err().contains("generation 7 serves on"),
        "{}",
        out.err()
    );
    load.goes_on();
    let tally = load.stop();
    tally.check();
    println!(
        "gunicorn: {} requests, {} sent again",
        tally.requests, tally.retried
    );
    served.running.stop();
}

/// What `docs/serve.md` shows, and no more.
const GO_SERVER: &str = include_str!("server.go");

#[test]
fn a_go_server_is_reloaded_under_load() {
    let Some(go) = tool("go") else { return };
    let home = Home::new("none");
    fs::write(home.at("server.go"), GO_SERVER).unwrap();
    let built = Command::new(go)
        .args(["build", "-o", "server", "server.go"])
        .current_dir(home.path())
        .env("GO111MODULE", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", built.err());
    let program = home.at("server");
    let options = ["--listen", "http=127.0.0.1:0", "--ready-notify"];
    let mut served = Served::start_in(home, &options, &[program.to_str().unwrap()]);
    let load = Load::on(served.address(), 3);
    for _ in 0..5 {
        served.reload();
        load.goes_on();
    }
    let tally = load.stop();
    tally.check();
    println!(
        "go: {} requests, {} sent again",
        tally.requests, tally.retried
    );
    let out = served.running.stop();
    assert_eq!(out.code(), Some(0), "{}", out.err());
}
