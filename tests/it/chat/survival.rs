//! The example client through what a day on the road does to it: connections that are cut at any moment, and a server that is killed
//! with `kill -9`. In the end each side has shown exactly what was said, each once, in order.
//!
//! `JIVCHAT_SURVIVAL_ROUNDS` says how many blows there are (12 unless told; 100 at night) and `JIVCHAT_SURVIVAL_SEED` repeats a run.

#[path = "../../../examples/chat_client/steady.rs"]
mod steady;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};

use self::steady::{Heard, Settings};
use super::process::Process;
use super::rest::{Rest, text};
use super::within;

/// A stretch of network that can be cut.
struct Road {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Road {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let road = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(target)),
            open: Arc::default(),
        };
        let (target, open) = (Arc::clone(&road.target), Arc::clone(&road.open));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let target = *target.lock().unwrap();
                let carrying = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                let mut open = open.lock().unwrap();
                open.retain(|one: &AbortHandle| !one.is_finished());
                open.push(carrying.abort_handle());
            }
        });
        road
    }

    fn cut(&self) {
        for one in self.open.lock().unwrap().drain(..) {
            one.abort();
        }
    }
}

/// Somebody who talks without a pause.
struct Talker {
    shown: Arc<Mutex<Vec<Value>>>,
    lost: Arc<Mutex<usize>>,
    said: JoinHandle<(usize, mpsc::Sender<String>)>,
    talking: JoinHandle<anyhow::Result<()>>,
    listening: JoinHandle<()>,
}

impl Talker {
    fn start(
        who: &Rest,
        road: &Road,
        chat: &str,
        more: &watch::Sender<usize>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let settings = Settings {
            server: road.address.to_string(),
            token: who.token.clone().unwrap(),
            chat: chat.to_owned(),
        };
        let (say, lines) = mpsc::channel(8);
        let (tell, mut heard) = mpsc::channel(64);
        let (shown, lost): (Arc<Mutex<Vec<Value>>>, Arc<Mutex<usize>>) = Default::default();
        let (to_show, losses, more) = (Arc::clone(&shown), Arc::clone(&lost), more.clone());
        let name = who.id.clone();
        Self {
            shown,
            lost,
            said: tokio::spawn(feed(name, say, stop)),
            talking: tokio::spawn(steady::talk(settings, lines, tell)),
            listening: tokio::spawn(async move {
                while let Some(heard) = heard.recv().await {
                    match heard {
                        Heard::Message(message) => {
                            to_show.lock().unwrap().push(message);
                            more.send_modify(|count| *count += 1);
                        }
                        Heard::Lost(_) => *losses.lock().unwrap() += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }),
        }
    }
}

/// Says one thing after the other until told to stop; answers how many, and what keeps the conversation open.
async fn feed(
    name: String,
    say: mpsc::Sender<String>,
    mut stop: watch::Receiver<bool>,
) -> (usize, mpsc::Sender<String>) {
    let mut said = 0;
    loop {
        let permit = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => None,
            permit = say.reserve() => Some(permit.unwrap()),
        };
        let Some(permit) = permit else { break };
        permit.send(format!("{name} {said}"));
        said += 1;
    }
    (said, say)
}

/// Numbers that look random and can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Every message of the chat.
async fn history(who: &Rest, chat: &str) -> Vec<Value> {
    let mut history: Vec<Value> = Vec::new();
    loop {
        let query = match history.first() {
            Some(first) => format!("before={}", text(&first["_id"])),
            None => "page=1".to_owned(),
        };
        let path = format!("/api/chat/{chat}/messages?limit=100&{query}");
        let page = who.get(&path).await.ok(200);
        history.splice(0..0, page["messages"].as_array().unwrap().iter().cloned());
        if page["pagination"]["hasMore"] == false {
            return history;
        }
    }
}

fn column(messages: &[Value], name: &str) -> Vec<Value> {
    messages
        .iter()
        .map(|message| message[name].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_however_often_the_line_or_the_server_dies() {
    let rounds = from_environment("JIVCHAT_SURVIVAL_ROUNDS", 12);
    let seed = from_environment(
        "JIVCHAT_SURVIVAL_SEED",
        u64::from(getrandom::u32().unwrap()) + 1,
    );
    println!("{rounds} rounds, JIVCHAT_SURVIVAL_SEED={seed}");
    let mut dice = Dice(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path()).await;
    let (asha, rohan) = (process.user("asha"), process.user("rohan"));
    asha.get("/api/chat/my-chats").await.ok(200);
    let chat = rohan.chat_with(&asha).await;
    let road = Road::to(process.address).await;
    let (more, mut shown) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let talkers =
        [&asha, &rohan].map(|who| Talker::start(who, &road, &chat, &more, stopped.clone()));

    let (mut cuts, mut kills) = (0, 0);
    for round in 0..rounds {
        let enough = *shown.borrow_and_update() + 1 + usize::try_from(dice.roll(40)).unwrap();
        let progress = shown.wait_for(|count| *count >= enough);
        drop(
            within(&format!("round {round} of seed {seed}"), progress)
                .await
                .unwrap(),
        );
        // The first blow is a kill, so that the shortest run has one.
        if round == 0 || dice.roll(4) == 0 {
            process.kill();
            process = Process::start(directory.path()).await;
            *road.target.lock().unwrap() = process.address;
            kills += 1;
        } else {
            road.cut();
            cuts += 1;
        }
    }

    stop.send(true).unwrap();
    let mut said = Vec::new();
    let mut open = Vec::new();
    let mut conversations = Vec::new();
    for talker in talkers {
        let (count, say) = within("the last line", talker.said).await.unwrap();
        said.push(count);
        open.push(say);
        conversations.push((talker.talking, talker.listening, talker.shown, talker.lost));
    }
    let everything = 2 * said.iter().sum::<usize>();
    let all_shown = shown.wait_for(|count| *count >= everything);
    let what = format!("everything to be shown, seed {seed}");
    drop(within(&what, all_shown).await.unwrap());
    drop(open);

    let stored = history(&process.user("asha"), &chat).await;
    let numbers: Vec<_> = (1..=stored.len() as u64).map(Value::from).collect();
    assert_eq!(column(&stored, "seq"), numbers, "seed {seed}");
    for ((who, count), conversation) in [&asha, &rohan].into_iter().zip(&said).zip(conversations) {
        let (talking, listening, shown, lost) = conversation;
        let ended = within("the end of the conversation", talking).await;
        ended.unwrap().unwrap();
        within("what was heard", listening).await.unwrap();
        let shown = shown.lock().unwrap();
        let name = &who.id;
        assert_eq!(
            column(&shown, "_id"),
            column(&stored, "_id"),
            "{name}, seed {seed}"
        );
        assert_eq!(column(&shown, "content"), column(&stored, "content"));
        assert!(*lost.lock().unwrap() >= kills, "it did hurt");
        let own = stored
            .iter()
            .filter(|one| one["sender"]["_id"] == name.as_str());
        let own: Vec<_> = own.map(|one| text(&one["content"])).collect();
        let lines: Vec<_> = (0..*count)
            .map(|number| format!("{name} {number}"))
            .collect();
        assert_eq!(own, lines, "what was said, once and in order, seed {seed}");
    }
    println!("{cuts} cuts, {kills} kills, {said:?} messages");
}
