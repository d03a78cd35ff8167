use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::telling::status::Status;
use crate::telling::testing::{PATIENCE, eventually, line, supervisor};

/// A server that gives these answers, 200 after the last, and remembers what it was sent.
#[derive(Clone, Default)]
struct Hookee {
    answers: Arc<Mutex<VecDeque<u16>>>,
    seen: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Hookee {
    async fn start(answers: &[u16]) -> (Self, SocketAddr) {
        let hookee = Self::default();
        hookee.answers.lock().unwrap().extend(answers);
        let router = Router::new()
            .route("/secret", post(Self::take))
            .with_state(hookee.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (hookee, address)
    }

    async fn take(
        State(hookee): State<Self>,
        request: Request,
    ) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let headers = request.headers().clone();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        hookee.seen.lock().unwrap().push((headers, body));
        let code = hookee.answers.lock().unwrap().pop_front().unwrap_or(200);
        (
            StatusCode::from_u16(code).unwrap(),
            [("location", "/elsewhere")],
        )
    }

    fn bodies(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body)| body.clone())
            .collect()
    }
}

fn webhook(address: SocketAddr) -> Webhook {
    Webhook {
        url: format!("http://user:pass@{address}/secret?token=secret")
            .parse()
            .unwrap(),
        limit: PATIENCE,
        tries: 3,
        pause: Duration::from_millis(1),
        idle: PATIENCE,
    }
}

async fn tell(webhook: &Webhook) -> Result<(), String> {
    let stop = watch::Sender::new(false);
    let told = webhook
        .tell(&mut None, &line(7), &mut stop.subscribe())
        .await;
    told.map_err(|error| {
        let text = error.to_string();
        assert!(!text.contains("secret") && !text.contains("pass"), "{text}");
        text
    })
}

#[tokio::test]
async fn each_record_is_posted_in_order() {
    let (hookee, address) = Hookee::start(&[]).await;
    let (to, lines) = mpsc::channel(8);
    for seq in 1..=3 {
        to.try_send(line(seq)).unwrap();
    }
    drop(to);
    let (_, status) = watch::channel(Status::new(supervisor()));
    let metrics = Metrics::new(status, Vec::new());
    let stop = watch::Sender::new(false);
    run(webhook(address), lines, metrics.clone(), stop.subscribe()).await;
    assert_eq!(
        hookee.bodies(),
        [r#"{"seq":1}"#, r#"{"seq":2}"#, r#"{"seq":3}"#]
    );
    let seen = hookee.seen.lock().unwrap();
    assert_eq!(seen[0].0["content-type"], "application/json");
    assert!(
        seen[0].0["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("baton/")
    );
    assert!(
        metrics
            .render()
            .contains(r#"baton_webhook_posts_total{result="ok"} 3"#)
    );
}

#[tokio::test]
async fn a_fault_that_may_pass_is_tried_again() {
    let (hookee, address) = Hookee::start(&[500, 429]).await;
    tell(&webhook(address)).await.unwrap();
    assert_eq!(hookee.bodies().len(), 3);
}

#[tokio::test]
async fn it_is_given_up_after_some_tries() {
    let (hookee, address) = Hookee::start(&[503; 9]).await;
    let error = tell(&webhook(address)).await.unwrap_err();
    assert!(
        error.contains(&address.to_string()) && error.contains("503"),
        "{error}"
    );
    assert_eq!(hookee.bodies().len(), 3);
}

#[tokio::test]
async fn a_fault_that_will_not_pass_is_not_tried_again() {
    for (code, hint) in [(404, "address"), (401, "secret"), (302, "redirects")] {
        let (hookee, address) = Hookee::start(&[code]).await;
        let webhook = webhook(address);
        let mut stop = watch::Sender::new(false).subscribe();
        let told = webhook.tell(&mut None, &line(1), &mut stop).await;
        let error = told.unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
        assert_eq!(hookee.bodies().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut webhook = webhook(listener.local_addr().unwrap());
    webhook.limit = Duration::from_millis(50);
    let error = tell(&webhook).await.unwrap_err();
    assert!(
        error.contains("cannot be reached") && error.contains("timed out"),
        "{error}"
    );
    for _ in 0..3 {
        tokio::time::timeout(PATIENCE, listener.accept())
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn one_that_is_not_there_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = webhook(listener.local_addr().unwrap());
    drop(listener);
    let error = tell(&webhook).await.unwrap_err();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn one_that_does_not_speak_tls_is_an_error_like_any_other() {
    let (hookee, address) = Hookee::start(&[]).await;
    let mut webhook = webhook(address);
    webhook.url = format!("https://{address}/secret").parse().unwrap();
    tell(&webhook).await.unwrap_err();
    assert!(hookee.bodies().is_empty());
}

#[tokio::test]
async fn the_client_is_dropped_when_nothing_happens_and_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut webhook = webhook(listener.local_addr().unwrap());
    webhook.idle = Duration::from_millis(20);
    let (to, lines) = mpsc::channel(8);
    let (_, status) = watch::channel(Status::new(supervisor()));
    let metrics = Metrics::new(status, Vec::new());
    let stop = watch::Sender::new(false);
    let running = tokio::spawn(run(webhook, lines, metrics, stop.subscribe()));
    for seq in 1..=2 {
        to.try_send(line(seq)).unwrap();
        let talk = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let mut request = String::new();
            while !request.ends_with(&format!("{{\"seq\":{seq}}}")) {
                let n = peer.read(&mut buffer).await.unwrap();
                request.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            }
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            // The connection is kept for the next event, until the client goes.
            assert_eq!(peer.read(&mut buffer).await.unwrap(), 0);
        };
        tokio::time::timeout(PATIENCE, talk).await.unwrap();
    }
    drop(to);
    running.await.unwrap();
}

#[tokio::test]
async fn nothing_is_tried_again_once_the_supervisor_ends() {
    let (hookee, address) = Hookee::start(&[503; 9]).await;
    let mut webhook = webhook(address);
    webhook.pause = 100 * PATIENCE;
    let stop = watch::Sender::new(false);
    let mut stopped = stop.subscribe();
    let mut client = None;
    let line = line(1);
    let telling = webhook.tell(&mut client, &line, &mut stopped);
    let stopping = async {
        eventually("the first try", || {
            (hookee.bodies().len() == 1).then_some(())
        })
        .await;
        stop.send_replace(true);
    };
    let both = async { tokio::join!(telling, stopping) };
    let (told, ()) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    told.unwrap_err();
    assert_eq!(hookee.bodies().len(), 1);
}
