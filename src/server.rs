//! The composition root: opens everything, accepts connections, hands each request to its part, and shuts down in reverse.

mod check;
mod connections;
mod counts;
mod dispatch;
mod exposition;
mod malformed;
mod proxy;
mod pulse;
mod reload;
mod request_id;
mod serving;
mod settings;
mod tasks;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::check::{Finding, check};
use self::connections::Connections;
pub use self::counts::{ConnectionCounts, Counts};
use self::dispatch::Dispatch;
use self::proxy::Proxies;
pub use self::pulse::Pulse;
pub use self::reload::Reload;
pub use self::settings::{expiry, strength};
use self::tasks::Background;
pub use self::tls::TlsError;
use crate::access::Access;
use crate::api::{AdminKey, Api, Connections as Connected, Gauge};
use crate::audit::Audit;
use crate::auth::{KeyError, Secret, SecretError};
use crate::backend::{Backend, TrustError};
use crate::backup::Online;
use crate::chat::{self, Service};
use crate::config::{Network, Serve};
use crate::cors::Cors;
use crate::disposal::Disposal;
use crate::engineio::Engine;
use crate::exchange;
use crate::guard::Guard;
use crate::media::{Media, Owner, OwnerError};
use crate::metrics::Figures;
use crate::realtime::{Delivery, Realtime};
use crate::socketio::{Io, Namespace, SocketIo};
use crate::store::{self, Store, WriterThread};
use crate::web::{Demo, Pages};

/// A connection whose client takes nothing for so long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connections have to go when they are cut off at the end.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections that the system may hold for us while we accept others.
const BACKLOG: u32 = 4096;
/// Events and write jobs that may wait for the writer thread.
const WRITE_QUEUE: usize = 4096;

/// Why the server did not start or did not go on. One line each, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The data directory cannot be made.
    #[error(
        "the data directory {path} cannot be made: {source}; make it writable or name another with --data-dir"
    )]
    DataDir {
        /// The directory.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no usable token secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The public keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificates for the backend cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The admin key is empty.
    #[error("the admin key is empty; give one (openssl rand -hex 32) or leave the flag out")]
    EmptyAdminKey,
    /// The admin key cannot be read.
    #[error("the admin key file {path} cannot be read: {source}; check its owner and mode")]
    AdminKeyFile {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token library does not work in this build.
    #[error("the token self-test failed; this build is broken")]
    SelfTest,
    /// The media directory cannot be used.
    #[error(
        "the media directory {path} cannot be used: {source}; make it writable or name another with --media-path"
    )]
    Media {
        /// The directory.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The media directory is another's.
    #[error(transparent)]
    MediaOwner(#[from] OwnerError),
    /// Nothing was ever said here, and yet there are files: the journal is gone, or the directory is another's.
    #[error(
        "the media directory {} holds files, and the data directory no message that shows them; put the data back from a backup, \
         or move the files away to begin anew with nothing", .0.display()
    )]
    FilesWithoutMessages(PathBuf),
    /// What was to be removed before could not be.
    #[error("what was to be erased before the last stop cannot be: {0}; the log says why")]
    Disposal(chat::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {}", listen_remedy(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The demo data could not be loaded.
    #[error("the demo data could not be loaded: {0}")]
    Demo(String),
    /// The store failed while running; a restart recovers everything that was acknowledged.
    #[error(
        "stopped because the store failed: {0}; start again, every acknowledged message is kept"
    )]
    Failed(String),
}

fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: choose another with --host"
        }
        io::ErrorKind::PermissionDenied => {
            "ports under 1024 are privileged: choose another with --port, or grant them (AmbientCapabilities=CAP_NET_BIND_SERVICE)"
        }
        _ => "is another server running there? Choose another with --port",
    }
}

/// An open server that listens and does not accept yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    dispatch: Arc<Dispatch>,
    background: Background,
    reload: Reload,
    grace: Duration,
    _media_owner: Owner,
}

impl Server {
    /// Takes the address, opens the store (which takes long if the index must be rebuilt), loads the demo if asked to,
    /// and listens.
    pub async fn open(config: &Serve) -> Result<Self, Error> {
        let network = &config.network;
        // What is cheap and can fail comes first: opening the store may mean rebuilding its index.
        let (socket, asked) = claim(network)?;
        let certificates = settings::certificates(config)?;
        let admin_key = settings::admin_key(config)?;
        warn_of_flags(config, admin_key.as_ref());
        make_data_dir(&config.storage.data_dir)?;
        let secrets = settings::secrets(config)?;
        let signing = secrets.first().cloned();
        let secret = signing.clone().filter(|_| config.demo);
        let key_set = settings::key_set(config)?;
        let verifier = settings::verifier(config, secrets, key_set.clone())?;
        let (store, writer) = open_store(config).await?;
        let guard = Arc::new(Guard::new(settings::guard(config)));
        // What the demo says is no flood, however low the limits are.
        let (unwatched, events) = Service::new(store.clone(), settings::rules(config));
        let chat = unwatched
            .clone()
            .watched_by(Arc::clone(&guard), settings::bounds(config));
        let audit = open_audit(config)?;
        let (media, owner) = open_media(config, store.is_new().await?)?;
        let disposal = Disposal::new(chat.clone(), Arc::clone(&media));
        let namespace = settings::namespace(config);
        let figures = Arc::new(Figures::default());
        let delivery = Delivery::new(chat.clone(), &namespace, Arc::clone(&figures));
        let backup = Online::new(store.clone(), Media::clone(&media));
        let mut background = Background::start(
            store,
            writer,
            chat.clone(),
            settings::compaction_policy(config),
            delivery.run(events),
        );
        if let Some(key_set) = &key_set {
            background.add(tasks::follow(Arc::clone(key_set)));
        }
        // Before anybody is let in, and after somebody listens to what comes of it.
        disposal.finish().await.map_err(Error::Disposal)?;
        let pages = open_pages(config, &unwatched, secret, admin_key.is_some()).await?;
        let backend = Backend::new(settings::backend(config), chat.clone())?.map(Arc::new);
        let access = Access::new(verifier, chat.clone(), backend.clone(), Arc::clone(&guard));
        let access = Arc::new(access);
        let realtime = Realtime::new(
            chat.clone(),
            Arc::clone(&access),
            Arc::clone(&guard),
            Arc::clone(&figures),
            settings::slow(config),
        );
        let engine = engine(config, realtime, namespace);
        let connections = Arc::new(connections(network));
        background.add(disposal.clone().run(settings::disposal_policy(config)));
        let api = Api {
            chat: chat.clone(),
            access,
            backend,
            media,
            private_media: config.storage.private_media,
            disposal,
            admin_key,
            backup,
            mint: settings::mint(config, signing),
            figures,
            audit,
            connections: gauge(&engine, &connections),
            started: Instant::now(),
            uploads: settings::uploads(config),
            upload_pace: settings::upload_pace(config),
            guard,
        };
        let (listener, address) = listen(socket).map_err(refused(asked))?;
        let dispatch = Dispatch {
            api,
            connections,
            proxies: Proxies::new(&network.trusted_proxy),
            engine,
            cors: Cors::new(&network.cors_origin),
            pages,
            chat,
            stopping: CancellationToken::new(),
            killed: CancellationToken::new(),
            started: Instant::now(),
            hsts: settings::hsts(config),
            certificates: certificates.clone(),
            header_timeout: Duration::from_secs(network.header_timeout),
            started_at: SystemTime::now(),
            slow: settings::slow(config),
            directories: settings::directories(config),
        };
        Ok(Self {
            listener,
            address,
            dispatch: Arc::new(dispatch),
            background,
            reload: Reload::new(key_set, certificates),
            grace: Duration::from_secs(network.shutdown_grace),
            _media_owner: owner,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is found, without a path.
    pub fn url(&self) -> String {
        let is_encrypted = self.dispatch.certificates.is_some();
        let scheme = if is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The files that are read again, for who is told to.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Reads the counts, for as long as the server lives.
    pub fn counter(&self) -> impl Fn() -> Option<Counts> + Send + Sync + 'static {
        // A reader must not keep the store open.
        let dispatch = Arc::downgrade(&self.dispatch);
        move || {
            let dispatch = dispatch.upgrade()?;
            Some(Counts::read(&dispatch.connections, &dispatch.engine))
        }
    }

    /// For whoever has to know whether it works.
    pub fn pulse(&self) -> Pulse {
        Pulse::of(&self.dispatch)
    }

    /// The demo, if it was asked for.
    pub fn demo(&self) -> Option<&Demo> {
        self.dispatch.pages.demo.as_ref()
    }

    /// Serves until `shutdown` resolves, then drains and syncs; or until the store fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let tracker = TaskTracker::new();
        let Self {
            listener,
            dispatch,
            mut background,
            grace,
            ..
        } = self;
        let outcome = tokio::select! {
            () = serving::accept(&listener, &dispatch, &tracker) => Ok(()),
            () = shutdown => Ok(()),
            why = background.failed() => Err(Error::Failed(why)),
        };
        drop(listener);
        tracing::info!("stopping");
        dispatch.stopping.cancel();
        tracker.close();
        let drained = dispatch.engine.shutdown(grace);
        let (drained, requests) =
            tokio::join!(drained, tokio::time::timeout(grace, tracker.wait()));
        if !drained || requests.is_err() {
            tracing::warn!("some clients did not finish in time");
            dispatch.killed.cancel();
            let _ = tokio::time::timeout(KILL_TIMEOUT, tracker.wait()).await;
        }
        drop(dispatch);
        background.stop().await;
        tracing::info!("stopped");
        outcome
    }
}

fn connections(network: &Network) -> Connections {
    let (total, per_address) = (network.max_connections, network.max_connections_per_address);
    let proxies = Proxies::new(&network.trusted_proxy);
    Connections::new(total, per_address, WRITE_TIMEOUT, proxies)
}

fn warn_of_flags(config: &Serve, admin_key: Option<&AdminKey>) {
    if let Some(warning) = settings::exposed_demo(config) {
        tracing::warn!("{warning}");
    }
    if admin_key.is_some_and(AdminKey::is_short) {
        tracing::warn!("{}", settings::SHORT_ADMIN_KEY);
    }
}

/// What was imported is sound, and not all that was to be: people would miss what they said.
async fn warn_of_half_an_import(store: &Store) -> Result<(), store::Error> {
    let mark = store.read(|tables| tables.mark(exchange::UNFINISHED)).await;
    if let Some(since) = mark? {
        tracing::warn!(
            since = %since,
            "an import into this data directory was cut off and a part of it is missing: stop, and run the same import again"
        );
    }
    Ok(())
}

fn make_data_dir(path: &Path) -> Result<(), Error> {
    store::make_data_dir(path).map_err(|source| Error::DataDir {
        path: path.display().to_string(),
        source,
    })
}

async fn open_store(config: &Serve) -> Result<(Store, WriterThread), Error> {
    let options = store::Options {
        data_dir: config.storage.data_dir.clone(),
        cache: config.storage.cache_size << 20,
        queue: WRITE_QUEUE,
    };
    let opening = tokio::task::spawn_blocking(move || Store::open(&options));
    let (store, writer) = opening.await.map_err(|_| store::Error::Panicked)??;
    store.warn_of_slow_commits(settings::slow(config));
    warn_of_half_an_import(&store).await?;
    Ok((store, writer))
}

/// With a secret to sign for its people, the demo is loaded too.
async fn open_pages(
    config: &Serve,
    chat: &Service,
    secret: Option<Secret>,
    admin: bool,
) -> Result<Pages, Error> {
    let demo = match secret {
        Some(secret) => Some(Demo::load(chat, &secret).await.map_err(Error::Demo)?),
        None => None,
    };
    let chat = settings::has_chat_page(config);
    Ok(Pages { chat, admin, demo })
}

/// Opened even without an admin key: a directory that cannot hold it is found at the start, not when somebody looks away.
fn open_audit(config: &Serve) -> Result<Arc<Audit>, Error> {
    let data_dir = &config.storage.data_dir;
    let limit = config.admin.audit_size << 20;
    let opened = Audit::open(data_dir, limit).map_err(|source| Error::DataDir {
        path: data_dir.join("audit").display().to_string(),
        source,
    })?;
    Ok(Arc::new(opened))
}

fn claim(network: &Network) -> Result<(TcpSocket, SocketAddr), Error> {
    let asked = SocketAddr::new(network.host, network.port);
    Ok((bind(asked).map_err(refused(asked))?, asked))
}

fn refused(address: SocketAddr) -> impl Fn(io::Error) -> Error {
    move |source| Error::Listen { address, source }
}

/// Takes the address and does not listen yet: whoever connects while the store is opening is refused, not kept waiting.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the connections of the one before to fade away.
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn engine(config: &Serve, realtime: Realtime, namespace: Namespace) -> dispatch::Sockets {
    let io = Io::of(&[namespace]);
    let sockets = SocketIo::new(settings::socketio_config(config), io, realtime);
    Engine::new(settings::engine_config(config), sockets)
}

/// What the admin API tells of the layers below the chat.
fn gauge(engine: &dispatch::Sockets, connections: &Arc<Connections>) -> Gauge {
    let (engine, connections) = (engine.clone(), Arc::clone(connections));
    Gauge(Box::new(move || {
        let counts = Counts::read(&connections, &engine);
        Connected {
            polling: counts.sessions.polling,
            websocket: counts.sessions.websocket,
            counts: serde_json::json!(counts),
        }
    }))
}

/// The listener, and the address with the port that was picked.
fn listen(socket: TcpSocket) -> io::Result<(TcpListener, SocketAddr)> {
    let address = socket.local_addr()?;
    Ok((socket.listen(BACKLOG)?, address))
}

/// Opens the media directory, which no other server may use: each removes what none of its messages shows. For the same reason a
/// store without a commit gets no directory with files: what was said in the messages that showed them is lost.
fn open_media(config: &Serve, is_new: bool) -> Result<(Arc<Media>, Owner), Error> {
    let path = settings::media_dir(config);
    let owner = Owner::take(&path, &config.storage.data_dir)?;
    let refused = |source| Error::Media {
        path: path.display().to_string(),
        source,
    };
    let media = Media::open(&path, settings::media(config)).map_err(refused)?;
    if is_new && !media.names().map_err(refused)?.is_empty() {
        return Err(Error::FilesWithoutMessages(path));
    }
    Ok((Arc::new(media), owner))
}
