//! Opens whatever it is told, for the tests. Each `--<kind> NAME=ADDRESS` may come many times; stream sockets greet with `name generation`
//! and close, datagram sockets answer with the generation in front.
//!
//! Kinds: `tcp`, `udp`, `unix`, `datagram`, `seqpacket`, `group` (four TCP sockets on one address), `many` (`NAME=COUNT` TCP listeners),
//! `file` (a locked file, to which each generation adds a line), `stray` (a listener that the library does not know of), `own` (another, of which it is told).
//! `--leave NAME` does not claim what a predecessor had under that name.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use baton_handover::{Handover, Listener, UdpSocket, UnixDatagram, UnixSeqpacketListener};
use rustix::fs::{FlockOperation, flock};

mod common;

enum Opened {
    Stream(Listener),
    Udp(UdpSocket),
    Datagram(UnixDatagram),
    Seqpacket(UnixSeqpacketListener),
    File(File),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let mut handover = Handover::begin(options.settings("sockets")).await?;
    let main = handover.tcp("main", options.listen).await?;
    let address = main.local_addr()?;
    let mut opened = vec![Opened::Stream(main)];
    let mut strays = Vec::new();
    let any = "127.0.0.1:0".parse()?;
    for (kind, value) in &options.more {
        let Some((name, at)) = value.split_once('=') else {
            continue;
        };
        if options.option("leave") == Some(name) {
            continue;
        }
        match kind.as_str() {
            "tcp" => opened.push(Opened::Stream(handover.tcp(name, at.parse()?).await?)),
            "udp" => opened.push(Opened::Udp(handover.udp(name, at.parse()?).await?)),
            "unix" => opened.push(Opened::Stream(handover.unix(name, at).await?)),
            "datagram" => opened.push(Opened::Datagram(handover.unix_datagram(name, at)?)),
            "seqpacket" => opened.push(Opened::Seqpacket(handover.unix_seqpacket(name, at)?)),
            "group" => {
                let group = handover.tcp_group(name, at.parse()?, 4).await?;
                opened.extend(group.into_iter().map(Opened::Stream));
            }
            "many" => {
                for number in 0..at.parse()? {
                    let listener = handover.tcp(&format!("{name}-{number}"), any).await?;
                    opened.push(Opened::Stream(listener));
                }
            }
            "file" => opened.push(Opened::File(handover.file(name, || {
                let file = File::create(at)?;
                flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                Ok(file)
            })?)),
            "own" => {
                let listener = std::net::TcpListener::bind(at)?;
                handover.own_listeners().add(listener.local_addr()?);
                strays.push(listener);
            }
            "stray" => strays.push(std::net::TcpListener::bind(at)?),
            _ => {}
        }
    }
    let serving = handover.ready().await?;
    common::say("sockets", &serving, address);
    for one in opened {
        tokio::spawn(serve(one, serving.generation()));
    }
    serving.ended().await;
    Ok(())
}

async fn serve(one: Opened, generation: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let answer = |heard: &[u8]| [format!("{generation} ").as_bytes(), heard].concat();
    match one {
        Opened::Stream(mut listener) => {
            let greeting = format!("{} {generation}\n", listener.name());
            while let Some(mut connection) = listener.accept().await {
                // One that is gone already is no reason to stop.
                let _ = connection.send(greeting.as_bytes()).await;
            }
        }
        Opened::Udp(socket) => {
            while let Some((length, from)) = socket.recv_from(&mut buffer).await? {
                socket.send_to(&answer(&buffer[..length]), from).await?;
            }
        }
        Opened::Datagram(socket) => {
            while let Some((length, from)) = socket.recv_from(&mut buffer).await? {
                socket.send_to(&answer(&buffer[..length]), &from).await?;
            }
        }
        Opened::Seqpacket(mut listener) => {
            let greeting = format!("{} {generation}\n", listener.name());
            while let Some(connection) = listener.accept().await? {
                let _ = connection.send(greeting.as_bytes()).await;
            }
        }
        Opened::File(mut file) => {
            writeln!(file, "generation {generation}")?;
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}
