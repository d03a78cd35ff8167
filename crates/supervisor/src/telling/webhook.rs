//! `BATON_WEBHOOK`: each event's JSON is posted to this address.
//!
//! In order, one at a time, tried again a few times if the fault may pass. The client costs
//! memory, certificates most of all, so it is made for the first event and dropped after the last.
//! The address may hold a secret: the log shows only its host.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use url::Url;

use super::metrics::Metrics;
use super::outlet::{Line, Streak};

/// Where events are posted, and how hard that is tried.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) url: Url,
    /// For one try.
    pub(super) limit: Duration,
    pub(super) tries: u32,
    /// Before the second try; four times as long before each further one.
    pub(super) pause: Duration,
    /// For how long nothing must happen before the client is dropped.
    pub(super) idle: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("cannot make a client for BATON_WEBHOOK at {host}: {text}")]
    Client { host: String, text: String },
    #[error("BATON_WEBHOOK at {host} cannot be reached: {text}")]
    Unreachable { host: String, text: String },
    #[error("BATON_WEBHOOK at {host} answered {code}{}", hint(*.code))]
    Refused { host: String, code: StatusCode },
}

fn hint(code: StatusCode) -> &'static str {
    match code.as_u16() {
        300..=399 => "; set it to the address that it redirects to",
        401 | 403 => "; is its secret still right?",
        404 | 410 => "; is the address still right?",
        _ => "",
    }
}

impl WebhookError {
    /// May the next try go better?
    fn may_pass(&self) -> bool {
        match self {
            Self::Client { .. } => false,
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => {
                code.is_server_error()
                    || *code == StatusCode::REQUEST_TIMEOUT
                    || *code == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

/// Posts each line, until there are no more to come. Once `stop` says so, nothing is tried again:
/// an address that is gone should not hold up the supervisor's end.
pub(super) async fn run(
    webhook: Webhook,
    mut lines: mpsc::Receiver<Arc<Line>>,
    metrics: Metrics,
    mut stop: watch::Receiver<bool>,
) {
    let mut client = None;
    let mut streak = Streak::default();
    loop {
        let next = if client.is_some() {
            let Ok(next) = timeout(webhook.idle, lines.recv()).await else {
                client = None;
                continue;
            };
            next
        } else {
            lines.recv().await
        };
        let Some(line) = next else { return };
        match webhook.tell(&mut client, &line, &mut stop).await {
            Ok(()) => {
                metrics.webhook_told("ok");
                if let Some(untold) = streak.passed() {
                    tracing::warn!(untold, "BATON_WEBHOOK is told again");
                }
            }
            Err(error) => {
                metrics.webhook_told("failed");
                let (kind, seq) = (&line.kind, line.seq);
                if streak.failed() {
                    tracing::warn!(
                        kind,
                        seq,
                        "{error}; further failures are only counted, in baton_webhook_posts_total"
                    );
                } else {
                    tracing::debug!(kind, seq, "{error}");
                }
            }
        }
    }
}

impl Webhook {
    async fn tell(
        &self,
        client: &mut Option<Client>,
        line: &Line,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), WebhookError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(self.client().await?),
        };
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            let Err(error) = self.post(client, line).await else {
                return Ok(());
            };
            if tries >= self.tries || !error.may_pass() {
                return Err(error);
            }
            tracing::debug!(seq = line.seq, tries, "{error}; trying again");
            if timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                return Err(error);
            }
            pause *= 4;
            tries += 1;
        }
    }

    async fn post(&self, client: &Client, line: &Line) -> Result<(), WebhookError> {
        let sent = client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(line.json.clone())
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(WebhookError::Refused {
                host: self.host(),
                code: answer.status(),
            }),
            Err(error) => Err(WebhookError::Unreachable {
                host: self.host(),
                text: causes(&error.without_url()),
            }),
        }
    }

    /// Off the supervisor's thread: it reads the system's certificates.
    async fn client(&self) -> Result<Client, WebhookError> {
        let (limit, needs_certificates) = (self.limit, self.url.scheme() != "http");
        let making = tokio::task::spawn_blocking(move || make_client(limit, needs_certificates));
        let failed = |text| WebhookError::Client {
            host: self.host(),
            text,
        };
        match making.await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(failed(causes(&error))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

fn make_client(limit: Duration, needs_certificates: bool) -> reqwest::Result<Client> {
    // Whoever is first sets the process's provider; it is the same one everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
        .timeout(limit)
        .redirect(reqwest::redirect::Policy::none());
    if !needs_certificates {
        // A container without any certificates can still post to its neighbour.
        let none = rustls::RootCertStore::empty();
        builder = builder.tls_backend_preconfigured(
            rustls::ClientConfig::builder()
                .with_root_certificates(none)
                .with_no_client_auth(),
        );
    }
    builder.build()
}

/// An error with all that led to it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
