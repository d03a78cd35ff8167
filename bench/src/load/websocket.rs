//! WebSocket clients: numbered messages that are to come back, whole and in order.
//!
//! A server that passes messages on to a room is as welcome as one that only echoes: each message
//! carries its sender and its number, so a client checks its own by what it sent and the others' by their order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Moment;
use super::client::Client;
use super::http::generation;
use super::random::Random;
use super::tally::Fault;

/// So many messages are on the way at once.
const IN_FLIGHT: usize = 4;
/// A message is filled up with at most so many bytes.
const MAX_FILL: usize = 500;
/// A ping goes out with each message whose number this divides.
const PING_EACH: u64 = 8;
/// A client keeps the order of so many others.
const MAX_OTHERS: usize = 1024;

pub(super) async fn run(mut client: Client) {
    // Numbers go on over reconnections, so that a message which comes again is known.
    let mut talk = Talk::default();
    while let Some(stream) = client.connect(|_| Ok(())).await {
        let url = format!("ws://{}{}", client.group().target, client.path());
        let opening = timeout(client.group().patience, client_async(url, stream));
        let socket = match opening.await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(e)) => {
                let fault = match &e {
                    tungstenite::Error::Http(_) => Fault::Wrong,
                    _ => Fault::Lost,
                };
                client.fault(fault, 1, format!("opening: {e}"));
                client.pause(Duration::from_millis(20)).await;
                continue;
            }
            Err(_) => {
                client.fault(Fault::Late, 1, "opening: no answer");
                continue;
            }
        };
        match talk.go_on(&mut client, socket).await {
            End::Stopped => return,
            End::Closed { announced, what } => {
                client.fault(Fault::Lost, talk.lose(), what.as_str());
                client.reconnects(announced, what);
            }
            End::Late => {
                client.fault(Fault::Late, talk.lose(), "no answer to a message or ping");
                client.reconnects(false, "after no answer");
            }
        }
    }
}

/// How a connection ended.
enum End {
    Stopped,
    Closed { announced: bool, what: String },
    Late,
}

/// A message on its way.
struct Sent {
    number: u64,
    text: String,
    began: Moment,
}

#[derive(Default)]
struct Talk {
    next: u64,
    on_the_way: VecDeque<Sent>,
    pings: VecDeque<(u64, Moment)>,
    /// The last number of each other client in the room.
    others: HashMap<u64, u64>,
}

type Socket = WebSocketStream<TcpStream>;

impl Talk {
    async fn go_on(&mut self, client: &mut Client, mut socket: Socket) -> End {
        let patience = client.group().patience;
        let mut next = Instant::now();
        let mut heard = Instant::now();
        let mut stopping = false;
        loop {
            let waits = !self.on_the_way.is_empty() || !self.pings.is_empty();
            if stopping && !waits {
                // The server's goodbye is a courtesy; nothing is measured by it.
                let _ = timeout(patience, socket.close(None)).await;
                return End::Stopped;
            }
            let may_speak = !stopping && self.on_the_way.len() < IN_FLIGHT;
            tokio::select! {
                biased;
                () = client.stopped(), if !stopping => stopping = true,
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => if let Some(end) = self.hear(client, &message) {
                            return end;
                        },
                        Some(Err(e)) => return closed(&e),
                        None => return closed(&"the connection was closed"),
                    }
                }
                () = sleep_until(next), if may_speak => {
                    if client.is_stopped() {
                        stopping = true;
                        continue;
                    }
                    if !waits {
                        heard = Instant::now();
                    }
                    let thought = client.thought();
                    next = Instant::now() + thought;
                    match timeout(patience, self.speak(client, &mut socket)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(e)) => return closed(&e),
                        Err(_) => return End::Late,
                    }
                }
                () = sleep_until(heard + patience), if waits => return End::Late,
            }
        }
    }

    async fn speak(&mut self, client: &mut Client, socket: &mut Socket) -> tungstenite::Result<()> {
        client.asks();
        let number = self.next;
        self.next += 1;
        let fill = fill(&mut client.random);
        let text = format!("{}{fill}", mark(client.number as u64, number));
        let began = Moment::now();
        self.on_the_way.push_back(Sent {
            number,
            text: text.clone(),
            began,
        });
        socket.send(Message::text(text)).await?;
        if number.is_multiple_of(PING_EACH) {
            self.pings.push_back((number, Moment::now()));
            socket
                .send(Message::Ping(number.to_be_bytes().to_vec().into()))
                .await?;
        }
        Ok(())
    }

    /// Checks what came; returns the end if it is one.
    fn hear(&mut self, client: &mut Client, message: &Message) -> Option<End> {
        match message {
            Message::Text(text) => self.hear_text(client, text.as_str()),
            Message::Binary(bytes) => self.hear_text(client, &String::from_utf8_lossy(bytes)),
            Message::Pong(bytes) => match self.pings.pop_front() {
                Some((number, began)) if bytes[..] == number.to_be_bytes() => {
                    client.answered(Some(began), 0);
                }
                _ => client.fault(Fault::Wrong, 1, "a pong that answers no ping"),
            },
            Message::Close(frame) => {
                let code = frame.as_ref().map(|frame| frame.code);
                let what = match frame {
                    Some(frame) => format!("close frame {}", frame.code),
                    None => "close frame".to_owned(),
                };
                return Some(End::Closed {
                    announced: code == Some(CloseCode::Restart),
                    what,
                });
            }
            Message::Ping(_) | Message::Frame(_) => {}
        }
        None
    }

    fn hear_text(&mut self, client: &mut Client, text: &str) {
        if let Some(generation) = generation(text.as_bytes()) {
            client.tally().saw(generation);
        }
        let Some((sender, number)) = marked(text) else {
            return;
        };
        if sender != client.number as u64 {
            self.hear_other(client, sender, number);
            return;
        }
        let first = self
            .on_the_way
            .front()
            .map_or(self.next, |sent| sent.number);
        if number < first || number >= self.next {
            client.tally().repeated += 1;
            return;
        }
        while let Some(sent) = self.on_the_way.pop_front() {
            if sent.number < number {
                client.tally().missing += 1;
                client.fault(
                    Fault::Lost,
                    1,
                    format!("message {} was passed over", sent.number),
                );
            } else if text.contains(&sent.text) {
                client.answered(Some(sent.began), sent.text.len() as u64);
                return;
            } else {
                let wrong = differing(&sent.text, text);
                client.tally().wrong_bytes += wrong;
                client.fault(
                    Fault::Wrong,
                    1,
                    format!("message {number} came back changed"),
                );
                return;
            }
        }
    }

    fn hear_other(&mut self, client: &Client, sender: u64, number: u64) {
        if self.others.len() >= MAX_OTHERS && !self.others.contains_key(&sender) {
            return;
        }
        let Some(last) = self.others.insert(sender, number) else {
            return;
        };
        if number <= last {
            self.others.insert(sender, last);
            client.tally().repeated += 1;
        } else if number > last + 1 {
            let missed = number - last - 1;
            client.tally().missing += missed;
            let what = format!(
                "{missed} messages of client {sender} after number {last} were passed over"
            );
            client.fault(
                Fault::Lost,
                usize::try_from(missed).unwrap_or(usize::MAX),
                what,
            );
        }
    }

    /// Gives up what is on the way; how many messages and pings that was.
    fn lose(&mut self) -> usize {
        let lost = self.on_the_way.len() + self.pings.len();
        self.on_the_way.clear();
        self.pings.clear();
        // While the client was away, the others went on.
        self.others.clear();
        lost
    }
}

fn closed(why: &impl ToString) -> End {
    End::Closed {
        announced: false,
        what: why.to_string(),
    }
}

fn fill(random: &mut Random) -> String {
    let count = random.between(0, MAX_FILL);
    (0..count)
        .map(|_| char::from(b'a' + u8::try_from(random.between(0, 25)).expect("a letter")))
        .collect()
}

/// A message's mark: who sent it, and its number.
fn mark(client: u64, number: u64) -> String {
    format!("<{client}.{number}>")
}

/// The mark in a text, wherever it stands.
fn marked(text: &str) -> Option<(u64, u64)> {
    text.match_indices('<').find_map(|(at, _)| {
        let (inner, _) = text[at + 1..].split_once('>')?;
        let (client, number) = inner.split_once('.')?;
        Some((client.parse().ok()?, number.parse().ok()?))
    })
}

/// How many bytes of what was sent are not in the tail of what came.
fn differing(sent: &str, came: &str) -> u64 {
    let from = came.find('<').unwrap_or_default();
    let came = &came.as_bytes()[from..];
    let same = sent
        .as_bytes()
        .iter()
        .zip(came)
        .filter(|(a, b)| a == b)
        .count();
    (sent.len().max(came.len()) - same) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_mark_anywhere() {
        assert_eq!(marked(&mark(7, 12)), Some((7, 12)));
        assert_eq!(marked("ann: <b> <3.4>rest"), Some((3, 4)));
        assert_eq!(marked("hello"), None);
        assert_eq!(marked("<3.x>"), None);
    }

    #[test]
    fn counts_what_differs() {
        assert_eq!(differing("<1.2>abc", "<1.2>abd"), 1);
        assert_eq!(differing("<1.2>abc", "ann: <1.2>a"), 2);
    }
}
