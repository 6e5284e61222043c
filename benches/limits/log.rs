//! One thread that makes groups of messages durable and then hands each to the sockets of both users. The least that promise P1 costs.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// What a socket's writer takes from.
pub(crate) type Outbox = mpsc::Sender<Message>;

/// Who is connected, and which chats there are.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) sockets: HashMap<String, Vec<Outbox>>,
    pub(crate) chats: HashMap<String, Chat>,
}

pub(crate) struct Chat {
    pub(crate) users: [String; 2],
    pub(crate) last_seq: u64,
}

/// A message on its way.
pub(crate) struct Sent {
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) client_id: String,
    pub(crate) content: String,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn start(world: Shared, dir: &Path) -> Result<mpsc::Sender<Sent>> {
    std::fs::create_dir_all(dir)?;
    let mut file = File::create(dir.join("log"))?;
    let (queue, mut queued) = mpsc::channel::<Sent>(4096);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            let (mut group, mut bytes) = (Vec::new(), Vec::new());
            while queued.blocking_recv_many(&mut group, 512) > 0 {
                bytes.clear();
                for sent in &group {
                    for part in [&sent.chat, &sent.sender, &sent.client_id, &sent.content] {
                        bytes.extend_from_slice(part.as_bytes());
                        bytes.push(b'\n');
                    }
                }
                let kept = file.write_all(&bytes).and_then(|()| file.sync_data());
                kept.expect("the log cannot be written");
                let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
                group.drain(..).for_each(|sent| deliver(&mut world, &sent));
            }
        })?;
    Ok(queue)
}

/// An event of the same size as the real one, encoded once.
fn deliver(world: &mut World, sent: &Sent) {
    let Some(chat) = world.chats.get_mut(&sent.chat) else {
        return;
    };
    chat.last_seq += 1;
    let Sent {
        chat: id,
        sender,
        client_id,
        content,
    } = sent;
    let seq = chat.last_seq;
    let event: Utf8Bytes = format!(
        "42[\"newMessage\",{{\"_id\":\"0123456789abcdef01234567\",\"chat\":\"{id}\",\"sender\":{{\"_id\":\"{sender}\",\
         \"name\":\"Name of {sender}\"}},\"messageType\":\"text\",\"content\":\"{content}\",\"mediaUrl\":null,\"readBy\":[],\
         \"status\":\"sent\",\"parentMessage\":null,\"reactions\":[],\"isEdited\":false,\"isDeleted\":false,\
         \"clientMessageId\":\"{client_id}\",\"seq\":{seq},\"createdAt\":\"2030-01-01T00:00:00.000Z\",\
         \"updatedAt\":\"2030-01-01T00:00:00.000Z\"}}]"
    )
    .into();
    for user in &chat.users {
        for socket in world.sockets.get(user).into_iter().flatten() {
            // Nobody waits for a slow reader.
            let _ = socket.try_send(Message::Text(event.clone()));
        }
    }
}
