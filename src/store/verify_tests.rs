//! Sound data passes, and every way in which rows can disagree is told.

use std::fs;
use std::path::Path;

use super::keys::Tree;
use super::tests::{close, open, user};
use super::*;
use crate::id::{ChatId, UserId};
use crate::model::{
    Attachment, Chat, ChatKind, Erased, Expired, Message, MessageKind, Pet, ReadState, Timestamp,
    Upload,
};

const FILE: &str = "chat-1-00000000000000000000000000000000.jpg";

fn asha() -> UserId {
    "asha".parse().unwrap()
}

fn rohan() -> UserId {
    "rohan".parse().unwrap()
}

/// Two people, one chat, three messages of rohan's of which asha has read one; the second shows a file.
fn converse(tx: &mut Transaction<'_>) -> Result<ChatId, Error> {
    tx.put_user(&user("asha"))?;
    tx.put_user(&user("rohan"))?;
    let mut chat = Chat {
        id: tx.mint_chat_id(),
        kind: ChatKind::Direct,
        participants: vec![rohan(), asha()],
        pet: None,
        blocked_by: vec![],
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        last_seq: 0,
        last_message_at: Timestamp(1),
        activity: 1,
    };
    tx.insert_chat(&chat)?;
    for seq in 1..=3 {
        let attachment = (seq == 2).then(|| Attachment {
            name: FILE.to_owned(),
            mime: "image/jpeg".to_owned(),
            size: 4,
            crc32: crc32fast::hash(b"jpeg"),
            width: None,
            height: None,
        });
        if let Some(attachment) = &attachment {
            tx.put_upload(&Upload {
                chat: chat.id,
                sender: rohan(),
                kind: MessageKind::Image,
                attachment: attachment.clone(),
                uses: 1,
            })?;
        }
        let id = tx.mint_message_id();
        tx.insert_message(&Message {
            id,
            chat: chat.id,
            seq,
            sender: rohan(),
            kind: MessageKind::Text,
            content: format!("message {seq}"),
            attachment,
            parent: (seq == 3).then_some(1),
            client_id: (seq != 2).then(|| format!("c{seq}")),
            deleted: false,
            created_at: Timestamp(2),
            updated_at: Timestamp(2),
            edited: false,
            reactions: Vec::new(),
        })?;
        let before = chat.clone();
        chat.last_seq = seq;
        chat.activity += 1;
        tx.update_chat(&before, &chat)?;
    }
    let state = ReadState {
        unread: 2,
        read: 1,
        delivered: 3,
    };
    tx.put_read_state(&asha(), chat.id, state)?;
    Ok(chat.id)
}

fn inspect(dir: &Path) -> Verified {
    let inspection = Inspection {
        data_dir: dir.to_owned(),
        media: Some(dir.join("media")),
        cache: 8 << 20,
    };
    verify(&inspection, |_, _, _| ()).unwrap()
}

/// What is told after a change to the conversation.
pub(super) async fn told_after<J>(change: J) -> Vec<String>
where
    J: FnOnce(&mut Transaction<'_>, ChatId) -> Result<(), Error> + Send + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("media")).unwrap();
    fs::write(dir.path().join("media").join(FILE), "jpeg").unwrap();
    let opened = open(dir.path());
    let chat = opened.0.write(converse).await.unwrap();
    opened.0.write(move |tx| change(tx, chat)).await.unwrap();
    opened.0.checkpoint(1).unwrap();
    close(opened);
    let verified = inspect(dir.path());
    let told = verified.findings.told;
    assert_eq!(verified.findings.problems, told.len() as u64);
    assert!(!dir.path().join("verify.tmp").exists());
    told
}

#[tokio::test]
async fn sound_data_has_no_problems() {
    let told = told_after(|_, _| Ok(())).await;
    assert_eq!(told, [] as [&str; 0]);
}

fn message(tx: &Transaction<'_>, chat: ChatId, seq: u64) -> Message {
    tx.message(chat, seq).unwrap().unwrap()
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
#[tokio::test]
async fn every_disagreement_is_told() {
    type Change = fn(&mut Transaction<'_>, ChatId) -> Result<(), Error>;
    let changes: [(&str, Change); 25] = [
        ("is erased and known", |tx, _| {
            let (at, finished) = (Timestamp(1), false);
            tx.put_erased(&asha(), Erased { at, finished })
        }),
        ("carries something of rohan", |tx, _| {
            let (at, finished) = (Timestamp(1), true);
            tx.remove_user(&rohan());
            tx.put_erased(&rohan(), Erased { at, finished })
        }),
        ("is removed and still there", |tx, _| {
            let pet = Pet {
                id: "p".parse().unwrap(),
                owner: None,
                document: "{}".to_owned(),
            };
            tx.put_pet(&pet)?;
            tx.put(Tree::RemovedPets, b"p", &pet)
        }),
        ("retention has come further", |tx, chat| {
            let (content, media) = (4, 0);
            tx.put_expired(chat, Expired { content, media })
        }),
        ("after", |tx, chat| {
            tx.remove(Tree::Messages, keys::message(chat, 2));
            Ok(())
        }),
        ("last message is 3 and it is 2", |tx, chat| {
            tx.remove(Tree::Messages, keys::message(chat, 3));
            Ok(())
        }),
        (
            "4 messages stand in the index, and the chats have 3",
            |tx, chat| {
                let mut stray = message(tx, chat, 1);
                stray.chat = ChatId::from([9; 12]);
                tx.update_message(&stray)
            },
        ),
        ("stands in the place of another", |tx, chat| {
            let mut wrong = message(tx, chat, 1);
            wrong.seq = 7;
            tx.put(Tree::Messages, &keys::message(chat, 1), &wrong)
        }),
        ("cannot be found by its id", |tx, chat| {
            let id = message(tx, chat, 1).id;
            tx.remove(Tree::MessageIds, keys::message_id(id).to_vec());
            Ok(())
        }),
        ("`message_ids` has 4 rows", |tx, chat| {
            let place = keys::message(chat, 1);
            tx.put_raw(Tree::MessageIds, vec![1; 12], &place);
            Ok(())
        }),
        ("cannot be found by its sender's id", |tx, chat| {
            tx.remove(Tree::ClientIds, keys::client_id(&rohan(), chat, "c1"));
            Ok(())
        }),
        ("takes no part in chat", |tx, chat| {
            let mut foreign = message(tx, chat, 1);
            (foreign.sender, foreign.client_id) = ("mallory".parse().unwrap(), None);
            tx.update_message(&foreign)
        }),
        ("answers one that was not there yet", |tx, chat| {
            let mut early = message(tx, chat, 1);
            early.parent = Some(2);
            tx.update_message(&early)
        }),
        ("cannot be found by its participants", |tx, _| {
            let key = keys::chat_key(ChatKind::Direct, None, &[asha(), rohan()]);
            tx.remove(Tree::ChatKeys, key);
            Ok(())
        }),
        ("not in its place in the list of asha", |tx, chat| {
            tx.remove(Tree::UserChats, keys::user_chat(&asha(), 4, chat));
            Ok(())
        }),
        ("`user_chats` has 3 rows", |tx, chat| {
            let others = vec![rohan()];
            tx.put(Tree::UserChats, &keys::user_chat(&asha(), 1, chat), &others)
        }),
        ("the counter says 1", |tx, chat| {
            let state = ReadState {
                unread: 1,
                ..tx.read_state(&asha(), chat)?
            };
            tx.put_read_state(&asha(), chat, state)
        }),
        ("watermarks of asha", |tx, chat| {
            let state = ReadState {
                delivered: 4,
                ..tx.read_state(&asha(), chat)?
            };
            tx.put_read_state(&asha(), chat, state)
        }),
        ("takes no part in it", |tx, chat| {
            tx.put(
                Tree::Unread,
                &keys::unread(&"mallory".parse().unwrap(), chat),
                &ReadState::default(),
            )
        }),
        ("the totals say 1 and 7", |tx, _| {
            let mut totals = tx.totals(&asha())?;
            totals.unread = 7;
            tx.put_totals(&asha(), totals)
        }),
        ("has chats and no totals", |tx, _| {
            tx.remove(Tree::Totals, b"rohan".to_vec());
            Ok(())
        }),
        ("its counter says 2", |tx, _| {
            let mut upload = tx.upload(FILE)?.unwrap();
            upload.uses = 2;
            tx.put_upload(&upload)
        }),
        ("and the count says 7", |tx, _| {
            let sender = tx.upload(FILE)?.unwrap().sender;
            tx.change_usage(&sender, |_| 7)
        }),
        ("not known as uploaded", |tx, _| {
            tx.remove_upload(FILE)?;
            Ok(())
        }),
        ("cannot be read", |tx, chat| {
            tx.put_raw(Tree::Messages, keys::message(chat, 3), &[1, 2, 3]);
            Ok(())
        }),
    ];
    for (expected, change) in changes {
        let told = told_after(change).await;
        assert!(
            told.iter().any(|line| line.contains(expected)),
            "{expected}: {told:?}"
        );
    }
}

#[tokio::test]
async fn files_and_an_index_that_disagree_with_the_journal_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    fs::create_dir(&media).unwrap();
    let opened = open(dir.path());
    opened.0.write(converse).await.unwrap();
    opened.0.checkpoint(1).unwrap();
    // Behind the journal's back.
    let index = opened.0.shared.live.index().unwrap();
    let row = (Tree::Users, &b"asha"[..], None);
    let marker = index.marker().unwrap().unwrap();
    index.apply([row].into_iter(), marker).unwrap();
    index.sync().unwrap();
    drop(index);
    close(opened);
    let told = inspect(dir.path()).findings.told.join("\n");
    assert!(told.contains("is missing"), "{told}");
    assert!(
        told.contains("differs from the journal in 1 rows of `users`"),
        "{told}"
    );
    fs::write(media.join(FILE), "too long").unwrap();
    fs::write(media.join("other.jpg"), "").unwrap();
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let verified = inspect(dir.path());
    assert_eq!(verified.findings.told.len(), 1);
    assert!(verified.findings.told[0].contains("has 8 bytes instead of 4"));
    assert_eq!(verified.findings.orphans, 1);
    assert_eq!(verified.findings.orphan_names, ["other.jpg"]);
    assert_eq!(
        (verified.findings.messages, verified.findings.chats),
        (3, 1)
    );
    assert!(!dir.path().join("db").exists(), "nothing was rebuilt");
    fs::write(media.join(FILE), "jpeh").unwrap();
    let told = inspect(dir.path()).findings.told;
    assert!(told[0].contains("is damaged"), "{told:?}");
}
