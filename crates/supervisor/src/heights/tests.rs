//! The sources together, and gRPC and the command each, against real servers and scripts.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use cosmos_sdk_proto::cosmos::base::tendermint::v1beta1 as tendermint;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, async_trait};

use super::*;

/// Longer than anything takes that is not meant to hang.
const LONG: Duration = Duration::from_secs(30);
/// For what is meant to hang.
const SHORT: Duration = Duration::from_millis(100);

/// A node's gRPC as far as it is asked.
#[derive(Clone, Default)]
pub(super) struct FakeNode {
    plan: Option<upgrade::Plan>,
    /// Fill `sdk_block`, `block`, or neither.
    sdk_block: Option<i64>,
    block: Option<i64>,
    failure: Option<Code>,
}

impl FakeNode {
    pub(super) fn at(height: i64) -> Self {
        Self {
            sdk_block: Some(height),
            ..Self::default()
        }
    }

    fn refusal(&self) -> Option<Status> {
        Some(Status::new(self.failure?, "as told"))
    }

    pub(super) fn routes(self) -> tonic::service::Routes {
        let plans = upgrade::query_server::QueryServer::new(self.clone());
        let blocks = tendermint::service_server::ServiceServer::new(self);
        tonic::service::Routes::new(plans).add_service(blocks)
    }

    pub(super) async fn serve(self) -> String {
        let (listener, address) = listen().await;
        let server = tonic::transport::Server::builder().add_routes(self.routes());
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        address.to_string()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl upgrade::query_server::Query for FakeNode {
    async fn current_plan(
        &self,
        _: Request<upgrade::QueryCurrentPlanRequest>,
    ) -> Answer<upgrade::QueryCurrentPlanResponse> {
        if let Some(status) = self.refusal() {
            return Err(status);
        }
        let plan = self.plan.clone();
        Ok(Response::new(upgrade::QueryCurrentPlanResponse { plan }))
    }
    async fn applied_plan(
        &self,
        _: Request<upgrade::QueryAppliedPlanRequest>,
    ) -> Answer<upgrade::QueryAppliedPlanResponse> {
        Err(Status::unimplemented(""))
    }
    async fn upgraded_consensus_state(
        &self,
        _: Request<upgrade::QueryUpgradedConsensusStateRequest>,
    ) -> Answer<upgrade::QueryUpgradedConsensusStateResponse> {
        Err(Status::unimplemented(""))
    }
    async fn module_versions(
        &self,
        _: Request<upgrade::QueryModuleVersionsRequest>,
    ) -> Answer<upgrade::QueryModuleVersionsResponse> {
        Err(Status::unimplemented(""))
    }
    async fn authority(
        &self,
        _: Request<upgrade::QueryAuthorityRequest>,
    ) -> Answer<upgrade::QueryAuthorityResponse> {
        Err(Status::unimplemented(""))
    }
}

#[async_trait]
impl tendermint::service_server::Service for FakeNode {
    async fn get_latest_block(
        &self,
        _: Request<tendermint::GetLatestBlockRequest>,
    ) -> Answer<tendermint::GetLatestBlockResponse> {
        if let Some(status) = self.refusal() {
            return Err(status);
        }
        let block = |height| cosmos_sdk_proto::tendermint::types::Block {
            header: Some(cosmos_sdk_proto::tendermint::types::Header {
                height,
                ..Default::default()
            }),
            ..Default::default()
        };
        let sdk_block = |height| tendermint::Block {
            header: Some(tendermint::Header {
                height,
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(Response::new(tendermint::GetLatestBlockResponse {
            block_id: None,
            block: self.block.map(block),
            sdk_block: self.sdk_block.map(sdk_block),
        }))
    }
    async fn get_node_info(
        &self,
        _: Request<tendermint::GetNodeInfoRequest>,
    ) -> Answer<tendermint::GetNodeInfoResponse> {
        Err(Status::unimplemented(""))
    }
    async fn get_syncing(
        &self,
        _: Request<tendermint::GetSyncingRequest>,
    ) -> Answer<tendermint::GetSyncingResponse> {
        Err(Status::unimplemented(""))
    }
    async fn get_block_by_height(
        &self,
        _: Request<tendermint::GetBlockByHeightRequest>,
    ) -> Answer<tendermint::GetBlockByHeightResponse> {
        Err(Status::unimplemented(""))
    }
    async fn get_latest_validator_set(
        &self,
        _: Request<tendermint::GetLatestValidatorSetRequest>,
    ) -> Answer<tendermint::GetLatestValidatorSetResponse> {
        Err(Status::unimplemented(""))
    }
    async fn get_validator_set_by_height(
        &self,
        _: Request<tendermint::GetValidatorSetByHeightRequest>,
    ) -> Answer<tendermint::GetValidatorSetByHeightResponse> {
        Err(Status::unimplemented(""))
    }
    async fn abci_query(
        &self,
        _: Request<tendermint::AbciQueryRequest>,
    ) -> Answer<tendermint::AbciQueryResponse> {
        Err(Status::unimplemented(""))
    }
}

pub(super) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port at which nobody listens: it is bound, and stays so while the socket lives.
fn nobody() -> (rustix::fd::OwnedFd, String) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (socket, address.to_string())
}

/// An executable script. Another process writes it: a child forked here by another test at the
/// wrong moment would hold it open for writing, and it could not be executed.
fn script(dir: &TempDir, body: &str) -> PathBuf {
    let path = dir.path().join("node");
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\n{body}\n");
    std::io::Write::write_all(&mut writer.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    path
}

fn plan(name: &str, height: i64, info: &str) -> upgrade::Plan {
    upgrade::Plan {
        name: name.into(),
        height,
        info: info.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn grpc_tells_the_height_from_either_block() {
    let old = FakeNode {
        block: Some(7),
        ..FakeNode::default()
    };
    let address = old.serve().await;
    assert_eq!(grpc::height(&address, LONG).await.unwrap(), 7);
    let address = FakeNode::at(8).serve().await;
    let uri = format!("http://{address}");
    assert_eq!(grpc::height(&uri, LONG).await.unwrap(), 8);
    let address = FakeNode::default().serve().await;
    let error = grpc::height(&address, LONG).await.unwrap_err();
    assert!(matches!(error, GrpcError::Incomplete { .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn grpc_tells_the_plan() {
    let node = |plan| FakeNode {
        plan,
        ..FakeNode::default()
    };
    let address = node(Some(plan("V2", 49, "{\"binaries\":{}}")))
        .serve()
        .await;
    let expected = crate::plan::Plan {
        name: "V2".into(),
        height: 49,
        info: "{\"binaries\":{}}".into(),
    };
    assert_eq!(current_plan(&address, LONG).await.unwrap(), Some(expected));
    let address = node(None).serve().await;
    assert_eq!(current_plan(&address, LONG).await.unwrap(), None);
    let address = node(Some(plan("V2", -1, ""))).serve().await;
    assert!(current_plan(&address, LONG).await.is_err());
}

#[tokio::test]
async fn grpc_errors_name_the_address_and_what_happened() {
    let failing = |code| FakeNode {
        failure: Some(code),
        ..FakeNode::default()
    };
    let address = failing(Code::Unavailable).serve().await;
    let error = current_plan(&address, LONG).await.unwrap_err().to_string();
    assert!(
        error.contains(&address) && error.contains("as told"),
        "{error}"
    );
    assert!(error.contains("CurrentPlan"), "{error}");
    let address = failing(Code::NotFound).serve().await;
    assert_eq!(current_plan(&address, LONG).await.unwrap(), None);

    let (_bound, address) = nobody();
    let error = current_plan(&address, LONG).await.unwrap_err();
    assert!(matches!(error, GrpcError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    // accepts, and never says a word
    let (listener, address) = listen().await;
    let error = grpc::height(&address.to_string(), SHORT).await.unwrap_err();
    assert!(matches!(error, GrpcError::Deadline { .. }), "{error}");
    assert!(error.to_string().contains("100ms"), "{error}");
    drop(listener);
}

const STATUS: &str = r#"{"sync_info":{"latest_block_height":"12"}}"#;
const OLD_STATUS: &str = r#"{"SyncInfo":{"latest_block_height":"12"}}"#;

async fn run(body: &str, deadline: Duration) -> Result<u64, CommandError> {
    let dir = tempfile::tempdir().unwrap();
    let bin = script(&dir, body);
    command::height(&bin, dir.path(), deadline).await
}

#[tokio::test]
async fn the_command_tells_the_height_on_either_stream() {
    assert_eq!(run(&format!("echo '{STATUS}'"), LONG).await.unwrap(), 12);
    assert_eq!(
        run(&format!("echo '{OLD_STATUS}' >&2"), LONG)
            .await
            .unwrap(),
        12
    );
    let noisy = format!("echo 'WARNING: {{sonic' >&2; echo starting; echo '{STATUS}'");
    assert_eq!(run(&noisy, LONG).await.unwrap(), 12);
}

#[tokio::test]
async fn the_command_gets_its_home_and_nothing_to_read() {
    let body = format!(
        "[ \"$1 $2\" = 'status --home' ] && [ -x \"$3/node\" ] && ! read line && echo '{STATUS}'"
    );
    assert_eq!(run(&body, LONG).await.unwrap(), 12);
}

#[tokio::test]
async fn the_command_may_fail_in_many_ways() {
    let error = run(
        &format!("echo '{STATUS}'; echo; echo 'no rpc' >&2; exit 3"),
        LONG,
    )
    .await;
    let error = error.unwrap_err();
    assert!(matches!(error, CommandError::Failed { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("exit status: 3: no rpc"), "{text}");

    let error = run("echo '{\"sync_info\":{}}'", LONG).await.unwrap_err();
    assert!(matches!(error, CommandError::NoHeight { .. }), "{error}");
    let error = run("yes", LONG).await.unwrap_err();
    assert!(matches!(error, CommandError::TooLong { .. }), "{error}");
    assert!(error.to_string().contains("262144"), "{error}");

    let nowhere = Path::new("/nonexistent/node");
    let error = command::height(nowhere, nowhere, LONG).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/node"), "{error}");
}

/// Is a process with this id there, other than as a zombie?
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect(what);
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let body = "trap '' TERM; sleep 600 & echo $! $$ > \"$3/pids.new\"; mv \"$3/pids.new\" \"$3/pids\"; wait";
    let bin = script(&dir, body);
    let told = || std::fs::read_to_string(&pids).unwrap_or_default();

    let mut deadline = SHORT;
    while !pids.exists() {
        deadline *= 2;
        let error = command::height(&bin, dir.path(), deadline).await;
        let error = error.unwrap_err();
        assert!(matches!(error, CommandError::Deadline { .. }), "{error}");
    }
    let first = told();
    assert_eq!(first.split(' ').count(), 2);
    until("their death", || !first.split(' ').any(alive)).await;

    // the same if nobody waits for the answer any more
    std::fs::remove_file(&pids).unwrap();
    let asking = command::height(&bin, dir.path(), LONG);
    tokio::select! {
        answer = asking => panic!("it hangs, and yet {answer:?}"),
        () = until("a start", || pids.exists()) => {}
    }
    let second = told();
    until("their death", || !second.split(' ').any(alive)).await;
}

/// A home whose `config.toml` says that the RPC is at `rpc`.
fn home(rpc: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("config")).unwrap();
    set_rpc(&home, rpc);
    home
}

fn set_rpc(home: &TempDir, rpc: &str) {
    let text = format!("[rpc]\nladdr = \"tcp://{rpc}\"\n");
    std::fs::write(home.path().join("config/config.toml"), text).unwrap();
}

async fn rpc_at(height: u64, asked: Arc<AtomicU64>) -> String {
    let (listener, address) = listen().await;
    let status = format!(r#"{{"result":{{"sync_info":{{"latest_block_height":"{height}"}}}}}}"#);
    let answer = async move || {
        asked.fetch_add(1, Ordering::Relaxed);
        status
    };
    tokio::spawn(axum::serve(listener, Router::new().route("/status", get(answer))).into_future());
    address.to_string()
}

#[tokio::test]
async fn the_sources_are_tried_in_turn_and_the_one_that_works_first() {
    let (_bound, closed) = nobody();
    let home = home(&closed);
    let bin = script(&home, &format!("echo '{STATUS}'"));
    let mut heights = Heights::new(Settings {
        home: home.path().to_owned(),
        rpc_address: None,
        grpc_address: closed.clone(),
        node_args: Vec::new(),
        control_dir: None,
    });
    let reading = heights.read(&bin).await.unwrap();
    assert_eq!((reading.height, reading.source), (12, Source::Command));

    // the network is tried again before the command is
    heights.settings.grpc_address = FakeNode::at(13).serve().await;
    let before = Instant::now();
    let reading = heights.read(&bin).await.unwrap();
    assert_eq!((reading.height, reading.source), (13, Source::Grpc));
    assert!(reading.at >= before);

    // gRPC works, so the RPC is not asked until it does not
    let asked = Arc::new(AtomicU64::new(0));
    set_rpc(&home, &rpc_at(14, asked.clone()).await);
    let reading = heights.read(&bin).await.unwrap();
    assert_eq!((reading.height, reading.source), (13, Source::Grpc));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    heights.settings.grpc_address = closed.clone();
    let reading = heights.read(&bin).await.unwrap();
    assert_eq!((reading.height, reading.source), (14, Source::Rpc));
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    // a node that was restarted has picked another port
    set_rpc(&home, &rpc_at(15, asked).await);
    assert_eq!(heights.read(&bin).await.unwrap().height, 15);
}

#[tokio::test]
async fn if_none_works_it_is_said_what_was_tried() {
    let (_bound, closed) = nobody();
    let home = home(&closed);
    let mut heights = Heights::new(Settings {
        home: home.path().to_owned(),
        rpc_address: None,
        grpc_address: closed.clone(),
        node_args: Vec::new(),
        control_dir: None,
    });
    let unknown = heights
        .read(Path::new("/nonexistent/node"))
        .await
        .unwrap_err();
    let sources: Vec<Source> = unknown.tried.iter().map(|(source, _)| *source).collect();
    assert_eq!(sources, [Source::Rpc, Source::Grpc, Source::Command]);
    let text = unknown.to_string();
    assert!(
        text.starts_with("the node's height is unknown: rpc: connecting to http://127"),
        "{text}"
    );
    assert!(
        text.contains("; grpc: ") && text.contains("; command: starting /nonexistent"),
        "{text}"
    );
}
