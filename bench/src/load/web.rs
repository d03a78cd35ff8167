//! HTTP clients: one connection per request, or one for all.

use std::io;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Moment;
use super::client::Client;
use super::http::{Answer, Broken, exchange, generation, request};
use super::tally::Fault;

/// Opens a connection for each request.
pub(super) async fn fresh(mut client: Client) {
    let request = request(&client.path(), &client.group().target.to_string(), true);
    loop {
        let thought = client.thought();
        if !client.pause(thought).await {
            return;
        }
        client.asks();
        let began = Moment::now();
        let Some(mut stream) = client.connect_once(|_| Ok(())).await else {
            continue;
        };
        ask(&mut client, &mut stream, &request, began).await;
    }
}

/// Asks over one connection as long as the server lets it.
pub(super) async fn kept(mut client: Client, looks: bool) {
    let request = request(&client.path(), &client.group().target.to_string(), false);
    while let Some(mut stream) = client.connect(|_| Ok(())).await {
        loop {
            let thought = client.thought();
            if looks {
                match think_looking(&client, &stream, thought).await {
                    Looked::Stands => {}
                    Looked::Stop => return,
                    Looked::Ended(how) => {
                        client.reconnects(false, format!("between requests: {how}"));
                        break;
                    }
                    Looked::Unasked => {
                        client.fault(Fault::Wrong, 1, "bytes that nobody asked for");
                        client.reconnects(false, "after bytes that nobody asked for");
                        break;
                    }
                }
            } else if !client.pause(thought).await {
                return;
            }
            client.asks();
            match ask(&mut client, &mut stream, &request, Moment::now()).await {
                Asked::Kept => {}
                Asked::Announced => {
                    client.reconnects(true, "Connection: close");
                    break;
                }
                Asked::Broken => {
                    client.reconnects(false, "after a failed request");
                    break;
                }
            }
        }
    }
}

/// How a request left the connection.
enum Asked {
    Kept,
    Announced,
    Broken,
}

/// One request over this connection; what came of it is written down.
async fn ask(client: &mut Client, stream: &mut TcpStream, request: &[u8], began: Moment) -> Asked {
    let patience = client.group().patience;
    match timeout(patience, exchange(stream, request)).await {
        Ok(Ok(answer)) => judge(client, &answer, began),
        Ok(Err(broken)) => {
            let fault = match &broken {
                Broken::Odd(_) => Fault::Wrong,
                _ => Fault::Lost,
            };
            client.fault(fault, 1, broken.to_string());
            client.tally().short += u64::from(broken.is_short());
            Asked::Broken
        }
        Err(_) => {
            client.fault(Fault::Late, 1, format!("no answer within {patience:?}"));
            Asked::Broken
        }
    }
}

fn judge(client: &mut Client, answer: &Answer, began: Moment) -> Asked {
    if answer.status == 200 {
        client.answered(Some(began), answer.body.len() as u64);
        if let Some(generation) = generation(&answer.body) {
            client.tally().saw(generation);
        }
    } else {
        client.fault(Fault::Wrong, 1, format!("status {}", answer.status));
    }
    if answer.close {
        Asked::Announced
    } else {
        Asked::Kept
    }
}

/// What a client that looks has seen of its connection while it thought.
enum Looked {
    Stands,
    Ended(String),
    Unasked,
    Stop,
}

async fn think_looking(client: &Client, stream: &TcpStream, time: Duration) -> Looked {
    let mut thought = pin!(sleep(time));
    loop {
        tokio::select! {
            biased;
            () = client.stopped() => return Looked::Stop,
            ready = stream.readable() => {
                if let Err(e) = ready {
                    return Looked::Ended(e.to_string());
                }
                match stream.try_read(&mut [0; 16]) {
                    Ok(0) => return Looked::Ended("closed".to_owned()),
                    Ok(_) => return Looked::Unasked,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) => return Looked::Ended(e.to_string()),
                }
            }
            () = &mut thought => break,
        }
    }
    if client.is_stopped() {
        return Looked::Stop;
    }
    // The runtime hears of a close a little later than the socket; a pool asks the socket.
    match recv(stream, &mut [0; 16], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Looked::Ended("closed".to_owned()),
        Ok(_) => Looked::Unasked,
        Err(Errno::AGAIN) => Looked::Stands,
        Err(e) => Looked::Ended(e.to_string()),
    }
}
