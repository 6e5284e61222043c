//! Pages and cursors: which part of a list comes, and what is said of the rest.

use serde_json::{Value, json};

use super::rest::{Answer, Rest, text};
use super::server::TestServer;

/// A chat of 105 messages, as one of its two users sees it.
struct Archive {
    server: TestServer,
    asha: Rest,
    rohan: Rest,
    chat: String,
    /// The id of message *n* at *n*.
    ids: Vec<String>,
}

impl Archive {
    async fn fill() -> Self {
        let server = TestServer::start(&["--no-rate-limit"]).await;
        let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
        let chat = rohan.chat_with(&asha).await;
        let mut ids = vec![String::new()];
        for number in 1..=105 {
            let message = rohan.says(&chat, &format!("message {number}")).await;
            ids.push(text(&message["_id"]));
        }
        Self {
            server,
            asha,
            rohan,
            chat,
            ids,
        }
    }

    async fn page(&self, query: &str) -> Answer {
        let path = format!("/api/chat/{}/messages?{query}", self.chat);
        self.asha.get(&path).await
    }

    /// Which messages come, and their pagination.
    async fn seqs(&self, query: &str) -> (Vec<u64>, Value) {
        let data = self
            .page(query)
            .await
            .says(200, "Messages retrieved successfully");
        let messages = data["messages"].as_array().unwrap().iter();
        let seqs = messages.map(|one| one["seq"].as_u64().unwrap());
        (seqs.collect(), data["pagination"].clone())
    }
}

#[tokio::test]
async fn an_empty_history_has_no_pages() {
    let server = TestServer::start(&[]).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    let chat = rohan.chat_with(&asha).await;
    let empty = asha
        .get(&format!("/api/chat/{chat}/messages"))
        .await
        .ok(200);
    let pagination =
        json!({ "currentPage": 1, "totalPages": 0, "totalMessages": 0, "hasMore": false });
    assert_eq!(empty, json!({ "messages": [], "pagination": pagination }));
}

#[tokio::test]
async fn histories_are_paged_from_the_newest() {
    let archive = Archive::fill().await;
    for (query, seqs, current, total, has_more) in [
        ("", 56..106, 1, 3, true),
        ("page=2", 6..56, 2, 3, true),
        ("page=3&limit=50", 1..6, 3, 3, false),
        ("page=4", 0..0, 4, 3, false),
        ("limit=10", 96..106, 1, 11, true),
        ("limit=1&page=105", 1..2, 105, 105, false),
        ("limit=100", 6..106, 1, 2, true),
        ("limit=1000", 6..106, 1, 2, true),
        ("limit=99999999999999999999999", 6..106, 1, 2, true),
    ] {
        let (found, pagination) = archive.seqs(query).await;
        assert_eq!(found, seqs.collect::<Vec<_>>(), "{query}");
        let expected = json!({
            "currentPage": current, "totalPages": total, "totalMessages": 105, "hasMore": has_more
        });
        assert_eq!(pagination, expected, "{query}");
    }
    let (none, pagination) = archive.seqs("page=18446744073709551615").await;
    assert_eq!((none.len(), &pagination["hasMore"]), (0, &json!(false)));
}

#[tokio::test]
async fn cursors_go_both_ways_from_a_message() {
    let archive = Archive::fill().await;
    let id = |number: usize| archive.ids[number].as_str();
    for (query, seqs, has_more) in [
        (format!("before={}", id(50)), 1..50, false),
        (format!("before={}&limit=10", id(50)), 40..50, true),
        (format!("before={}", id(1)), 0..0, false),
        (format!("after={}", id(100)), 101..106, false),
        (format!("after={}&limit=2", id(100)), 101..103, true),
        (format!("after={}&limit=5", id(100)), 101..106, false),
        (format!("after={}", id(105)), 0..0, false),
        (format!("after={}&limit=500", id(1)), 2..102, true),
    ] {
        let (found, pagination) = archive.seqs(&query).await;
        assert_eq!(found, seqs.collect::<Vec<_>>(), "{query}");
        assert_eq!(
            pagination,
            json!({ "totalMessages": 105, "hasMore": has_more }),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_that_makes_no_sense_is_refused() {
    let archive = Archive::fill().await;
    let meera = archive.server.user("meera").await;
    let elsewhere = archive.rohan.chat_with(&meera).await;
    let foreign = text(&archive.rohan.says(&elsewhere, "not yours").await["_id"]);
    let both = format!("before={}&after={}", archive.ids[3], archive.ids[1]);
    for query in [
        "page=0",
        "page=-1",
        "page=1.5",
        "limit=0",
        "limit=ten",
        "limit=",
        &both,
    ] {
        archive.page(query).await.refused(400, "invalid_request");
    }
    archive.page("before=xyz").await.refused(400, "invalid_id");
    for query in [
        format!("after={}", "0".repeat(24)),
        format!("before={foreign}"),
    ] {
        archive.page(&query).await.refused(404, "message_not_found");
    }
}

/// Promise P6: whoever knows their last message misses none and gets none twice, also while others write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn catching_up_goes_on_while_others_write() {
    let archive = Archive::fill().await;
    let (rohan, chat) = (archive.rohan.clone(), archive.chat.clone());
    let writing = tokio::spawn(async move {
        for number in 0..100 {
            rohan.says(&chat, &format!("later {number}")).await;
        }
    });
    let mut seen = vec![1];
    let mut last = archive.ids[1].clone();
    let catching_up = async {
        while seen.len() < 205 {
            let data = archive.page(&format!("after={last}&limit=7")).await.ok(200);
            for message in data["messages"].as_array().unwrap() {
                seen.push(message["seq"].as_u64().unwrap());
                last = text(&message["_id"]);
            }
        }
    };
    super::within("the newest message", catching_up).await;
    assert_eq!(seen, (1..=205).collect::<Vec<_>>());
    writing.await.unwrap();
}

#[tokio::test]
async fn chats_are_listed_by_their_last_activity() {
    let server = TestServer::start(&[]).await;
    let asha = server.user("asha").await;
    let mut chats = Vec::new();
    for number in 0..25 {
        let other = server.user(&format!("other-{number}")).await;
        chats.push(asha.chat_with(&other).await);
    }
    asha.says(&chats[3], "back on top").await;
    let mut expected: Vec<_> = chats.iter().rev().filter(|id| **id != chats[3]).collect();
    expected.insert(0, &chats[3]);
    let page = async |query: &str| asha.get(&format!("/api/chat/my-chats{query}")).await;
    for (query, range, pagination) in [
        (
            "",
            0..20,
            json!({ "currentPage": 1, "totalPages": 2, "totalChats": 25, "hasMore": true }),
        ),
        (
            "?page=2",
            20..25,
            json!({ "currentPage": 2, "totalPages": 2, "totalChats": 25, "hasMore": false }),
        ),
        (
            "?page=3&limit=10",
            20..25,
            json!({ "currentPage": 3, "totalPages": 3, "totalChats": 25, "hasMore": false }),
        ),
        (
            "?page=9",
            0..0,
            json!({ "currentPage": 9, "totalPages": 2, "totalChats": 25, "hasMore": false }),
        ),
        (
            "?limit=500",
            0..25,
            json!({ "currentPage": 1, "totalPages": 1, "totalChats": 25, "hasMore": false }),
        ),
    ] {
        let data = page(query).await.says(200, "Chats retrieved successfully");
        let found = data["chats"].as_array().unwrap();
        let found: Vec<_> = found.iter().map(|chat| text(&chat["_id"])).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected[range], "{query}");
        assert_eq!(data["pagination"], pagination, "{query}");
    }
    for query in ["?page=0", "?limit=0", "?limit=x", "?page=-3"] {
        page(query).await.refused(400, "invalid_request");
    }
    let lonely = server.user("lonely").await;
    let none = lonely.get("/api/chat/my-chats").await.ok(200);
    assert_eq!(none["chats"], json!([]));
    assert_eq!(none["pagination"]["totalPages"], 0);
}
