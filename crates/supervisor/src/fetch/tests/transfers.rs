//! What may happen to bytes on their way.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::header;

use super::server::*;
use super::*;

const TAG: Option<&str> = Some("\"a\"");

/// The `Range` of a request that continues.
fn range(from: usize) -> String {
    format!("bytes={from}-")
}

#[tokio::test]
async fn a_broken_download_is_continued_where_it_broke() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match n {
        0 => broken(&file, 100_000, TAG),
        _ => ranged(seen, &file, "\"a\""),
    })
    .await;
    let home = Home::new();
    let fetched = home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(fetched.outcome, Outcome::Installed);
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges(), [None, Some(range(100_000))]);
    let again = &server.seen()[1];
    assert_eq!(again.header(header::IF_RANGE), Some("\"a\""));
    assert_eq!(again.header(header::ACCEPT_ENCODING), Some("identity"));
}

#[tokio::test]
async fn progress_on_the_way_resets_the_count_of_failures() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    // Ten breaks, with four attempts allowed that bring nothing.
    let server = Server::start(move |n, seen| {
        let sent = 20_000 * (n + 1);
        if n == 10 {
            return ranged(seen, &file, "\"a\"");
        }
        let from = 20_000 * n;
        if from == 0 {
            return broken(&file, sent, TAG);
        }
        let piece = broken(&file[from..], 20_000, TAG);
        let (mut parts, body) = piece.into_parts();
        parts.status = axum::http::StatusCode::PARTIAL_CONTENT;
        let response = axum::response::Response::from_parts(parts, body);
        let range = format!("bytes {from}-299999/300000");
        with(response, header::CONTENT_RANGE, &range)
    })
    .await;
    let home = Home::new();
    home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges().last().unwrap(), &Some(range(200_000)));
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, _| match n {
        0 => broken(&file, 100_000, TAG),
        _ => whole(&file, TAG),
    })
    .await;
    let home = Home::new();
    let url = format!("{}?checksum={}", server.url("/simd"), sha256(&bytes));
    home.fetch(&url).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges(), [None, Some(range(100_000))]);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_read_from_the_start() {
    let (old, new) = (script("v1", 300_000), script("v2", 200_000));
    let file = new.clone();
    let server = Server::start(move |n, seen| match n {
        0 => broken(&old, 100_000, TAG),
        _ => ranged(seen, &file, "\"b\""),
    })
    .await;
    let home = Home::new();
    home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(home.binary(), new);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_from_another_place_or_file_is_not_appended() {
    let bytes = script("v2", 300_000);
    for odd in 0..3 {
        let file = bytes.clone();
        let server = Server::start(move |n, _| match (n, odd) {
            (0, _) => broken(&file, 100_000, TAG),
            (1, 0) => rest(&file, 99_999, TAG),
            (1, 1) => rest(&file, 100_000, Some("\"b\"")),
            (1, _) => with(status(416), header::CONTENT_RANGE, "bytes */50000"),
            _ => whole(&file, TAG),
        })
        .await;
        let home = Home::new();
        home.fetch(&server.url("/simd")).await.unwrap();
        assert_eq!(home.binary(), bytes);
        assert_eq!(server.ranges(), [None, Some(range(100_000)), None]);
    }
}

#[tokio::test]
async fn without_proof_that_the_file_is_the_same_nothing_is_continued() {
    let bytes = script("v2", 300_000);
    for etag in [None, Some("W/\"weak\"")] {
        let file = bytes.clone();
        let server = Server::start(move |n, _| match n {
            0 => broken(&file, 100_000, etag),
            _ => whole(&file, etag),
        })
        .await;
        let home = Home::new();
        home.fetch(&server.url("/simd")).await.unwrap();
        assert_eq!(home.binary(), bytes);
        assert_eq!(server.ranges(), [None, None]);
    }
}

#[tokio::test]
async fn a_checksum_is_proof_enough_and_finds_a_wrong_continuation() {
    let (bytes, other) = (script("v2", 300_000), script("v3", 300_000));
    let file = bytes.clone();
    let server = Server::start(move |n, _| match n {
        0 => broken(&other, 100_000, None),
        1 => rest(&file, 100_000, None),
        _ => whole(&file, None),
    })
    .await;
    let home = Home::new();
    let url = format!("{}?checksum=sha256:{}", server.url("/simd"), sha256(&bytes));
    home.fetch(&url).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges(), [None, Some(range(100_000)), None]);
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once() {
    for code in [404, 403, 410, 501] {
        let server = Server::start(move |_, _| status(code)).await;
        let home = Home::new();
        let error = home.fetch(&server.url("/simd")).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Download);
        let error = error.to_string();
        let part = format!("GET {}: bad response code: {code}", server.url("/simd"));
        assert!(error.contains(&part), "{error}");
        assert_eq!(server.seen().len(), 1);
        assert!(home.names().is_empty(), "{:?}", home.names());
    }
}

#[tokio::test]
async fn a_password_goes_to_the_server_and_not_into_messages() {
    let server = Server::start(|_, _| status(404)).await;
    let url = server.url("/simd").replace("//", "//me:secret@");
    let error = text(Home::new().fetch(&url).await);
    assert!(
        error.contains("//me:xxxxx@127.0.0.1") && !error.contains("secret"),
        "{error}"
    );
    // "me:secret" in base 64.
    let sent = server.seen()[0]
        .header(header::AUTHORIZATION)
        .map(str::to_owned);
    assert_eq!(sent.as_deref(), Some("Basic bWU6c2VjcmV0"));
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again() {
    let bytes = script("v2", 1000);
    let file = bytes.clone();
    let server = Server::start(move |n, _| match n {
        0 => status(503),
        // An hour, but the limit is ten milliseconds.
        1 => with(status(429), header::RETRY_AFTER, "3600"),
        2 => broken(&file, 0, None),
        _ => whole(&file, None),
    })
    .await;
    let home = Home::new();
    home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn attempts_are_counted() {
    let server = Server::start(|_, _| status(500)).await;
    let home = Home::new();
    contains(
        home.fetch(&server.url("/simd")).await,
        "bad response code: 500 Internal Server Error (attempt 4, 4 in a row without a new byte; \
         giving up)",
    );
    assert_eq!(server.seen().len(), 4);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/simd", listener.local_addr().unwrap());
    drop(listener);
    let error = text(home.fetch(&nobody).await);
    assert!(error.contains("onnection refused"), "{error}");
    assert!(error.contains("giving up"), "{error}");
}

#[tokio::test]
async fn a_stalled_download_is_continued() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match n {
        0 => stalled(&file, 100_000, TAG),
        _ => ranged(seen, &file, "\"a\""),
    })
    .await;
    let home = Home::new();
    let mut request = home.request(&info_of(&server.url("/simd")));
    request.limits.stall = Duration::from_millis(300);
    release(&request, Arc::new(Unobserved)).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges(), [None, Some(range(100_000))]);
}

#[tokio::test]
async fn time_limits_are_named_when_they_are_hit() {
    let bytes = script("v2", 300_000);
    let server = Server::start(move |_, _| stalled(&bytes, 10, TAG)).await;
    let home = Home::new();
    let mut request = home.request(&info_of(&server.url("/simd")));
    request.limits.stall = Duration::from_millis(500);
    request.limits.attempts = 2;
    let stalled = release(&request, Arc::new(Unobserved)).await;
    contains(stalled, "nothing came for 500ms (limit), after 10 bytes");

    request.limits.stall = Duration::from_mins(1);
    request.limits.total = Duration::from_millis(100);
    let late = release(&request, Arc::new(Unobserved)).await;
    contains(late, "the fetch took longer than 100ms (limit)");
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_limit() {
    let bytes = script("v2", 1000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match seen.target.as_str() {
        "/loop" => redirect("/loop"),
        "/simd" if n == 0 => redirect("/elsewhere/simd"),
        _ => whole(&file, None),
    })
    .await;
    let home = Home::new();
    home.fetch(&server.url("/simd")).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.targets(), ["/simd", "/elsewhere/simd"]);

    let home = Home::new();
    contains(
        home.fetch(&server.url("/loop")).await,
        "more than 10 redirects (limit)",
    );
    assert_eq!(server.seen().len(), 2 + 11, "not tried again");
}

#[tokio::test]
async fn sizes_are_bounded_whether_announced_or_not() {
    let bytes = script("v2", 300_000);
    let server = Server::start(move |_, seen| match seen.target.as_str() {
        "/endless" => endless(),
        _ => whole(&bytes, None),
    })
    .await;
    let home = Home::new();
    for target in ["/simd", "/endless"] {
        let mut request = home.request(&info_of(&server.url(target)));
        request.limits.artefact_bytes = 200_000;
        let result = release(&request, Arc::new(Unobserved)).await;
        contains(result, "at most 200000 are fetched (limit)");
    }
    assert_eq!(server.seen().len(), 2, "not tried again");
    assert!(home.names().is_empty());
    let file = home.write("local", &script("v2", 300_000));
    let mut request = home.request(&info_of(file.to_str().unwrap()));
    request.limits.artefact_bytes = 200_000;
    let result = release(&request, Arc::new(Unobserved)).await;
    contains(
        result,
        "is 300000 bytes or more; at most 200000 are fetched",
    );
}

#[tokio::test]
async fn the_next_fetch_continues_what_a_cancelled_one_left() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match n {
        0 => stalled(&file, 100_000, TAG),
        _ => ranged(seen, &file, "\"a\""),
    })
    .await;
    let home = Home::new();
    let url = format!("{}?checksum={}", server.url("/simd"), sha256(&bytes));
    let request = home.request(&info_of(&url));
    let stop = |p: &Progress| match p.bytes {
        100_000 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let error = release(&request, Arc::new(stop)).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(home.names(), [".fetch-v2"]);

    release(&request, Arc::new(Unobserved)).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.ranges(), [None, Some(range(100_000))]);
    assert_eq!(home.names(), ["v2"]);
}

#[tokio::test]
async fn the_next_fetch_starts_anew_when_the_plan_or_the_proof_is_another() {
    let bytes = script("v2", 300_000);
    let url = |server: &Server| format!("{}?checksum={}", server.url("/simd"), sha256(&bytes));
    for change in 0..3 {
        let file = bytes.clone();
        let server = Server::start(move |n, seen| match n {
            0 => stalled(&file, 100_000, TAG),
            _ => ranged(seen, &file, "\"a\""),
        })
        .await;
        let home = Home::new();
        let first = match change {
            // Without a checksum nothing is kept at all.
            0 => server.url("/simd"),
            1 => url(&server).replace("/simd", "/other"),
            _ => format!("{}?checksum=md5:{}", server.url("/simd"), "0".repeat(32)),
        };
        let stop = |p: &Progress| match p.bytes {
            100_000 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let request = home.request(&info_of(&first));
        release(&request, Arc::new(stop)).await.unwrap_err();
        home.fetch(&url(&server)).await.unwrap();
        assert_eq!(home.binary(), bytes);
        assert_eq!(server.ranges(), [None, None], "{change}");
    }
}

#[tokio::test]
async fn a_dropped_fetch_leaves_nothing_in_the_way() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match n {
        0 => stalled(&file, 100_000, TAG),
        _ => ranged(seen, &file, "\"a\""),
    })
    .await;
    let home = Home::new();
    let url = format!("{}?checksum={}", server.url("/simd"), sha256(&bytes));
    let (arrived, mut wait) = tokio::sync::mpsc::unbounded_channel();
    let request = home.request(&info_of(&url));
    let observer = move |p: &Progress| {
        if p.bytes == 100_000 {
            let _ = arrived.send(());
        }
        ControlFlow::Continue(())
    };
    let task = tokio::spawn(async move { release(&request, Arc::new(observer)).await });
    wait.recv().await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    home.fetch(&url).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(home.names(), ["v2"]);
}

#[tokio::test]
async fn a_download_that_was_complete_is_not_asked_for_again() {
    let bytes = script("v2", 300_000);
    let server = Server::of(bytes.clone()).await;
    let home = Home::new();
    let url = format!("{}?checksum={}", server.url("/simd"), sha256(&bytes));
    let request = home.request(&info_of(&url));
    // Cancelled when everything is there, before anything is made of it.
    let stop = |p: &Progress| match p.bytes {
        300_000 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    release(&request, Arc::new(stop)).await.unwrap_err();
    home.fetch(&url).await.unwrap();
    assert_eq!(home.binary(), bytes);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_observer_sees_bytes_total_attempt_and_steps() {
    let bytes = script("v2", 300_000);
    let file = bytes.clone();
    let server = Server::start(move |n, seen| match n {
        0 => broken(&file, 100_000, TAG),
        _ => ranged(seen, &file, "\"a\""),
    })
    .await;
    let home = Home::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let observer = move |p: &Progress| {
        log.lock().unwrap().push(*p);
        ControlFlow::Continue(())
    };
    let request = home.request(&info_of(&server.url("/simd")));
    release(&request, Arc::new(observer)).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let loading: Vec<_> = seen
        .iter()
        .filter(|p| p.step == Step::Downloading)
        .collect();
    assert!(loading.windows(2).all(|w| w[0].bytes <= w[1].bytes));
    assert_eq!((loading[0].attempt, loading[0].bytes), (1, 0));
    let last = loading.last().unwrap();
    assert_eq!((last.attempt, last.bytes), (2, 300_000));
    assert_eq!(last.total, Some(300_000));
    let mut steps: Vec<Step> = seen.iter().map(|p| p.step).collect();
    steps.dedup();
    assert_eq!(steps, [Step::Downloading, Step::Checking, Step::Installing]);
}

#[tokio::test]
async fn a_cancelled_wait_between_attempts_ends_at_once() {
    let server = Server::start(|_, _| status(503)).await;
    let home = Home::new();
    let mut request = home.request(&info_of(&server.url("/simd")));
    request.limits.backoff = Duration::from_hours(1);
    request.limits.backoff_max = Duration::from_hours(1);
    request.limits.total = Duration::from_hours(2);
    let calls = AtomicU32::new(0);
    let stop = move |_: &Progress| match calls.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let error = release(&request, Arc::new(stop)).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
}
