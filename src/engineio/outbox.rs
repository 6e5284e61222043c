//! The bounded queue of packets waiting for one session's client. Knows nothing of who fills or empties it.

use std::collections::VecDeque;

use super::packet::Frame;

/// Queue capacity kept after a burst; what is above it is given back once the queue is empty.
const KEPT_CAPACITY: usize = 32;

/// More is waiting than the session may hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

#[derive(Debug)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    bytes: usize,
    max_packets: usize,
    max_bytes: usize,
}

impl Outbox {
    pub(super) fn new(max_packets: usize, max_bytes: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            max_packets,
            max_bytes,
        }
    }

    /// Queues all frames or none, so that a packet and its attachments stay together.
    pub(super) fn push_all(&mut self, frames: &[Frame]) -> Result<(), Overflow> {
        let bytes: usize = frames.iter().map(Frame::len).sum();
        if !self.fits(frames.len(), bytes) {
            return Err(Overflow);
        }
        self.bytes += bytes;
        self.frames.extend(frames.iter().cloned());
        Ok(())
    }

    pub(super) fn fits(&self, frames: usize, bytes: usize) -> bool {
        self.frames.len() + frames <= self.max_packets && self.bytes + bytes <= self.max_bytes
    }

    /// Queues one of the engine's own packets, which are few and must not be refused.
    pub(super) fn push_control(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Takes frames from the front: at least one if there is any, then as many as fit into `bytes`.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<Frame> {
        let mut taken = Vec::new();
        let mut size = 0;
        while let Some(frame) = self.frames.front() {
            size += frame.len();
            if size > bytes && !taken.is_empty() {
                break;
            }
            taken.extend(self.frames.pop_front());
        }
        self.bytes -= taken.iter().map(Frame::len).sum::<usize>();
        if self.frames.is_empty() {
            self.frames.shrink_to(KEPT_CAPACITY);
        }
        taken
    }

    pub(super) fn clear(&mut self) {
        self.frames = VecDeque::new();
        self.bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_does_not_fit_leaves_nothing_behind() {
        let mut outbox = Outbox::new(3, 100);
        let frame = Frame::message("x");
        assert_eq!(outbox.push_all(&[frame.clone(), frame.clone()]), Ok(()));
        assert_eq!(
            outbox.push_all(&[frame.clone(), frame.clone()]),
            Err(Overflow)
        );
        assert_eq!(outbox.len(), 2);
        assert_eq!(outbox.push_all(&[frame]), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let mut outbox = Outbox::new(100, 10);
        let frame = Frame::binary(vec![0; 6]);
        assert_eq!(outbox.push_all(std::slice::from_ref(&frame)), Ok(()));
        assert_eq!(outbox.push_all(std::slice::from_ref(&frame)), Err(Overflow));
        assert_eq!(outbox.take(1).len(), 1);
        assert!(outbox.is_empty());
        assert_eq!(outbox.push_all(&[frame]), Ok(()));
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let mut outbox = Outbox::new(100, 1000);
        let frame = Frame::binary(vec![0; 6]);
        let five = vec![frame; 5];
        assert_eq!(outbox.push_all(&five), Ok(()));
        assert_eq!(outbox.take(1).len(), 1);
        assert_eq!(outbox.take(13).len(), 2);
        assert_eq!(outbox.take(usize::MAX).len(), 2);
    }
}
