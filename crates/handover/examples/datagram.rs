//! Returns each datagram with the generation in front. The kernel keeps what arrives during a handover.

use std::error::Error;

use baton_handover::Handover;

mod common;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = common::options();
    let settings = options.settings("datagram");
    let mut handover = Handover::begin(settings).await?;
    let socket = handover.udp("datagram", options.listen).await?;
    let address = socket.local_addr()?;
    let serving = handover.ready().await?;
    common::say("datagram", &serving, address);

    let mut buffer = vec![0; 64 * 1024];
    let front = format!("{} ", serving.generation());
    while let Some((length, from)) = socket.recv_from(&mut buffer).await? {
        let answer = [front.as_bytes(), &buffer[..length]].concat();
        if let Err(error) = socket.send_to(&answer, from).await {
            tracing::debug!(%error, %from, "cannot answer");
        }
    }
    serving.ended().await;
    Ok(())
}
