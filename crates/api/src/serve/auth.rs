//! Who is let in.
//!
//! | who asks | what for | is let in |
//! |---|---|---|
//! | this machine, while loopback is trusted | anything | yes |
//! | anyone, while authentication is off | what is not for this machine only | yes |
//! | anyone with a token | what is not for this machine only | yes |
//! | this machine with a token, while loopback is not trusted | anything | yes |
//!
//! A request that a proxy passed on (it has a header that says so) is never taken for one of this machine. Nor is one that a web page of
//! another site made the operator's browser send: such pages must not use the trust that the browser's machine has.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};

use crate::{base64, fault::Fault, settings::ApiSettings, tokens::Tokens};

/// Paths, by their beginnings, that only this machine may ask, and what others are told.
pub(crate) const LOCAL_ONLY: [(&str, &str); 4] = [
    ("/backup-wallet", "only local can get access backup-wallets"),
    (
        "/restore-wallet",
        "only local can get access restore-wallet",
    ),
    (
        "/list-access-tokens",
        "only local can get access token list",
    ),
    ("/sign-upgrade-plan", "only local can sign upgrade plans"),
];

/// Headers by which a proxy says that it passes a request on.
const PASSED_ON: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Lets a request in or says why not. `client` is none for a Unix socket, whose file says who may use it.
pub(crate) fn admit(
    settings: &ApiSettings,
    tokens: &Tokens,
    client: Option<IpAddr>,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), Fault> {
    let here = client.is_none_or(|ip| ip.to_canonical().is_loopback())
        && !PASSED_ON.iter().any(|name| headers.contains_key(*name));
    let trusted = here && settings.trust_loopback;
    let local_only = LOCAL_ONLY
        .iter()
        .find(|(beginning, _)| path.starts_with(beginning));
    if let Some((_, told)) = local_only
        && !here
    {
        return Err(unauthenticated(told));
    }
    let free = trusted || (settings.auth_disabled && local_only.is_none());
    let refused = match free.then(|| check_page(settings, headers)) {
        Some(Ok(())) => return Ok(()),
        Some(Err(strange)) => strange,
        None => unauthenticated("no token"),
    };
    let Some((id, secret)) = basic(headers).or_else(|| offered(headers)) else {
        return Err(refused);
    };
    tokens
        .check(&id, &secret)
        .map_err(|_| unauthenticated("invalid token"))
}

fn unauthenticated(detail: &str) -> Fault {
    Fault::transport(StatusCode::UNAUTHORIZED, "BTM860", detail)
}

/// The user and the password of HTTP Basic (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = String::from_utf8(base64::decode(encoded.trim_ascii())?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The same from the subprotocols that a WebSocket offers, as `basic.` and the hexadecimal of user, colon and password: a web page
/// can give its WebSocket no other header. A challenge (`WWW-Authenticate`) would let it too, but then browsers would keep the token
/// and send it along with what pages of other sites ask.
fn offered(headers: &HeaderMap) -> Option<(String, String)> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offers = offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let encoded = offers.find_map(|offer| offer.trim().strip_prefix("basic."))?;
    let text = String::from_utf8(hex::decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Refuses what a page of another site made a browser send without a token.
///
/// Browsers say so with `Origin` or `Sec-Fetch-Site`. That a page was loaded from the very name that it asks shows nothing if the name is
/// one that its owner can point anywhere, so it must be `localhost` or an address, or one that the operator allows.
fn check_page(settings: &ApiSettings, headers: &HeaderMap) -> Result<(), Fault> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let (origin, site) = (text("origin"), text("sec-fetch-site"));
    if origin.is_none() && site.is_none() {
        return Ok(());
    }
    let allowed = |origin: &str| {
        let mut known = settings.cors_origins.iter();
        known.any(|known| known == "*" || known == origin)
    };
    let host = text("host").unwrap_or_default();
    let own = match origin {
        Some(origin) if allowed(origin) => return Ok(()),
        Some(origin) => origin
            .split_once("://")
            .is_some_and(|(_, name)| name.eq_ignore_ascii_case(host)),
        None => site != Some("cross-site") && site != Some("same-site"),
    };
    if own && (is_address(host) || allowed(&format!("http://{host}"))) {
        return Ok(());
    }
    Err(Fault::transport(
        StatusCode::FORBIDDEN,
        "BTM860",
        "a web page of another site asks: send a token, or allow the site in the node's settings",
    ))
}

/// Whether a `Host` is `localhost` or an address, with or without a port.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    struct World {
        settings: ApiSettings,
        tokens: Tokens,
        basic: String,
        _dir: tempfile::TempDir,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("t.redb")).unwrap();
        let token = tokens.create("tok", "").unwrap().token;
        World {
            settings: ApiSettings::default(),
            tokens,
            basic: format!("Basic {}", base64::encode(token.as_bytes())),
            _dir: dir,
        }
    }

    /// What the request is told; nothing if it is let in.
    fn told(world: &World, client: [u8; 4], path: &str, of: &[(&'static str, &str)]) -> String {
        let admitted = admit(
            &world.settings,
            &world.tokens,
            Some(IpAddr::from(client)),
            path,
            &headers(of),
        );
        match admitted {
            Ok(()) => String::new(),
            Err(Fault::Transport(transport)) => {
                assert_eq!(transport.code, "BTM860");
                format!("{} {}", transport.status.as_u16(), transport.detail)
            }
            Err(Fault::Refused(refused)) => panic!("{refused:?}"),
        }
    }

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const AWAY: [u8; 4] = [192, 0, 2, 7];

    #[test]
    fn bytoms_rules_hold() {
        let mut world = world();
        let right = world.basic.clone();
        let right = [("authorization", right.as_str())];
        let wrong = format!("Basic {}", base64::encode(b"tok:00"));
        let wrong = [("authorization", wrong.as_str())];
        assert_eq!(told(&world, HERE, "/list-access-tokens", &[]), "");
        assert_eq!(told(&world, AWAY, "/net-info", &[]), "401 no token");
        assert_eq!(told(&world, AWAY, "/net-info", &wrong), "401 invalid token");
        assert_eq!(told(&world, AWAY, "/net-info", &right), "");
        for (path, text) in LOCAL_ONLY {
            assert_eq!(told(&world, AWAY, path, &right), format!("401 {text}"));
        }
        world.settings.auth_disabled = true;
        assert_eq!(told(&world, AWAY, "/net-info", &[]), "");
        assert_eq!(
            told(&world, AWAY, "/backup-wallet/", &[]),
            "401 only local can get access backup-wallets"
        );
        world.tokens.delete("tok").unwrap();
        world.settings.auth_disabled = false;
        assert_eq!(told(&world, AWAY, "/net-info", &right), "401 invalid token");
    }

    #[test]
    fn a_proxy_lends_nobody_its_address() {
        let mut world = world();
        let forwarded = ("x-forwarded-for", "192.0.2.7");
        let right = world.basic.clone();
        let right = ("authorization", right.as_str());
        assert_eq!(
            told(&world, HERE, "/net-info", &[forwarded]),
            "401 no token"
        );
        assert_eq!(told(&world, HERE, "/net-info", &[forwarded, right]), "");
        assert_eq!(
            told(&world, HERE, "/list-access-tokens", &[forwarded, right]),
            "401 only local can get access token list"
        );
        world.settings.trust_loopback = false;
        assert_eq!(told(&world, HERE, "/net-info", &[]), "401 no token");
        assert_eq!(
            told(&world, HERE, "/list-access-tokens", &[]),
            "401 no token"
        );
        assert_eq!(told(&world, HERE, "/list-access-tokens", &[right]), "");
    }

    #[test]
    fn pages_of_other_sites_are_not_trusted() {
        let mut world = world();
        let right = world.basic.clone();
        let host = ("host", "127.0.0.1:9888");
        let evil = ("origin", "https://evil.example");
        let refused = |told: String| assert!(told.starts_with("403 a web page"), "{told}");
        refused(told(&world, HERE, "/delete-key", &[host, evil]));
        refused(told(
            &world,
            HERE,
            "/rescan-wallet",
            &[host, ("sec-fetch-site", "cross-site")],
        ));
        // a name that was pointed here
        let name = ("host", "evil.example:9888");
        refused(told(
            &world,
            HERE,
            "/net-info",
            &[name, ("origin", "http://evil.example:9888")],
        ));
        refused(told(
            &world,
            HERE,
            "/net-info",
            &[name, ("sec-fetch-site", "same-origin")],
        ));
        // the dashboard, and whoever shows a token
        assert_eq!(
            told(
                &world,
                HERE,
                "/net-info",
                &[host, ("origin", "http://127.0.0.1:9888")]
            ),
            ""
        );
        assert_eq!(
            told(
                &world,
                HERE,
                "/net-info",
                &[host, ("sec-fetch-site", "none")]
            ),
            ""
        );
        for own in ["localhost:9888", "[::1]:9888", "localhost"] {
            let origin = format!("http://{own}");
            assert_eq!(
                told(
                    &world,
                    HERE,
                    "/net-info",
                    &[("host", own), ("origin", &origin)]
                ),
                ""
            );
        }
        let token = ("authorization", right.as_str());
        assert_eq!(told(&world, AWAY, "/net-info", &[host, evil, token]), "");
        assert_eq!(told(&world, HERE, "/net-info", &[host, evil, token]), "");
        world.settings.cors_origins = vec!["https://evil.example".to_owned()];
        assert_eq!(told(&world, HERE, "/net-info", &[host, evil]), "");
    }

    #[test]
    fn a_websocket_offers_its_token_as_a_subprotocol() {
        let world = world();
        let token = base64::decode(&world.basic.as_bytes()["Basic ".len()..]).unwrap();
        let offer = |token: &[u8]| format!("baton, basic.{}", hex::encode(token));
        let told = |offer: &str| {
            let header = [("sec-websocket-protocol", offer)];
            told(&world, AWAY, "/websocket-subscribe", &header)
        };
        assert_eq!(told(&offer(&token)), "");
        assert_eq!(told(&offer(b"tok:00")), "401 invalid token");
        for bad in [
            "baton",
            "basic.",
            "basic.6",
            "basic.zz",
            "basic.6162",
            "basic.ff3aff",
        ] {
            assert_eq!(told(bad), "401 no token", "{bad}");
        }
    }

    #[test]
    fn credentials_are_read_or_refused() {
        let read = |value: &str| basic(&headers(&[("authorization", value)]));
        for text in ["a:b", "tok:", "t:b:c", ":"] {
            let (user, password) =
                read(&format!("bAsic {}", base64::encode(text.as_bytes()))).unwrap();
            assert_eq!(format!("{user}:{password}"), text);
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic a",
            "Basic a===",
            "Bearer YTpi",
            "Basic Y!pi",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
