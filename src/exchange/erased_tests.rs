//! Who was erased stays so, whatever is imported; and what an older version wrote is still read.

use std::path::{Path, PathBuf};

use super::tests::{
    close, exported, inspection, obey, options, original, play, request, service, speech,
};
use super::*;
use crate::store::{self, Reading, Store};

fn written(dir: &Path, content: &str) -> PathBuf {
    let path = dir.join("rows.ndjson");
    std::fs::write(&path, content).unwrap();
    path
}

async fn take(paths: &[&Path], data: &Path) -> Imported {
    let imported = import(&request(paths, data), &mut |_, _, _| ())
        .await
        .unwrap();
    assert_eq!(imported.bad_rows, 0, "{:?}", imported.told);
    let verified = store::verify(&inspection(data), |_, _, _| ()).unwrap();
    assert_eq!(verified.findings.told, [] as [&str; 0]);
    imported
}

async fn decree(data: &Path, user: &str, decree: super::tests::Decree) {
    let (store, writer) = Store::open(&options(data)).unwrap();
    let service = service(&store);
    obey(
        &service,
        user,
        decree,
        &mut std::collections::BTreeSet::new(),
    )
    .await;
    close(service, store, writer);
}

/// Whether the words stand anywhere in the rows.
fn tells(data: &Path, words: &str) -> bool {
    exported(data, Scope::All, Format::Ndjson).contains(words)
}

#[tokio::test]
async fn an_export_from_before_an_erasure_brings_nobody_back() {
    let directory = tempfile::tempdir().unwrap();
    let (data, fresh) = (
        directory.path().join("data"),
        directory.path().join("fresh"),
    );
    play(&data, &speech("secret words")).await;
    let before = exported(&data, Scope::All, Format::Ndjson);
    assert!(before.contains("secret words") && before.contains("beagle of asha"));
    let before = written(directory.path(), &before);
    decree(&data, "asha", super::tests::Decree::Erase).await;
    let after = exported(&data, Scope::All, Format::Ndjson);
    let imported = take(&[&before], &data).await;
    assert_eq!((imported.users.gone, imported.pets.gone), (1, 1));
    let told = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        told(&exported(&data, Scope::All, Format::Ndjson)),
        told(&after)
    );

    // The same into a directory that knows of the erasure and of nothing else.
    let line = after
        .lines()
        .find(|line| line.contains("\"erased\""))
        .unwrap();
    let head = after.lines().next().unwrap();
    let end = r#"{"type":"end","erased":1,"users":0,"pets":0,"chats":0,"messages":0}"#;
    let marker = directory.path().join("marker.ndjson");
    std::fs::write(&marker, format!("{head}\n{line}\n{end}\n")).unwrap();
    // The marker counts for what stands before it, too.
    let imported = take(&[&before, &marker], &fresh).await;
    assert_eq!((imported.erased.added, imported.users.gone), (1, 1));
    assert_eq!((imported.pets.gone, imported.erased_messages), (1, 1));
    for words in [
        "secret words",
        "beagle of asha",
        "asha@",
        "asha <asha>",
        "c-1",
    ] {
        assert!(!tells(&fresh, words), "{words}");
    }
    let page = exported(&fresh, Scope::User("rohan".parse().unwrap()), Format::Json);
    assert!(
        page.contains("Deleted user") && page.contains("Removed listing"),
        "{page}"
    );
    let again = take(&[&before, &marker], &fresh).await;
    assert_eq!((again.erased.unchanged, again.messages.added), (1, 0));
}

#[tokio::test]
async fn documents_of_mongodb_bring_nobody_back() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    play(&data, &speech("hello")).await;
    decree(&data, "asha", super::tests::Decree::Erase).await;
    let chat = "677bc4a00000000000000001";
    let row = |number: u32, sender: &str| {
        format!(
            "{{\"_id\":\"677bc4a0000000000000b00{number}\",\"chat\":\"{chat}\",\"sender\":\"{sender}\",\"content\":\"words of {sender}\",\"clientMessageId\":\"m\",\
             \"reactions\":[{{\"reactor\":\"asha\",\"emoji\":\"🐶\"}}]}}\n"
        )
    };
    let paths = original(
        directory.path(),
        &format!(
            "{{\"_id\":\"{chat}\",\"participants\":[\"asha\",\"meera\"],\"chatType\":\"direct\"}}"
        ),
        &[row(1, "asha"), row(2, "meera")].concat(),
    );
    let users = directory.path().join("users.json");
    std::fs::write(
        &users,
        "{\"_id\":\"asha\",\"name\":\"Asha in full\",\"email\":\"home@example.org\"}",
    )
    .unwrap();
    let pets = directory.path().join("pets.json");
    std::fs::write(
        &pets,
        "{\"_id\":\"cat\",\"title\":\"Cat at home\",\"owner\":\"asha\"}",
    )
    .unwrap();
    let imported = take(&[&users, &pets, &paths[0], &paths[1]], &data).await;
    assert_eq!((imported.users.gone, imported.pets.gone), (1, 1));
    assert_eq!((imported.erased_messages, imported.stubs), (1, 0));
    for words in [
        "Asha in full",
        "home@example.org",
        "Cat at home",
        "words of asha",
        "🐶",
    ] {
        assert!(!tells(&data, words), "{words}");
    }
    assert!(tells(&data, "words of meera"));
    let reading = Reading::open(&inspection(&data), |_, _| ()).unwrap();
    let tables = reading.tables();
    let state = tables.read_state(&"meera".parse().unwrap(), chat.parse().unwrap());
    assert_eq!(state.unwrap().unread, 0, "a tombstone is nothing to read");
    assert!(tables.user(&"asha".parse().unwrap()).unwrap().is_none());
    assert!(
        tables
            .removed_pet(&"cat".parse().unwrap())
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_ban_stays_as_it_is_where_somebody_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    play(&data, &speech("hello")).await;
    let free = written(
        directory.path(),
        &exported(&data, Scope::All, Format::Ndjson),
    );
    decree(&data, "rohan", super::tests::Decree::Ban(true)).await;
    let imported = take(&[&free], &data).await;
    assert_eq!(imported.users.changed, 0);
    let banned = exported(&data, Scope::All, Format::Ndjson);
    assert!(banned.contains("\"banned\":true"));
    let elsewhere = directory.path().join("elsewhere");
    take(&[&written(directory.path(), &banned)], &elsewhere).await;
    assert!(tells(&elsewhere, "\"banned\":true"));
}

#[tokio::test]
async fn version_1_is_still_read() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = written(
        directory.path(),
        r#"{"format":"jivchat-export","version":1,"exportedAt":"2026-01-05T10:00:00.000Z"}
{"type":"user","_id":"asha","name":"Asha","banned":false}
{"type":"user","_id":"rohan","name":"Rohan","email":"r@example.com","banned":true,"toldAt":7}
{"type":"pet","_id":"p1","owner":"asha","document":{"_id":"p1","title":"Beagle","images":[]}}
{"type":"chat","_id":"677bc4a00000000000000001","chatType":"pet_inquiry","participants":["rohan","asha"],"petListing":"p1","blockedBy":[],"receipts":[{"userId":"rohan","read":1,"delivered":1},{"userId":"asha","read":0,"delivered":0}],"messages":1,"activity":5,"lastMessageTime":"2026-01-05T09:00:00.000Z","createdAt":"2026-01-05T08:00:00.000Z","updatedAt":"2026-01-05T09:00:00.000Z"}
{"type":"message","_id":"677bc4a0000000000000b001","chat":"677bc4a00000000000000001","seq":1,"sender":"rohan","messageType":"text","content":"Is it still there?","clientMessageId":"c-1","isEdited":false,"isDeleted":false,"createdAt":"2026-01-05T09:00:00.000Z","updatedAt":"2026-01-05T09:00:00.000Z"}
{"type":"end","users":2,"pets":1,"chats":1,"messages":1}
"#,
    );
    let imported = take(&[&file], &data).await;
    assert_eq!(imported.messages.added, 1);
    let now = exported(&data, Scope::All, Format::Ndjson);
    let old = std::fs::read_to_string(&file).unwrap();
    let is_same = |line: &str| {
        let chat = line.contains("\"type\":\"chat\"");
        chat || now.lines().any(|now| now == line)
    };
    let lines: Vec<&str> = old.lines().collect();
    assert!(
        lines[1..lines.len() - 1].iter().all(|line| is_same(line)),
        "{now}"
    );
}
