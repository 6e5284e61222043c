//! The rules, one by one and in random histories, without REST or sockets.

mod disposal_tests;
mod presence_tests;
mod report_tests;

use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::mpsc;

use self::disposal_tests::{erase, expire};
use super::*;
use crate::id::{ChatId, MessageId, PetId};
use crate::model::{Attachment, ChatKind, MessageKind, Pet, Timestamp};
use crate::store;

/// How long a user is online after their last connection was lost.
const GRACE: Duration = Duration::from_secs(5);

/// A service with three users, a pet of the first, and what it announces.
struct Fixture {
    chat: Service,
    events: mpsc::Receiver<Event>,
    _dir: TempDir,
}

fn id<T: std::str::FromStr<Err = crate::id::InvalidId>>(text: &str) -> T {
    text.parse().unwrap()
}

fn as_user(user: &str) -> Caller {
    Caller::new(id(user))
}

fn profile(user: &str) -> Profile {
    Profile {
        id: id(user),
        name: Some(user.to_owned()),
        email: None,
        picture: None,
        said_at: None,
    }
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let options = store::Options {
        data_dir: dir.path().to_owned(),
        cache: 8 << 20,
        queue: 64,
    };
    let (store, _) = Store::open(&options).unwrap();
    let options = Options {
        offline_grace: GRACE,
        ..Options::default()
    };
    let (chat, events) = Service::new(store, options);
    for user in ["seller", "buyer", "stranger"] {
        chat.put_user(profile(user)).await.unwrap();
    }
    let owner = Some(id("seller"));
    let document = r#"{"_id":"pet","title":"Beagle"}"#.to_owned();
    chat.put_pet(Pet {
        id: id("pet"),
        owner,
        document,
    })
    .await
    .unwrap();
    Fixture {
        chat,
        events,
        _dir: dir,
    }
}

impl Fixture {
    async fn open(&self) -> ChatId {
        self.chat
            .open_chat(&as_user("buyer"), inquiry())
            .await
            .unwrap()
            .0
            .chat
            .id
    }

    async fn send(&self, user: &str, chat: ChatId, text: &str) -> Result<Sent, Error> {
        self.chat
            .send_message(&as_user(user), text_message(chat, text))
            .await
    }

    async fn unread(&self, user: &str, chat: ChatId) -> u32 {
        let page = self.chat.my_chats(&id(user), 1, 100).await.unwrap();
        let listed = page.chats.iter().find(|one| one.chat.id == chat).unwrap();
        listed
            .participants
            .iter()
            .find(|one| one.user.id.as_str() == user)
            .unwrap()
            .unread
    }

    async fn history(&self, user: &str, chat: ChatId, which: History, limit: u64) -> Vec<u64> {
        let page = self
            .chat
            .history(&as_user(user), chat, which, limit)
            .await
            .unwrap();
        page.messages.iter().map(|one| one.message.seq).collect()
    }
}

fn inquiry() -> OpenChat {
    OpenChat {
        participant: None,
        pet: Some(id("pet")),
        kind: None,
    }
}

fn direct(other: &str) -> OpenChat {
    OpenChat {
        participant: Some(id(other)),
        pet: None,
        kind: None,
    }
}

fn text_message(chat: ChatId, text: &str) -> NewMessage {
    NewMessage {
        chat,
        content: Content::Text(text.to_owned()),
        parent: None,
        client_id: None,
    }
}

#[tokio::test]
async fn eight_parallel_creates_open_one_chat() {
    let fixture = fixture().await;
    let opens = (0..8).map(|number| {
        let chat = fixture.chat.clone();
        async move {
            let (user, request) = match number % 2 {
                0 => ("buyer", inquiry()),
                _ => (
                    "seller",
                    OpenChat {
                        participant: Some(id("buyer")),
                        ..inquiry()
                    },
                ),
            };
            chat.open_chat(&as_user(user), request).await.unwrap()
        }
    });
    let opened = futures_util::future::join_all(opens).await;
    assert_eq!(opened.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(
        opened
            .iter()
            .all(|(one, _)| one.chat.id == opened[0].0.chat.id)
    );
    assert_eq!(
        fixture
            .chat
            .my_chats(&id("buyer"), 1, 100)
            .await
            .unwrap()
            .pages
            .total,
        1
    );
}

#[tokio::test]
async fn who_may_open_what() {
    let fixture = fixture().await;
    let open = async |user, request| {
        fixture
            .chat
            .open_chat(&as_user(user), request)
            .await
            .map(|(chat, _)| chat)
    };
    let nothing = OpenChat {
        participant: None,
        pet: None,
        kind: None,
    };
    assert!(matches!(
        open("buyer", nothing).await,
        Err(Error::InvalidRequest(_))
    ));
    assert_eq!(
        open("buyer", direct("buyer")).await.unwrap_err(),
        Error::SelfChat
    );
    assert_eq!(
        open("seller", inquiry()).await.unwrap_err(),
        Error::SelfChat
    );
    assert_eq!(
        open("buyer", direct("nobody")).await.unwrap_err(),
        Error::UserNotFound
    );
    let no_pet = OpenChat {
        pet: Some(id::<PetId>("no-pet")),
        ..inquiry()
    };
    assert_eq!(open("buyer", no_pet).await.unwrap_err(), Error::PetNotFound);
    let wrong_owner = OpenChat {
        participant: Some(id("stranger")),
        ..inquiry()
    };
    assert_eq!(
        open("buyer", wrong_owner).await.unwrap_err(),
        Error::NotPetOwner
    );
    let with_buyer = OpenChat {
        participant: Some(id("buyer")),
        ..inquiry()
    };
    let by_owner = open("seller", with_buyer).await.unwrap();
    assert_eq!(
        by_owner.chat.id,
        fixture.open().await,
        "the owner's and the buyer's are one chat"
    );
    let kinds = [
        (direct("seller"), ChatKind::Direct),
        (
            OpenChat {
                kind: Some(ChatKind::General),
                ..direct("seller")
            },
            ChatKind::General,
        ),
        (inquiry(), ChatKind::PetInquiry),
    ];
    for (request, kind) in kinds {
        assert_eq!(open("buyer", request).await.unwrap().chat.kind, kind);
    }
}

#[tokio::test]
async fn parallel_sends_are_numbered_without_a_gap_and_announced_in_that_order() {
    let mut fixture = fixture().await;
    let chat = fixture.open().await;
    let sends = (0..20).map(|number| {
        let service = fixture.chat.clone();
        async move {
            let user = if number % 2 == 0 { "buyer" } else { "seller" };
            service
                .send_message(&as_user(user), text_message(chat, "hi"))
                .await
                .unwrap()
        }
    });
    futures_util::future::join_all(sends).await;
    assert_eq!(
        fixture.history("buyer", chat, History::Page(1), 100).await,
        (1..=20).collect::<Vec<_>>()
    );
    assert_eq!(
        (
            fixture.unread("buyer", chat).await,
            fixture.unread("seller", chat).await
        ),
        (10, 10)
    );
    let mut announced = Vec::new();
    while announced.len() < 20 {
        if let Event::MessageSent { message, .. } = fixture.events.recv().await.unwrap() {
            announced.push(message.message.seq);
        }
    }
    assert_eq!(announced, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_retry_is_stored_once_and_other_content_is_a_conflict() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let send = async |text: &str, user: &str| {
        let new = NewMessage {
            client_id: Some("c-1".to_owned()),
            ..text_message(chat, text)
        };
        fixture.chat.send_message(&as_user(user), new).await
    };
    let first = send("hello", "buyer").await.unwrap();
    let second = send("hello", "buyer").await.unwrap();
    assert!(first.is_new && !second.is_new);
    assert_eq!(first.message.message.id, second.message.message.id);
    assert_eq!(send("other", "buyer").await.unwrap_err(), Error::Conflict);
    assert!(
        send("hello", "seller").await.unwrap().is_new,
        "another sender's id is another id"
    );
    assert_eq!(
        fixture.history("buyer", chat, History::Page(1), 100).await,
        [1, 2]
    );
}

#[tokio::test]
async fn a_retry_is_answered_even_when_the_chat_was_blocked_since() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let new = NewMessage {
        client_id: Some("c-1".to_owned()),
        ..text_message(chat, "hello")
    };
    fixture
        .chat
        .send_message(&as_user("buyer"), new.clone())
        .await
        .unwrap();
    fixture
        .chat
        .toggle_block(&as_user("seller"), chat)
        .await
        .unwrap();
    assert!(
        !fixture
            .chat
            .send_message(&as_user("buyer"), new)
            .await
            .unwrap()
            .is_new
    );
    assert_eq!(
        fixture.send("buyer", chat, "more").await.unwrap_err(),
        Error::ChatBlocked
    );
}

#[tokio::test]
async fn a_stranger_may_do_nothing() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let sent = fixture
        .send("buyer", chat, "hello")
        .await
        .unwrap()
        .message
        .message
        .id;
    let (stranger, service) = (as_user("stranger"), &fixture.chat);
    let missing: ChatId = id("65a0b1c2d3e4f5061728394a");
    for chat in [chat, missing] {
        let denied = [
            fixture.send("stranger", chat, "x").await.map(drop),
            service
                .mark_read(&stranger, chat, Some(sent))
                .await
                .map(drop),
            service.toggle_block(&stranger, chat).await.map(drop),
            service.check_member(&stranger.user, chat).await,
            service.check_may_send(&stranger.user, chat).await,
            service
                .history(&stranger, chat, History::Page(1), 10)
                .await
                .map(drop),
        ];
        assert!(
            denied.iter().all(|one| *one == Err(Error::AccessDenied)),
            "{denied:?}"
        );
    }
    assert_eq!(
        service.delete_message(&stranger, sent).await.unwrap_err(),
        Error::AccessDenied
    );
    assert_eq!(
        service
            .delete_message(&as_user("seller"), sent)
            .await
            .unwrap_err(),
        Error::NotSender
    );
}

#[tokio::test]
async fn a_block_holds_until_everybody_has_lifted_theirs() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let toggle = async |user| {
        fixture
            .chat
            .toggle_block(&as_user(user), chat)
            .await
            .unwrap()
            .1
    };
    assert!(toggle("seller").await && toggle("buyer").await);
    assert!(!toggle("seller").await);
    assert_eq!(
        fixture.send("seller", chat, "x").await.unwrap_err(),
        Error::ChatBlocked
    );
    assert_eq!(
        fixture.chat.check_may_send(&id("seller"), chat).await,
        Err(Error::ChatBlocked)
    );
    assert!(!toggle("buyer").await);
    fixture.send("seller", chat, "x").await.unwrap();
}

#[tokio::test]
async fn a_parent_must_be_in_the_same_chat() {
    let fixture = fixture().await;
    let here = fixture.open().await;
    let there = fixture
        .chat
        .open_chat(&as_user("buyer"), direct("stranger"))
        .await
        .unwrap()
        .0
        .chat
        .id;
    let (inside, outside) = (
        fixture.send("buyer", here, "a").await.unwrap(),
        fixture.send("buyer", there, "b").await.unwrap(),
    );
    let reply = async |parent: MessageId| {
        let new = NewMessage {
            parent: Some(parent),
            ..text_message(here, "re")
        };
        fixture.chat.send_message(&as_user("seller"), new).await
    };
    assert_eq!(
        reply(outside.message.message.id).await.unwrap_err(),
        Error::InvalidParent
    );
    assert_eq!(
        reply(id("65a0b1c2d3e4f5061728394a")).await.unwrap_err(),
        Error::InvalidParent
    );
    let replied = reply(inside.message.message.id).await.unwrap();
    assert_eq!(
        replied.message.parent.as_ref().unwrap().message.content,
        "a"
    );
}

#[tokio::test]
async fn reading_moves_one_watermark_and_never_back() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let mut sent = Vec::new();
    for text in ["1", "2", "3", "4"] {
        sent.push(
            fixture
                .send("buyer", chat, text)
                .await
                .unwrap()
                .message
                .message
                .id,
        );
    }
    let read = async |message| {
        fixture
            .chat
            .mark_read(&as_user("seller"), chat, message)
            .await
            .unwrap()
    };
    assert_eq!(read(Some(sent[1])).await, 2);
    assert_eq!(
        read(Some(sent[0])).await,
        2,
        "an older message moves nothing"
    );
    let page = fixture
        .chat
        .history(&as_user("buyer"), chat, History::Page(1), 10)
        .await
        .unwrap();
    let read_by: Vec<_> = page
        .messages
        .iter()
        .map(|one| (one.read_by.len(), one.status == Status::Read))
        .collect();
    assert_eq!(read_by, [(1, true), (1, true), (0, false), (0, false)]);
    assert_eq!(read(None).await, 0);
    assert_eq!(fixture.chat.unread_total(&id("seller")).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_handed_over_becomes_delivered() {
    let mut fixture = fixture().await;
    let chat = fixture.open().await;
    fixture.send("buyer", chat, "1").await.unwrap();
    let storing = fixture.chat.clone();
    let task = tokio::spawn(async move { storing.store_receipts().await });
    fixture
        .chat
        .history(&as_user("seller"), chat, History::Page(1), 10)
        .await
        .unwrap();
    loop {
        if let Event::MessageDelivered { user, sender, .. } = fixture.events.recv().await.unwrap() {
            assert_eq!((user.as_str(), sender.as_str()), ("seller", "buyer"));
            break;
        }
    }
    let page = fixture
        .chat
        .history(&as_user("buyer"), chat, History::Page(1), 10)
        .await
        .unwrap();
    assert_eq!(page.messages[0].status, Status::Delivered);
    task.abort();
}

#[tokio::test]
async fn deleting_leaves_a_tombstone_and_corrects_the_counters() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let first = fixture
        .send("buyer", chat, "secret")
        .await
        .unwrap()
        .message
        .message
        .id;
    fixture.send("buyer", chat, "2").await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            fixture.chat.delete_message(&as_user("buyer"), first).await,
            Ok(None)
        );
        assert_eq!(fixture.unread("seller", chat).await, 1);
    }
    let page = fixture
        .chat
        .history(&as_user("seller"), chat, History::Page(1), 10)
        .await
        .unwrap();
    assert!(page.messages[0].message.deleted);
    assert_eq!(page.messages[0].message.content, "This message was deleted");
    assert_eq!(page.total, 2);
}

#[tokio::test]
async fn a_file_goes_with_the_last_message_that_shows_it() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let file = Attachment {
        name: "f.jpg".to_owned(),
        mime: "image/jpeg".to_owned(),
        size: 3,
        crc32: 0,
        width: None,
        height: None,
    };
    let received = Content::received(MessageKind::Image, None, file).unwrap();
    let send = async |user: &str, content: Content| {
        let new = NewMessage {
            chat,
            content,
            parent: None,
            client_id: None,
        };
        fixture.chat.send_message(&as_user(user), new).await
    };
    let first = send("buyer", received).await.unwrap().message;
    assert_eq!(first.message.content, "Sent image");
    let again = |kind: &str| {
        Content::parse("again".to_owned(), Some(kind), Some("f.jpg".to_owned())).unwrap()
    };
    assert_eq!(
        send("seller", again("image")).await.unwrap_err(),
        Error::InvalidMedia
    );
    assert_eq!(
        send("buyer", again("video")).await.unwrap_err(),
        Error::InvalidMedia
    );
    let second = send("buyer", again("image")).await.unwrap().message;
    let delete = async |message| {
        fixture
            .chat
            .delete_message(&as_user("buyer"), message)
            .await
            .unwrap()
    };
    assert_eq!(delete(first.message.id).await, None);
    assert_eq!(delete(second.message.id).await, Some("f.jpg".to_owned()));
}

#[tokio::test]
async fn content_is_counted_as_javascript_counts_it() {
    let parse = |text: &str| Content::parse(text.to_owned(), None, None);
    assert_eq!(parse(" \n\t").unwrap_err(), Error::ContentEmpty);
    assert!(parse(&"x".repeat(1000)).is_ok());
    assert!(parse(&"न".repeat(1000)).is_ok());
    assert!(parse(&"🐶".repeat(500)).is_ok());
    assert_eq!(parse(&"x".repeat(1001)).unwrap_err(), Error::ContentTooLong);
    assert_eq!(parse(&"🐶".repeat(501)).unwrap_err(), Error::ContentTooLong);
    let kind = |kind| Content::parse("x".to_owned(), Some(kind), None);
    assert_eq!(kind("audio").unwrap_err(), Error::InvalidMessageType);
    assert_eq!(kind("image").unwrap_err(), Error::InvalidMedia);
}

#[tokio::test]
async fn pages_and_cursors_cover_the_history_once() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(
            fixture
                .send("buyer", chat, &number.to_string())
                .await
                .unwrap()
                .message
                .message
                .id,
        );
    }
    let page = async |which| fixture.history("seller", chat, which, 3).await;
    assert_eq!(page(History::Page(1)).await, [5, 6, 7]);
    assert_eq!(page(History::Page(2)).await, [2, 3, 4]);
    assert_eq!(page(History::Page(3)).await, [1]);
    assert!(page(History::Page(4)).await.is_empty());
    assert!(page(History::Page(u64::MAX)).await.is_empty());
    assert_eq!(page(History::Before(ids[4])).await, [2, 3, 4]);
    assert!(page(History::Before(ids[0])).await.is_empty());
    assert_eq!(page(History::After(ids[1])).await, [3, 4, 5]);
    assert!(page(History::After(ids[6])).await.is_empty());
}

#[tokio::test]
async fn an_older_token_does_not_bring_an_older_name_back() {
    let fixture = fixture().await;
    let admit = async |name: &str, said_at| {
        let profile = Profile {
            id: id("new-user"),
            name: Some(name.to_owned()),
            email: None,
            picture: None,
            said_at: Some(said_at),
        };
        fixture.chat.admit(profile).await.unwrap().name
    };
    assert_eq!(admit("Asha", 100).await, "Asha");
    assert_eq!(admit("Asha K", 200).await, "Asha K");
    assert_eq!(
        admit("Asha", 100).await,
        "Asha K",
        "on the phone that is still logged in"
    );
    assert_eq!(admit("Asha Kumari", 200).await, "Asha Kumari");
}

#[tokio::test]
async fn a_token_s_profile_counts_once_and_then_the_host_s_word() {
    let fixture = fixture().await;
    let profile = |name: Option<&str>| Profile {
        id: id("new-user"),
        name: name.map(str::to_owned),
        email: None,
        picture: Some("/p.jpg".to_owned()),
        said_at: None,
    };
    let bare = Profile {
        picture: None,
        ..profile(None)
    };
    assert_eq!(
        fixture.chat.admit(bare.clone()).await.unwrap().name,
        "User user"
    );
    assert_eq!(
        fixture
            .chat
            .admit(profile(Some("Asha")))
            .await
            .unwrap()
            .name,
        "Asha"
    );
    assert_eq!(fixture.chat.admit(bare).await.unwrap().name, "Asha");
    fixture
        .chat
        .put_user(profile(Some("Asha K")))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .chat
            .admit(profile(Some("Asha")))
            .await
            .unwrap()
            .name,
        "Asha K"
    );
    assert_eq!(
        fixture
            .chat
            .admit(profile(Some("Asha Kumari")))
            .await
            .unwrap()
            .name,
        "Asha Kumari"
    );
}

/// A step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Send(bool),
    Read(bool, usize),
    Delete(bool, usize),
    /// Everything before this moment is too old.
    Expire(i64),
    /// Erased by the host, and made known again.
    Erase(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Send),
        2 => (any::<bool>(), 0..40_usize).prop_map(|(who, at)| Step::Read(who, at)),
        2 => (any::<bool>(), 0..40_usize).prop_map(|(who, at)| Step::Delete(who, at)),
        1 => (0..60_i64).prop_map(Step::Expire),
        1 => any::<bool>().prop_map(Step::Erase),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The counters, which are kept, equal a recount, which is not.
    #[test]
    fn counters_equal_a_recount(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(recount(steps));
    }
}

async fn recount(steps: Vec<Step>) {
    let mut fixture = fixture().await;
    let chat = fixture.open().await;
    let name = |who| if who { "buyer" } else { "seller" };
    let mut sent: Vec<Arc<MessageDetails>> = Vec::new();
    let mut read = [0_u64; 2];
    let mut gone = std::collections::HashSet::new();
    for (at, step) in (0..).zip(steps) {
        match step {
            Step::Send(who) => {
                // A message's number of seconds is its age in this history.
                let (sender, new) = (id(name(who)), text_message(chat, "x"));
                let outcome = fixture
                    .chat
                    .import_message(&sender, new, Timestamp(at * 1000));
                sent.push(outcome.await.unwrap().message);
            }
            Step::Read(who, at) if !sent.is_empty() => {
                let message = &sent[at % sent.len()].message;
                fixture
                    .chat
                    .mark_read(&as_user(name(who)), chat, Some(message.id))
                    .await
                    .unwrap();
                let watermark = &mut read[usize::from(who)];
                *watermark = message.seq.max(*watermark);
            }
            Step::Delete(who, at) if !sent.is_empty() => {
                let message = &sent[at % sent.len()].message;
                let outcome = fixture
                    .chat
                    .delete_message(&as_user(name(who)), message.id)
                    .await;
                if message.sender.as_str() == name(who) {
                    outcome.unwrap();
                    gone.insert(message.seq);
                }
            }
            Step::Expire(before) => {
                let before = Timestamp(before * 1000);
                expire(&fixture.chat, TooOld::Content(before)).await;
                let old = sent.iter().filter(|one| one.message.created_at < before);
                gone.extend(old.map(|one| one.message.seq));
            }
            Step::Erase(who) => {
                erase(&fixture.chat, name(who)).await;
                fixture.chat.put_user(profile(name(who))).await.unwrap();
                let own = sent
                    .iter()
                    .filter(|one| one.message.sender.as_str() == name(who));
                gone.extend(own.map(|one| one.message.seq));
            }
            Step::Read(..) | Step::Delete(..) => {}
        }
        while fixture.events.try_recv().is_ok() {}
        for who in [false, true] {
            let expected = sent
                .iter()
                .map(|one| &one.message)
                .filter(|one| one.sender.as_str() != name(who) && one.seq > read[usize::from(who)])
                .filter(|one| !gone.contains(&one.seq))
                .count();
            assert_eq!(fixture.unread(name(who), chat).await as usize, expected);
            let total = fixture.chat.unread_total(&id(name(who))).await.unwrap();
            assert_eq!(total, expected as u64);
        }
    }
    let page = fixture
        .chat
        .history(&as_user("buyer"), chat, History::Page(1), 100)
        .await
        .unwrap();
    for (seq, one) in (1..).zip(&page.messages) {
        assert_eq!(
            (one.message.seq, one.message.deleted),
            (seq, gone.contains(&seq))
        );
    }
}
