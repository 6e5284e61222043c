//! Who may open another session: counts sessions in all, by address, and those the application has not accepted yet, so that strangers
//! who only open sessions cannot take the places of everybody else. Knows nothing of requests or packets.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::close::CloseReason;
use super::config::{Config, Transport};
use super::engine::Counts;
use super::state::Shared;

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The counts and their limits.
#[derive(Debug)]
pub(super) struct Admission {
    max_sessions: usize,
    max_per_address: usize,
    max_unaccepted: usize,
    grace: Duration,
    polling: AtomicUsize,
    websocket: AtomicUsize,
    refused: AtomicU64,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    strangers: Mutex<Strangers>,
}

/// Sessions that the application has not accepted, the oldest first.
#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    waiting: BTreeMap<u64, Stranger>,
}

#[derive(Debug)]
struct Stranger {
    since: Instant,
    session: Weak<Shared>,
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_sessions: config.max_sessions,
            max_per_address: config.max_sessions_per_address,
            max_unaccepted: config.max_unaccepted,
            grace: config.unaccepted_grace,
            polling: AtomicUsize::new(0),
            websocket: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            addresses: Mutex::default(),
            strangers: Mutex::default(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            polling: self.polling.load(Ordering::Relaxed),
            websocket: self.websocket.load(Ordering::Relaxed),
            unaccepted: self.strangers().waiting.len(),
        }
    }

    /// How many sessions there was no place for.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place for one more session.
    pub(super) fn reserve(
        self: &Arc<Self>,
        transport: Transport,
        peer: Option<SocketAddr>,
    ) -> Result<Slot, Full> {
        self.counted(self.take_place(transport, peer))
    }

    fn counted<T>(&self, outcome: Result<T, Full>) -> Result<T, Full> {
        if outcome.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn take_place(
        self: &Arc<Self>,
        transport: Transport,
        peer: Option<SocketAddr>,
    ) -> Result<Slot, Full> {
        self.of(transport).fetch_add(1, Ordering::Relaxed);
        // From here on the slot gives back what it took.
        let mut slot = Slot {
            admission: Arc::clone(self),
            transport,
            address: None,
        };
        let sessions =
            self.polling.load(Ordering::Relaxed) + self.websocket.load(Ordering::Relaxed);
        if sessions > self.max_sessions {
            return Err(Full);
        }
        // Loopback is a proxy, a test or this machine's owner.
        let limited = peer
            .map(|peer| peer.ip().to_canonical())
            .filter(|ip| !ip.is_loopback());
        if let Some(address) = limited.map(network) {
            let mut addresses = self.addresses();
            let count = addresses.entry(address).or_default();
            if *count >= self.max_per_address {
                return Err(Full);
            }
            *count += 1;
            slot.address = Some(address);
        }
        Ok(slot)
    }

    /// Counts a session as a stranger. Where there are as many as there may be, it takes the place of the oldest, if that one has had its
    /// time: whoever means to be accepted is, long before.
    pub(super) fn meet(self: &Arc<Self>, session: &Arc<Shared>) -> Result<(), Full> {
        let now = Instant::now();
        let entered = self.strangers().enter(session, now, self);
        let (number, outstayed) = self.counted(entered)?;
        session.lock().stranger = Some(Waiting {
            admission: Arc::clone(self),
            number,
        });
        if let Some(outstayed) = outstayed.and_then(|stranger| stranger.session.upgrade()) {
            outstayed.close(CloseReason::DeadlinePassed);
        }
        Ok(())
    }

    fn of(&self, transport: Transport) -> &AtomicUsize {
        match transport {
            Transport::Polling => &self.polling,
            Transport::WebSocket => &self.websocket,
        }
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one customer of a provider has: one address of IPv4, and of IPv6 a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

impl Strangers {
    fn enter(
        &mut self,
        session: &Arc<Shared>,
        now: Instant,
        limits: &Admission,
    ) -> Result<(u64, Option<Stranger>), Full> {
        let mut outstayed = None;
        if self.waiting.len() >= limits.max_unaccepted {
            let oldest = self.waiting.first_entry().ok_or(Full)?;
            if now < oldest.get().since + limits.grace {
                return Err(Full);
            }
            outstayed = Some(oldest.remove());
        }
        let number = self.next;
        self.next += 1;
        let stranger = Stranger {
            since: now,
            session: Arc::downgrade(session),
        };
        self.waiting.insert(number, stranger);
        Ok((number, outstayed))
    }
}

/// A stranger's place, given back when it is dropped: on acceptance, or at the end.
#[derive(Debug)]
pub(super) struct Waiting {
    admission: Arc<Admission>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admission.strangers().waiting.remove(&self.number);
    }
}

/// A session's place in the counts, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
    transport: Transport,
    address: Option<IpAddr>,
}

impl Slot {
    pub(super) fn move_to_websocket(&mut self) {
        let before = std::mem::replace(&mut self.transport, Transport::WebSocket);
        self.admission
            .of(Transport::WebSocket)
            .fetch_add(1, Ordering::Relaxed);
        self.admission.of(before).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission
            .of(self.transport)
            .fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut addresses = self.admission.addresses();
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(config: &Config) -> Arc<Admission> {
        Arc::new(Admission::new(config))
    }

    fn peer(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let admission = admission(&Config {
            max_sessions_per_address: 2,
            max_sessions: 6,
            ..Config::default()
        });
        let reserve = |address| admission.reserve(Transport::Polling, Some(peer(address)));
        let mut one = reserve("192.0.2.1:1").unwrap();
        let two = reserve("192.0.2.1:2").unwrap();
        // The same address, written as IPv6.
        assert_eq!(reserve("[::ffff:192.0.2.1]:3").unwrap_err(), Full);
        assert_eq!(admission.counts().polling, 2, "a refusal leaves no trace");
        let _other = reserve("192.0.2.2:1").unwrap();
        let _local: Vec<_> = (0..3).map(|_| reserve("127.0.0.1:1").unwrap()).collect();
        assert_eq!(
            admission.reserve(Transport::WebSocket, None).err(),
            Some(Full),
            "in all there are no more than max_sessions"
        );
        one.move_to_websocket();
        drop(one);
        drop(two);
        let counts = admission.counts();
        assert_eq!((counts.polling, counts.websocket), (4, 0));
        assert_eq!(admission.refused(), 2);
        assert!(reserve("192.0.2.1:4").is_ok());
        assert_eq!(admission.addresses().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let admission = admission(&Config {
            max_sessions_per_address: 2,
            ..Config::default()
        });
        let reserve = |address| admission.reserve(Transport::Polling, Some(peer(address)));
        let _one = reserve("[2001:db8::1]:1").unwrap();
        let _two = reserve("[2001:db8::ffff:0:0:2]:1").unwrap();
        assert_eq!(reserve("[2001:db8::3]:1").unwrap_err(), Full);
        assert!(reserve("[2001:db8:0:1::1]:1").is_ok());
    }
}
