//! Cuts a stream of frames (RFC 6455, 5.2) into what can be handed on whole: control frames and complete messages.
//!
//! A control frame between the fragments of a message is handed on before it, as it would be handled before it.

use bytes::{Bytes, BytesMut};

/// Holds the fragments of a message whose end has not arrived.
#[derive(Debug)]
pub(super) struct Cutter {
    fragments: BytesMut,
    limit: usize,
}

/// A message, its frame headers included, is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The longest payload of a control frame (RFC 6455, 5.5).
const CONTROL_LIMIT: u64 = 125;

/// What a frame's header says.
struct Header {
    length: usize,
    payload: u64,
    last: bool,
    control: bool,
}

impl Cutter {
    /// Refuses messages longer than this many bytes, frame headers included.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            fragments: BytesMut::new(),
            limit,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next control frame or whole message; none until more input arrives.
    pub(super) fn cut(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, TooLong> {
        while let Some(header) = Header::parse(input) {
            let payload = usize::try_from(header.payload).map_err(|_| TooLong)?;
            let whole = header.length.checked_add(payload).ok_or(TooLong)?;
            if header.control && header.payload > CONTROL_LIMIT {
                return Err(TooLong);
            }
            if !header.control && self.fragments.len().saturating_add(whole) > self.limit {
                return Err(TooLong);
            }
            if input.len() < whole {
                return Ok(None);
            }
            let frame = input.split_to(whole);
            if header.control || (header.last && self.fragments.is_empty()) {
                return Ok(Some(frame.freeze()));
            }
            self.fragments.extend_from_slice(&frame);
            if header.last {
                return Ok(Some(self.fragments.split().freeze()));
            }
        }
        Ok(None)
    }

    /// The fragments held back: all the input that was taken and not handed on.
    pub(super) fn held(self) -> Bytes {
        self.fragments.freeze()
    }
}

impl Header {
    fn parse(input: &[u8]) -> Option<Self> {
        let (&first, &second) = (input.first()?, input.get(1)?);
        let (length, payload) = match second & 0x7F {
            126 => (
                4,
                u64::from(u16::from_be_bytes(input.get(2..4)?.try_into().ok()?)),
            ),
            127 => (10, u64::from_be_bytes(input.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        Some(Self {
            length: length + mask,
            payload,
            last: first & 0x80 != 0,
            control: first & 0x08 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = &[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
    const BEGIN: &[u8] = &[0x01, 0x01, b'a'];
    const MIDDLE: &[u8] = &[0x00, 0x00];
    const END: &[u8] = &[0x80, 0x01, b'b'];
    const PING: &[u8] = &[0x89, 0x01, b'p'];

    #[test]
    fn a_control_frame_goes_before_the_message_it_interrupts() {
        let mut input = BytesMut::from(&[BEGIN, PING, MIDDLE, END, TEXT].concat()[..]);
        let mut cutter = Cutter::new(100);
        assert_eq!(cutter.cut(&mut input).unwrap().unwrap(), PING);
        assert_eq!(
            cutter.cut(&mut input).unwrap().unwrap(),
            [BEGIN, MIDDLE, END].concat()
        );
        assert_eq!(cutter.cut(&mut input).unwrap().unwrap(), TEXT);
        assert_eq!(cutter.cut(&mut input), Ok(None));
        assert!(input.is_empty() && cutter.held().is_empty());
    }

    #[test]
    fn long_messages_are_refused_before_they_arrive() {
        let refused =
            |bytes: &[u8]| Cutter::new(10).cut(&mut BytesMut::from(bytes)) == Err(TooLong);
        assert!(refused(&[
            0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF
        ]));
        assert!(refused(&[0x82, 126, 0, 200]));
        assert!(refused(&[0x89, 126, 0, 126]), "control frames are short");
        assert!(!refused(&[0x82, 8, 0]));
        // empty fragments count as well
        assert!(refused(
            &[[0x02, 0x00].as_slice(), &[0x00, 0x00].repeat(5)].concat()
        ));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_arrive(cuts in prop::collection::vec(0_usize..40, 0..6)) {
            let stream = [TEXT, BEGIN, PING, MIDDLE, END, TEXT].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let (mut cutter, mut input, mut from, mut units) = (Cutter::new(100), BytesMut::new(), 0, Vec::new());
            for cut in cuts {
                input.extend_from_slice(&stream[from..cut]);
                from = cut;
                while let Some(unit) = cutter.cut(&mut input).unwrap() {
                    units.push(unit.to_vec());
                }
                // another process takes over
                let rest = [&cutter.held()[..], &input[..]].concat();
                (cutter, input) = (Cutter::new(100), BytesMut::from(&rest[..]));
            }
            let message = [BEGIN, MIDDLE, END].concat();
            prop_assert_eq!(units, [TEXT.to_vec(), PING.to_vec(), message, TEXT.to_vec()]);
        }
    }
}
