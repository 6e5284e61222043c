//! The whole server in this process, on a free port and a directory of its own. It knows how to start and stop one and how to
//! sign tokens for it; not what is asked of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use jivchat::auth::{Secret, Strength, mint};
use jivchat::config::Cli;
use jivchat::server::{Counts, Error, Reload, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::rest::Rest;
use super::within;

/// What every server of the tests signs and checks tokens with.
pub(super) const SECRET: &str = "the-integration-tests-share-this-secret";
/// The admin key of every server of the tests that has one.
pub(super) const KEY: &str = "an-admin-key-for-the-tests-alone";

/// A running server. Dropped, it goes with the test's runtime.
pub(super) struct TestServer {
    address: SocketAddr,
    directory: Arc<TempDir>,
    reload: Reload,
    counter: Box<dyn Fn() -> Option<Counts> + Send + Sync>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
}

impl TestServer {
    /// Starts with an empty directory.
    pub(super) async fn start(flags: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), flags).await
    }

    /// Starts with a directory that was used before.
    pub(super) async fn start_in(directory: Arc<TempDir>, flags: &[&str]) -> Self {
        let data_dir = directory.path().to_str().unwrap();
        let fixed = [
            "jivchat",
            "--port",
            "0",
            "--data-dir",
            data_dir,
            "--jwt-secret",
            SECRET,
        ];
        let cli = Cli::parse_from(fixed.iter().chain(flags));
        let server = Server::open(&cli.serve).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        Self {
            address: server.address(),
            reload: server.reload(),
            counter: Box::new(server.counter()),
            directory,
            stop,
            running: tokio::spawn(server.run(async {
                let _ = stopped.await;
            })),
        }
    }

    /// Drains the server and gives its directory back.
    pub(super) async fn stop(self) -> Arc<TempDir> {
        let _ = self.stop.send(());
        let outcome = within("the server to stop", self.running).await;
        outcome.unwrap().unwrap();
        self.directory
    }

    /// What the server counts.
    pub(super) fn counts(&self) -> Counts {
        (self.counter)().unwrap()
    }

    /// What SIGHUP does.
    pub(super) fn reload(&self) {
        self.reload.run();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// The names of all files in the media directory, unfinished ones included.
    pub(super) fn media_files(&self) -> Vec<String> {
        let directory: PathBuf = self.data_dir().join("media");
        let entries = std::fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// A client without a token.
    pub(super) fn anonymous(&self) -> Rest {
        Rest::new(self.address, "", None)
    }

    /// A user of whom the server has not heard yet.
    pub(super) fn stranger(&self, id: &str) -> Rest {
        Rest::new(self.address, id, Some(token(id, Some(id))))
    }

    /// A user who has made themselves known.
    pub(super) async fn user(&self, id: &str) -> Rest {
        let user = self.stranger(id);
        user.get("/api/chat/unread-count").await.ok(200);
        user
    }

    /// A user of the demo, whose profile the token leaves alone.
    pub(super) fn demo_user(&self, id: &str) -> Rest {
        Rest::new(self.address, id, Some(token(id, None)))
    }
}

/// A token for an hour.
pub(super) fn token(id: &str, name: Option<&str>) -> String {
    token_for(id, name, Duration::from_hours(1))
}

/// A token for a while.
pub(super) fn token_for(id: &str, name: Option<&str>, ttl: Duration) -> String {
    let secret = Secret::new(SECRET.as_bytes(), "test", Strength::Required).unwrap();
    let email = name.map(|name| format!("{name}@example.com"));
    mint(&secret, id, name, email.as_deref(), None, ttl).unwrap()
}

/// A token with just these claims, as any host application may sign one.
pub(super) fn token_with(claims: &serde_json::Value, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}
