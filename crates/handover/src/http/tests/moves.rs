//! Requests meet a handover at every byte.

use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

/// Requests of every sort, the last of which ends the connection, and the answers' bodies.
fn requests() -> (Vec<u8>, Vec<(bool, &'static str)>) {
    let text = [
        "GET /echo/1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /echo/2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "POST /echo/3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HEAD /echo/4 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /streamed/5 HTTP/1.1\r\nhost: a\r\n\r\n",
        "PUT /echo/6 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nxyz",
        "GET /echo/7 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        "POST /unread/8 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "\r\nGET /echo/9 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ];
    let answers = vec![
        (false, "1:"),
        (false, "2:hello"),
        (false, "3:abcde"),
        (true, ""),
        (
            false,
            "streamed streamed streamed streamed streamed streamed streamed streamed streamed streamed ",
        ),
        (false, "6:xyz"),
        (false, "7:"),
        (false, "8:"),
        (false, "9:"),
    ];
    (text.concat().into_bytes(), answers)
}

/// Sends the requests in pieces and hands over after each of them, to and fro; each piece is read before, if it is to settle.
async fn meet(cuts: &[(usize, bool)]) {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let (mut client, twin) = generations[0].connect();
    let (bytes, answers) = requests();
    let mut sent = 0;
    let mut side = 0;
    for &(cut, settled) in cuts {
        let cut = cut.max(sent);
        client.send(&bytes[sent..cut]).await;
        sent = cut;
        if settled {
            settle(&twin).await;
        }
        let (from, to) = (&generations[side], &generations[1 - side]);
        to.registry.restore(Vec::new());
        from.hand_over(to).await;
        from.drain_into(to);
        side = 1 - side;
    }
    drop(twin);
    client.send(&bytes[sent..]).await;
    for (place, (to_head, body)) in answers.iter().enumerate() {
        let answer = client.answer(*to_head).await;
        let answer =
            answer.unwrap_or_else(|| panic!("answer {} is missing, cut at {cuts:?}", place + 1));
        assert_eq!(
            (answer.status, &*answer.body),
            (200, *body),
            "cut at {cuts:?}"
        );
        let last = place + 1 == answers.len();
        assert_eq!(
            answer.says("connection: close"),
            last,
            "cut at {cuts:?}: {answer:?}"
        );
    }
    assert!(
        client.answer(false).await.is_none(),
        "closed after the last"
    );
    assert_eq!(
        journal.numbers(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "cut at {cuts:?}"
    );
    assert_eq!(journal.served.lock().unwrap()[2].1, b"abcde");
    for generation in &generations {
        within(generation.registry.empty()).await;
    }
}

#[tokio::test]
async fn a_handover_at_every_byte_of_many_requests() {
    for cut in 0..=requests().0.len() {
        meet(&[(cut, true)]).await;
        meet(&[(cut, false)]).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn several_handovers_at_any_bytes(mut cuts in prop::collection::vec((0..=requests().0.len(), prop::bool::ANY), 1..8)) {
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(meet(&cuts));
    }
}

#[tokio::test]
async fn an_idle_connection_moves_at_once_and_a_busy_one_after_its_answer() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let ((mut idle, idle_twin), (mut busy, busy_twin)) = (old.connect(), old.connect());
    idle.send(b"GET /echo/1 HTTP/1.1\r\n\r\n").await;
    assert!(idle.answer(false).await.unwrap().says("generation: old"));
    busy.send(b"GET /held/2 HTTP/1.1\r\n\r\nGET /echo/3 HTTP/1.1\r\n\r\n")
        .await;
    settle(&idle_twin).await;
    settle(&busy_twin).await;
    assert_eq!(
        old.hand_over(&new).await,
        1,
        "nobody waits for the busy one"
    );
    idle.send(b"GET /echo/4 HTTP/1.1\r\n\r\n").await;
    assert!(idle.answer(false).await.unwrap().says("generation: new"));
    old.drain_into(&new);
    journal.gate.add_permits(1);
    let answer = busy.answer(false).await.unwrap();
    assert!(answer.body == "2:" && !answer.says("connection: close"));
    assert_eq!(busy.answer(false).await.unwrap().body, "3:");
    busy.send(b"GET /echo/5 HTTP/1.1\r\n\r\n").await;
    assert!(busy.answer(false).await.unwrap().says("generation: new"));
    within(old.registry.empty()).await;
    assert_eq!(new.registry.counts()["http"].live, 2);
}

#[tokio::test]
async fn a_roll_back_is_not_noticed() {
    let journal = Journal::new();
    let old = Generation::new("old", &journal);
    let ((mut idle, idle_twin), (mut busy, busy_twin)) = (old.connect(), old.connect());
    idle.send(b"GET /echo/1 HTT").await;
    busy.send(b"GET /held/2 HTTP/1.1\r\n\r\n").await;
    settle(&idle_twin).await;
    settle(&busy_twin).await;
    drop(idle_twin);
    for _ in 0..3 {
        old.registry.freeze(&["http"]);
        let parcels = within(old.registry.gather(Instant::now() + PATIENCE)).await;
        assert_eq!(parcels.len(), 1);
        assert_eq!(parcels[0].unread, b"GET /echo/1 HTT");
        old.registry.restore(parcels);
    }
    idle.send(b"P/1.1\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.unwrap().body, "1:");
    journal.gate.add_permits(1);
    assert!(!busy.answer(false).await.unwrap().says("connection: close"));
    busy.send(b"GET /echo/3 HTTP/1.1\r\n\r\n").await;
    assert_eq!(busy.answer(false).await.unwrap().body, "3:");
}

#[tokio::test]
async fn an_answer_the_peer_does_not_read_moves_along() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let (mut client, twin) = old.connect();
    // answers that fill the kernel's buffer, but not ours
    let mut asked = 0;
    let body = "x".repeat(40_000);
    let request = format!("POST /echo/1 HTTP/1.1\r\ncontent-length: 40000\r\n\r\n{body}");
    while asked < 100 && rustix::io::ioctl_fionread(&client.stream).unwrap() >= 40_000 * asked {
        client.send(request.as_bytes()).await;
        asked += 1;
        settle(&twin).await;
    }
    drop(twin);
    old.registry.freeze(&["http"]);
    let parcels = within(old.registry.gather(Instant::now() + PATIENCE)).await;
    assert_eq!(parcels.len(), 1, "after {asked} requests");
    assert!(asked < 100 && !parcels[0].unsent.is_empty());
    new.registry.admit(parcels);
    for _ in 0..asked {
        assert_eq!(client.answer(false).await.unwrap().body.len(), 40_002);
    }
    client.send(b"GET /echo/2 HTTP/1.1\r\n\r\n").await;
    assert!(client.answer(false).await.unwrap().says("generation: new"));
}

#[tokio::test]
async fn a_body_nobody_reads_is_skipped_or_ends_the_connection() {
    let journal = Journal::new();
    let (old, new) = (
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    );
    let ((mut whole, whole_twin), (mut partial, partial_twin)) = (old.connect(), old.connect());
    whole
        .send(b"POST /unread/1 HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody")
        .await;
    partial
        .send(b"POST /unread/2 HTTP/1.1\r\ncontent-length: 40\r\n\r\nGET /echo/3")
        .await;
    settle(&whole_twin).await;
    settle(&partial_twin).await;
    drop(partial_twin);
    assert_eq!(old.hand_over(&new).await, 1);
    assert_eq!(whole.answer(false).await.unwrap().body, "1:");
    whole.send(b"GET /echo/4 HTTP/1.1\r\n\r\n").await;
    assert!(whole.answer(false).await.unwrap().says("generation: new"));
    assert_eq!(partial.answer(false).await.unwrap().body, "2:");
    assert!(partial.answer(false).await.is_none());
    assert_eq!(journal.numbers(), [1, 2, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_clients_under_load_lose_nothing() {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let mut clients = JoinSet::new();
    for number in 0..16_u32 {
        let (mut client, _) = generations[0].connect();
        let journal = journal.clone();
        clients.spawn(async move {
            for turn in 0..400 {
                let request = number * 1_000 + turn;
                let (path, rest) = match (request % 7, request % 3) {
                    (0, _) => ("held", String::new()),
                    (_, 0) => ("echo", "content-length: 3\r\n\r\nabc".to_owned()),
                    _ => ("echo", String::new()),
                };
                let head = format!("GET /{path}/{request} HTTP/1.1\r\n{rest}");
                let text = if rest.is_empty() { head + "\r\n" } else { head };
                client.send(text.as_bytes()).await;
                if path == "held" {
                    journal.gate.add_permits(1);
                }
                let answer = client.answer(false).await.expect("answered");
                assert!(
                    answer.body.starts_with(&format!("{request}:")),
                    "{answer:?}"
                );
                assert!(!answer.says("connection: close"));
            }
        });
    }
    let (mut round, mut moved) = (0, 0);
    while !clients.is_empty() {
        let (from, to) = (&generations[round % 2], &generations[(round + 1) % 2]);
        to.registry.restore(Vec::new());
        moved += from.hand_over(to).await;
        from.drain_into(to);
        round += 1;
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        while let Some(done) = clients.try_join_next() {
            done.unwrap();
        }
    }
    assert!(moved > 100, "{moved} moves in {round} handovers");
    let mut served = journal.numbers();
    served.sort_unstable();
    let expected: Vec<u32> = (0..16)
        .flat_map(|number| (0..400).map(move |turn| number * 1_000 + turn))
        .collect();
    assert!(served == expected, "each request is served once");
}

#[tokio::test]
async fn many_pipelined_requests_are_served_in_order_on_both_sides() {
    let journal = Journal::new();
    let generations = [
        Generation::new("old", &journal),
        Generation::new("new", &journal),
    ];
    let (mut client, twin) = generations[0].connect();
    drop(twin);
    let requests: Vec<u8> = (0..3_000)
        .flat_map(|number| format!("GET /echo/{number} HTTP/1.1\r\n\r\n").into_bytes())
        .collect();
    let (reader, mut writer) =
        std::mem::replace(&mut client.stream, UnixStream::pair().unwrap().0).into_split();
    let writing = tokio::spawn(async move {
        for piece in requests.chunks(1_777) {
            writer.write_all(piece).await.unwrap();
        }
        writer
    });
    let (mut side, mut moved, mut seen, mut from_new) = (0, 0, Vec::new(), 0);
    let mut reader = reader;
    for number in 0..3_000 {
        while !client.buffer.windows(4).any(|part| part == b"\r\n\r\n") {
            within(reader.read_buf(&mut client.buffer)).await.unwrap();
            generations[1 - side].registry.restore(Vec::new());
            moved += generations[side].hand_over(&generations[1 - side]).await;
            generations[side].drain_into(&generations[1 - side]);
            side = 1 - side;
        }
        let head = client.until(b"\r\n\r\n").await.unwrap();
        from_new += usize::from(head.contains("generation: new"));
        let body = format!("{number}:");
        while client.buffer.len() < body.len() {
            within(reader.read_buf(&mut client.buffer)).await.unwrap();
        }
        seen.push(client.take(body.len()).await.unwrap() == body);
    }
    assert!(seen.iter().all(|right| *right));
    assert!(
        moved > 0 && from_new > 0 && from_new < 3_000,
        "{moved} moves, {from_new} from the successor"
    );
    assert_eq!(journal.numbers(), (0..3_000).collect::<Vec<u32>>());
    within(writing).await.unwrap();
}
