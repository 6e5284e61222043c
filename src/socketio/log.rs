//! The events of a namespace that some client may have missed: numbered, found by room, bounded in age, count and bytes. Pure: has no
//! lock and no timer, and knows nothing of who missed what.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::event::Event;
use super::packet::Packet;
use super::socket::SocketId;
use crate::engineio::Frame;

/// What an entry weighs beside its frames, roughly.
const OVERHEAD: usize = 256;

/// To whom an event went.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Target {
    All,
    Room(Arc<str>),
    Socket(SocketId),
}

#[derive(Debug)]
pub(super) struct Entry {
    seq: u64,
    at: Instant,
    targets: Box<[Target]>,
    except: Box<[SocketId]>,
    frames: Arc<[Frame]>,
    bytes: usize,
}

impl Entry {
    pub(super) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The event as the client reads it, without its attachments.
    pub(super) fn event(&self) -> Option<Event> {
        let message = self.frames.first()?.as_text()?.strip_prefix('4')?;
        let packet = Packet::decode(message).ok()?;
        Event::decode(packet.data, None, &[], usize::MAX).ok()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) age: Duration,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// More was missed than may be sent at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Debug)]
pub(super) struct Log {
    bounds: Bounds,
    last: u64,
    order: VecDeque<Arc<Entry>>,
    by_target: HashMap<Target, VecDeque<Arc<Entry>>>,
    bytes: usize,
    /// The youngest event that had to go before its age.
    dropped: Option<(u64, Instant)>,
}

impl Log {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            last: 0,
            order: VecDeque::new(),
            by_target: HashMap::new(),
            bytes: 0,
            dropped: None,
        }
    }

    /// The number of the latest event; 0 if there was none.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends an event; its frames are made for its number.
    pub(super) fn append(
        &mut self,
        now: Instant,
        targets: Box<[Target]>,
        except: &[SocketId],
        frames: impl FnOnce(u64) -> Arc<[Frame]>,
    ) -> Arc<[Frame]> {
        self.last += 1;
        let frames = frames(self.last);
        let entry = Arc::new(Entry {
            seq: self.last,
            at: now,
            except: except.into(),
            bytes: OVERHEAD + frames.iter().map(Frame::len).sum::<usize>(),
            frames: Arc::clone(&frames),
            targets,
        });
        for target in &entry.targets {
            if let Some(entries) = self.by_target.get_mut(target) {
                entries.push_back(Arc::clone(&entry));
            } else {
                let first = VecDeque::from([Arc::clone(&entry)]);
                self.by_target.insert(target.clone(), first);
            }
        }
        self.bytes += entry.bytes;
        self.order.push_back(entry);
        self.trim(now);
        frames
    }

    /// Forgets what is too old or too much.
    pub(super) fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let is_old = now > oldest.at + self.bounds.age;
            if !is_old && self.order.len() <= self.bounds.events && self.bytes <= self.bounds.bytes
            {
                break;
            }
            if !is_old {
                self.dropped = Some((oldest.seq, oldest.at));
            }
            self.drop_oldest();
        }
        if self.order.capacity() > 1024 && self.order.len() < self.order.capacity() / 8 {
            self.order.shrink_to_fit();
            self.by_target.shrink_to_fit();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.order.pop_front() else {
            return;
        };
        self.bytes -= entry.bytes;
        for target in &entry.targets {
            // The oldest of all is the oldest of each of its targets.
            if let Some(entries) = self.by_target.get_mut(target) {
                entries.pop_front();
                if entries.is_empty() {
                    self.by_target.remove(target);
                }
            }
        }
    }

    /// Whether every event after number `after` and the instant `since` is still here, or was dropped for its age alone.
    pub(super) fn is_complete(&self, after: u64, since: Instant) -> bool {
        self.dropped
            .is_none_or(|(seq, at)| seq <= after || at < since)
    }

    /// The events for `socket` in their order, each once: of each target those after its number.
    pub(super) fn missed(
        &self,
        socket: SocketId,
        sources: &[(Target, u64)],
        max: usize,
    ) -> Result<Vec<Arc<Entry>>, TooMany> {
        let mut missed = Vec::new();
        for (target, after) in sources {
            let Some(entries) = self.by_target.get(target) else {
                continue;
            };
            let start = entries.partition_point(|entry| entry.seq <= *after);
            let new = entries
                .range(start..)
                .filter(|entry| !entry.except.contains(&socket));
            // One more than allowed is enough to know.
            missed.extend(new.take(max + 1).cloned());
        }
        missed.sort_unstable_by_key(|entry| entry.seq);
        missed.dedup_by_key(|entry| entry.seq);
        if missed.len() > max {
            return Err(TooMany);
        }
        Ok(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(100);

    fn log(events: usize, bytes: usize) -> Log {
        Log::new(Bounds {
            age: AGE,
            events,
            bytes,
        })
    }

    fn room(name: &str) -> Target {
        Target::Room(name.into())
    }

    fn append(log: &mut Log, now: Instant, targets: &[&str], except: &[SocketId]) {
        let targets = targets.iter().map(|name| room(name)).collect();
        log.append(now, targets, except, |seq| {
            [Frame::message(&seq.to_string())].into()
        });
    }

    fn numbers(log: &Log, socket: SocketId, sources: &[(&str, u64)]) -> Vec<u64> {
        let sources: Vec<_> = sources
            .iter()
            .map(|(name, after)| (room(name), *after))
            .collect();
        let missed = log.missed(socket, &sources, 100).unwrap();
        missed.iter().map(|entry| entry.seq).collect()
    }

    fn id(digit: char) -> SocketId {
        SocketId::parse(&digit.to_string().repeat(20)).unwrap()
    }

    #[test]
    fn what_was_missed_comes_in_order_and_once() {
        let (mut log, now) = (log(100, 100_000), Instant::now());
        append(&mut log, now, &["a"], &[]);
        append(&mut log, now, &["a", "b"], &[]);
        append(&mut log, now, &["b"], &[id('x')]);
        append(&mut log, now, &["c"], &[]);
        append(&mut log, now, &["a"], &[]);
        assert_eq!(numbers(&log, id('y'), &[("b", 0), ("a", 0)]), [1, 2, 3, 5]);
        assert_eq!(numbers(&log, id('x'), &[("b", 0), ("a", 1)]), [2, 5]);
        assert_eq!(numbers(&log, id('y'), &[("b", 2), ("nobody", 0)]), [3]);
        assert_eq!(
            log.missed(id('y'), &[(room("a"), 0)], 2).unwrap_err(),
            TooMany
        );
        assert!(log.missed(id('y'), &[(room("a"), 0)], 3).is_ok());
    }

    #[test]
    fn age_forgets_silently_and_the_caps_do_not() {
        let (mut log, start) = (log(3, 100_000), Instant::now());
        append(&mut log, start, &["a"], &[]);
        let later = start + AGE * 2;
        append(&mut log, later, &["b"], &[]);
        assert_eq!(log.len(), 1);
        assert!(
            log.is_complete(0, start),
            "what is that old nobody can need"
        );
        for _ in 0..3 {
            append(&mut log, later, &["a", "b"], &[]);
        }
        assert_eq!((log.len(), log.last()), (3, 5));
        assert!(!log.is_complete(0, later) && !log.is_complete(1, start));
        assert!(log.is_complete(2, later), "it had that one");
        let after = later + Duration::from_nanos(1);
        assert!(log.is_complete(0, after), "it was here after that one");
        log.trim(later + AGE * 2);
        assert_eq!((log.len(), log.bytes(), log.by_target.len()), (0, 0, 0));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut log = log(1000, 10 * OVERHEAD);
        for _ in 0..1000 {
            append(&mut log, Instant::now(), &["a"], &[]);
            assert!(log.bytes() <= 10 * OVERHEAD);
        }
        assert_eq!(log.len(), 9);
    }
}
