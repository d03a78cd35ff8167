//! Clients at work while servers come and go: some open a connection for each request, some keep one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::{PATIENCE, eventually};

/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(3);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
    last: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Attempts to connect that the kernel refused.
    pub(crate) refused: Vec<String>,
    /// Requests without an answer, or with a wrong one.
    pub(crate) failed: Vec<String>,
    /// Kept connections that were closed in idleness, so that the request had to go over a new one; as any HTTP client does it.
    pub(crate) retried: u64,
    /// Kept connections whose end was told with the last answer.
    pub(crate) told: u64,
}

impl Tally {
    /// Panics if anybody was refused or went without an answer.
    pub(crate) fn check(&self) {
        assert!(self.requests > 100, "no load to speak of: {self:?}");
        assert!(self.refused.is_empty(), "refused: {self:?}");
        assert!(self.failed.is_empty(), "failed: {self:?}");
    }
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    answers: Vec<Arc<AtomicU64>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many clients of each kind.
    pub(crate) fn on(address: SocketAddr, of_each: usize) -> Self {
        let mut this = Self {
            stop: Arc::default(),
            tally: Arc::default(),
            answers: Vec::new(),
            clients: Vec::new(),
        };
        for number in 0..2 * of_each {
            let answers = Arc::new(AtomicU64::new(0));
            let (stop, tally) = (Arc::clone(&this.stop), Arc::clone(&this.tally));
            this.answers.push(Arc::clone(&answers));
            this.clients.push(std::thread::spawn(move || {
                let mut kept = None;
                while !stop.load(Ordering::SeqCst) {
                    one(address, number % 2 == 0, &mut kept, &tally);
                    answers.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(PACE);
                }
            }));
        }
        this.goes_on();
        this
    }

    /// Waits until every client has had some more answers.
    pub(crate) fn goes_on(&self) {
        let count = |it: &Arc<AtomicU64>| it.load(Ordering::SeqCst);
        let before: Vec<u64> = self.answers.iter().map(count).collect();
        eventually("every client goes on", || {
            let mut pairs = self.answers.iter().zip(&before);
            pairs.all(|(now, before)| count(now) >= before + 5)
        });
    }

    pub(crate) fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
        let mut tally = self.tally.lock().unwrap();
        std::mem::take(&mut tally)
    }
}

/// One request; over the kept connection if `keeps` says so.
fn one(address: SocketAddr, keeps: bool, kept: &mut Option<TcpStream>, tally: &Mutex<Tally>) {
    let reused = kept.is_some();
    let mut answer = match kept.take() {
        Some(stream) => asked(stream, keeps, "/"),
        None => fresh(address, keeps, tally),
    };
    if reused && matches!(answer, Err(Failure::Closed)) {
        tally.lock().unwrap().retried += 1;
        answer = fresh(address, keeps, tally);
    }
    let mut tally = tally.lock().unwrap();
    tally.requests += 1;
    match answer {
        Ok((answer, stream)) if answer.code == 200 => {
            tally.told += u64::from(keeps && answer.last);
            *kept = (keeps && !answer.last).then_some(stream);
        }
        Ok((answer, _)) => tally.failed.push(format!("{answer:?}")),
        Err(Failure::Refused) => {}
        Err(failure) => tally.failed.push(format!("{failure:?}, keeps {keeps}")),
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Failure {
    Refused,
    /// Before the first byte of an answer.
    Closed,
    #[expect(dead_code, reason = "shown when a test fails")]
    Broken(io::Error),
}

fn fresh(
    address: SocketAddr,
    keeps: bool,
    tally: &Mutex<Tally>,
) -> Result<(Answer, TcpStream), Failure> {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(stream) => asked(stream, keeps, "/"),
        Err(error) => {
            tally.lock().unwrap().refused.push(error.to_string());
            Err(Failure::Refused)
        }
    }
}

fn asked(mut stream: TcpStream, keeps: bool, path: &str) -> Result<(Answer, TcpStream), Failure> {
    let way = if keeps { "keep-alive" } else { "close" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {way}\r\n\r\n");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = Vec::new();
    let asked = stream
        .write_all(request.as_bytes())
        .and_then(|()| read(&mut stream, &mut got));
    match asked {
        Ok(answer) => Ok((answer, stream)),
        Err(error) if got.is_empty() && is_closed(&error) => Err(Failure::Closed),
        Err(error) => Err(Failure::Broken(error)),
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// Reads one answer with a length.
fn read(stream: &mut impl Read, got: &mut Vec<u8>) -> io::Result<Answer> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = whole(got) {
            return Ok(answer);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => got.extend_from_slice(&buffer[..length]),
        }
    }
}

fn whole(got: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(got).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let length: usize = field("content-length")?.parse().ok()?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| Answer {
        code,
        body: body[..length].to_owned(),
        last: field("connection") == Some("close"),
    })
}

/// One request of the test's own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("never refused");
    asked(stream, false, path).ok().map(|(answer, _)| answer)
}
