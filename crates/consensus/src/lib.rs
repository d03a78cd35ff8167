//! Consensus: Malachite BFT over our blocks.
