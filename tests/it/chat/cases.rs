//! What everybody may try at every door, as data: each REST route and each event, who comes, what they bring, and what comes of it.
//! It knows how to make one such case and to knock; what an answer must look like besides is its readers' matter.

use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Answer, Ask, Rest, text};
use super::server::{SECRET, TestServer, token_with};
use super::sockets::Client;

/// The admin key of [`World::flags`].
pub(super) const ADMIN_KEY: &str = "the-admin-key-of-the-table-of-cases";
/// More than `--max-file-size` of [`World::flags`] allows, and than any JSON body may have.
const HUGE: usize = 300_000;

/// The outcome of who comes, with a good request: a status or `ok`, or the stable code of a refusal.
const WHO: &str = "
door               | no token      | bad token     | expired token | banned      | stranger      | participant | blocker      | blocked
POST create        | token_missing | token_invalid | token_expired | user_banned | 201           | 200         | 200          | 200
GET my-chats       | token_missing | token_invalid | token_expired | user_banned | 200           | 200         | 200          | 200
GET unread-count   | token_missing | token_invalid | token_expired | user_banned | 200           | 200         | 200          | 200
GET messages       | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
GET before         | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
GET after          | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
POST send          | token_missing | token_invalid | token_expired | user_banned | access_denied | 201         | chat_blocked | chat_blocked
POST send reply    | token_missing | token_invalid | token_expired | user_banned | access_denied | 201         | chat_blocked | chat_blocked
POST send picture  | token_missing | token_invalid | token_expired | user_banned | access_denied | 201         | chat_blocked | chat_blocked
POST send-media    | token_missing | token_invalid | token_expired | user_banned | access_denied | 201         | chat_blocked | chat_blocked
PUT mark-read      | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
PUT toggle-block   | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
DELETE own         | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
DELETE theirs      | token_missing | token_invalid | token_expired | user_banned | access_denied | not_sender  | not_sender   | not_sender
PUT block-user     | token_missing | token_invalid | token_expired | user_banned | 200           | 200         | 200          | 200
DELETE block-user  | token_missing | token_invalid | token_expired | user_banned | 200           | 200         | 200          | 200
GET blocked-users  | token_missing | token_invalid | token_expired | user_banned | 200           | 200         | 200          | 200
POST report        | token_missing | token_invalid | token_expired | user_banned | access_denied | 201         | 201          | 201
GET file           | token_missing | token_invalid | token_expired | user_banned | access_denied | 200         | 200          | 200
EMIT online        | token_missing | token_invalid | token_expired | user_banned | ok            | ok          | ok           | ok
EMIT join-chat     | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | ok           | ok
EMIT joinChat      | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | ok           | ok
EMIT leave-chat    | token_missing | token_invalid | token_expired | user_banned | ok            | ok          | ok           | ok
EMIT leaveChat     | token_missing | token_invalid | token_expired | user_banned | ok            | ok          | ok           | ok
EMIT typing        | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | chat_blocked | chat_blocked
EMIT sendMessage   | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | chat_blocked | chat_blocked
EMIT send reply    | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | chat_blocked | chat_blocked
EMIT send picture  | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | chat_blocked | chat_blocked
EMIT markAsRead    | token_missing | token_invalid | token_expired | user_banned | access_denied | ok          | ok           | ok
";

/// The outcome of what a participant brings. `-` is nothing that could be tried; `ended` is the end of the connection.
const WHAT: &str = "
door              | wrong type             | huge           | missing         | nothing there     | malformed id    | wrong method       | wrong content type
POST create       | invalid_request        | body_too_large | invalid_request | user_not_found    | invalid_id      | method_not_allowed | unsupported_media_type
GET my-chats      | invalid_request        | 200            | -               | -                 | -               | method_not_allowed | -
GET unread-count  | -                      | 200            | -               | -                 | -               | method_not_allowed | -
GET messages      | invalid_request        | 200            | -               | access_denied     | invalid_id      | method_not_allowed | -
GET before        | invalid_request        | 200            | -               | message_not_found | invalid_id      | method_not_allowed | -
GET after         | invalid_request        | 200            | -               | message_not_found | invalid_id      | method_not_allowed | -
POST send         | invalid_request        | body_too_large | content_empty   | access_denied     | invalid_id      | method_not_allowed | unsupported_media_type
POST send reply   | invalid_request        | body_too_large | content_empty   | invalid_parent    | invalid_id      | method_not_allowed | unsupported_media_type
POST send picture | invalid_request        | body_too_large | invalid_media   | invalid_media     | invalid_media   | method_not_allowed | unsupported_media_type
POST send-media   | unsupported_media_type | file_too_large | invalid_media   | access_denied     | invalid_id      | method_not_allowed | unsupported_media_type
PUT mark-read     | -                      | 200            | -               | access_denied     | invalid_id      | method_not_allowed | -
PUT toggle-block  | -                      | 200            | -               | access_denied     | invalid_id      | method_not_allowed | -
DELETE own        | -                      | 200            | -               | message_not_found | invalid_id      | method_not_allowed | -
DELETE theirs     | -                      | not_sender     | -               | message_not_found | invalid_id      | method_not_allowed | -
PUT block-user    | -                      | 200            | -               | user_not_found    | invalid_id      | method_not_allowed | -
DELETE block-user | -                      | 200            | -               | 200               | invalid_id      | method_not_allowed | -
GET blocked-users | -                      | 200            | -               | -                 | -               | method_not_allowed | -
POST report       | invalid_request        | body_too_large | invalid_request | access_denied     | invalid_id      | method_not_allowed | unsupported_media_type
GET file          | invalid_request        | 200            | -               | access_denied     | access_denied   | method_not_allowed | -
EMIT online       | ok                     | ended          | ok              | -                 | -               | -                  | -
EMIT join-chat    | invalid_request        | ended          | invalid_request | access_denied     | invalid_id      | -                  | -
EMIT joinChat     | invalid_request        | ended          | invalid_request | access_denied     | invalid_id      | -                  | -
EMIT leave-chat   | invalid_request        | ended          | invalid_request | ok                | invalid_id      | -                  | -
EMIT leaveChat    | invalid_request        | ended          | invalid_request | ok                | invalid_id      | -                  | -
EMIT typing       | invalid_request        | ended          | invalid_request | access_denied     | invalid_id      | -                  | -
EMIT sendMessage  | invalid_request        | ended          | content_empty   | access_denied     | invalid_id      | -                  | -
EMIT send reply   | invalid_request        | ended          | content_empty   | invalid_parent    | invalid_id      | -                  | -
EMIT send picture | invalid_request        | ended          | invalid_media   | invalid_media     | invalid_media   | -                  | -
EMIT markAsRead   | invalid_request        | ended          | invalid_request | message_not_found | invalid_id      | -                  | -
";

/// What goes with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bring {
    Nothing,
    Query(&'static str),
    Json(&'static str),
    Form(&'static str, &'static [u8]),
}

/// One way in. `<chat>`, `<own>`, `<theirs>`, `<picture>` and `<other>` stand for what a case has minted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    /// As in the tables.
    pub(super) name: &'static str,
    /// The path, or the event's name.
    pub(super) target: &'static str,
    good: Bring,
    wrong: Bring,
    missing: Bring,
    /// What of these may be nowhere or malformed.
    subject: &'static str,
}

impl Door {
    const fn new(name: &'static str, target: &'static str, subject: &'static str) -> Self {
        Self {
            name,
            target,
            good: Bring::Nothing,
            wrong: Bring::Nothing,
            missing: Bring::Nothing,
            subject,
        }
    }

    const fn bring(self, good: Bring, wrong: Bring, missing: Bring) -> Self {
        Self {
            good,
            wrong,
            missing,
            ..self
        }
    }

    /// The method, or `EMIT` for an event.
    pub(super) fn method(&self) -> &'static str {
        self.name.split(' ').next().unwrap()
    }
}

const SEND: Bring = Bring::Json(r#"{"chatId":"<chat>","content":"Hello!"}"#);
const SEND_WRONG: Bring = Bring::Json(r#"{"chatId":"<chat>","content":{"a":1}}"#);
const SEND_MISSING: Bring = Bring::Json(r#"{"chatId":"<chat>"}"#);
const REPLY: Bring =
    Bring::Json(r#"{"chatId":"<chat>","content":"Yes","parentMessageId":"<theirs>"}"#);
const REPLY_WRONG: Bring =
    Bring::Json(r#"{"chatId":"<chat>","content":"Yes","parentMessageId":7}"#);
const PICTURE: Bring = Bring::Json(
    r#"{"chatId":"<chat>","content":"Look","messageType":"image","mediaUrl":"<picture>"}"#,
);
const PICTURE_WRONG: Bring =
    Bring::Json(r#"{"chatId":"<chat>","content":"Look","messageType":"image","mediaUrl":[]}"#);
const PICTURE_MISSING: Bring =
    Bring::Json(r#"{"chatId":"<chat>","content":"Look","messageType":"image"}"#);
const CHAT: Bring = Bring::Json(r#"{"chatId":"<chat>"}"#);
const CHAT_WRONG: Bring = Bring::Json(r#"{"chatId":7}"#);
const EMPTY: Bring = Bring::Json("{}");
const TYPING: Bring = Bring::Json(r#"{"chatId":"<chat>","isTyping":true}"#);
const TYPING_WRONG: Bring = Bring::Json(r#"{"chatId":"<chat>","isTyping":"yes"}"#);
const READ: Bring = Bring::Json(r#"{"chatId":"<chat>","messageId":"<theirs>"}"#);
const READ_WRONG: Bring = Bring::Json(r#"{"chatId":"<chat>","messageId":7}"#);
const OPEN: Bring = Bring::Json(r#"{"participantId":"<other>"}"#);
const OPEN_WRONG: Bring = Bring::Json(r#"{"participantId":7}"#);
const REPORT: Bring = Bring::Json(r#"{"chatId":"<chat>","reason":"spam"}"#);
const REPORT_WRONG: Bring = Bring::Json(r#"{"chatId":7,"reason":"spam"}"#);
const NO_PAGE: Bring = Bring::Query("page=first");
const NO_LIMIT: Bring = Bring::Query("limit=-1");
const NO_WIDTH: Bring = Bring::Query("w=wide");

/// Every way in that needs a user.
pub(super) fn doors() -> Vec<Door> {
    use Bring::{Form, Nothing};
    let messages = "/api/chat/<chat>/messages";
    let send = "/api/chat/<chat>/send";
    let block_user = "/api/chat/block-user/<other>";
    vec![
        Door::new("POST create", "/api/chat/create", "<other>").bring(OPEN, OPEN_WRONG, EMPTY),
        Door::new("GET my-chats", "/api/chat/my-chats", "").bring(Nothing, NO_PAGE, Nothing),
        Door::new("GET unread-count", "/api/chat/unread-count", ""),
        Door::new("GET messages", messages, "<chat>").bring(Nothing, NO_PAGE, Nothing),
        Door::new(
            "GET before",
            "/api/chat/<chat>/messages?before=<theirs>",
            "<theirs>",
        )
        .bring(Nothing, NO_LIMIT, Nothing),
        Door::new(
            "GET after",
            "/api/chat/<chat>/messages?after=<theirs>",
            "<theirs>",
        )
        .bring(Nothing, NO_LIMIT, Nothing),
        Door::new("POST send", send, "<chat>").bring(SEND, SEND_WRONG, SEND_MISSING),
        Door::new("POST send reply", send, "<theirs>").bring(REPLY, REPLY_WRONG, SEND_MISSING),
        Door::new("POST send picture", send, "<picture>").bring(
            PICTURE,
            PICTURE_WRONG,
            PICTURE_MISSING,
        ),
        Door::new("POST send-media", "/api/chat/<chat>/send-media", "<chat>").bring(
            Form("media", PNG),
            Form("media", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
            Form("content", b"a caption alone"),
        ),
        Door::new("PUT mark-read", "/api/chat/<chat>/mark-read", "<chat>"),
        Door::new(
            "PUT toggle-block",
            "/api/chat/<chat>/toggle-block",
            "<chat>",
        ),
        Door::new("DELETE own", "/api/chat/message/<own>", "<own>"),
        Door::new("DELETE theirs", "/api/chat/message/<theirs>", "<theirs>"),
        Door::new("PUT block-user", block_user, "<other>"),
        Door::new("DELETE block-user", block_user, "<other>"),
        Door::new("GET blocked-users", "/api/chat/blocked-users", ""),
        Door::new("POST report", "/api/chat/report", "<chat>").bring(REPORT, REPORT_WRONG, EMPTY),
        Door::new("GET file", "/uploads/chat_media/<picture>", "<picture>")
            .bring(Nothing, NO_WIDTH, Nothing),
        Door::new("EMIT online", "online", "").bring(Nothing, CHAT_WRONG, Nothing),
        Door::new("EMIT join-chat", "join-chat", "<chat>").bring(CHAT, CHAT_WRONG, EMPTY),
        Door::new("EMIT joinChat", "joinChat", "<chat>").bring(CHAT, CHAT_WRONG, EMPTY),
        Door::new("EMIT leave-chat", "leave-chat", "<chat>").bring(CHAT, CHAT_WRONG, EMPTY),
        Door::new("EMIT leaveChat", "leaveChat", "<chat>").bring(CHAT, CHAT_WRONG, EMPTY),
        Door::new("EMIT typing", "typing", "<chat>").bring(TYPING, TYPING_WRONG, CHAT),
        Door::new("EMIT sendMessage", "sendMessage", "<chat>").bring(
            SEND,
            SEND_WRONG,
            SEND_MISSING,
        ),
        Door::new("EMIT send reply", "sendMessage", "<theirs>").bring(
            REPLY,
            REPLY_WRONG,
            SEND_MISSING,
        ),
        Door::new("EMIT send picture", "sendMessage", "<picture>").bring(
            PICTURE,
            PICTURE_WRONG,
            PICTURE_MISSING,
        ),
        Door::new("EMIT markAsRead", "markAsRead", "<theirs>").bring(READ, READ_WRONG, CHAT),
    ]
}

/// One cell of the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// Which way in.
    pub(super) door: Door,
    /// The column.
    pub(super) situation: &'static str,
    /// What comes of it.
    pub(super) outcome: &'static str,
}

/// Every cell in which something is tried.
pub(super) fn cases() -> Vec<Case> {
    let doors = doors();
    let mut cases = Vec::new();
    for table in [WHO, WHAT] {
        let mut lines = table
            .trim()
            .lines()
            .map(|line| line.split('|').map(str::trim));
        let situations: Vec<_> = lines.next().unwrap().skip(1).collect();
        let mut rows = Vec::new();
        for mut line in lines {
            let name = line.next().unwrap();
            let door = doors.iter().find(|door| door.name == name);
            let door = *door.unwrap_or_else(|| panic!("no such door: {name}"));
            rows.push(name);
            let outcomes: Vec<_> = line.collect();
            assert_eq!(outcomes.len(), situations.len(), "{name}");
            let pairs = situations.iter().zip(outcomes);
            cases.extend(pairs.filter(|(_, outcome)| *outcome != "-").map(
                |(situation, outcome)| Case {
                    door,
                    situation,
                    outcome,
                },
            ));
        }
        assert!(
            rows.into_iter().eq(doors.iter().map(|door| door.name)),
            "a row for every door"
        );
    }
    cases
}

/// What came of a case.
#[derive(Debug)]
pub(super) enum Came {
    /// An HTTP answer.
    Answer(Box<Answer>),
    /// The code of a refusal to connect.
    NotConnected(Value),
    /// An ack, and the `error` event if there was one.
    Ack(Value, Option<Value>),
    /// The connection has ended.
    Ended,
}

/// A server on which cases are tried, each among people of its own.
pub(super) struct World {
    server: TestServer,
    host: Rest,
    next: u32,
}

impl World {
    /// What the server is started with: every right is asked for, and nothing is too fast.
    pub(super) const FLAGS: [&str; 7] = [
        "--no-rate-limit",
        "--private-media",
        "--max-file-size",
        "100000",
        "--admin-key",
        ADMIN_KEY,
        "--allow-tokens-without-exp",
    ];

    pub(super) async fn new() -> Self {
        let server = TestServer::start(&Self::FLAGS).await;
        let host = server.anonymous().with_token(ADMIN_KEY);
        Self {
            server,
            host,
            next: 0,
        }
    }

    /// Lets the people of the case do it.
    pub(super) async fn try_it(&mut self, case: &Case) -> Came {
        self.next += 1;
        let people = People::meet(&self.server, self.next).await;
        let caller = self.caller(case.situation, &people).await;
        let subject = case.door.subject;
        let fill = |text: &str| people.fill(text, subject, case.situation);
        match case.door.method() {
            "EMIT" => emit(&self.server, &caller, case, fill).await,
            method => Came::Answer(Box::new(ask(&caller, method, case, fill).answer().await)),
        }
    }

    async fn caller(&self, situation: &str, people: &People) -> Rest {
        let toggle = format!("/api/chat/{}/toggle-block", people.chat);
        let own = people.own.clone();
        match situation {
            "no token" => self.server.anonymous(),
            "bad token" => own.with_token("rubbish"),
            "expired token" => {
                let claims = json!({ "id": own.id, "exp": 1_000_000_000 });
                own.with_token(&token_with(&claims, SECRET))
            }
            "banned" => {
                let ban = format!("/api/admin/users/{}/ban", own.id);
                self.host.post(&ban, &json!({})).await.ok(200);
                own
            }
            "stranger" => self.server.user(&format!("{}-stranger", own.id)).await,
            "blocker" => {
                own.put(&toggle).await.ok(200);
                own
            }
            "blocked" => {
                people.other.put(&toggle).await.ok(200);
                own
            }
            _ => own,
        }
    }
}

/// Two who have a chat, a message of each in it, and a picture.
struct People {
    own: Rest,
    other: Rest,
    chat: String,
    message: String,
    theirs: String,
    picture: String,
}

impl People {
    async fn meet(server: &TestServer, number: u32) -> Self {
        let own = server.user(&format!("own-{number}")).await;
        let other = server.user(&format!("other-{number}")).await;
        let chat = own.chat_with(&other).await;
        let picture = own.uploads(&chat, "a.png", PNG).await.ok(201);
        Self {
            message: text(&own.says(&chat, "mine").await["_id"]),
            theirs: text(&other.says(&chat, "theirs").await["_id"]),
            picture: text(&picture["mediaUrl"]),
            own,
            other,
            chat,
        }
    }

    fn fill(&self, template: &str, subject: &str, situation: &str) -> String {
        let mut filled = template.to_owned();
        for (name, value) in [
            ("<chat>", &self.chat),
            ("<own>", &self.message),
            ("<theirs>", &self.theirs),
            ("<picture>", &self.picture),
            ("<other>", &self.other.id),
        ] {
            let value = match situation {
                "nothing there" if name == subject => "ffffffffffffffffffffffff",
                "malformed id" if name == subject => "no%20id!",
                _ => value,
            };
            filled = filled.replace(name, value);
        }
        filled
    }
}

fn ask(caller: &Rest, method: &str, case: &Case, fill: impl Fn(&str) -> String) -> Ask {
    let mut path = fill(case.door.target);
    let method = match (case.situation, method) {
        ("wrong method", "GET") => "DELETE",
        ("wrong method", _) => "GET",
        _ => method,
    };
    let brought = match case.situation {
        "wrong type" => case.door.wrong,
        "missing" => case.door.missing,
        _ => case.door.good,
    };
    if let Bring::Query(query) = brought {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(query);
    }
    let huge = "x".repeat(HUGE);
    if case.situation == "huge" && brought == Bring::Nothing {
        if method == "GET" {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("limit=99999999999999999999999");
            return caller.ask(method, &path);
        }
        return caller.ask(method, &path).json(&json!({ "content": huge }));
    }
    let ask = caller.ask(method, &path);
    match (brought, case.situation) {
        (Bring::Json(_) | Bring::Form(..), "wrong content type") => {
            ask.body("text/html", b"<p>hello</p>")
        }
        (Bring::Json(_), "huge") => ask.json(&json!({ "content": huge })),
        (Bring::Json(body), _) => ask.body("application/json", fill(body).as_bytes()),
        (Bring::Form("media", _), "huge") => {
            let picture = [PNG, huge.as_bytes()].concat();
            ask.form(&[("media", Some("a.png"), &picture)])
        }
        (Bring::Form(name, bytes), _) => {
            ask.form(&[(name, (name == "media").then_some("a.png"), bytes)])
        }
        (Bring::Nothing | Bring::Query(_), _) => ask,
    }
}

async fn emit(
    server: &TestServer,
    caller: &Rest,
    case: &Case,
    fill: impl Fn(&str) -> String,
) -> Came {
    let auth = caller.token.as_ref().map(|token| json!({ "token": token }));
    let connected = Client::try_connect(server.address(), auth.as_ref(), &[]).await;
    let mut client = match connected {
        Ok(client) => client,
        Err(refusal) => return Came::NotConnected(refusal),
    };
    let brought = match case.situation {
        "wrong type" => case.door.wrong,
        "missing" => case.door.missing,
        _ => case.door.good,
    };
    let payload = match brought {
        _ if case.situation == "huge" => json!({ "content": "x".repeat(4 * HUGE) }),
        Bring::Json(payload) => serde_json::from_str(&fill(payload)).unwrap(),
        _ => Value::Null,
    };
    let Ok(ack) = client.try_call(case.door.target, &payload).await else {
        return Came::Ended;
    };
    let told = match ack["success"].as_bool() {
        Some(false) => Some(client.event("error").await),
        _ => None,
    };
    Came::Ack(ack, told)
}
