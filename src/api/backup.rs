//! A backup as the answer to a request: the tar goes out as fast as the client takes it, from a thread that may wait.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use super::admin::Admin;
use super::response::Body;
use super::{Api, Failure};

/// Bytes of a piece, and how many pieces may wait for the client: the memory of a backup on its way.
const PIECE: usize = 64 << 10;
const WAITING: usize = 4;

impl Api {
    /// Begins a backup; the answer goes on while others chat. A second one at the same time is 409. A backup that fails in
    /// the middle ends without its manifest, and the connection is cut.
    pub(super) async fn send_backup(&self, admin: &Admin) -> Result<Response<Body>, Failure> {
        let turn = self.backup.begin().ok_or_else(|| {
            Failure::new(
                StatusCode::CONFLICT,
                "backup_running",
                "Another backup is running",
            )
        })?;
        self.record(admin, "backup.taken", "all").await?;
        let (pieces, receiver) = mpsc::channel(WAITING);
        let backup = self.backup.clone();
        tokio::task::spawn_blocking(move || {
            let into = BufWriter::with_capacity(PIECE, Pieces(pieces.clone()));
            match backup.write(turn, into) {
                Ok(manifest) => tracing::info!(
                    commit = manifest.about.last_commit,
                    files = manifest.files.len(),
                    bytes = manifest.bytes(),
                    "sent a backup"
                ),
                Err(error) => {
                    tracing::warn!(%error, "a backup was not sent");
                    // Else the client would take it for the end.
                    let _ = pieces.blocking_send(Err(io::Error::other("the backup failed")));
                }
            }
        });
        let frames = stream::unfold(receiver, |mut receiver| async move {
            let piece: Result<Bytes, io::Error> = receiver.recv().await?;
            Some((piece.map(Frame::data), receiver))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "application/x-tar"),
            (
                CONTENT_DISPOSITION,
                "attachment; filename=\"jivchat-backup.tar\"",
            ),
            (CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

/// Hands what is written to the client, and waits for it.
struct Pieces(mpsc::Sender<Result<Bytes, io::Error>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
