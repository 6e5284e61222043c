//! Two people in one chat, senders that never stop, and what they were told: the measure of everything that survives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Client, Server};

const SENDERS: usize = 4;

/// What was acknowledged: `clientMessageId` to message.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<BTreeMap<String, Value>>>);

/// The chat of the two, opened if need be.
pub(super) fn chat(server: &Server) -> String {
    let asha = server.client("asha");
    asha.get("/api/chat/my-chats");
    let rohan = server.client("rohan");
    rohan.get("/api/chat/my-chats");
    let body = json!({ "participantId": "asha" });
    let (status, opened) = rohan.ask("POST", "/api/chat/create", Some(&body)).unwrap();
    assert!(status == 200 || status == 201, "{opened}");
    opened["data"]["_id"].as_str().unwrap().to_owned()
}

/// Senders at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sends until the server is gone or [`Load::stop`]; `name` makes the messages of this load its own.
    pub(super) fn start(server: &Server, known: &Known, name: &str) -> Self {
        let chat = chat(server);
        let mut load = Self {
            stop: Arc::default(),
            acknowledged: Arc::default(),
            refused: Arc::default(),
            senders: Vec::new(),
        };
        for sender in 0..SENDERS {
            let path = format!("/api/chat/{chat}/send");
            let (client, known) = (server.client("rohan"), known.clone());
            let name = format!("{name}-{sender}");
            let (stop, acknowledged, refused) = (
                Arc::clone(&load.stop),
                Arc::clone(&load.acknowledged),
                Arc::clone(&load.refused),
            );
            load.senders.push(std::thread::spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("{name}-{number}");
                    match known.send(&client, &path, &id) {
                        Ok(201) => acknowledged.fetch_add(1, Ordering::Relaxed),
                        Ok(503 | 507) => refused.fetch_add(1, Ordering::Relaxed),
                        Ok(status) => panic!("{id} was answered {status}"),
                        Err(_) => return,
                    };
                }
            }));
        }
        load
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more are acknowledged.
    pub(super) fn wait_for(&self, more: u64) {
        let wanted = self.acknowledged() + more;
        self.wait_until("acknowledged messages", || self.acknowledged() >= wanted);
    }

    pub(super) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !holds() {
            assert!(began.elapsed().as_secs() < 60, "waited too long for {what}");
            assert!(
                self.senders.iter().any(|sender| !sender.is_finished()),
                "the senders ended while waiting for {what}"
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits for the senders to notice that the server has gone, or that they are to stop.
    pub(super) fn join(self) {
        for sender in self.senders {
            sender.join().unwrap();
        }
    }

    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.join();
    }
}

impl Known {
    /// Sends one message and keeps what is answered.
    pub(super) fn send(&self, client: &Client, path: &str, id: &str) -> std::io::Result<u16> {
        let body = json!({ "content": format!("text of {id}"), "clientMessageId": id });
        let (status, answer) = client.ask("POST", path, Some(&body))?;
        if status == 201 {
            let mut known = self.0.lock().unwrap();
            known.insert(id.to_owned(), answer["data"].clone());
        }
        Ok(status)
    }

    /// What is known by now, to be held against an older copy later.
    pub(super) fn so_far(&self) -> Self {
        let known = self.0.lock().unwrap().clone();
        Self(Arc::new(Mutex::new(known)))
    }

    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    /// Holds the whole history against what is known: each acknowledged message once and unchanged, and none that nobody sent.
    pub(super) fn check(&self, server: &Server) {
        let lost = self.lost(server);
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }

    /// What was acknowledged and is not there. What is there has to be as it was told.
    pub(super) fn lost(&self, server: &Server) -> Vec<String> {
        let mut lost = Vec::new();
        // Others may be sending: what they are told from here on need not be there, and must not move the pages.
        let known = self.0.lock().unwrap().clone();
        let asha = server.client("asha");
        let listed = asha.get("/api/chat/my-chats");
        let Some(chat) = listed["chats"][0]["_id"].as_str() else {
            return known.into_keys().collect();
        };
        let mut history = BTreeMap::new();
        let mut seqs = Vec::new();
        let mut before = String::new();
        loop {
            let data = asha.get(&format!("/api/chat/{chat}/messages?limit=100{before}"));
            for message in data["messages"].as_array().unwrap() {
                let id = message["clientMessageId"].as_str().unwrap().to_owned();
                seqs.push(message["seq"].as_u64().unwrap());
                assert_eq!(message["content"], format!("text of {id}"));
                assert!(history.insert(id, message.clone()).is_none(), "once");
            }
            if data["pagination"]["hasMore"] == false {
                break;
            }
            let oldest = data["messages"][0]["_id"].as_str().unwrap();
            before = format!("&before={oldest}");
        }
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no gap");
        for (id, told) in &known {
            let Some(stored) = history.get(id) else {
                lost.push(id.clone());
                continue;
            };
            for field in ["_id", "seq", "content", "createdAt"] {
                assert_eq!(stored[field], told[field], "{id}");
            }
        }
        lost
    }
}
