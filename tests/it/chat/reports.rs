//! Reporting somebody: who may, what the host reads and judges, and what an erasure takes away.

use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Rest, text};
use super::server::{KEY, TestServer};

async fn two(flags: &[&str]) -> (TestServer, Rest, Rest) {
    let server = TestServer::start(flags).await;
    let (asha, rohan) = (server.user("asha").await, server.user("rohan").await);
    (server, asha, rohan)
}

/// Rohan has asked asha for money, she has reported the message, and he the chat; then he has deleted what he said.
struct Case {
    server: TestServer,
    host: Rest,
    asha: Rest,
    chat: String,
    message: Value,
    picture: Value,
    reports: [String; 2],
}

impl Case {
    async fn new() -> Self {
        let (server, asha, rohan) = two(&["--admin-key", KEY]).await;
        let chat = rohan.chat_with(&asha).await;
        for number in 0..30 {
            rohan.says(&chat, &format!("offer {number}")).await;
        }
        asha.says(&chat, "Who are you?").await;
        let picture = rohan.uploads(&chat, "a.png", PNG).await.ok(201);
        let message = rohan.says(&chat, "Send money first").await;
        let report = async |who: &Rest, body: Value| {
            let made = who.post("/api/chat/report", &body).await.ok(201);
            text(&made["_id"])
        };
        let about =
            json!({ "messageId": message["_id"], "reason": "fraud", "text": "He asks for money" });
        let first = report(&asha, about).await;
        let about = json!({ "chatId": chat, "reason": "animal_welfare" });
        let second = report(&rohan, about).await;
        for id in [&message["_id"], &picture["_id"]] {
            let path = format!("/api/chat/message/{}", text(id));
            rohan.delete(&path).await.ok(200);
        }
        Self {
            host: server.anonymous().with_token(KEY),
            server,
            asha,
            chat,
            message,
            picture,
            reports: [first, second],
        }
    }

    async fn report(&self, number: usize) -> Value {
        let path = format!("/api/admin/reports/{}", self.reports[number]);
        self.host.get(&path).await.ok(200)
    }

    async fn ids(&self, query: &str) -> Vec<String> {
        let path = format!("/api/admin/reports{query}");
        let list = self.host.get(&path).await.ok(200);
        let reports = list["reports"].as_array().unwrap();
        reports.iter().map(|one| text(&one["_id"])).collect()
    }
}

#[tokio::test]
async fn who_takes_part_may_report_and_nobody_else() {
    let (server, asha, rohan) = two(&[]).await;
    let stranger = server.user("stranger").await;
    let chat = rohan.chat_with(&asha).await;
    let message = text(&rohan.says(&chat, "Send money first").await["_id"]);
    let report = async |who: &Rest, body: Value| who.post("/api/chat/report", &body).await;
    let abouts = [
        json!({ "chatId": chat }),
        json!({ "messageId": message }),
        json!({ "userId": "rohan" }),
    ];
    for about in &abouts {
        let mut body = about.clone();
        body["reason"] = json!("fraud");
        let made = report(&asha, body.clone())
            .await
            .says(201, "Report received");
        assert_eq!(
            (&made["reason"], &made["status"]),
            (&json!("fraud"), &json!("open"))
        );
        assert_eq!(made["_id"].as_str().unwrap().len(), 24);
        report(&stranger, body).await.refused(403, "access_denied");
    }
    let id = "f".repeat(24);
    for (body, status, code) in [
        (json!({}), 400, "invalid_request"),
        (json!({ "reason": "spam" }), 400, "invalid_request"),
        (json!({ "chatId": chat }), 400, "invalid_request"),
        (
            json!({ "chatId": chat, "reason": "dull" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "reason": 5 }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "userId": "rohan", "reason": "spam" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": "x", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "messageId": "x", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "userId": "a b", "reason": "spam" }),
            400,
            "invalid_id",
        ),
        (
            json!({ "chatId": id, "reason": "spam" }),
            403,
            "access_denied",
        ),
        (
            json!({ "messageId": id, "reason": "spam" }),
            404,
            "message_not_found",
        ),
        (
            json!({ "userId": "nobody", "reason": "spam" }),
            403,
            "access_denied",
        ),
        (
            json!({ "userId": "asha", "reason": "spam" }),
            400,
            "invalid_request",
        ),
        (
            json!({ "chatId": chat, "reason": "spam", "text": "x".repeat(1001) }),
            400,
            "invalid_request",
        ),
    ] {
        report(&asha, body.clone()).await.refused(status, code);
    }
    report(&rohan, json!({ "messageId": message, "reason": "spam" }))
        .await
        .refused(400, "invalid_request");
    asha.get("/api/chat/report")
        .await
        .refused(405, "method_not_allowed");
    server.stop().await;
}

#[tokio::test]
async fn the_host_reads_what_was_said_even_if_it_is_deleted() {
    let case = Case::new().await;
    let whole = case.report(0).await;
    assert_eq!(whole["reportedBy"], "asha");
    assert_eq!(whole["reportedUser"], "rohan");
    assert_eq!(whole["messageId"], case.message["_id"]);
    assert_eq!(whole["chatId"], json!(case.chat));
    assert_eq!(whole["reason"], "fraud");
    assert_eq!(whole["text"], "He asks for money");
    let evidence = whole["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 6, "the five before it as well");
    assert_eq!(evidence[5]["content"], "Send money first");
    assert_eq!(evidence[5]["isDeleted"], false, "as it was");
    assert_eq!(evidence[4]["media"]["url"], case.picture["media"]["url"]);
    let other = case.report(1).await;
    assert_eq!(other["evidence"].as_array().unwrap().len(), 20);
    assert_eq!(other["reportedUser"], "asha");
    case.server.stop().await;
}

#[tokio::test]
async fn the_host_judges_page_by_page_and_it_is_written_down() {
    let case = Case::new().await;
    let (host, [first, second]) = (&case.host, &case.reports);
    let page = host
        .get("/api/admin/reports?status=open&limit=1")
        .await
        .ok(200);
    assert_eq!(page["reports"][0]["_id"], json!(first));
    assert!(
        page["reports"][0].get("evidence").is_none(),
        "the list is short"
    );
    assert_eq!(
        page["pagination"],
        json!({ "hasMore": true, "next": first })
    );
    let path = format!("/api/admin/reports?status=open&limit=1&cursor={first}");
    let page = host.get(&path).await.ok(200);
    assert_eq!(page["reports"][0]["_id"], json!(second));
    assert_eq!(
        page["pagination"],
        json!({ "hasMore": false, "next": null })
    );

    let path = format!("/api/admin/reports/{first}");
    let put = async |body: Value| host.ask("PUT", &path).json(&body).answer().await;
    for wrong in [
        json!({}),
        json!({ "status": "gone" }),
        json!({ "status": 1 }),
        json!({ "status": "resolved", "note": "x".repeat(4001) }),
    ] {
        put(wrong).await.refused(400, "invalid_request");
    }
    let judged = put(json!({ "status": "resolved", "note": "banned" }))
        .await
        .ok(200);
    assert_eq!(
        (&judged["status"], &judged["note"]),
        (&json!("resolved"), &json!("banned"))
    );
    assert!(judged["judgedAt"].is_string());
    assert_eq!(case.ids("?status=open").await, [second.as_str()]);
    assert_eq!(case.ids("?status=resolved").await, [first.as_str()]);
    assert!(case.ids("?status=dismissed").await.is_empty());
    assert_eq!(case.ids("").await, case.reports);
    assert_eq!(
        put(json!({ "status": "open" })).await.ok(200)["note"],
        "banned"
    );
    assert_eq!(case.ids("?status=open").await, case.reports);

    host.get("/api/admin/reports?status=x")
        .await
        .refused(400, "invalid_request");
    host.get("/api/admin/reports?cursor=x")
        .await
        .refused(400, "invalid_id");
    host.get("/api/admin/reports/x")
        .await
        .refused(400, "invalid_id");
    let nowhere = format!("/api/admin/reports/{}", "f".repeat(24));
    host.get(&nowhere).await.refused(404, "report_not_found");
    let judging = host
        .ask("PUT", &nowhere)
        .json(&json!({ "status": "resolved" }));
    judging.answer().await.refused(404, "report_not_found");
    for path in ["/api/admin/reports", &path] {
        case.asha.get(path).await.refused(401, "token_invalid");
    }

    case.report(1).await;
    let log = host.get("/api/admin/audit?limit=500").await.ok(200);
    let entries = log["entries"].as_array().unwrap();
    let count = |action: &str, subject: &str| {
        let is_meant = |entry: &&Value| entry["action"] == action && entry["subject"] == subject;
        entries.iter().filter(is_meant).count()
    };
    assert_eq!(count("reports.listed", "open"), 4);
    assert_eq!(count("reports.listed", "all"), 1);
    assert_eq!(count("report.read", second), 1);
    assert_eq!(count("report.resolved", first), 1);
    assert_eq!(count("report.reopened", first), 1);
    assert_eq!(
        entries.len(),
        4 + 1 + 2 + 3,
        "what was refused is no deed: {entries:?}"
    );
    case.server.stop().await;
}

#[tokio::test]
async fn an_erasure_takes_away_what_somebody_said_and_not_that_there_was_a_report() {
    let case = Case::new().await;
    let blocked = case
        .server
        .stranger("rohan")
        .put("/api/chat/block-user/asha")
        .await;
    blocked.ok(200);
    case.host.delete("/api/admin/users/rohan").await.ok(200);
    let whole = case.report(0).await;
    assert_eq!(whole["reportedUser"], "rohan");
    for one in whole["evidence"].as_array().unwrap() {
        let is_his = one["sender"] == "rohan";
        assert_eq!(
            (one["content"] == "", one["isDeleted"] == true),
            (is_his, is_his),
            "{one}"
        );
        assert!(!is_his || one.get("media").is_none());
    }
    assert_eq!(whole["text"], "He asks for money", "that is hers");
    // What is reported now holds nothing of his either.
    let about = json!({ "chatId": case.chat, "reason": "other" });
    let later = case.asha.post("/api/chat/report", &about).await.ok(201);
    let path = format!("/api/admin/reports/{}", text(&later["_id"]));
    let later = case.host.get(&path).await.ok(200);
    assert!(!later.to_string().contains("offer"), "{later}");
    case.host.delete("/api/admin/users/asha").await.ok(200);
    assert_eq!(case.report(0).await["text"], "");

    let directory = case.server.stop().await;
    let inspection = jivchat::store::Inspection {
        data_dir: directory.path().to_owned(),
        media: Some(directory.path().join("media")),
        cache: 8 << 20,
    };
    let verified = jivchat::store::verify(&inspection, |_, _, _| ());
    let findings = verified.unwrap().findings;
    assert_eq!((findings.problems, findings.told), (0, Vec::new()));
    let server = TestServer::start_in(directory, &["--admin-key", KEY]).await;
    let host = server.anonymous().with_token(KEY);
    let list = host.get("/api/admin/reports").await.ok(200);
    assert_eq!(
        list["reports"].as_array().unwrap().len(),
        3,
        "it outlives the server"
    );
    server.stop().await;
}
