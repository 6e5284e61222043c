//! The answers that one client owes the server: which events still wait for theirs, and who waits. Bounded; knows nothing of how an
//! event gets to the client, nor of the packets its answer comes in.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::event::{EventError, arguments};
use super::packet::AckId;

/// Events of one socket that may wait for their answers at once.
const MAX_PENDING: usize = 64;

/// What a client answered to an event.
#[derive(Debug, Clone)]
pub struct Answer {
    args: Box<str>,
    attachments: Vec<Bytes>,
}

impl Answer {
    /// Takes the payload of an ACK apart. The JSON has passed [`json::check`](super::json::check), which bounds its depth.
    pub(super) fn decode(json: &str, attachments: &[Bytes]) -> Result<Self, EventError> {
        let args = json
            .trim_ascii()
            .strip_prefix('[')
            .and_then(|json| json.strip_suffix(']'))
            .ok_or(EventError::Shape)?;
        let (args, attachments) = arguments(args.trim_ascii(), attachments)?;
        Ok(Self { args, attachments })
    }

    /// The values as the client wrote them: JSON separated by commas, without brackets; empty if there are none. Where an attachment
    /// belongs, there is a placeholder.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// The attachments, in the order of their placeholders' numbers.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Reads the first value; `None` if there is none.
    pub fn first<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        serde_json::Deserializer::from_str(&self.args)
            .into_iter()
            .next()
            .transpose()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// The client did not answer in time; what it answers now is ignored.
    #[error("no answer in time")]
    Timeout,
    /// The socket is gone, or went before the client answered; whether the event reached it is not known.
    #[error("the socket is gone")]
    Disconnected,
    /// 64 events of this socket wait for their answers already; this one was not sent.
    #[error("too many events wait for their answers")]
    TooManyPending,
    /// The argument cannot be written as JSON; nothing was sent.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The events of one socket that wait.
#[derive(Debug, Default)]
pub(super) struct Acks(Mutex<Vec<(AckId, oneshot::Sender<Answer>)>>);

impl Acks {
    /// From now on the answer to `id` is waited for, until what comes back here is dropped.
    pub(super) fn expect(&self, id: AckId) -> Result<Pending<'_>, AckError> {
        let mut pending = self.pending();
        if pending.len() >= MAX_PENDING {
            return Err(AckError::TooManyPending);
        }
        let (sender, answer) = oneshot::channel();
        pending.push((id, sender));
        Ok(Pending {
            acks: self,
            id,
            answer,
        })
    }

    /// Hands an answer over. One that nobody waits for, or the second to the same event, is ignored.
    pub(super) fn answered(&self, id: AckId, answer: Answer) {
        if let Some(waiting) = self.take(id) {
            // Whoever waited may just have given up.
            let _ = waiting.send(answer);
        }
    }

    /// No answer will come any more.
    pub(super) fn give_up(&self) {
        drop(std::mem::take(&mut *self.pending()));
    }

    fn take(&self, id: AckId) -> Option<oneshot::Sender<Answer>> {
        let mut pending = self.pending();
        let at = pending.iter().position(|(known, _)| *known == id)?;
        let (_, waiting) = pending.swap_remove(at);
        if pending.is_empty() {
            *pending = Vec::new();
        }
        Some(waiting)
    }

    fn pending(&self) -> MutexGuard<'_, Vec<(AckId, oneshot::Sender<Answer>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer that is waited for; forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Pending<'a> {
    acks: &'a Acks,
    id: AckId,
    answer: oneshot::Receiver<Answer>,
}

impl Pending<'_> {
    /// The answer, or that the socket is gone.
    pub(super) async fn answer(&mut self) -> Result<Answer, AckError> {
        let answer = &mut self.answer;
        answer.await.map_err(|_| AckError::Disconnected)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.acks.take(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Answer {
        Answer::decode(json, &[]).unwrap()
    }

    #[tokio::test]
    async fn an_answer_finds_who_waits_for_it_and_only_once() {
        let acks = Acks::default();
        let mut one = acks.expect(AckId::new(1)).unwrap();
        let mut two = acks.expect(AckId::new(2)).unwrap();
        acks.answered(AckId::new(3), answer("[3]"));
        acks.answered(AckId::new(2), answer("[2]"));
        acks.answered(AckId::new(2), answer("[22]"));
        acks.answered(AckId::new(1), answer("[]"));
        assert_eq!(two.answer().await.unwrap().args(), "2");
        assert_eq!(one.answer().await.unwrap().args(), "");
        assert_eq!(acks.pending().capacity(), 0);
    }

    #[tokio::test]
    async fn there_is_an_end_to_what_may_wait() {
        let acks = Acks::default();
        let id = |number: usize| AckId::new(number as u64);
        let mut waiting: Vec<_> = (0..MAX_PENDING)
            .map(|number| acks.expect(id(number)).unwrap())
            .collect();
        let one_more = acks.expect(id(MAX_PENDING));
        assert!(matches!(one_more, Err(AckError::TooManyPending)));
        waiting.pop();
        let mut last = acks.expect(id(MAX_PENDING)).unwrap();
        acks.give_up();
        assert!(matches!(last.answer().await, Err(AckError::Disconnected)));
    }

    #[test]
    fn answers_are_arrays() {
        assert_eq!(answer(r#" [ 1.0 ,{"b":2} ] "#).args(), r#"1.0 ,{"b":2}"#);
        assert_eq!(answer("[7,8]").first().unwrap(), Some(7));
        assert_eq!(answer("[]").first::<u8>().unwrap(), None);
        for json in ["", "{}", "1", r#""[]""#] {
            assert!(Answer::decode(json, &[]).is_err(), "{json}");
        }
    }
}
