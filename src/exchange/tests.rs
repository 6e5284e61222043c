//! Random histories there and back, and rows in every shape that a file may have.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{
    Caller, Content, NewMessage, NewReport, OpenChat, Options, Profile, Reported, Service, TooOld,
};
use crate::id::{MessageId, UserId};
use crate::model::{ReportReason, ReportStatus, Timestamp};
use crate::pet_document;
use crate::store::{self, Inspection, Reading, Store};

const PEOPLE: [&str; 3] = ["asha", "rohan", "meera"];
const PETS: [&str; 2] = ["beagle", "parrot"];

/// One thing that somebody does, in one of the chats that there are by then.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Open {
        other: usize,
        is_general: bool,
        pet: Option<usize>,
    },
    Send {
        chat: usize,
        text: String,
        parent: Option<usize>,
        is_named: bool,
    },
    Delete {
        message: usize,
    },
    Read {
        chat: usize,
        message: Option<usize>,
    },
    Block {
        chat: usize,
    },
    Fetch {
        chat: usize,
    },
    /// Blocks the person, or lifts the block.
    Shun {
        other: usize,
        shuns: bool,
    },
    Report {
        message: usize,
    },
    Host(Decree),
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let act = prop_oneof![
        2 => (0..3_usize, any::<bool>(), prop::option::of(0..2_usize))
            .prop_map(|(other, is_general, pet)| Act::Open { other, is_general, pet }),
        8 => (any::<usize>(), "\\PC{1,40}", prop::option::of(any::<usize>()), any::<bool>())
            .prop_map(|(chat, text, parent, is_named)| Act::Send { chat, text, parent, is_named }),
        2 => any::<usize>().prop_map(|message| Act::Delete { message }),
        2 => (any::<usize>(), prop::option::of(any::<usize>())).prop_map(|(chat, message)| Act::Read { chat, message }),
        1 => any::<usize>().prop_map(|chat| Act::Block { chat }),
        1 => any::<usize>().prop_map(|chat| Act::Fetch { chat }),
        1 => (0..3_usize, any::<bool>()).prop_map(|(other, shuns)| Act::Shun { other, shuns }),
        1 => any::<usize>().prop_map(|message| Act::Report { message }),
        3 => decree().prop_map(Act::Host),
    ];
    (0..3_usize, act)
}

/// What the host decides about a person or a pet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decree {
    Erase,
    Return,
    Ban(bool),
    RemovePet(usize),
    PutPet(usize),
    Expire,
}

fn decree() -> impl Strategy<Value = Decree> {
    prop_oneof![
        2 => Just(Decree::Erase),
        1 => Just(Decree::Return),
        2 => any::<bool>().prop_map(Decree::Ban),
        2 => (0..2_usize).prop_map(Decree::RemovePet),
        1 => (0..2_usize).prop_map(Decree::PutPet),
        1 => Just(Decree::Expire),
    ]
}

/// Asha's pet is asked about, and she answers.
pub(super) fn speech(words: &str) -> Vec<(usize, Act)> {
    let open = Act::Open {
        other: 0,
        is_general: false,
        pet: Some(0),
    };
    let said = |text: &str| Act::Send {
        chat: 0,
        text: text.to_owned(),
        parent: None,
        is_named: true,
    };
    vec![(1, open), (0, said(words)), (1, said("and so?"))]
}

pub(super) fn options(dir: &Path) -> store::Options {
    store::Options {
        data_dir: dir.to_owned(),
        cache: 8 << 20,
        queue: 64,
    }
}

pub(super) fn service(store: &Store) -> Service {
    let (chat, mut events) = Service::new(store.clone(), Options::default());
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    chat
}

/// Plays a history; what is refused, is refused. Answers the messages that were sent under a name, to be sent again.
pub(super) async fn play(dir: &Path, acts: &[(usize, Act)]) -> Vec<(UserId, NewMessage)> {
    let (store, writer) = Store::open(&options(dir)).unwrap();
    let service = service(&store);
    settle(&service).await;
    let mut erased = BTreeSet::new();
    let (mut chats, mut messages, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (user, act)) in acts.iter().enumerate() {
        let caller = Caller::new(PEOPLE[*user].parse().unwrap());
        if let Act::Host(decree) = act {
            obey(&service, PEOPLE[*user], *decree, &mut erased).await;
            named.retain(|(user, _): &(UserId, _)| !erased.contains(user));
            continue;
        }
        if erased.contains(&caller.user) {
            continue;
        }
        let one = |index: usize| chats.get(index % chats.len().max(1)).copied();
        let message = |index: usize| messages.get(index % messages.len().max(1)).copied();
        match act.clone() {
            Act::Open {
                other,
                is_general,
                pet,
            } => {
                let request = OpenChat {
                    participant: Some(PEOPLE[other].parse().unwrap()),
                    pet: pet.map(|pet| PETS[pet].parse().unwrap()),
                    kind: (is_general && pet.is_none()).then_some(crate::model::ChatKind::General),
                };
                if let Ok((details, true)) = service.open_chat(&caller, request).await {
                    chats.push(details.chat.id);
                }
            }
            Act::Send {
                chat,
                text,
                parent,
                is_named,
            } => {
                let (Some(chat), Ok(content)) = (one(chat), Content::parse(text, None, None))
                else {
                    continue;
                };
                let new = NewMessage {
                    chat,
                    content,
                    parent: parent.and_then(message),
                    client_id: is_named.then(|| format!("c-{number}")),
                };
                if let Ok(sent) = service.send_message(&caller, new.clone()).await {
                    messages.push(sent.message.message.id);
                    if is_named {
                        named.push((caller.user, new));
                    }
                }
            }
            Act::Delete { message: index } => {
                if let Some(id) = message(index) {
                    let _ = service.delete_message(&caller, id).await;
                }
            }
            Act::Read {
                chat,
                message: index,
            } => {
                if let Some(chat) = one(chat) {
                    let _ = service
                        .mark_read(&caller, chat, index.and_then(message))
                        .await;
                }
            }
            Act::Shun { other, shuns } => {
                let other: UserId = PEOPLE[other].parse().unwrap();
                shun(&service, &caller, other, shuns).await;
            }
            Act::Report { message: index } => {
                if let Some(id) = message(index) {
                    report(&service, &caller, id, number).await;
                }
            }
            Act::Host(_) => {}
            Act::Block { chat } => {
                if let Some(chat) = one(chat) {
                    let _ = service.toggle_block(&caller, chat).await;
                }
            }
            Act::Fetch { chat } => {
                if let Some(chat) = one(chat) {
                    let page = crate::chat::History::Page(1);
                    let _ = service.history(&caller, chat, page, 10).await;
                }
            }
        }
    }
    close(service, store, writer);
    named
}

async fn shun(service: &Service, caller: &Caller, other: UserId, shuns: bool) {
    let _ = if shuns {
        service.block_user(caller, other).await.map(drop)
    } else {
        service.unblock_user(caller, other).await
    };
}

/// Every second report is judged.
async fn report(service: &Service, caller: &Caller, id: MessageId, number: usize) {
    let report = NewReport {
        about: Reported::Message(id),
        reason: ReportReason::Fraud,
        text: format!("report {number}"),
    };
    let made = service.report(caller, report).await;
    if let (Ok(made), true) = (made, number.is_multiple_of(2)) {
        let note = Some("seen".to_owned());
        let judged = service.judge_report(made.id, ReportStatus::Resolved, note);
        judged.await.unwrap();
    }
}

/// Everybody and their pets are there.
async fn settle(service: &Service) {
    for name in PEOPLE {
        let profile = Profile {
            id: name.parse().unwrap(),
            name: Some(format!("{name} <{name}>")),
            email: Some(format!("{name}@example.com")),
            picture: None,
            said_at: Some(5),
        };
        service.admit(profile).await.unwrap();
    }
    for (name, owner) in PETS.into_iter().zip(PEOPLE) {
        put_pet(service, name, owner).await;
    }
}

async fn put_pet(service: &Service, name: &str, owner: &str) {
    let document = json!({"title": format!("{name} of {owner}"), "owner": owner, "age": 3});
    let pet = pet_document::read(name.parse().unwrap(), document).unwrap();
    service.put_pet(pet).await.unwrap();
}

/// The host has its way, with this person or with the pet of their number.
pub(super) async fn obey(
    service: &Service,
    user: &str,
    decree: Decree,
    erased: &mut BTreeSet<UserId>,
) {
    let id: UserId = user.parse().unwrap();
    match decree {
        Decree::Erase => {
            let begun = service.begin_erasure(id.clone(), pet_document::erased);
            let mut erasure = begun.await.unwrap();
            while erasure.step().await.unwrap().is_some() {}
            erasure.finish().await.unwrap();
            erased.insert(id);
        }
        Decree::Return => {
            let profile = Profile {
                id: id.clone(),
                name: Some(format!("{user} again")),
                email: None,
                picture: None,
                said_at: None,
            };
            service.put_user(profile).await.unwrap();
            erased.remove(&id);
        }
        Decree::Ban(banned) => {
            let known = service.set_banned(id.clone(), banned).await;
            assert_eq!(known.is_err(), erased.contains(&id));
        }
        Decree::RemovePet(pet) => {
            let pet = PETS[pet].parse().unwrap();
            let _ = service.remove_pet(pet, pet_document::removed).await;
        }
        Decree::PutPet(pet) => {
            if !erased.contains(&id) {
                put_pet(service, PETS[pet], user).await;
            }
        }
        Decree::Expire => {
            let now = Timestamp::now();
            service.advance_retention_clock(now).await.unwrap();
            let mut expiry = service.begin_expiry(TooOld::Content(now));
            while expiry.step().await.unwrap().is_some() {}
        }
    }
}

pub(super) fn close(service: Service, store: Store, writer: store::WriterThread) {
    drop((service, store));
    writer.join();
}

pub(super) fn inspection(dir: &Path) -> Inspection {
    Inspection {
        data_dir: dir.to_owned(),
        media: None,
        cache: 8 << 20,
    }
}

pub(super) fn exported(dir: &Path, scope: Scope, format: Format) -> String {
    let reading = Reading::open(&inspection(dir), |_, _| ()).unwrap();
    let request = Request {
        scope,
        format,
        media: None,
        link: None,
        now: Timestamp(0),
    };
    let mut out = Vec::new();
    export(&reading.tables(), &request, &mut out, &mut |_, _| ()).unwrap();
    String::from_utf8(out).unwrap()
}

/// What each person who is known sees of everything, newest chat first; then every row, but for the numbers that only order chats.
fn seen(dir: &Path) -> Vec<Value> {
    let rows = exported(dir, Scope::All, Format::Ndjson);
    let rows = rows.lines().map(|row| {
        let mut row: Value = serde_json::from_str(row).unwrap();
        row.as_object_mut().unwrap().remove("activity");
        row
    });
    let rows: Vec<Value> = rows.collect();
    let is_known = |name: &str| {
        rows.iter()
            .any(|row| row["type"] == "user" && row["_id"] == name)
    };
    let people = PEOPLE.into_iter().filter(|name| is_known(name));
    let documents = people.map(|name| {
        let scope = Scope::User(name.parse().unwrap());
        serde_json::from_str(&exported(dir, scope, Format::Json)).unwrap()
    });
    let mut seen: Vec<Value> = documents.collect();
    seen.extend(rows);
    seen
}

pub(super) fn request(paths: &[&Path], data: &Path) -> Import {
    Import {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        kind: None,
        pet_owner: "owner".to_owned(),
        media: None,
        keep_metadata: false,
        skip_bad: false,
        dry_run: false,
        data_dir: data.to_owned(),
        cache: 8 << 20,
        media_dir: data.join("media"),
    }
}

async fn there_and_back(acts: Vec<(usize, Act)>) {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let named = play(first.path(), &acts).await;
    let file = second.path().join("export.ndjson");
    std::fs::write(&file, exported(first.path(), Scope::All, Format::Ndjson)).unwrap();
    let data = second.path().join("data");
    for is_first in [true, false] {
        let imported = import(&request(&[&file], &data), &mut |_, _, _| ())
            .await
            .unwrap();
        assert_eq!(imported.bad_rows, 0, "{:?}", imported.told);
        assert_eq!(
            imported.messages.unchanged == 0,
            is_first || imported.read.messages == 0
        );
        assert_eq!(seen(&data), seen(first.path()));
        let verified = store::verify(&inspection(&data), |_, _, _| ()).unwrap();
        assert_eq!(verified.findings.told, [] as [&str; 0]);
    }
    let (store, writer) = Store::open(&options(&data)).unwrap();
    let service = service(&store);
    for (user, new) in named {
        let caller = Caller::new(user);
        let sent = service.send_message(&caller, new).await.unwrap();
        assert!(!sent.is_new, "a retry is still one");
    }
    close(service, store, writer);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_history_comes_back_as_it_was(acts in prop::collection::vec(act(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(there_and_back(acts));
    }

    #[test]
    fn any_rows_are_judged_without_a_panic(
        rows in prop::collection::vec(prop_oneof![
            "\\PC{0,80}",
            r#"\{"type":"(erased|mark|user|pet|block|report|chat|message|end)","_id":("[a-f0-9]{24}"|[0-9]{1,3}),"(chat|name|seq|owner)":("x"|1|null|\[\])\}"#,
            r#"\{"_id":\{"\$oid":"[a-f0-9]{24}"\},"(participants|chat|sender|unreadCount|reactions)":(\[\{"\$oid":"a"\},\{"\$date":-1\}\]|"x"|\{\}|1e400)\}"#,
        ], 0..20),
        is_export in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rows.json");
        let head = if is_export { "{\"format\":\"jivchat-export\",\"version\":1,\"exportedAt\":0}\n" } else { "" };
        std::fs::write(&file, format!("{head}{}", rows.join("\n"))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for kind in [Kind::Users, Kind::Pets, Kind::Chats, Kind::Messages] {
            let mut request = request(&[&file], &directory.path().join("data"));
            request.kind = Some(kind);
            request.dry_run = true;
            let _ = runtime.block_on(import(&request, &mut |_, _, _| ()));
        }
        prop_assert!(!directory.path().join("data").exists());
    }
}

/// The original's documents of two people, as lines.
pub(super) fn original(dir: &Path, chats: &str, messages: &str) -> Vec<std::path::PathBuf> {
    let files = [("chats.json", chats), ("messages.json", messages)];
    files
        .map(|(name, content)| {
            let path = dir.join(name);
            std::fs::write(&path, content).unwrap();
            path
        })
        .to_vec()
}

/// Unread messages of b, b's and a's watermarks, after the import of a chat with messages of `senders`.
async fn watermarks(count: &str, senders: &[(&str, &str)]) -> (u32, u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let chat = format!(
        r#"{{"_id":"677bc4a00000000000000001","participants":["a","b"],"unreadCount":[{count}]}}"#
    );
    let messages = senders.iter().enumerate().map(|(number, (sender, rest))| {
        format!(
            "{{\"_id\":\"677bc4a0000000000000b0{number:02}\",\"chat\":\"677bc4a00000000000000001\",\"sender\":\"{sender}\",\"content\":\"x\"{rest}}}\n"
        )
    });
    let paths = original(directory.path(), &chat, &messages.collect::<String>());
    let data = directory.path().join("data");
    let paths: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
    let imported = import(&request(&paths, &data), &mut |_, _, _| ())
        .await
        .unwrap();
    assert_eq!(imported.bad_rows, 0, "{:?}", imported.told);
    let reading = Reading::open(&inspection(&data), |_, _| ()).unwrap();
    let chat = "677bc4a00000000000000001".parse().unwrap();
    let state = reading
        .tables()
        .read_state(&"b".parse().unwrap(), chat)
        .unwrap();
    (state.unread, state.read, state.delivered)
}

#[tokio::test]
async fn what_the_counter_or_a_receipt_calls_read_is_read() {
    let read = r#","readBy":["b"]"#;
    let all = [("a", ""), ("a", ""), ("b", ""), ("a", "")];
    for (count, senders, expected) in [
        ("", &all[..], (3, 0, 0)),
        (r#"{"userId":"b","count":0}"#, &all, (0, 4, 4)),
        (r#"{"userId":"b","count":1}"#, &all, (1, 2, 2)),
        (r#"{"userId":"b","count":2}"#, &all, (2, 1, 1)),
        (r#"{"userId":"b","count":9}"#, &all, (3, 0, 0)),
        (r#"{"userId":"b","count":-1}"#, &all, (0, 4, 4)),
        (
            r#"{"userId":"b","count":3}"#,
            &[("a", ""), ("a", read), ("a", "")],
            (1, 2, 2),
        ),
        ("", &[("a", r#","status":"read""#), ("a", "")], (1, 1, 1)),
        (
            "",
            &[("a", r#","status":"delivered""#), ("a", "")],
            (2, 0, 1),
        ),
        ("", &[("a", ""), ("a", r#","isDeleted":true"#)], (1, 0, 0)),
        (
            r#"{"userId":"b","count":1}"#,
            &[("a", ""), ("a", ""), ("a", r#","isDeleted":true"#)],
            (1, 1, 1),
        ),
    ] {
        assert_eq!(
            watermarks(count, senders).await,
            expected,
            "{count} {senders:?}"
        );
    }
}
