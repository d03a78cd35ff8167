//! Peers over libp2p: gossip by topic, requests, discovery, limits and bans. Knows nothing of chains.
