//! The wallet: keys, accounts, addresses, and the building and signing of transactions.
