//! What has to go, goes: erased people, old messages, removed pets; and nothing else does.

use super::*;
use crate::id::UserId;
use crate::pet_document;

/// Erases a user to the end; answers what was counted and the files to be removed.
pub(super) async fn erase(chat: &Service, user: &str) -> (ErasedCounts, Vec<String>) {
    let mut erasure = chat
        .begin_erasure(id(user), pet_document::erased)
        .await
        .unwrap();
    let mut files = Vec::new();
    while let Some(more) = erasure.step().await.unwrap() {
        files.extend(more);
    }
    (erasure.finish().await.unwrap(), files)
}

/// Looks through all chats; answers how many messages lost something, and the files to be removed.
pub(super) async fn expire(chat: &Service, what: TooOld) -> (u64, Vec<String>) {
    let mut expiry = chat.begin_expiry(what);
    let mut files = Vec::new();
    while let Some(more) = expiry.step().await.unwrap() {
        files.extend(more);
    }
    (expiry.messages(), files)
}

impl Fixture {
    async fn said_at(
        &self,
        user: &str,
        chat: ChatId,
        content: Content,
        ms: i64,
    ) -> Arc<MessageDetails> {
        let new = NewMessage {
            chat,
            content,
            parent: None,
            client_id: None,
        };
        let sent = self
            .chat
            .import_message(&id(user), new, Timestamp(ms))
            .await;
        sent.unwrap().message
    }

    async fn page(&self, user: &str, chat: ChatId) -> Vec<MessageDetails> {
        let caller = as_user(user);
        let page = self.chat.history(&caller, chat, History::Page(1), 100);
        page.await.unwrap().messages
    }

    async fn admit(&self, user: &str) -> Result<User, Error> {
        self.chat.admit(profile(user)).await
    }
}

use crate::model::User;

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn picture(name: &str) -> Content {
    let file = Attachment {
        name: name.to_owned(),
        mime: "image/jpeg".to_owned(),
        size: 3,
        crc32: 7,
        width: None,
        height: None,
    };
    Content::received(MessageKind::Image, None, file).unwrap()
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_user_but_tombstones() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let mut new = text_message(chat, "my secret");
    new.client_id = Some("my own name for it".to_owned());
    let caller = as_user("seller");
    fixture
        .chat
        .send_message(&caller, new.clone())
        .await
        .unwrap();
    fixture.said_at("seller", chat, picture("a.jpg"), 5).await;
    fixture.send("buyer", chat, "hello").await.unwrap();
    assert_eq!(fixture.unread("buyer", chat).await, 2);

    let (counts, files) = erase(&fixture.chat, "seller").await;
    assert_eq!((counts.messages, counts.pets), (2, 1));
    assert!(counts.was_known);
    assert_eq!(files, ["a.jpg"]);
    assert_eq!(fixture.unread("buyer", chat).await, 0);
    let page = fixture.page("buyer", chat).await;
    assert!(page[0].message.deleted && page[1].message.deleted && !page[2].message.deleted);
    assert_eq!(page[0].message.client_id, None);
    assert_eq!(page[0].sender.name, "Deleted user");
    let listed = fixture.chat.my_chats(&id("buyer"), 1, 10).await.unwrap();
    assert!(!listed.chats[0].is_active);
    let pet = &listed.chats[0].pet.as_ref().unwrap().document;
    assert!(
        pet.contains(r#""isRemoved":true"#) && !pet.contains("Beagle"),
        "{pet}"
    );

    // The next time there is nothing to do.
    let again = erase(&fixture.chat, "seller").await;
    assert_eq!(again, (ErasedCounts::default(), vec![]));
    assert!(fixture.chat.unfinished_erasures().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_erased_user_does_nothing_any_more_until_the_host_brings_them_back() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    fixture.send("seller", chat, "1").await.unwrap();
    erase(&fixture.chat, "seller").await;
    let unknown = Err(Error::CallerUnknown);
    assert_eq!(fixture.admit("seller").await, unknown);
    assert_eq!(
        fixture.chat.check_welcome(&id("seller")).await,
        Err(Error::CallerUnknown)
    );
    // A request that had been let in before.
    let refused = fixture.send("seller", chat, "too late").await.unwrap_err();
    assert_eq!(refused, Error::CallerUnknown);
    let request = OpenChat {
        participant: Some(id("stranger")),
        pet: None,
        kind: None,
    };
    let refused = fixture.chat.open_chat(&as_user("seller"), request).await;
    assert_eq!(refused.unwrap_err(), Error::CallerUnknown);
    // Nobody talks to nobody.
    let refused = fixture.send("buyer", chat, "are you there?").await;
    assert_eq!(refused.unwrap_err(), Error::UserNotFound);
    let request = OpenChat {
        participant: Some(id("seller")),
        pet: None,
        kind: None,
    };
    let refused = fixture.chat.open_chat(&as_user("stranger"), request).await;
    assert_eq!(refused.unwrap_err(), Error::UserNotFound);

    fixture.chat.put_user(profile("seller")).await.unwrap();
    fixture.admit("seller").await.unwrap();
    fixture.send("buyer", chat, "are you there?").await.unwrap();
    assert!(fixture.page("seller", chat).await[0].message.deleted);
}

#[tokio::test]
async fn an_erasure_that_was_cut_off_is_gone_on_with_and_holds_up_a_return() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    for number in 0..600 {
        fixture.said_at("seller", chat, text("x"), number).await;
    }
    let mut erasure = fixture
        .chat
        .begin_erasure(id("seller"), pet_document::erased)
        .await
        .unwrap();
    erasure.step().await.unwrap();
    assert_eq!(erasure.counts().messages, 256);
    let refused = fixture.chat.put_user(profile("seller")).await;
    assert_eq!(refused, Err(Error::Unavailable));
    let seller: UserId = id("seller");
    assert_eq!(fixture.chat.unfinished_erasures().await, Ok(vec![seller]));
    let (counts, _) = erase(&fixture.chat, "seller").await;
    assert_eq!(counts.messages, 344);
    // The user is back, and the one that was cut off must not go on.
    fixture.chat.put_user(profile("seller")).await.unwrap();
    fixture.send("seller", chat, "new").await.unwrap();
    while erasure.step().await.unwrap().is_some() {}
    erasure.finish().await.unwrap();
    let page = fixture.page("buyer", chat).await;
    assert_eq!(page.last().unwrap().message.content, "new");
}

#[tokio::test]
async fn the_others_hear_of_an_erasure_in_few_words() {
    let mut fixture = fixture().await;
    let chat = fixture.open().await;
    for number in 0..300 {
        fixture.said_at("seller", chat, text("x"), number).await;
    }
    while fixture.events.try_recv().is_ok() {}
    erase(&fixture.chat, "seller").await;
    let (mut told, mut shown, mut expelled) = (0, 0, 0);
    while let Ok(event) = fixture.events.try_recv() {
        match event {
            Event::MessagesDeleted {
                messages, recent, ..
            } => {
                told += messages.len();
                shown += recent.len();
            }
            Event::UserExpelled { user } => expelled += usize::from(user == id("seller")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((told, shown, expelled), (300, 50, 1));
}

#[tokio::test]
async fn retention_takes_what_is_too_old_and_nothing_else() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    for ms in [10, 20, 30] {
        fixture.said_at("seller", chat, text("x"), ms).await;
    }
    // A clock was wrong for a while, and something old was imported late.
    fixture.said_at("seller", chat, text("ahead"), 90).await;
    fixture
        .said_at("seller", chat, picture("old.jpg"), 15)
        .await;
    let (count, files) = expire(&fixture.chat, TooOld::Media(Timestamp(25))).await;
    assert_eq!((count, files), (1, vec!["old.jpg".to_owned()]));
    let page = fixture.page("buyer", chat).await;
    assert_eq!(page[4].message.content, "Sent image");
    assert_eq!(
        (&page[4].message.attachment, page[4].message.deleted),
        (&None, false)
    );
    assert_eq!(fixture.unread("buyer", chat).await, 5);
    let content = TooOld::Content(Timestamp(25));
    assert_eq!(expire(&fixture.chat, content).await, (3, vec![]));
    assert_eq!(expire(&fixture.chat, content).await, (0, vec![]));
    let gone: Vec<bool> = fixture
        .page("buyer", chat)
        .await
        .iter()
        .map(|one| one.message.deleted)
        .collect();
    assert_eq!(gone, [true, true, false, false, true]);
    assert_eq!(fixture.unread("buyer", chat).await, 2);
    let everything = TooOld::Content(Timestamp(i64::MAX));
    assert_eq!(expire(&fixture.chat, everything).await.0, 2);
    assert_eq!(fixture.chat.unread_total(&id("buyer")).await, Ok(0));
}

#[tokio::test]
async fn retention_goes_through_many_chats_and_long_ones() {
    let fixture = fixture().await;
    for number in 0..300 {
        let user = format!("u{number}");
        fixture.chat.put_user(profile(&user)).await.unwrap();
        let request = OpenChat {
            participant: Some(id(&user)),
            pet: None,
            kind: None,
        };
        let (opened, _) = fixture
            .chat
            .open_chat(&as_user("buyer"), request)
            .await
            .unwrap();
        let count = if number == 7 { 700 } else { 1 };
        for ms in 0..count {
            fixture
                .said_at("buyer", opened.chat.id, text("x"), ms)
                .await;
        }
    }
    let (count, _) = expire(&fixture.chat, TooOld::Content(Timestamp(650))).await;
    assert_eq!(count, 299 + 650);
    let (count, _) = expire(&fixture.chat, TooOld::Content(Timestamp(700))).await;
    assert_eq!(count, 50);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_is_followed_slowly_and_one_that_steps_back_at_once() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let fixture = fixture().await;
    let look = async |wall| {
        fixture
            .chat
            .advance_retention_clock(Timestamp(wall))
            .await
            .unwrap()
            .0
    };
    assert_eq!(look(100 * DAY).await, 100 * DAY, "the first look");
    assert_eq!(look(100 * DAY + 5).await, 100 * DAY + 5);
    assert_eq!(look(465 * DAY).await, 101 * DAY + 5);
    assert_eq!(look(465 * DAY).await, 102 * DAY + 5);
    assert_eq!(look(100 * DAY).await, 100 * DAY);
}

#[tokio::test]
async fn a_retry_of_a_message_whose_file_is_gone_is_still_one() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    let named = |file: &str| NewMessage {
        chat,
        content: picture(file),
        parent: None,
        client_id: Some("c".to_owned()),
    };
    let caller = as_user("buyer");
    fixture
        .chat
        .send_message(&caller, named("a.jpg"))
        .await
        .unwrap();
    expire(&fixture.chat, TooOld::Media(Timestamp(i64::MAX))).await;
    let again = fixture
        .chat
        .send_message(&caller, named("b.jpg"))
        .await
        .unwrap();
    assert!(!again.is_new);
}

#[tokio::test]
async fn a_removed_pet_stays_visible_in_its_chats_and_cannot_be_asked_about() {
    let mut fixture = fixture().await;
    fixture.open().await;
    for _ in 0..2 {
        let removed = fixture.chat.remove_pet(id("pet"), pet_document::removed);
        removed.await.unwrap();
    }
    let unknown = fixture.chat.remove_pet(id("other"), pet_document::removed);
    assert_eq!(unknown.await, Err(Error::PetNotFound));
    assert_eq!(fixture.chat.pet(id("pet")).await, Err(Error::PetNotFound));
    let listed = fixture.chat.my_chats(&id("buyer"), 1, 10).await.unwrap();
    let pet = &listed.chats[0].pet.as_ref().unwrap().document;
    assert!(
        pet.contains("Beagle") && pet.contains(r#""isRemoved":true"#),
        "{pet}"
    );
    let refused = fixture
        .chat
        .open_chat(&as_user("stranger"), inquiry())
        .await;
    assert_eq!(refused.unwrap_err(), Error::PetNotFound);
    // Whoever has the chat open hears of it.
    let telling = fixture.chat.clone();
    let task = tokio::spawn(async move { telling.tell_updates().await });
    let told = loop {
        if let Event::ChatUpdated { chat } = fixture.events.recv().await.unwrap() {
            break chat;
        }
    };
    assert!(told.pet.as_ref().unwrap().document.contains("isRemoved"));
    task.abort();
}

#[tokio::test]
async fn a_ban_is_kept_and_lifted() {
    let mut fixture = fixture().await;
    while fixture.events.try_recv().is_ok() {}
    for is_news in [true, false] {
        let banned = fixture.chat.set_banned(id("buyer"), true).await.unwrap();
        assert!(banned.banned);
        let told = fixture.events.try_recv().ok();
        let expelled = matches!(told, Some(Event::UserExpelled { user }) if user == id("buyer"));
        assert_eq!(expelled, is_news);
    }
    assert_eq!(fixture.admit("buyer").await, Err(Error::CallerBanned));
    fixture.chat.put_user(profile("buyer")).await.unwrap();
    assert_eq!(fixture.admit("buyer").await, Err(Error::CallerBanned));
    fixture.chat.set_banned(id("buyer"), false).await.unwrap();
    fixture.admit("buyer").await.unwrap();
    let unknown = fixture.chat.set_banned(id("nobody"), true).await;
    assert_eq!(unknown, Err(Error::UserNotFound));
}

#[tokio::test]
async fn only_files_that_nobody_knows_are_orphans() {
    let fixture = fixture().await;
    let chat = fixture.open().await;
    fixture
        .said_at("buyer", chat, picture("shown.jpg"), 1)
        .await;
    fixture
        .chat
        .expect_file("coming.jpg".to_owned())
        .await
        .unwrap();
    let names = ["shown.jpg", "coming.jpg", "orphan.jpg"].map(str::to_owned);
    let unknown = fixture.chat.unknown_files(names.to_vec()).await.unwrap();
    assert_eq!(unknown, ["coming.jpg", "orphan.jpg"]);
    assert_eq!(
        fixture.chat.doom_orphans(unknown).await.unwrap(),
        ["orphan.jpg"]
    );
}

#[tokio::test]
async fn an_erased_person_has_one_name_everywhere() {
    let fixture = fixture().await;
    fixture.open().await;
    let buyer = as_user("buyer");
    fixture.chat.block_user(&buyer, id("seller")).await.unwrap();
    erase(&fixture.chat, "seller").await;
    let blocked = fixture.chat.blocked_users(&id("buyer")).await.unwrap();
    let listed = fixture.chat.my_chats(&id("buyer"), 1, 10).await.unwrap();
    let people = &listed.chats[0].participants;
    let seller = people.iter().find(|one| one.user.id == id("seller"));
    assert_eq!(blocked[0].0.name, "Deleted user");
    assert_eq!(seller.unwrap().user.name, blocked[0].0.name);
}
