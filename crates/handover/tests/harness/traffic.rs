//! A little real traffic: connections that stay and echo, and clients that connect anew for each echo.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{PATIENCE, until};

/// Between two echoes of one client.
const PACE: Duration = Duration::from_millis(4);

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Echoes that came back whole and right.
    pub echoes: u64,
    /// Connections that were accepted by the kernel.
    pub connected: u64,
    /// Attempts to connect that were refused.
    pub refused: Vec<String>,
    /// Echoes with a wrong byte.
    pub wrong: Vec<String>,
    /// Connections that were closed or reset by the other side.
    pub cut: Vec<String>,
    /// Echoes that did not come.
    pub silent: Vec<String>,
}

/// What may happen to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Nobody notices anything.
    Unnoticed,
    /// Connections may be cut, because the process that has them is killed.
    MayBeCut,
}

impl Tally {
    /// Panics if something happened that the rules do not allow.
    pub fn check(&self, rules: Rules) {
        assert!(self.echoes > 0, "no traffic at all: {self:?}");
        assert!(self.refused.is_empty(), "refused: {self:?}");
        assert!(self.wrong.is_empty(), "wrong bytes: {self:?}");
        assert!(self.silent.is_empty(), "no answer: {self:?}");
        if rules == Rules::Unnoticed {
            assert!(self.cut.is_empty(), "cut: {self:?}");
        }
    }
}

/// Clients at work.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    /// Echoes of each client that keeps its connection.
    keepers: Vec<Arc<AtomicU64>>,
    /// Echoes of the clients that connect anew.
    comers: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// So many connections that stay, and two clients that connect anew for each echo. Returns when each has echoed.
    pub async fn echo(address: SocketAddr, keepers: usize) -> Self {
        let mut this = Self {
            stop: Arc::default(),
            tally: Arc::default(),
            keepers: Vec::new(),
            comers: Arc::default(),
            tasks: Vec::new(),
        };
        for number in 0..keepers {
            let count = Arc::new(AtomicU64::new(0));
            this.keepers.push(Arc::clone(&count));
            let client = this.client(address, format!("keeper {number}"), count);
            this.tasks.push(tokio::spawn(client.keep()));
        }
        for number in 0..2 {
            let client = this.client(address, format!("comer {number}"), Arc::clone(&this.comers));
            this.tasks.push(tokio::spawn(client.come()));
        }
        this.goes_on().await;
        this
    }

    fn client(&self, address: SocketAddr, name: String, count: Arc<AtomicU64>) -> Client {
        Client {
            address,
            name,
            count,
            stop: Arc::clone(&self.stop),
            tally: Arc::clone(&self.tally),
        }
    }

    /// Waits until every client has echoed twice from now on (a first one may have been under way): nobody hangs.
    pub async fn goes_on(&self) {
        let all: Vec<_> = self.keepers.iter().chain([&self.comers]).collect();
        let before: Vec<u64> = all
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .collect();
        until("every client echoes", || {
            let now = all.iter().map(|count| count.load(Ordering::SeqCst));
            now.zip(&before)
                .all(|(now, before)| now >= before + 2)
                .then_some(())
        })
        .await;
    }

    /// What came of it so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().expect("no panics").clone()
    }

    /// Stops all clients, each at the end of an echo.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("a client does not panic");
        }
        self.tally.lock().expect("no panics").clone()
    }
}

struct Client {
    address: SocketAddr,
    name: String,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
}

impl Client {
    /// Keeps its connection; gets a new one if it was cut.
    async fn keep(self) {
        let mut turn = 0;
        while !self.stopped() {
            let Some(mut stream) = self.connect().await else {
                return;
            };
            while !self.stopped() && self.echo(&mut stream, turn).await {
                turn += 1;
                tokio::time::sleep(PACE).await;
            }
        }
    }

    /// Connects anew each time.
    async fn come(self) {
        let mut turn = 0;
        while !self.stopped() {
            let Some(mut stream) = self.connect().await else {
                return;
            };
            self.echo(&mut stream, turn).await;
            turn += 1;
            tokio::time::sleep(PACE).await;
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    async fn connect(&self) -> Option<TcpStream> {
        let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(self.address)).await;
        let mut tally = self.tally.lock().expect("no panics");
        match connected {
            Ok(Ok(stream)) => {
                tally.connected += 1;
                Some(stream)
            }
            Ok(Err(error)) => {
                tally.refused.push(format!("{}: {error}", self.name));
                None
            }
            Err(_) => {
                tally.refused.push(format!("{}: not connected", self.name));
                None
            }
        }
    }

    /// One echo of a length that changes; says whether the connection lives.
    async fn echo(&self, stream: &mut TcpStream, turn: u64) -> bool {
        let length = 1 + usize::try_from(turn * 7919 % 3000).expect("below 3000");
        let text: Vec<u8> = format!("{} {turn} ", self.name)
            .bytes()
            .cycle()
            .take(length)
            .collect();
        let exchange = async {
            stream.write_all(&text).await?;
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let echoed = tokio::time::timeout(PATIENCE, exchange).await;
        let mut tally = self.tally.lock().expect("no panics");
        let name = format!("{} turn {turn} of {length} bytes", self.name);
        match echoed {
            Ok(Ok(answer)) if answer == text => {
                tally.echoes += 1;
                self.count.fetch_add(1, Ordering::SeqCst);
                true
            }
            Ok(Ok(_)) => {
                tally.wrong.push(name);
                false
            }
            Ok(Err(error)) => {
                tally.cut.push(format!("{name}: {error}"));
                false
            }
            Err(_) => {
                tally.silent.push(name);
                false
            }
        }
    }
}
