//! Fetching over https, and through what the environment says about certificates and proxies.
//!
//! These settings are read from the environment of the process, so each fetch runs in one of its own: this
//! very program, started again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::serve::Listener;
use baton_supervisor::fetch::{Limits, Request, Unobserved, os_arch, release};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const DIR: &str = "FETCH_TLS_DIR";
const URL: &str = "FETCH_TLS_URL";
const BINARY: &[u8] = b"#!/bin/sh\necho v2\n";

/// The child. Does nothing when it is run as one of the tests.
#[test]
fn child() {
    let (Ok(dir), Ok(url)) = (std::env::var(DIR), std::env::var(URL)) else {
        return;
    };
    let request = Request {
        upgrades_dir: PathBuf::from(dir),
        dir_name: "v2".to_owned(),
        daemon_name: "simd".to_owned(),
        info: format!(r#"{{"binaries":{{"any":"{url}"}}}}"#),
        must_have_checksum: false,
        os_arch: os_arch(),
        environment: None,
        limits: Limits {
            total: Duration::from_mins(1),
            attempts: 2,
            backoff: Duration::from_millis(1),
            ..Limits::default()
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match runtime.block_on(release(&request, Arc::new(Unobserved))) {
        Ok(fetched) => println!("outcome: {:?}", fetched.outcome),
        Err(error) => println!("error: {error}"),
    }
}

/// Runs the child with nothing but these variables about certificates and proxies.
fn fetch(url: &str, variables: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir.path().join("upgrades"))
        .env(URL, url);
    for name in [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NO_PROXY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fetched = dir.path().join("upgrades/v2/bin/simd");
    if text.contains("outcome: Installed") {
        assert_eq!(fs::read(fetched).unwrap(), BINARY);
    } else {
        assert!(!fetched.exists());
    }
    text
}

/// An authority of our own, a server with a certificate of it, and one without encryption.
struct World {
    dir: tempfile::TempDir,
    https: String,
    http: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();

        let seen = Arc::default();
        let (tell, told) = mpsc::channel();
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(config, log, &tell));
        });
        let (https, http) = told.recv().unwrap();
        Self {
            dir,
            https: format!("https://{https}"),
            http: format!("http://{http}"),
            seen,
        }
    }

    fn authority(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

type Addresses = (std::net::SocketAddr, std::net::SocketAddr);

/// Serves the binary on both, and redirects from each to the other.
async fn serve(config: ServerConfig, log: Arc<Mutex<Vec<String>>>, tell: &mpsc::Sender<Addresses>) {
    let tls = TlsListener {
        tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    };
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = (tls.tcp.local_addr().unwrap(), tcp.local_addr().unwrap());
    tell.send(addresses).unwrap();
    let app = Router::new().fallback(move |request: HttpRequest| {
        log.lock().unwrap().push(request.uri().to_string());
        let response = answer(request.uri().path(), addresses);
        async move { response }
    });
    let (a, b) = tokio::join!(axum::serve(tls, app.clone()), axum::serve(tcp, app));
    a.unwrap();
    b.unwrap();
}

fn answer(path: &str, (https, http): Addresses) -> Response {
    match path {
        "/to-http" => Redirect::to(&format!("http://{http}/simd")).into_response(),
        "/to-https" => Redirect::to(&format!("https://{https}/simd")).into_response(),
        _ => ([(header::CONTENT_TYPE, "application/octet-stream")], BINARY).into_response(),
    }
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, addr) = self.tcp.accept().await.unwrap();
            // A client that does not trust us hangs up here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, addr);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

#[test]
fn a_private_authority_is_named_in_the_environment() {
    let world = World::new();
    let url = format!("{}/simd", world.https);
    let authority = world.authority();
    let text = fetch(&url, &[("SSL_CERT_FILE", &authority)]);
    assert!(text.contains("outcome: Installed"), "{text}");

    let stranger = World::new();
    let text = fetch(&url, &[("SSL_CERT_FILE", &stranger.authority())]);
    assert!(text.contains("error: GET https://127.0.0.1"), "{text}");
    assert!(text.contains("invalid peer certificate"), "{text}");
    assert!(
        text.contains("name its certificate in SSL_CERT_FILE"),
        "{text}"
    );
    assert!(
        !text.contains("giving up"),
        "it is of no use to try again: {text}"
    );
}

#[test]
fn a_server_that_does_not_speak_tls_is_asked_once() {
    let world = World::new();
    let url = world.http.replace("http:", "https:");
    let text = fetch(&url, &[("SSL_CERT_FILE", &world.authority())]);
    assert!(text.contains("error: GET https://127.0.0.1"), "{text}");
    assert!(text.contains("corrupt message"), "{text}");
    assert!(!text.contains("giving up"), "{text}");
}

#[test]
fn redirects_may_begin_encryption_and_not_end_it() {
    let world = World::new();
    let authority = world.authority();
    let trust = [("SSL_CERT_FILE", authority.as_str())];
    let text = fetch(&format!("{}/to-https", world.http), &trust);
    assert!(text.contains("outcome: Installed"), "{text}");
    let before = world.seen().len();
    let text = fetch(&format!("{}/to-http", world.https), &trust);
    assert!(
        text.contains("redirected from https to http://127.0.0.1"),
        "{text}"
    );
    assert!(text.contains("which is not encrypted"), "{text}");
    assert_eq!(world.seen()[before..], ["/to-http"], "asked once");
}

#[test]
fn a_machine_without_certificates_can_use_http_and_is_told_about_https() {
    let world = World::new();
    let nothing = world.dir.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    let empty = nothing.join("empty.pem");
    fs::write(&empty, "").unwrap();
    let variables = [
        ("SSL_CERT_FILE", empty.to_str().unwrap()),
        ("SSL_CERT_DIR", nothing.to_str().unwrap()),
    ];
    let text = fetch(&format!("{}/simd", world.http), &variables);
    assert!(text.contains("outcome: Installed"), "{text}");
    let text = fetch(&format!("{}/simd", world.https), &variables);
    for part in [
        "error: cannot set up https: ",
        "package ca-certificates",
        &format!("(now SSL_CERT_FILE is {})", empty.display()),
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn proxies_are_used_for_others_and_not_for_this_machine() {
    let world = World::new();
    let url = "http://releases.example/simd";
    let text = fetch(url, &[("HTTP_PROXY", &world.http)]);
    assert!(text.contains("outcome: Installed"), "{text}");
    assert_eq!(world.seen(), [url]);
    let nobody = [("HTTP_PROXY", "http://127.0.0.1:1")];
    let text = fetch(&format!("{}/simd", world.http), &nobody);
    assert!(text.contains("outcome: Installed"), "{text}");
}
