//! bytomd's HTTP and WebSocket API over a chain, a wallet and a keystore.
