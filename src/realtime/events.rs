//! The event table: each event's payload is read, its rule called, and its ack or `error` sent.

use serde::{Deserialize, Serialize};

use super::watch::Watched;
use super::{Connected, rooms};
use crate::chat::{Error, Sent, Service};
use crate::guard::{Action, Guard};
use crate::id::{ChatId, MessageId};
use crate::input::{self, SendInput, parse_id};
use crate::socketio::{Event, Socket};
use crate::view::{self, MessageView};

/// What an ack carries.
#[derive(Serialize)]
struct Ack<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<MessageView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// In seconds.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The payload of `error`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorView<'a> {
    message: &'a str,
    error: &'a str,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The chat that an event is about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatInput {
    chat_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypingInput {
    chat_id: String,
    is_typing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadInput {
    chat_id: String,
    message_id: String,
}

/// Only what an `error` event names back, read even from a payload that is wrong otherwise.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    client_message_id: Option<String>,
}

/// Handles one event of a connected socket but `sendMessage`, and acknowledges what succeeded. Never ends the connection.
pub(super) async fn handle(
    chat: &Service,
    guard: &Guard,
    socket: &Socket,
    state: &Connected,
    event: &Event,
) -> Result<(), Error> {
    let user = &state.caller.user;
    if let Some(action) = action(event.name()) {
        guard.take(action, user, state.caller.address)?;
    }
    let message = match event.name() {
        "online" => {
            chat.say_online(user).await;
            None
        }
        "join-chat" | "joinChat" => {
            join(chat, socket, state, event).await?;
            Some("Chat joined")
        }
        "leave-chat" | "leaveChat" => {
            leave(socket, event)?;
            Some("Chat left")
        }
        "typing" => {
            typing(chat, guard, state, event).await?;
            Some("Typing told")
        }
        "markAsRead" => {
            mark_read(chat, state, event).await?;
            Some("Messages marked as read")
        }
        // An unknown event is silence: a newer client may know more than we do.
        _ => return Ok(()),
    };
    let ack = Ack {
        success: true,
        message,
        data: None,
        error: None,
        retry_after: None,
    };
    acknowledge(socket, event, &ack);
    Ok(())
}

/// The limit that an event counts against. `online` and `typing` see to their own; leaving costs nothing.
fn action(event: &str) -> Option<Action> {
    match event {
        "join-chat" | "joinChat" | "markAsRead" => Some(Action::Read),
        _ => None,
    }
}

async fn join(
    chat: &Service,
    socket: &Socket,
    state: &Connected,
    event: &Event,
) -> Result<(), Error> {
    let id = chat_named(event)?;
    chat.check_member(&state.caller.user, id).await?;
    socket.join(&rooms::of_chat(id));
    Ok(())
}

fn leave(socket: &Socket, event: &Event) -> Result<(), Error> {
    socket.leave(&rooms::of_chat(chat_named(event)?));
    Ok(())
}

/// `"chatId"` or `{chatId}`.
fn chat_named(event: &Event) -> Result<ChatId, Error> {
    let id = if event.args().trim_start().starts_with('"') {
        read(event)?
    } else {
        read::<ChatInput>(event)?.chat_id
    };
    parse_id(&id, "chatId")
}

async fn typing(
    chat: &Service,
    guard: &Guard,
    state: &Connected,
    event: &Event,
) -> Result<(), Error> {
    let TypingInput { chat_id, is_typing } = read(event)?;
    let id = parse_id(&chat_id, "chatId")?;
    let caller = &state.caller;
    // What is refused here has told nobody anything, and costs nothing of what may be told.
    chat.check_may_send(&caller.user, id).await?;
    guard.take(Action::Typing, &caller.user, caller.address)?;
    if is_typing {
        state.typing.started(chat, &caller.user, id);
    } else {
        state.typing.stopped(chat, &caller.user, id);
    }
    Ok(())
}

async fn mark_read(chat: &Service, state: &Connected, event: &Event) -> Result<(), Error> {
    let ReadInput {
        chat_id,
        message_id,
    } = read(event)?;
    let message: MessageId = parse_id(&message_id, "messageId")?;
    chat.mark_read(&state.caller, parse_id(&chat_id, "chatId")?, Some(message))
        .await?;
    Ok(())
}

/// Returns once the message has its place in the order, so that the client's next one can share its commit; the answer follows when it
/// is on disk.
pub(super) async fn send(
    chat: &Service,
    guard: &Guard,
    watched: Watched,
    socket: &Socket,
    state: &Connected,
    event: Event,
) {
    let Some(permit) = state.answers.permit().await else {
        return;
    };
    let queued = queue(chat, guard, state, &event).await;
    let socket = socket.clone();
    state.answers.push(permit, async move {
        let sent = match queued {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(sent) => {
                let ack = Ack {
                    success: true,
                    message: Some("Message sent successfully"),
                    data: Some(view::message(&sent.message)),
                    error: None,
                    retry_after: None,
                };
                acknowledge(&socket, &event, &ack);
            }
            Err(error) => {
                refuse(&socket, &event, &error);
                watched.refused(error.code());
            }
        }
        watched.answered(&socket, &event);
    });
}

async fn queue(
    chat: &Service,
    guard: &Guard,
    state: &Connected,
    event: &Event,
) -> Result<impl Future<Output = Result<Sent, Error>> + Send + use<>, Error> {
    let caller = &state.caller;
    guard.take(Action::Message, &caller.user, caller.address)?;
    let ChatInput { chat_id } = read(event)?;
    let new = read::<SendInput>(event)?.into_message(parse_id(&chat_id, "chatId")?, None)?;
    chat.queue_message(caller, new).await
}

fn read<T: for<'de> Deserialize<'de>>(event: &Event) -> Result<T, Error> {
    let args = event.args();
    // An array would be read as the fields in their order.
    if args.starts_with('[') {
        return Err(Error::InvalidRequest("The payload must be an object"));
    }
    let payload = event
        .first()
        .map_err(|error| input::refused(args.as_bytes(), &error))?;
    payload.ok_or(Error::InvalidRequest("The event needs a payload"))
}

fn acknowledge(socket: &Socket, event: &Event, ack: &Ack<'_>) {
    if let Some(id) = event.ack() {
        socket.ack(id, ack);
    }
}

/// A refusal is both an `error` event and, where one was asked for, a failed ack.
pub(super) fn refuse(socket: &Socket, event: &Event, error: &Error) {
    let message = error.to_string();
    let (message, code) = (message.as_str(), error.code());
    tracing::debug!(event = event.name(), socket = %socket.id(), code, "event refused");
    let named = read::<Named>(event)
        .ok()
        .and_then(|named| named.client_message_id);
    let view = ErrorView {
        message,
        error: code,
        event: event.name(),
        client_message_id: named.as_deref(),
        retry_after: error.retry_after(),
    };
    socket.emit("error", &view);
    acknowledge(
        socket,
        event,
        &Ack {
            success: false,
            message: Some(message),
            data: None,
            error: Some(code),
            retry_after: error.retry_after(),
        },
    );
}
