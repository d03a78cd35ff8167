//! Clients of a server that gives each byte back.
//!
//! What they send is a [`Pattern`], so each byte that comes back is checked against its position
//! without being kept, however much is on the way.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::Moment;
use super::client::Client;
use super::random::Pattern;
use super::tally::Fault;

/// A frame has at most so many bytes.
const MAX_FRAME: usize = 4096;
/// So many frames are on the way at once.
const IN_FLIGHT: usize = 4;
/// A stalled client's buffers in the kernel, small so that the server's fill soon.
const SMALL: u32 = 16 << 10;
/// A stalled client writes no more than this before it reads.
const MAX_STALL: u64 = 8 << 20;
/// Nothing could be written for so long: the buffers on the way are full.
const FULL: Duration = Duration::from_millis(100);

/// How an echo client goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Steady,
    Silent,
    Stalled,
}

pub(super) async fn run(mut client: Client) {
    // The odd ones come last, so their numbers tell them in the stories.
    let from_last = client.group().clients - 1 - client.number;
    let manner = if from_last < client.group().stalled {
        Manner::Stalled
    } else if from_last < client.group().stalled + client.group().silent {
        Manner::Silent
    } else {
        Manner::Steady
    };
    let tune = |socket: &TcpSocket| {
        if manner == Manner::Stalled {
            socket.set_recv_buffer_size(SMALL)?;
            socket.set_send_buffer_size(SMALL)?;
        }
        Ok(())
    };
    let mut connections = 0;
    while let Some(stream) = client.connect(tune).await {
        connections += 1;
        let seed = (connections << 32) | client.number as u64;
        let mut talk = Talk {
            out: Pattern::new(seed),
            back: Pattern::new(seed),
            unsent: Vec::new(),
            sent: 0,
            frames: VecDeque::new(),
            answered_to: 0,
            // What a stalled client waits for is itself.
            is_timed: manner != Manner::Stalled,
            moved: Instant::now(),
        };
        let end = match manner {
            Manner::Stalled => talk.stall(&mut client, &stream).await,
            _ => talk.go_on(&mut client, &stream, manner).await,
        };
        match end {
            End::Stopped => return,
            End::Broken(fault, what) => {
                // Wrong bytes are a failure even if they answer nothing.
                let least = usize::from(fault == Fault::Wrong);
                client.fault(fault, talk.frames.len().max(least), what.as_str());
                client.tally().short += u64::from(talk.is_answer_begun());
                client.reconnects(false, what);
            }
        }
    }
}

/// How a connection ended.
enum End {
    /// The client was stopped, and everything it had sent came back.
    Stopped,
    /// With the frames that were on the way.
    Broken(Fault, String),
}

/// One connection's state: what is on the way.
struct Talk {
    out: Pattern,
    back: Pattern,
    /// Bytes of frames not written yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// Where each frame on the way ends, and when it was made.
    frames: VecDeque<(u64, Moment)>,
    /// Where the last frame that came back ended.
    answered_to: u64,
    /// How long a frame takes says something of the server.
    is_timed: bool,
    /// When something was last written or read.
    moved: Instant,
}

impl Talk {
    /// A steady or silent client.
    async fn go_on(&mut self, client: &mut Client, stream: &TcpStream, manner: Manner) -> End {
        let patience = client.group().patience;
        let mut next = Instant::now();
        let mut stopping = false;
        loop {
            if stopping && self.frames.is_empty() {
                return End::Stopped;
            }
            let may_speak = !stopping && self.frames.len() < IN_FLIGHT;
            let interest = self.interest();
            tokio::select! {
                biased;
                () = client.stopped(), if !stopping => stopping = true,
                ready = stream.ready(interest) => {
                    if let Err(end) = ready.map_err(|e| broken(&e)).and_then(|_| self.turn(client, stream)) {
                        return end;
                    }
                }
                () = sleep_until(next), if may_speak => {
                    if client.is_stopped() {
                        stopping = true;
                        continue;
                    }
                    // Several frames at once, now and then.
                    let most = IN_FLIGHT - self.frames.len();
                    for _ in 0..client.random.between(1, most) {
                        self.speak(client);
                        if client.is_stopped() {
                            break;
                        }
                    }
                    let mean = match manner {
                        Manner::Silent => client.group().silence,
                        _ => client.group().think,
                    };
                    next = Instant::now() + client.random.around(mean);
                    if let Err(end) = self.turn(client, stream) {
                        return end;
                    }
                }
                () = sleep_until(self.moved + patience), if !self.frames.is_empty() => {
                    return late(patience);
                }
            }
        }
    }

    /// A client that does not read until the buffers are full, then reads all, and again.
    async fn stall(&mut self, client: &mut Client, stream: &TcpStream) -> End {
        let patience = client.group().patience;
        loop {
            let begun = self.out.position();
            let mut full = Instant::now() + FULL;
            while self.out.position() - begun < MAX_STALL && !client.is_stopped() {
                if !self.has_unsent() {
                    self.speak(client);
                }
                tokio::select! {
                    biased;
                    () = client.stopped() => break,
                    ready = stream.writable() => match ready.map_err(|e| broken(&e)).and_then(|()| self.write(stream)) {
                        Ok(0) => {}
                        Ok(_) => full = Instant::now() + FULL,
                        Err(end) => return end,
                    },
                    () = sleep_until(full) => break,
                }
            }
            self.moved = Instant::now();
            while !self.frames.is_empty() {
                let interest = self.interest();
                tokio::select! {
                    biased;
                    ready = stream.ready(interest) => {
                        if let Err(end) = ready.map_err(|e| broken(&e)).and_then(|_| self.turn(client, stream)) {
                            return end;
                        }
                    }
                    () = sleep_until(self.moved + patience) => return late(patience),
                }
            }
            let silence = client.group().silence;
            let pause = client.random.around(silence);
            match self.rest(client, stream, pause).await {
                Ok(true) => {}
                Ok(false) => return End::Stopped,
                Err(end) => return end,
            }
        }
    }

    /// Pauses, and looks whether the connection stands; false if the client is to end.
    async fn rest(
        &mut self,
        client: &mut Client,
        stream: &TcpStream,
        pause: Duration,
    ) -> Result<bool, End> {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = client.stopped() => return Ok(false),
                ready = stream.readable() => ready.map_err(|e| broken(&e)).and_then(|()| self.turn(client, stream))?,
                () = sleep_until(until) => return Ok(!client.is_stopped()),
            }
        }
    }

    /// Makes a frame.
    fn speak(&mut self, client: &mut Client) {
        client.asks();
        if !self.has_unsent() {
            self.unsent.clear();
            self.sent = 0;
        }
        let count = client.random.between(1, MAX_FRAME);
        self.out.write(&mut self.unsent, count);
        if self.frames.is_empty() {
            self.moved = Instant::now();
        }
        self.frames.push_back((self.out.position(), Moment::now()));
    }

    /// What to wait for.
    fn interest(&self) -> Interest {
        if self.has_unsent() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        }
    }

    const fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// Something came of the first frame on the way.
    fn is_answer_begun(&self) -> bool {
        self.back.position() > self.answered_to
    }

    /// Writes and reads what is possible now.
    fn turn(&mut self, client: &mut Client, stream: &TcpStream) -> Result<(), End> {
        self.write(stream)?;
        self.read(client, stream)
    }

    fn write(&mut self, stream: &TcpStream) -> Result<usize, End> {
        if !self.has_unsent() {
            return Ok(0);
        }
        match stream.try_write(&self.unsent[self.sent..]) {
            Ok(count) => {
                self.sent += count;
                self.moved = Instant::now();
                Ok(count)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(broken(&e)),
        }
    }

    fn read(&mut self, client: &mut Client, stream: &TcpStream) -> Result<(), End> {
        let mut buffer = [0; 16 << 10];
        loop {
            let count = match stream.try_read(&mut buffer) {
                Ok(0) => {
                    return Err(End::Broken(
                        Fault::Lost,
                        "the connection was closed".to_owned(),
                    ));
                }
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(broken(&e)),
            };
            self.moved = Instant::now();
            self.check(client, &buffer[..count])?;
        }
    }

    fn check(&mut self, client: &mut Client, bytes: &[u8]) -> Result<(), End> {
        let before = self.back.position();
        let wrong = self.back.wrong(bytes);
        if wrong > 0 {
            client.tally().wrong_bytes += wrong;
            let what = format!(
                "{wrong} of the {} bytes from position {before} on are wrong",
                bytes.len()
            );
            return Err(End::Broken(Fault::Wrong, what));
        }
        if self.back.position() > self.out.position() {
            let extra = self.back.position() - self.out.position();
            client.tally().wrong_bytes += extra;
            return Err(End::Broken(
                Fault::Wrong,
                format!("{extra} bytes came that were never sent"),
            ));
        }
        while let Some((end, began)) = self.frames.front().copied() {
            if end > self.back.position() {
                break;
            }
            self.frames.pop_front();
            let count = end - self.answered_to;
            self.answered_to = end;
            client.answered(self.is_timed.then_some(began), count);
        }
        Ok(())
    }
}

fn broken(error: &io::Error) -> End {
    End::Broken(Fault::Lost, error.to_string())
}

fn late(patience: Duration) -> End {
    End::Broken(Fault::Late, format!("nothing moved for {patience:?}"))
}
