//! Answers that still hold, so that what is asked often is worked out once.
//!
//! An answer is kept under its endpoint and the bytes of its request, with a stamp of the state it was made from; it is given
//! again only while the stamp is the same. What is used least lately goes when there is no more room.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

/// Longest request whose answer is kept, in bytes.
const MAX_REQUEST: usize = 512;
/// What an entry takes besides its bytes.
const OVERHEAD: usize = 128;

/// Answers by request.
#[derive(Debug)]
pub(crate) struct Cache {
    most_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<(usize, Box<[u8]>), Entry>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    stamp: u64,
    body: Bytes,
    used: u64,
}

impl Cache {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            state: Mutex::default(),
        }
    }

    /// The answer that was given to the same request in the same state.
    pub(crate) fn get(&self, endpoint: usize, request: &[u8], stamp: u64) -> Option<Bytes> {
        if request.len() > MAX_REQUEST {
            return None;
        }
        let mut state = self.lock();
        state.clock += 1;
        let clock = state.clock;
        let entry = state.entries.get_mut(&(endpoint, request) as &dyn Key)?;
        if entry.stamp != stamp {
            return None;
        }
        entry.used = clock;
        Some(entry.body.clone())
    }

    /// Keeps an answer.
    pub(crate) fn put(&self, endpoint: usize, request: &[u8], stamp: u64, body: &Bytes) {
        let size = cost(request, body);
        // one answer must not push out all others
        if request.len() > MAX_REQUEST || size > self.most_bytes / 4 {
            return;
        }
        let mut state = self.lock();
        state.clock += 1;
        let entry = Entry {
            stamp,
            body: body.clone(),
            used: state.clock,
        };
        let before = state.entries.insert((endpoint, request.into()), entry);
        state.bytes += size;
        if let Some(before) = before {
            state.bytes -= cost(request, &before.body);
        }
        if state.bytes > self.most_bytes {
            state.make_room(self.most_bytes * 3 / 4);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes what was used least lately, until no more than `bytes` are left. A quarter goes at a time, so that it is done seldom.
    fn make_room(&mut self, bytes: usize) {
        let mut uses: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
        uses.sort_unstable();
        let mut from = 0;
        while self.bytes > bytes && from < uses.len() {
            from = (from + uses.len() / 4 + 1).min(uses.len());
            let oldest = uses.get(from).copied().unwrap_or(u64::MAX);
            let mut freed = 0;
            self.entries.retain(|(_, request), entry| {
                let stays = entry.used >= oldest;
                if !stays {
                    freed += cost(request, &entry.body);
                }
                stays
            });
            self.bytes -= freed;
        }
    }
}

fn cost(request: &[u8], body: &Bytes) -> usize {
    request.len() + body.len() + OVERHEAD
}

/// Looks up by a borrowed request.
trait Key {
    fn parts(&self) -> (usize, &[u8]);
}

impl Key for (usize, Box<[u8]>) {
    fn parts(&self) -> (usize, &[u8]) {
        (self.0, &self.1)
    }
}

impl Key for (usize, &[u8]) {
    fn parts(&self) -> (usize, &[u8]) {
        (self.0, self.1)
    }
}

impl<'k> std::borrow::Borrow<dyn Key + 'k> for (usize, Box<[u8]>) {
    fn borrow(&self) -> &(dyn Key + 'k) {
        self
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Key + '_ {}

impl std::hash::Hash for dyn Key + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_in_its_state_only() {
        let cache = Cache::new(10_000);
        let body = Bytes::from_static(b"answer");
        cache.put(1, b"{}", 7, &body);
        assert_eq!(cache.get(1, b"{}", 7), Some(body.clone()));
        assert_eq!(cache.get(1, b"{}", 8), None);
        assert_eq!(cache.get(2, b"{}", 7), None);
        assert_eq!(cache.get(1, b"{ }", 7), None);
        cache.put(1, b"{}", 8, &Bytes::from_static(b"other"));
        assert_eq!(cache.get(1, b"{}", 8).unwrap(), "other");
        assert_eq!(cache.get(1, b"{}", 7), None);
        assert_eq!(cache.lock().bytes, 2 + 5 + OVERHEAD);
    }

    #[test]
    fn what_is_used_stays_and_the_room_is_bounded() {
        let cache = Cache::new(20_000);
        let body = Bytes::from(vec![0; 500]);
        cache.put(0, b"often", 0, &body);
        for number in 0..1_000_u32 {
            cache.put(1, &number.to_le_bytes(), 0, &body);
            assert!(cache.get(0, b"often", 0).is_some(), "{number}");
            assert!(cache.lock().bytes <= 20_000);
        }
        let state = cache.lock();
        let counted: usize = state
            .entries
            .iter()
            .map(|((_, request), entry)| cost(request, &entry.body))
            .sum();
        assert_eq!(counted, state.bytes);
        drop(state);
        cache.put(2, b"", 0, &Bytes::from(vec![0; 6_000]));
        assert_eq!(cache.get(2, b"", 0), None, "too long to be kept");
        cache.put(2, &[0; MAX_REQUEST + 1], 0, &Bytes::new());
        assert_eq!(cache.get(2, &[0; MAX_REQUEST + 1], 0), None);
    }
}
