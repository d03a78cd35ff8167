//! Hands over a state of many bytes, `--bytes N` of them, as they are: no serialiser touches them.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use baton_handover::{Handover, State};
use serde::{Deserialize, Serialize};

mod common;

/// Bytes that many generations keep. Shared, so that a snapshot copies nothing.
#[derive(Clone, Serialize, Deserialize)]
struct Ballast {
    #[serde(skip)]
    bytes: Arc<[u8]>,
}

impl State for Ballast {
    const VERSION: u32 = 1;

    fn write(&self, _: u32, into: &mut dyn Write) -> io::Result<()> {
        into.write_all(&self.bytes)
    }

    fn read(_: u32, bytes: &[u8]) -> io::Result<Self> {
        Ok(Self {
            bytes: bytes.into(),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let bytes = options.option("bytes").unwrap_or("0").parse()?;
    let settings = options.settings("ballast").state::<Ballast>("ballast");
    let mut handover = Handover::begin(settings).await?;
    let mut listener = handover.tcp("sums", options.listen).await?;
    let address = listener.local_addr()?;
    let ballast = match handover.state::<Ballast>("ballast").await? {
        Some(ballast) => ballast,
        None => Ballast {
            bytes: (0..=250).cycle().take(bytes).collect(),
        },
    };
    let snapshot = ballast.clone();
    handover.offer_state("ballast", move || snapshot.clone());
    let serving = handover.ready().await?;
    common::say("ballast", &serving, address);

    // Whoever connects is told what is there.
    while let Some(mut connection) = listener.accept().await {
        let sum: u64 = ballast.bytes.iter().map(|byte| u64::from(*byte)).sum();
        let answer = format!("{} bytes with the sum {sum}\n", ballast.bytes.len());
        connection.send(answer.as_bytes()).await?;
    }
    serving.ended().await;
    Ok(())
}
