//! Web clients, made when first needed and dropped with the fetch: an idle supervisor keeps no
//! certificates, pools or threads in memory.

use std::error::Error;
use std::sync::{Once, OnceLock};

use reqwest::Client;
use reqwest::redirect::{Attempt, Policy};
use url::{Host, Url};

use super::causes::causes;
use super::run::Limits;

/// The clients of one fetch.
pub(super) struct Http {
    limits: Limits,
    /// For this machine itself, never through a proxy (as Go does).
    local: OnceLock<Client>,
    /// For everything else, through the proxy that the environment names.
    remote: OnceLock<Client>,
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefused {
    /// Too many.
    #[error("more than {0} redirects (limit)")]
    TooMany(usize),
    /// From an encrypted to an open connection.
    #[error("redirected from https to {0}, which is not encrypted")]
    Downgrade(String),
    /// To something other than the web.
    #[error("redirected to {0}, which is neither http nor https")]
    Scheme(String),
}

/// No client could be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set up https: {reason}; install the system's root certificates (package \
     ca-certificates) or name a file of them in SSL_CERT_FILE{now}",
    now = .named.as_ref().map(|f| format!(" (now SSL_CERT_FILE is {f})")).unwrap_or_default()
)]
pub struct NoClient {
    reason: String,
    /// What `SSL_CERT_FILE` says.
    named: Option<String>,
}

impl NoClient {
    fn because(error: &reqwest::Error) -> Self {
        Self {
            reason: causes(error),
            named: std::env::var("SSL_CERT_FILE").ok(),
        }
    }
}

impl Http {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            local: OnceLock::new(),
            remote: OnceLock::new(),
        }
    }

    /// The client for a URL.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, NoClient> {
        let local = is_local(url);
        let cell = if local { &self.local } else { &self.remote };
        if cell.get().is_none() {
            let client = self.build(local, url.scheme() == "http")?;
            let _ = cell.set(client);
        }
        Ok(cell.get().expect("it was set just above"))
    }

    fn build(&self, local: bool, plain: bool) -> Result<Client, NoClient> {
        use_ring();
        let redirects = self.limits.redirects;
        let builder = || {
            let builder = Client::builder()
                .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(self.limits.connect)
                .referer(false)
                .redirect(Policy::custom(
                    move |attempt: Attempt<'_>| match may_follow(
                        attempt.previous(),
                        attempt.url(),
                        redirects,
                    ) {
                        Ok(()) => attempt.follow(),
                        Err(refused) => attempt.error(refused),
                    },
                ));
            if local { builder.no_proxy() } else { builder }
        };
        match builder().build() {
            Ok(client) => Ok(client),
            // A container without certificates can still use plain http.
            Err(_) if plain => builder()
                .tls_certs_only([])
                .build()
                .map_err(|e| NoClient::because(&e)),
            Err(e) => Err(NoClient::because(&e)),
        }
    }
}

/// Whether to follow a redirect to `next` after the requests to `previous`.
pub(super) fn may_follow(
    previous: &[Url],
    next: &Url,
    limit: usize,
) -> Result<(), RedirectRefused> {
    if previous.len() > limit {
        return Err(RedirectRefused::TooMany(limit));
    }
    let shown = || super::source::redact(next.as_str());
    let was_encrypted = previous.iter().any(|url| url.scheme() == "https");
    match next.scheme() {
        "http" if was_encrypted => Err(RedirectRefused::Downgrade(shown())),
        "http" | "https" => Ok(()),
        _ => Err(RedirectRefused::Scheme(shown())),
    }
}

/// What about a server's TLS will be the same next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsFault {
    /// It has not the certificate that it should have.
    Certificate,
    /// It speaks something else.
    NoTls,
}

/// Finds such a fault among an error's causes.
pub(super) fn tls_fault(error: &reqwest::Error) -> Option<TlsFault> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(_)) => return Some(TlsFault::Certificate),
            Some(rustls::Error::InvalidMessage(_)) => return Some(TlsFault::NoTls),
            _ => {}
        }
        // `io::Error::source` skips the error that it wraps.
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Makes ring the process's cryptography for TLS, unless somebody chose before.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|t| Url::parse(t).unwrap()).collect()
    }

    #[test]
    fn redirects_are_bounded_and_never_leave_encryption() {
        let follow = |previous: &[&str], next: &str| {
            may_follow(&urls(previous), &Url::parse(next).unwrap(), 2)
        };
        follow(&["http://a/"], "https://b/").unwrap();
        follow(&["http://a/"], "http://b/").unwrap();
        follow(&["https://a/"], "https://b/").unwrap();
        let down = RedirectRefused::Downgrade("http://b/".to_owned());
        assert_eq!(follow(&["https://a/"], "http://b/"), Err(down.clone()));
        assert_eq!(follow(&["http://x/", "https://a/"], "http://b/"), Err(down));
        let file = follow(&["https://a/"], "file:///etc/passwd").unwrap_err();
        assert!(matches!(file, RedirectRefused::Scheme(_)), "{file}");
        let third = follow(&["http://a/", "http://b/", "http://c/"], "http://d/");
        assert_eq!(third, Err(RedirectRefused::TooMany(2)));
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (url, local) in [
            ("http://localhost:80/", true),
            ("http://127.0.0.1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_local(&Url::parse(url).unwrap()), local, "{url}");
        }
    }
}
