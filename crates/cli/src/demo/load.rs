//! The clients: some ask all the time, some pay, some listen for blocks. They go on for as long as this lives.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_ledger::{Block, Hash, Mapped};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::{Client, Counted, locked};
use super::coins::{Coin, Purse};

/// Clients that ask, each after so long a pause.
const READERS: usize = 6;
const READ_EACH: Duration = Duration::from_millis(10);

/// Clients that pay, each after so long a pause. The load is there, and leaves the machine room for the node.
const PAYERS: usize = 2;
const PAY_EACH: Duration = Duration::from_millis(60);

/// For how long a transfer is submitted again to which the node says no.
const INSIST: Duration = Duration::from_secs(5);

/// Clients that listen.
const LISTENERS: usize = 3;

/// Coins that are moved.
pub(super) const COINS: usize = 128;

/// Before a listener connects again.
const AGAIN: Duration = Duration::from_millis(20);

/// The clients; they end when this is dropped.
pub(super) struct Load {
    counted: Counted,
    is_paying: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

/// Where the coins are.
#[derive(Default)]
struct Book {
    free: VecDeque<Coin>,
    /// By the transfer that waits for a block: what it makes.
    waiting: HashMap<Hash, Coin>,
}

type Shared = Arc<Mutex<Book>>;

fn open(book: &Shared) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Starts the clients of the node at this address.
    pub(super) async fn start(address: SocketAddr, counted: &Counted) -> anyhow::Result<Self> {
        let purse = Arc::new(Purse::new());
        let coins = given(address, counted, &purse).await?;
        let book = Shared::default();
        open(&book).free = coins.into();
        let is_paying = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..READERS {
            clients.spawn(read(Client::new(address, counted.clone())));
        }
        for _ in 0..PAYERS {
            let client = Client::new(address, counted.clone());
            clients.spawn(pay(
                client,
                purse.clone(),
                book.clone(),
                counted.clone(),
                is_paying.clone(),
            ));
        }
        for number in 0..LISTENERS {
            // One of them tells the payers what is in a block.
            let book = (number == 0).then(|| book.clone());
            clients.spawn(listen(address, counted.clone(), book));
        }
        Ok(Self {
            counted: counted.clone(),
            is_paying,
            clients,
        })
    }

    /// Transfers are begun from now on, or no more.
    pub(super) fn pay(&self, yes: bool) {
        self.is_paying.store(yes, Ordering::Relaxed);
    }

    /// Ends them, and waits until they have.
    pub(super) async fn end(mut self) {
        self.clients.shutdown().await;
    }

    /// How many transfers wait for a block.
    pub(super) fn waiting(&self) -> usize {
        locked(&self.counted).transfers().1
    }
}

/// What the genesis gives to the purse.
async fn given(address: SocketAddr, counted: &Counted, purse: &Purse) -> anyhow::Result<Vec<Coin>> {
    let mut client = Client::new(address, counted.clone());
    let genesis = client
        .ask("get-raw-block", &json!({ "block_height": 0 }))
        .await;
    let genesis = genesis
        .map_err(anyhow::Error::msg)
        .context("reading the genesis")?;
    let block = block(&genesis["raw_block"]).context("reading the genesis")?;
    let transactions = block.transactions.into_iter().map(Mapped::from);
    Ok(transactions.flat_map(|one| purse.coins(&one)).collect())
}

fn block(hex: &Value) -> anyhow::Result<Block> {
    let bytes = hex::decode(hex.as_str().context("there is no block in it")?)?;
    Ok(Block::decode(&bytes)?)
}

async fn read(mut client: Client) {
    loop {
        if let Err(why) = client.ask("get-block-count", &Value::Null).await {
            locked(client.counted()).failed(why);
        }
        tokio::time::sleep(READ_EACH).await;
    }
}

async fn pay(
    mut client: Client,
    purse: Arc<Purse>,
    book: Shared,
    counted: Counted,
    is_paying: Arc<AtomicBool>,
) {
    loop {
        tokio::time::sleep(PAY_EACH).await;
        if !is_paying.load(Ordering::Relaxed) {
            continue;
        }
        let Some(coin) = open(&book).free.pop_front() else {
            continue;
        };
        let transfer = purse.transfer(coin);
        // Before it is submitted: the block may be here before the answer is.
        open(&book).waiting.insert(transfer.id, transfer.then);
        locked(&counted).took(transfer.id);
        let body = json!({ "raw_transaction": transfer.raw });
        let begun = Instant::now();
        while let Err(why) = client.ask("submit-transaction", &body).await {
            // It may have been taken at a try whose answer was lost; the blocks will tell. Else a wallet tries again, and so do we.
            if !open(&book).waiting.contains_key(&transfer.id) || begun.elapsed() > INSIST {
                break;
            }
            locked(&counted).failed(format!("submit-transaction: {why}"));
            tokio::time::sleep(PAY_EACH).await;
        }
    }
}

/// Listens for blocks, and goes on after the last one if the connection breaks.
async fn listen(address: SocketAddr, counted: Counted, book: Option<Shared>) {
    let mut next = None;
    let mut was_connected = false;
    loop {
        match subscribe(address, next).await {
            Ok(mut socket) => {
                if std::mem::replace(&mut was_connected, true) {
                    locked(&counted).reconnections += 1;
                }
                let error = hear(&mut socket, &mut next, &counted, book.as_ref()).await;
                locked(&counted).failed(format!("WebSocket: {error:#}"));
            }
            Err(error) => locked(&counted).failed(format!("WebSocket: {error:#}")),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(
    address: SocketAddr,
    from: Option<u64>,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.context("connecting")?;
    let url = format!("ws://{address}/websocket-subscribe");
    let (mut socket, _) = client_async(url, stream).await.context("opening")?;
    let mut wish = json!({ "topic": "notify_raw_blocks" });
    if let Some(from) = from {
        wish["from_height"] = from.into();
    }
    socket
        .send(Message::text(wish.to_string()))
        .await
        .context("subscribing")?;
    Ok(socket)
}

/// Takes blocks until the connection breaks; how it did.
async fn hear(
    socket: &mut WebSocketStream<TcpStream>,
    next: &mut Option<u64>,
    counted: &Counted,
    book: Option<&Shared>,
) -> anyhow::Error {
    let mut hearing = async || -> anyhow::Result<()> {
        let Some(message) = socket.next().await else {
            bail!("it was closed");
        };
        let Message::Text(text) = message? else {
            return Ok(());
        };
        let told: Value = serde_json::from_str(text.as_str())?;
        if told["notification_type"] != "raw_blocks_connected" {
            return Ok(());
        }
        let block = block(&told["data"])?;
        let height = block.header.height;
        locked(counted).came(height, *next, Instant::now());
        *next = Some(height + 1);
        if let Some(book) = book {
            for transaction in block.transactions {
                let id = Mapped::from(transaction).id();
                locked(counted).included(id);
                let mut book = open(book);
                let made = book.waiting.remove(&id);
                book.free.extend(made);
            }
        }
        Ok(())
    };
    loop {
        if let Err(error) = hearing().await {
            return error;
        }
    }
}
