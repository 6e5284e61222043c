//! Random histories of three people with several devices, over REST and over sockets, on the real server; a model beside it counts
//! everything anew after each step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::rest::{Rest, text};
use super::server::TestServer;
use super::sockets::Client;
use super::within;

const KEY: &str = "the-admin-key-of-the-random-histories";
const NAMES: [&str; 3] = ["asha", "rohan", "meera"];

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Says something, over REST or over one of the sockets.
    Send {
        who: usize,
        chat: usize,
        by_socket: bool,
    },
    /// Reads up to a message, or everything.
    Read {
        who: usize,
        chat: usize,
        at: usize,
    },
    ReadAll {
        who: usize,
        chat: usize,
    },
    /// Deletes a message, which may be somebody else's.
    Delete {
        who: usize,
        chat: usize,
        at: usize,
    },
    Block {
        who: usize,
        chat: usize,
    },
    /// Fetches the newest page.
    Fetch {
        who: usize,
        chat: usize,
    },
    /// The phone is switched on or off.
    Phone {
        who: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (who, chat, at) = (|| 0..3_usize, || 0..3_usize, || 0..40_usize);
    prop_oneof![
        8 => (who(), chat(), any::<bool>()).prop_map(|(who, chat, by_socket)| Step::Send { who, chat, by_socket }),
        3 => (who(), chat(), at()).prop_map(|(who, chat, at)| Step::Read { who, chat, at }),
        1 => (who(), chat()).prop_map(|(who, chat)| Step::ReadAll { who, chat }),
        3 => (who(), chat(), at()).prop_map(|(who, chat, at)| Step::Delete { who, chat, at }),
        1 => (who(), chat()).prop_map(|(who, chat)| Step::Block { who, chat }),
        1 => (who(), chat()).prop_map(|(who, chat)| Step::Fetch { who, chat }),
        1 => who().prop_map(|who| Step::Phone { who }),
    ]
}

/// One message, as far as counters need it.
struct Said {
    id: String,
    sender: usize,
    is_deleted: bool,
}

/// One chat as it must be. Between which two it is follows from its number.
#[derive(Default)]
struct Model {
    id: String,
    messages: Vec<Said>,
    /// How many messages each has read.
    read: BTreeMap<usize, usize>,
    blocked_by: BTreeSet<usize>,
}

impl Model {
    fn unread(&self, who: usize) -> usize {
        let read = self.read.get(&who).copied().unwrap_or_default();
        let later = self.messages.iter().skip(read);
        later
            .filter(|one| one.sender != who && !one.is_deleted)
            .count()
    }
}

fn is_in(who: usize, chat: usize) -> bool {
    who == chat || who == (chat + 1) % 3
}

/// Somebody with a laptop that is always on, and sometimes a phone.
struct Person {
    rest: Rest,
    laptop: Client,
    phone: Option<Client>,
}

struct World {
    server: TestServer,
    people: Vec<Person>,
    chats: Vec<Model>,
}

impl World {
    async fn new() -> Self {
        let flags = [
            "--no-rate-limit",
            "--recovery-window",
            "0",
            "--admin-key",
            KEY,
        ];
        let server = TestServer::start(&flags).await;
        let mut people = Vec::new();
        for name in NAMES {
            let rest = server.user(name).await;
            let laptop = Client::connect(&server, &rest).await;
            people.push(Person {
                rest,
                laptop,
                phone: None,
            });
        }
        let mut chats = Vec::new();
        for number in 0..3 {
            let id = people[number]
                .rest
                .chat_with(&people[(number + 1) % 3].rest)
                .await;
            chats.push(Model {
                id,
                ..Model::default()
            });
        }
        Self {
            server,
            people,
            chats,
        }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Send {
                who,
                chat,
                by_socket,
            } => self.send(who, chat, by_socket, "x").await,
            Step::Read { who, chat, at } => self.read(who, chat, at).await,
            Step::ReadAll { who, chat } => {
                let path = format!("/api/chat/{}/mark-read", self.chats[chat].id);
                let answer = self.people[who].rest.put(&path).await;
                if is_in(who, chat) {
                    assert_eq!(answer.ok(200)["unreadCount"], 0);
                    let all = self.chats[chat].messages.len();
                    self.chats[chat].read.insert(who, all);
                } else {
                    answer.refused(403, "access_denied");
                }
            }
            Step::Delete { who, chat, at } => self.delete(who, chat, at).await,
            Step::Block { who, chat } => {
                let path = format!("/api/chat/{}/toggle-block", self.chats[chat].id);
                let answer = self.people[who].rest.put(&path).await;
                if is_in(who, chat) {
                    answer.ok(200);
                    let blocked_by = &mut self.chats[chat].blocked_by;
                    if !blocked_by.remove(&who) {
                        blocked_by.insert(who);
                    }
                } else {
                    answer.refused(403, "access_denied");
                }
            }
            Step::Fetch { who, chat } if is_in(who, chat) => {
                self.people[who].rest.messages(&self.chats[chat].id).await;
            }
            Step::Fetch { .. } => {}
            Step::Phone { who } => {
                let person = &mut self.people[who];
                if let Some(phone) = person.phone.take() {
                    phone.leave().await;
                } else {
                    person.phone = Some(Client::connect(&self.server, &person.rest).await);
                }
            }
        }
    }

    async fn send(&mut self, who: usize, chat: usize, by_socket: bool, content: &str) {
        let model = &mut self.chats[chat];
        let expected = match (is_in(who, chat), model.blocked_by.is_empty()) {
            (false, _) => "access_denied",
            (true, false) => "chat_blocked",
            (true, true) => "",
        };
        let person = &mut self.people[who];
        let (error, message) = if by_socket {
            let device = person.phone.as_mut().unwrap_or(&mut person.laptop);
            let ack = device
                .call(
                    "sendMessage",
                    &json!({ "chatId": model.id, "content": content }),
                )
                .await;
            (ack["error"].clone(), ack["data"].clone())
        } else {
            let path = format!("/api/chat/{}/send", model.id);
            let answer = person
                .rest
                .post(&path, &json!({ "content": content }))
                .await
                .json();
            (answer["error"].clone(), answer["data"].clone())
        };
        assert_eq!(error.as_str().unwrap_or_default(), expected);
        if expected.is_empty() {
            assert_eq!(message["seq"], model.messages.len() + 1);
            model.messages.push(Said {
                id: text(&message["_id"]),
                sender: who,
                is_deleted: false,
            });
        }
    }

    async fn read(&mut self, who: usize, chat: usize, at: usize) {
        let model = &mut self.chats[chat];
        if model.messages.is_empty() {
            return;
        }
        let at = at % model.messages.len();
        let payload = json!({ "chatId": model.id, "messageId": model.messages[at].id });
        let ack = self.people[who].laptop.call("markAsRead", &payload).await;
        assert_eq!(ack["success"], is_in(who, chat), "{ack}");
        if is_in(who, chat) {
            let read = model.read.entry(who).or_default();
            *read = (at + 1).max(*read);
        }
    }

    async fn delete(&mut self, who: usize, chat: usize, at: usize) {
        let model = &mut self.chats[chat];
        if model.messages.is_empty() {
            return;
        }
        let at = at % model.messages.len();
        let message = &mut model.messages[at];
        let path = format!("/api/chat/message/{}", message.id);
        let answer = self.people[who].rest.delete(&path).await;
        match (message.sender == who, is_in(who, chat)) {
            (true, _) => {
                answer.ok(200);
                message.is_deleted = true;
            }
            (false, true) => drop(answer.refused(403, "not_sender")),
            (false, false) => drop(answer.refused(403, "access_denied")),
        }
    }

    /// Everybody's counters, blocks and last messages, as REST tells them.
    async fn check(&self, people: &[usize]) {
        for &who in people {
            let rest = &self.people[who].rest;
            let own = || {
                self.chats
                    .iter()
                    .enumerate()
                    .filter(move |(chat, _)| is_in(who, *chat))
            };
            let total: usize = own().map(|(_, model)| model.unread(who)).sum();
            assert_eq!(rest.unread().await, total as u64, "{}", NAMES[who]);
            let listed = rest.get("/api/chat/my-chats").await.ok(200);
            let listed = listed["chats"].as_array().unwrap();
            assert_eq!(listed.len(), own().count());
            for (_, model) in own() {
                let shown = listed
                    .iter()
                    .find(|one| one["_id"] == model.id.as_str())
                    .unwrap();
                for entry in shown["unreadCount"].as_array().unwrap() {
                    if let Some(other) = NAMES.iter().position(|name| entry["userId"] == *name) {
                        assert_eq!(entry["count"], model.unread(other), "{shown}");
                    }
                }
                let blocked: BTreeSet<_> = shown["blockedBy"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(text)
                    .collect();
                let expected = model.blocked_by.iter().map(|who| NAMES[*who].to_owned());
                assert_eq!(blocked, expected.collect());
                let last = model.messages.last().map(|one| json!(one.id));
                assert_eq!(shown["lastMessage"].get("_id").cloned(), last);
            }
        }
    }

    /// Lets everybody have the last word everywhere, so that every laptop knows when it has heard everything.
    async fn end(&mut self) {
        for chat in 0..3 {
            for who in std::mem::take(&mut self.chats[chat].blocked_by) {
                let path = format!("/api/chat/{}/toggle-block", self.chats[chat].id);
                self.people[who].rest.put(&path).await.ok(200);
            }
            for who in [chat, (chat + 1) % 3] {
                self.send(who, chat, false, "the end").await;
            }
        }
        for who in 0..3 {
            self.laptop_has_heard(who).await;
        }
    }

    /// What a laptop was told, from the first event to the last: every message once and in order, and counters that add up at every
    /// moment and end where the model does.
    async fn laptop_has_heard(&mut self, who: usize) {
        let mut heard = BTreeMap::<String, usize>::new();
        let mut counts = BTreeMap::<String, u64>::new();
        let laptop = &mut self.people[who].laptop;
        let chats = &self.chats;
        let own = || {
            chats
                .iter()
                .enumerate()
                .filter(|(chat, _)| is_in(who, *chat))
        };
        let is_all = |heard: &BTreeMap<String, usize>, counts: &BTreeMap<String, u64>| {
            own().all(|(_, model)| {
                heard.get(&model.id) == Some(&model.messages.len())
                    && counts.get(&model.id).copied().unwrap_or_default()
                        == model.unread(who) as u64
            })
        };
        let listening = async {
            while !is_all(&heard, &counts) {
                let Ok((name, payload)) = laptop.next().await else {
                    panic!("the laptop was cut off");
                };
                match name.as_str() {
                    "newMessage" => {
                        let last = heard.entry(text(&payload["chat"])).or_default();
                        *last += 1;
                        assert_eq!(payload["seq"], *last);
                    }
                    "unreadCount" => {
                        counts.insert(text(&payload["chatId"]), payload["count"].as_u64().unwrap());
                        assert_eq!(payload["total"], counts.values().sum::<u64>(), "{payload}");
                    }
                    _ => {}
                }
            }
        };
        within("everything to be heard", listening).await;
    }

    /// Receipts are the watermarks of the other side; what a laptop was handed is delivered.
    async fn check_receipts(&self) {
        for (number, model) in self.chats.iter().enumerate() {
            let reader = &self.people[number].rest;
            let receipts = async {
                loop {
                    let path = format!("/api/chat/{}/messages?limit=100", model.id);
                    let page = reader.get(&path).await.ok(200);
                    let messages = page["messages"].as_array().unwrap().clone();
                    if messages.iter().all(|one| one["status"] != "sent") {
                        return messages;
                    }
                }
            };
            let messages = within("everything to be delivered", receipts).await;
            assert_eq!(messages.len(), model.messages.len());
            for (at, (message, said)) in messages.iter().zip(&model.messages).enumerate() {
                let other = if said.sender == number {
                    (number + 1) % 3
                } else {
                    number
                };
                let is_read = model.read.get(&other).is_some_and(|read| *read > at);
                let readers = if is_read {
                    json!([NAMES[other]])
                } else {
                    json!([])
                };
                assert_eq!(message["readBy"], readers, "{message}");
                assert_eq!(
                    message["status"],
                    if is_read { "read" } else { "delivered" }
                );
                assert_eq!(message["isDeleted"], said.is_deleted);
            }
        }
    }

    /// The host erases somebody: what they said counts for nobody any more.
    async fn erase(&mut self, who: usize) {
        let host = self.server.anonymous().with_token(KEY);
        host.delete(&format!("/api/admin/users/{}", NAMES[who]))
            .await
            .ok(200);
        for model in &mut self.chats {
            for message in model.messages.iter_mut().filter(|one| one.sender == who) {
                message.is_deleted = true;
            }
        }
    }
}

async fn live_through(steps: Vec<Step>) {
    let mut world = World::new().await;
    for step in steps {
        world.run(step).await;
        world.check(&[0, 1, 2]).await;
    }
    world.end().await;
    world.check_receipts().await;
    world.erase(2).await;
    world.check(&[0, 1]).await;
    world.server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counters_and_receipts_are_those_of_a_recount(steps in prop::collection::vec(step(), 10..45)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live_through(steps));
    }
}
