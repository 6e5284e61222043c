//! How often one user and one address may ask: one set of buckets for both edges, and what was refused, for the admin. It knows
//! who asks and from where, not what for; the rules that need a look at the store are in `chat`.

mod origin;
mod tally;

use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use self::origin::Origin;
use self::tally::Tally;
pub use self::tally::{Refused, Suspect};
use crate::id::UserId;
use crate::limits::{Limiter, Rate};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Action {
    /// Sending a message.
    Message,
    /// Saying that one types, or has stopped.
    Typing,
    /// Opening a chat that was not there.
    NewChat,
    /// Blocking or unblocking a chat or a person.
    Block,
    /// Sending a file.
    Upload,
    /// Fetching, marking read, joining, deleting.
    Read,
    /// Reporting somebody.
    Report,
}

impl Action {
    /// Every action, in order.
    pub const ALL: [Self; 7] = [
        Self::Message,
        Self::Typing,
        Self::NewChat,
        Self::Block,
        Self::Upload,
        Self::Read,
        Self::Report,
    ];
}

/// How long to wait, in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

impl From<Duration> for Wait {
    fn from(wait: Duration) -> Self {
        Self(wait.as_secs() + 1)
    }
}

/// How much of one thing there may be; 0 is no limit. As many may come at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    /// From one user.
    pub per_user: u32,
    /// From one address.
    pub per_address: u32,
}

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Messages a minute, those with a file too.
    pub messages: Limit,
    /// Messages of one user at once after a pause.
    pub message_burst: u32,
    /// Words of typing a minute.
    pub typing: Limit,
    /// New chats a minute.
    pub chats: Limit,
    /// Blocks and unblocks a minute.
    pub blocks: Limit,
    /// Files a minute.
    pub uploads: Limit,
    /// Reads a minute; as many files besides from one address.
    pub reads: Limit,
    /// Reports an hour.
    pub reports: Limit,
    /// KiB of files a minute.
    pub upload_kib: Limit,
    /// Tokens a minute that are refused, from one address.
    pub failed_authentications: u32,
}

/// The buckets. Addresses of this machine have none: they are a proxy's, a test's or the owner's.
#[derive(Debug)]
pub struct Guard {
    actions: [Pair; Action::ALL.len()],
    volume: Pair,
    files: Limiter<Origin>,
    strangers: Limiter<Origin>,
    tally: Tally,
}

/// The two limits of one action.
#[derive(Debug)]
struct Pair {
    users: Limiter<UserId>,
    addresses: Limiter<Origin>,
}

impl Pair {
    /// Of a user only `burst` at once.
    fn bursting(limit: Limit, burst: u32) -> Self {
        let per_minute = limit.per_user;
        Self {
            users: Limiter::new(Rate { per_minute, burst }),
            ..Self::per_minute(limit)
        }
    }

    fn per_minute(limit: Limit) -> Self {
        Self {
            users: Limiter::new(steady(limit.per_user)),
            addresses: Limiter::new(steady(limit.per_address)),
        }
    }

    fn per_hour(limit: Limit) -> Self {
        Self {
            users: Limiter::hourly(limit.per_user),
            addresses: Limiter::hourly(limit.per_address),
        }
    }

    /// One from both, or from neither.
    fn take(&self, user: &UserId, origin: Option<Origin>, now: Instant) -> Result<(), Duration> {
        self.users.take(user, now)?;
        let Some(origin) = origin else { return Ok(()) };
        self.addresses
            .take(&origin, now)
            .inspect_err(|_| self.users.give_back(user))
    }
}

fn steady(per_minute: u32) -> Rate {
    Rate {
        per_minute,
        burst: per_minute,
    }
}

impl Guard {
    /// Buckets that are all empty.
    pub fn new(settings: Settings) -> Self {
        Self {
            // In the order of `Action::ALL`.
            actions: [
                Pair::bursting(settings.messages, settings.message_burst),
                Pair::per_minute(settings.typing),
                Pair::per_minute(settings.chats),
                Pair::per_minute(settings.blocks),
                Pair::per_minute(settings.uploads),
                Pair::per_minute(settings.reads),
                Pair::per_hour(settings.reports),
            ],
            volume: Pair::per_minute(settings.upload_kib),
            files: Limiter::new(steady(settings.reads.per_address)),
            strangers: Limiter::new(steady(settings.failed_authentications)),
            tally: Tally::default(),
        }
    }

    /// `user` at `address` does something once.
    pub fn take(&self, action: Action, user: &UserId, address: Option<IpAddr>) -> Result<(), Wait> {
        self.take_at(action, user, address, Instant::now())
    }

    fn take_at(
        &self,
        action: Action,
        user: &UserId,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Wait> {
        let taken = self.actions[action as usize].take(user, Origin::of(address), now);
        taken.map_err(|wait| {
            self.tally.count(Refused::Rate(action));
            wait.into()
        })
    }

    /// Somebody at `address` fetches a file, for which nobody has to say who they are: a bucket of its own, or strangers could empty
    /// that of the users beside them.
    pub fn take_file(&self, address: Option<IpAddr>) -> Result<(), Wait> {
        let Some(origin) = Origin::of(address) else {
            return Ok(());
        };
        let taken = self.files.take(&origin, Instant::now());
        taken.map_err(|wait| {
            self.tally.count(Refused::Rate(Action::Read));
            wait.into()
        })
    }

    /// Whether a file may come: what came before it must not have been too much.
    pub fn check_volume(&self, user: &UserId, address: Option<IpAddr>) -> Result<(), Wait> {
        let now = Instant::now();
        let own = self.volume.users.check(user, now);
        let checked = own.and_then(|()| match Origin::of(address) {
            Some(origin) => self.volume.addresses.check(&origin, now),
            None => Ok(()),
        });
        checked.map_err(|wait| {
            self.tally.count(Refused::Volume);
            wait.into()
        })
    }

    /// So many bytes have come, whatever became of them.
    pub fn charge_volume(&self, user: &UserId, address: Option<IpAddr>, bytes: u64) {
        let (now, kib) = (
            Instant::now(),
            u32::try_from(bytes >> 10).unwrap_or(u32::MAX),
        );
        self.volume.users.charge(user, kib, now);
        if let Some(origin) = Origin::of(address) {
            self.volume.addresses.charge(&origin, kib, now);
        }
    }

    /// A token was refused. Who sends too many of them is told to wait instead of why; a good token is never refused for what
    /// others at its address have sent.
    pub fn refused_token(&self, address: Option<IpAddr>) -> Result<(), Wait> {
        let Some(origin) = Origin::of(address) else {
            return Ok(());
        };
        let taken = self.strangers.take(&origin, Instant::now());
        taken.map_err(|wait| {
            self.tally.count(Refused::Authentication);
            wait.into()
        })
    }

    /// A rule of the chat has refused what looks like a flood of `user`'s.
    pub fn suspect(&self, refused: Refused, user: &UserId) {
        self.tally.count(refused);
        self.tally.suspect(refused, user);
    }

    /// What was refused since the start, by its name.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.tally.refusals()
    }

    /// Who was refused for what looks like a flood since the start, the latest first; the last hundred.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.tally.suspects()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guard(per_user: u32, per_address: u32) -> Guard {
        let limit = Limit {
            per_user,
            per_address,
        };
        Guard::new(Settings {
            typing: limit,
            reports: limit,
            upload_kib: limit,
            failed_authentications: per_address,
            ..Settings::default()
        })
    }

    #[test]
    fn a_flood_of_one_user_is_cut_and_goes_on_at_the_rate() {
        let (guard, asha, start) = (guard(60, 0), user("asha"), Instant::now());
        let take = |after| guard.take_at(Action::Typing, &asha, None, start + after);
        let taken = (0..1000).filter(|_| take(Duration::ZERO).is_ok()).count();
        assert_eq!(taken, 60);
        assert_eq!(take(Duration::ZERO), Err(Wait(2)));
        let later = Duration::from_secs(10);
        let taken = (0..1000).filter(|_| take(later).is_ok()).count();
        assert_eq!(taken, 10);
        assert!(guard.take(Action::Typing, &user("rohan"), None).is_ok());
        assert_eq!(guard.refusals()[1], ("typing", 940 + 1 + 990));
    }

    #[test]
    fn many_users_of_one_address_share_its_bucket_and_keep_their_own() {
        let (guard, start) = (guard(10, 25), Instant::now());
        let from = |id: &str, at: &str| {
            let (id, at) = (user(id), Some(address(at)));
            (0..10)
                .filter(|_| guard.take_at(Action::Typing, &id, at, start).is_ok())
                .count()
        };
        assert_eq!(from("a", "203.0.113.7"), 10);
        assert_eq!(from("b", "203.0.113.7"), 10);
        assert_eq!(from("c", "203.0.113.7"), 5);
        // What the address refused has cost the user nothing.
        assert_eq!(from("c", "203.0.113.8"), 5);
        assert_eq!(from("d", "2001:db8::1"), 10);
        assert_eq!(from("e", "2001:db8::2:3:4:5"), 10);
        assert_eq!(from("f", "2001:db8::ffff"), 5, "one network of IPv6 is one");
        assert_eq!(from("g", "2001:db8:0:1::1"), 10);
        for id in ["h", "i", "j"] {
            assert_eq!(from(id, "127.0.0.1"), 10, "this machine has no limit");
        }
    }

    #[test]
    fn messages_of_a_user_have_a_burst_of_their_own() {
        let guard = Guard::new(Settings {
            messages: Limit {
                per_user: 60,
                per_address: 10,
            },
            message_burst: 3,
            ..Settings::default()
        });
        let (asha, start) = (user("asha"), Instant::now());
        let take = |id: &UserId, at, after| guard.take_at(Action::Message, id, at, start + after);
        let now = Duration::ZERO;
        assert!((0..3).all(|_| take(&asha, None, now).is_ok()));
        assert_eq!(take(&asha, None, now), Err(Wait(2)));
        assert_eq!(take(&asha, None, Duration::from_secs(1)), Ok(()));
        assert_eq!(guard.refusals()[0], ("messages", 1));
        let at = Some(address("203.0.113.7"));
        let others = (0..20).filter(|number| take(&user(&format!("u{number}")), at, now).is_ok());
        assert_eq!(others.count(), 10, "of an address all at once");
    }

    #[test]
    fn reports_are_counted_by_the_hour() {
        let (guard, asha, start) = (guard(2, 0), user("asha"), Instant::now());
        let take = |after| guard.take_at(Action::Report, &asha, None, start + after);
        assert_eq!(take(Duration::ZERO), Ok(()));
        assert_eq!(take(Duration::ZERO), Ok(()));
        assert_eq!(take(Duration::ZERO), Err(Wait(1801)));
        assert_eq!(take(Duration::from_mins(30)), Ok(()));
    }

    #[test]
    fn bytes_are_a_debt() {
        let (guard, asha) = (guard(100, 0), user("asha"));
        assert_eq!(guard.check_volume(&asha, None), Ok(()));
        guard.charge_volume(&asha, None, 300 << 10);
        let Err(Wait(seconds)) = guard.check_volume(&asha, None) else {
            panic!("three minutes' worth has come");
        };
        assert!((100..=122).contains(&seconds), "{seconds}");
    }

    #[test]
    fn files_that_strangers_fetch_cost_the_users_beside_them_no_reads() {
        let guard = Guard::new(Settings {
            reads: Limit {
                per_user: 0,
                per_address: 2,
            },
            ..Settings::default()
        });
        let at = Some(address("203.0.113.7"));
        assert!((0..2).all(|_| guard.take_file(at).is_ok()));
        assert!(guard.take_file(at).is_err());
        assert_eq!(guard.take(Action::Read, &user("asha"), at), Ok(()));
    }

    #[test]
    fn bad_tokens_are_counted_by_address() {
        let guard = guard(0, 3);
        let attacker = Some(address("198.51.100.1"));
        assert!((0..3).all(|_| guard.refused_token(attacker).is_ok()));
        assert!(guard.refused_token(attacker).is_err());
        assert!(guard.refused_token(Some(address("198.51.100.2"))).is_ok());
        assert!((0..100).all(|_| guard.refused_token(Some(address("::1"))).is_ok()));
    }
}
