//! Against real servers, over TCP, a Unix socket and TLS.

use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

use super::super::grpc;
use super::super::tests::{FakeNode, listen};
use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);
const STATUS: &str =
    r#"{"jsonrpc":"2.0","id":-1,"result":{"sync_info":{"latest_block_height":"7"}}}"#;

/// A server with these routes.
async fn serve(router: Router) -> Address {
    let (listener, address) = listen().await;
    tokio::spawn(axum::serve(listener, router).into_future());
    Address::parse(&address.to_string()).unwrap()
}

async fn ask(address: &Address) -> Result<u64, RpcError> {
    Client::default().height(address, LONG).await
}

/// The answer to a node whose `/status` is `body`.
async fn answered(
    body: impl IntoResponse + Clone + Send + Sync + 'static,
) -> Result<u64, RpcError> {
    ask(&serve(Router::new().route("/status", get(body))).await).await
}

#[tokio::test]
async fn every_form_of_status_is_read() {
    assert_eq!(answered(STATUS).await.unwrap(), 7);
    let number = r#"{"result":{"sync_info":{"latest_block_height":8}}}"#;
    assert_eq!(answered(number).await.unwrap(), 8);
    let bare = r#"{"sync_info":{"latest_block_height":"9"}}"#;
    assert_eq!(answered(bare).await.unwrap(), 9);
    let only_v1 = Router::new().route("/v1/status", get(STATUS));
    assert_eq!(ask(&serve(only_v1).await).await.unwrap(), 7);
}

#[tokio::test]
async fn a_path_before_the_status_is_kept() {
    let address = serve(Router::new().route("/chain/status", get(STATUS))).await;
    let below = Address::parse(&format!("{address}/chain/")).unwrap();
    assert_eq!(ask(&below).await.unwrap(), 7);
    let error = ask(&address).await.unwrap_err();
    assert!(
        matches!(error, RpcError::Refused { code: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_unix_socket_and_a_host_name_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rpc.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let router = Router::new().route("/status", get(STATUS));
    tokio::spawn(axum::serve(listener, router.clone()).into_future());
    let address = Address::parse(&format!("unix://{}", path.display())).unwrap();
    assert_eq!(ask(&address).await.unwrap(), 7);

    let named = serve(router)
        .await
        .to_string()
        .replace("127.0.0.1", "localhost");
    assert_eq!(ask(&Address::parse(&named).unwrap()).await.unwrap(), 7);
}

#[tokio::test]
async fn other_answers_are_errors_that_say_what_came() {
    let error = answered("{}").await.unwrap_err();
    assert!(matches!(error, RpcError::NoHeight { .. }), "{error}");
    let error = answered("<html>").await.unwrap_err();
    assert!(matches!(error, RpcError::NoHeight { .. }), "{error}");
    let error = answered((StatusCode::INTERNAL_SERVER_ERROR, STATUS))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RpcError::Refused { code: 500, .. }),
        "{error}"
    );
    let error = answered("x".repeat(MAX_BODY + 1)).await.unwrap_err();
    assert!(matches!(error, RpcError::TooLong { .. }), "{error}");
    assert!(error.to_string().contains("262144"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_or_breaks_off_does_not_hold_us_up() {
    let (listener, address) = listen().await;
    let address = Address::parse(&address.to_string()).unwrap();
    let error = Client::default().height(&address, SHORT).await.unwrap_err();
    assert!(matches!(error, RpcError::Deadline { .. }), "{error}");
    assert!(error.to_string().contains("100ms"), "{error}");

    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1000];
            let _ = stream.read(&mut request).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
                .await;
        }
    });
    // the first connection was never read from
    let _ = Client::default().height(&address, SHORT).await;
    let error = ask(&address).await.unwrap_err();
    assert!(matches!(error, RpcError::Exchange { .. }), "{error}");
}

/// Runs the test `name` of this file in a process with this environment. (The environment of a
/// program with several threads cannot be changed.)
fn rerun(name: &str, environment: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        &format!("heights::rpc::tests::{name}"),
        "--nocapture",
    ]);
    command
        .envs(environment.iter().copied())
        .env("BATON_TEST_RERUN", "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

fn is_rerun() -> bool {
    std::env::var_os("BATON_TEST_RERUN").is_some()
}

#[test]
fn proxies_do_not_apply() {
    if !is_rerun() {
        let names = [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ];
        // nobody listens there; and no exception is made for the loopback
        let mut environment: Vec<_> = names
            .iter()
            .map(|name| (*name, "http://127.0.0.1:1"))
            .collect();
        environment.push(("NO_PROXY", ""));
        environment.push(("no_proxy", ""));
        return rerun("proxies_do_not_apply", &environment);
    }
    run(async {
        let address = serve(Router::new().route("/status", get(STATUS))).await;
        assert_eq!(ask(&address).await.unwrap(), 7);
        // this one is asked by the client that knows about proxies
        let with_user = address.to_string().replace("http://", "http://me:secret@");
        let with_user = Address::parse(&with_user).unwrap();
        assert!(matches!(with_user, Address::Url(_)));
        assert_eq!(ask(&with_user).await.unwrap(), 7);
        let node = FakeNode::at(8).serve().await;
        assert_eq!(grpc::height(&node, LONG).await.unwrap(), 8);
    });
}

#[test]
fn https_is_spoken_to_who_has_a_certificate_that_the_platform_trusts() {
    let name = "https_is_spoken_to_who_has_a_certificate_that_the_platform_trusts";
    if !is_rerun() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.into_os_string().into_string().unwrap()
        };
        let issue = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (ours, other) = (issue(), issue());
        let cert = file("cert.pem", ours.cert.pem());
        let key = file("key.pem", ours.signing_key.serialize_pem());
        let other = file("other.pem", other.cert.pem());
        // `SSL_CERT_FILE` says what the platform trusts
        let trusting = |trusted| [("SSL_CERT_FILE", trusted), ("CERT", &*cert), ("KEY", &*key)];
        rerun(name, &trusting(&cert));
        return rerun(name, &trusting(&other));
    }
    let read = |variable| std::fs::read_to_string(std::env::var(variable).unwrap()).unwrap();
    let (cert, key) = (read("CERT"), read("KEY"));
    let trusted = read("SSL_CERT_FILE") == cert;
    run(async {
        let rpc = serve_tls(&cert, &key).await;
        let rpc = ask(&Address::parse(&rpc).unwrap()).await;
        let node = serve_grpc_tls(&cert, &key).await;
        let node = grpc::height(&node, LONG).await;
        if trusted {
            assert_eq!((rpc.unwrap(), node.unwrap()), (7, 8));
        } else {
            let (rpc, node) = (rpc.unwrap_err().to_string(), node.unwrap_err().to_string());
            assert!(
                rpc.contains("https://localhost") && rpc.contains("ertificate"),
                "{rpc}"
            );
            assert!(
                node.contains("https://localhost") && node.contains("ertificate"),
                "{node}"
            );
        }
    });
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

/// A node's RPC behind TLS.
async fn serve_tls(cert: &str, key: &str) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der(cert).into()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(key))),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1000];
            let length = stream.read(&mut request).await.unwrap_or(0);
            assert!(request[..length].starts_with(b"GET /status HTTP/1.1\r\n"));
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                STATUS.len()
            );
            stream.write_all((head + STATUS).as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{}", address.port())
}

/// The bytes in a PEM text.
fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::{PemObject, SectionKind};
    let (_, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()).unwrap();
    der
}

/// A node's gRPC behind TLS.
async fn serve_grpc_tls(cert: &str, key: &str) -> String {
    let (listener, address) = listen().await;
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
    let server = tonic::transport::Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_routes(FakeNode::at(8).routes());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    format!("https://localhost:{}", address.port())
}
