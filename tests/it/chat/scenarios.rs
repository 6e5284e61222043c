//! One table of things that people do, run through REST and through a socket: the same refusal, the same stored message, the same
//! news for the others. What differs by nature (minted ids, times, file names) is made the same before it is compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::media::PNG;
use super::rest::{Rest, text};
use super::server::TestServer;
use super::sockets::Client;

#[derive(Debug, Clone, Copy)]
enum Edge {
    Rest,
    Socket,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Send,
    MarkRead,
}

/// What happens | who does what | payload | the `error` that comes of it, or `ok`. What stands in `<>` has been minted, or is long;
/// without a `chatId`, `<chat>` is meant.
const TABLE: &str = r#"
a text                             | buyer send    | {"content":"Hello!"}                                                        | ok
a text with its optional fields    | buyer send    | {"content":"नमस्ते 🐶","messageType":"text","mediaUrl":null,"parentMessageId":null} | ok
an empty mediaUrl                  | buyer send    | {"content":"a","mediaUrl":""}                                               | ok
unknown fields                     | buyer send    | {"content":"b","color":{"r":1}}                                             | ok
markup and control characters      | buyer send    | {"content":"<script>alert(1)</script>\u0000\u001f\u2028\""}                  | ok
no content                         | buyer send    | {}                                                                          | content_empty
content null                       | buyer send    | {"content":null}                                                            | content_empty
content empty                      | buyer send    | {"content":""}                                                              | content_empty
content blank                      | buyer send    | {"content":" \n\t\u00a0\u3000 "}                                            | content_empty
the longest content                | buyer send    | {"content":"<1000 units>"}                                                  | ok
the longest content of emoji       | buyer send    | {"content":"<1000 units of emoji>"}                                         | ok
content too long                   | buyer send    | {"content":"<1001 units>"}                                                  | content_too_long
content of emoji too long          | buyer send    | {"content":"<1001 units of emoji>"}                                         | content_too_long
content is a number                | buyer send    | {"content":5}                                                               | invalid_request
content is an object               | buyer send    | {"content":{"$gt":""}}                                                      | invalid_request
unknown type                       | buyer send    | {"content":"a","messageType":"audio"}                                       | invalid_message_type
type is a number                   | buyer send    | {"content":"a","messageType":1}                                             | invalid_request
image without media                | buyer send    | {"content":"a","messageType":"image"}                                       | invalid_media
video without media                | buyer send    | {"content":"a","messageType":"video"}                                       | invalid_media
media that was never uploaded      | buyer send    | {"content":"a","messageType":"image","mediaUrl":"nothing.png"}              | invalid_media
media by a path                    | buyer send    | {"content":"a","messageType":"image","mediaUrl":"../../etc/passwd"}         | invalid_media
media of the other side            | buyer send    | {"content":"a","messageType":"image","mediaUrl":"<picture of seller>"}      | invalid_media
media of another chat              | buyer send    | {"content":"a","messageType":"image","mediaUrl":"<picture elsewhere>"}      | invalid_media
a picture as a video               | buyer send    | {"content":"a","messageType":"video","mediaUrl":"<picture>"}                | invalid_media
a text with media                  | buyer send    | {"content":"a","mediaUrl":"<picture>"}                                      | invalid_media
a picture again                    | buyer send    | {"content":"look","messageType":"image","mediaUrl":"<picture>"}             | ok
a reply                            | buyer send    | {"content":"yes","parentMessageId":"<message>"}                             | ok
parent in another chat             | buyer send    | {"content":"a","parentMessageId":"<message elsewhere>"}                     | invalid_parent
parent that is nowhere             | buyer send    | {"content":"a","parentMessageId":"ffffffffffffffffffffffff"}                | invalid_parent
parent malformed                   | buyer send    | {"content":"a","parentMessageId":"x"}                                       | invalid_id
with a client id                   | buyer send    | {"content":"once","clientMessageId":"c-1"}                                  | ok
the same client id again           | buyer send    | {"content":"once","clientMessageId":"c-1"}                                  | ok
the same id with other content     | buyer send    | {"content":"twice","clientMessageId":"c-1"}                                 | conflict
the same id with a parent          | buyer send    | {"content":"once","clientMessageId":"c-1","parentMessageId":"<message>"}    | conflict
client id too long                 | buyer send    | {"content":"a","clientMessageId":"<1000 units>"}                            | invalid_request
client id empty                    | buyer send    | {"content":"a","clientMessageId":""}                                        | invalid_request
client id is a number              | buyer send    | {"content":"a","clientMessageId":7}                                         | invalid_request
a blocked chat                     | buyer send    | {"content":"a","chatId":"<blocked>"}                                        | chat_blocked
somebody who blocks the sender     | buyer send    | {"content":"a","chatId":"<with fifth>"}                                     | chat_blocked
somebody whom the sender blocks    | buyer send    | {"content":"a","chatId":"<with sixth>"}                                     | chat_blocked
a chat of others                   | stranger send | {"content":"a"}                                                             | access_denied
an unknown chat                    | buyer send    | {"content":"a","chatId":"ffffffffffffffffffffffff"}                         | access_denied
a malformed chat                   | buyer send    | {"content":"a","chatId":"chat_id"}                                          | invalid_id
a user's id as chat                | buyer send    | {"content":"a","chatId":"seller"}                                           | invalid_id
reading                            | seller read   | {"messageId":"<last>"}                                                      | ok
reading what is read               | seller read   | {"messageId":"<last>"}                                                      | ok
reading a blocked chat             | buyer read    | {"messageId":"<message in blocked>","chatId":"<blocked>"}                   | ok
reading in spite of a block        | buyer read    | {"messageId":"<message of sixth>","chatId":"<with sixth>"}                  | ok
reading a chat of others           | stranger read | {"messageId":"<last>"}                                                      | access_denied
reading an unknown chat            | buyer read    | {"messageId":"<last>","chatId":"ffffffffffffffffffffffff"}                  | access_denied
reading a malformed chat           | buyer read    | {"messageId":"<last>","chatId":"x"}                                         | invalid_id
"#;

/// One line of the table; `error` is empty for success.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    who: &'static str,
    act: Act,
    payload: Value,
    error: &'static str,
}

impl Scenario {
    fn read(line: &'static str) -> Self {
        let cells: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [name, deed, payload, error] = cells[..] else {
            panic!("not four cells: {line}");
        };
        let (who, act) = deed.split_once(' ').unwrap();
        let mut payload: Value = serde_json::from_str(payload).unwrap();
        let fields = payload.as_object_mut().unwrap();
        fields.entry("chatId").or_insert_with(|| json!("<chat>"));
        Self {
            name,
            who,
            act: match act {
                "send" => Act::Send,
                "read" => Act::MarkRead,
                _ => panic!("unknown act: {line}"),
            },
            payload,
            error: if error == "ok" { "" } else { error },
        }
    }

    fn table() -> Vec<Self> {
        TABLE.trim().lines().map(Self::read).collect()
    }
}

/// What came of it, as both edges must tell it alike.
#[derive(Debug, PartialEq)]
struct Outcome {
    error: String,
    message: Value,
    stored: Value,
    news: Vec<(String, Value)>,
    own_news: Vec<(String, Value)>,
}

/// A server with people, chats and files, of which one edge is used.
struct World {
    edge: Edge,
    server: TestServer,
    people: BTreeMap<&'static str, (Rest, Client)>,
    minted: BTreeMap<&'static str, String>,
}

impl World {
    async fn new(edge: Edge) -> Self {
        let server = TestServer::start(&["--no-rate-limit"]).await;
        let mut people = BTreeMap::new();
        for id in [
            "buyer", "seller", "stranger", "third", "fourth", "fifth", "sixth",
        ] {
            let user = server.user(id).await;
            let socket = Client::connect(&server, &user).await;
            people.insert(id, (user, socket));
        }
        let [buyer, seller, third, fourth] =
            ["buyer", "seller", "third", "fourth"].map(|id| &people[id].0);
        let chat = buyer.chat_with(seller).await;
        let elsewhere = buyer.chat_with(third).await;
        let blocked = buyer.chat_with(fourth).await;
        let in_blocked = fourth.says(&blocked, "goodbye").await;
        fourth
            .put(&format!("/api/chat/{blocked}/toggle-block"))
            .await
            .ok(200);
        let [fifth, sixth] = ["fifth", "sixth"].map(|id| &people[id].0);
        let with_fifth = buyer.chat_with(fifth).await;
        let with_sixth = buyer.chat_with(sixth).await;
        let of_sixth = sixth.says(&with_sixth, "goodbye").await;
        fifth.put("/api/chat/block-user/buyer").await.ok(200);
        buyer.put("/api/chat/block-user/sixth").await.ok(200);
        let upload = async |who: &Rest, chat: &str| {
            let message = who.uploads(chat, "a.png", PNG).await.ok(201);
            text(&message["mediaUrl"])
        };
        let minted = BTreeMap::from([
            ("<picture>", upload(buyer, &chat).await),
            ("<picture of seller>", upload(seller, &chat).await),
            ("<picture elsewhere>", upload(buyer, &elsewhere).await),
            (
                "<message>",
                text(&seller.says(&chat, "Hello?").await["_id"]),
            ),
            (
                "<message elsewhere>",
                text(&third.says(&elsewhere, "Hello?").await["_id"]),
            ),
            ("<message in blocked>", text(&in_blocked["_id"])),
            ("<chat>", chat),
            ("<1000 units>", "x".repeat(1000)),
            ("<1001 units>", "x".repeat(1001)),
            ("<1000 units of emoji>", "🐶".repeat(500)),
            ("<1001 units of emoji>", format!("{}x", "🐶".repeat(500))),
            ("<blocked>", blocked),
            ("<message of sixth>", text(&of_sixth["_id"])),
            ("<with fifth>", with_fifth),
            ("<with sixth>", with_sixth),
        ]);
        let mut world = Self {
            edge,
            server,
            people,
            minted,
        };
        world.news("prepared").await;
        world
    }

    /// Lets the buyer say something in the chat and answers what the seller and the buyer heard before that.
    async fn news(&mut self, end: &str) -> [Vec<(String, Value)>; 2] {
        let chat = self.minted["<chat>"].clone();
        let last = self.people["buyer"].0.says(&chat, end).await;
        self.minted.insert("<last>", text(&last["_id"]));
        let mut heard = [Vec::new(), Vec::new()];
        for (id, heard) in ["seller", "buyer"].iter().zip(&mut heard) {
            let socket = &mut self.people.get_mut(id).unwrap().1;
            *heard = socket.until_hears(end).await;
            // When a delivery is written down, and how many at once, is left to the server.
            heard.retain(|(name, _)| name != "messageDelivered");
        }
        // The counter that goes with the end itself.
        let socket = &mut self.people.get_mut("seller").unwrap().1;
        socket.event("unreadCount").await;
        heard
    }

    async fn run(&mut self, scenario: &Scenario) -> Outcome {
        let payload = self.filled_in(&scenario.payload);
        let answer = match self.edge {
            Edge::Rest => self.over_rest(scenario, &payload).await,
            Edge::Socket => self.over_socket(scenario, &payload).await,
        };
        let (error, message, data) = answer;
        let stored = match (scenario.act, error.as_str()) {
            (Act::Send, "") => self.stored_twin(&payload, &data).await,
            _ => Value::Null,
        };
        let [mut news, mut own_news] = self.news(&format!("after {}", scenario.name)).await;
        for (_, payload) in news.iter_mut().chain(&mut own_news) {
            *payload = levelled(payload);
        }
        // Checked where it arrived; REST has its answer instead.
        own_news.retain(|(name, _)| name != "error");
        Outcome {
            error,
            message,
            stored,
            news,
            own_news,
        }
    }

    /// Error, sentence, data.
    async fn over_rest(&self, scenario: &Scenario, payload: &Value) -> (String, Value, Value) {
        let (rest, _) = &self.people[scenario.who];
        let mut body = payload.clone();
        let chat = text(&body.as_object_mut().unwrap().remove("chatId").unwrap());
        let answer = match scenario.act {
            Act::Send => rest.post(&format!("/api/chat/{chat}/send"), &body).await,
            Act::MarkRead => rest.put(&format!("/api/chat/{chat}/mark-read")).await,
        };
        let envelope = answer.json();
        let error = envelope["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(envelope["success"], error.is_empty());
        assert_eq!(answer.status < 300, error.is_empty());
        (error, envelope["message"].clone(), envelope["data"].clone())
    }

    async fn over_socket(
        &mut self,
        scenario: &Scenario,
        payload: &Value,
    ) -> (String, Value, Value) {
        let (_, socket) = self.people.get_mut(scenario.who).unwrap();
        let event = match scenario.act {
            Act::Send => "sendMessage",
            Act::MarkRead => "markAsRead",
        };
        let ack = socket.call(event, payload).await;
        let error = ack["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!(ack["success"], error.is_empty());
        if !error.is_empty() {
            let told = socket.event("error").await;
            assert_eq!(
                told["error"], ack["error"],
                "the event and the ack say the same"
            );
            assert_eq!(
                (&told["message"], &told["event"]),
                (&ack["message"], &json!(event))
            );
            let named = payload["clientMessageId"].as_str();
            assert_eq!(told["clientMessageId"].as_str(), named);
        }
        (error, ack["message"].clone(), ack["data"].clone())
    }

    /// The message in the answer, once it is certain that the history has the same.
    async fn stored_twin(&self, payload: &Value, answered: &Value) -> Value {
        let history = self.people["buyer"]
            .0
            .messages(payload["chatId"].as_str().unwrap())
            .await;
        let twins: Vec<_> = history
            .iter()
            .filter(|one| one["_id"] == answered["_id"])
            .collect();
        assert_eq!(twins.len(), 1);
        assert_eq!(levelled(twins[0]), levelled(answered));
        levelled(answered)
    }

    fn filled_in(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => json!(self.minted.get(text.as_str()).unwrap_or(text)),
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.filled_in(value)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }
}

/// The value without what no two worlds have in common.
fn levelled(value: &Value) -> Value {
    match value {
        Value::String(text) if is_minted(text) => json!("<id>"),
        Value::String(text) if text.len() == 24 && text.ends_with('Z') => json!("<time>"),
        Value::String(text) => match text.split_once("chat-") {
            Some((before, _)) => json!(format!("{before}<file>")),
            None => value.clone(),
        },
        Value::Array(values) => values.iter().map(levelled).collect(),
        Value::Object(fields) => fields
            .iter()
            // How far a message has come meanwhile is the other side's doing.
            .filter(|(key, _)| *key != "status" && *key != "readBy")
            .map(|(key, value)| (key.clone(), levelled(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn is_minted(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn both_edges_do_and_tell_the_same() {
    let mut by_rest = World::new(Edge::Rest).await;
    let mut by_socket = World::new(Edge::Socket).await;
    for scenario in Scenario::table() {
        let (rest, socket) = (by_rest.run(&scenario).await, by_socket.run(&scenario).await);
        assert_eq!(
            rest.error, scenario.error,
            "{} over REST: {}",
            scenario.name, rest.message
        );
        assert_eq!(rest, socket, "{}", scenario.name);
        let is_shared = rest.news.is_empty() || !rest.own_news.is_empty();
        assert!(
            is_shared,
            "{}: one's own sockets hear it too",
            scenario.name
        );
        if !scenario.error.is_empty() {
            assert!(
                rest.news.is_empty(),
                "a refusal is nobody else's news: {:?}",
                rest.news
            );
        }
    }
    let heard = |outcome: &Outcome| {
        outcome
            .news
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    let again = by_rest.run(&Scenario::table()[0]).await;
    assert_eq!(
        heard(&again),
        ["newMessage", "unreadCount"],
        "the table does hear what happens"
    );
    by_rest.server.stop().await;
    by_socket.server.stop().await;
}
