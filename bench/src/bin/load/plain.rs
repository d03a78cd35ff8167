//! A plain echo server in a process of its own. It ends when its standard input does.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::{BESIDES, PLAIN_ECHO, raise_limit};

/// The server, seen from the generator.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it for so many connections.
    pub(crate) fn start(connections: usize) -> Result<Self> {
        let me = std::env::current_exe().context("finding this executable")?;
        let mut child = Command::new(me)
            .arg(PLAIN_ECHO)
            .arg(connections.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the plain echo server")?;
        let stdout = child.stdout.take().context("it has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .with_context(|| format!("the plain echo server said {line:?}"))?;
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Whether it ended well is not what is measured.
        let _ = self.child.wait();
    }
}

/// The server's main.
pub(crate) fn serve() -> Result<ExitCode> {
    let connections = std::env::args()
        .nth(2)
        .context("for how many connections?")?;
    raise_limit(connections.parse::<u64>()? + BESIDES)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        // A pipe read in a thread, since this runtime has none to spare for it.
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(ended);
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let _ = end.await;
        Ok::<_, std::io::Error>(())
    });
    end.context("serving")?;
    Ok(ExitCode::SUCCESS)
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(8 << 10);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        if tokio::io::AsyncWriteExt::write_all(&mut stream, &buffer)
            .await
            .is_err()
        {
            return;
        }
        buffer.clear();
    }
}
