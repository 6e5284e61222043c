//! From flags to the settings of each part: the only place that translates the one into the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;

use super::Error;
use super::tls::Certificates;
use crate::api::{AdminKey, TokenMint, UploadPace, Uploads};
use crate::auth::{CLOCK_LEEWAY, Expiry, KeySet, PublicKey, Secret, Strength, Verifier};
use crate::backend::{self, Tolerance};
use crate::chat;
use crate::config::{Serve, Switch, Tokens, TransportName};
use crate::disposal;
use crate::engineio::{self, Transports};
use crate::guard::{self, Limit};
use crate::limits::Rate;
use crate::media;
use crate::metrics::SlowThreshold;
use crate::realtime;
use crate::socketio::{self, Namespace, RecoveryConfig};
use crate::store;

/// What is said of a key that can be guessed.
pub(super) const SHORT_ADMIN_KEY: &str =
    "the admin key has fewer than 16 bytes; take a longer one (openssl rand -hex 32)";
const EXPOSED_DEMO: &str = "--demo on an address that others reach: its page signs anybody in as any demo user, and their tokens are \
     printed; keep it on loopback (--host 127.0.0.1)";

/// What is said of a demo that is not for this machine alone.
pub(super) fn exposed_demo(config: &Serve) -> Option<&'static str> {
    (config.demo && !config.network.host.is_loopback()).then_some(EXPOSED_DEMO)
}

pub(super) fn secrets(config: &Serve) -> Result<Vec<Secret>, Error> {
    let tokens = &config.tokens;
    // A host that signs with a key of its own is not to be joined by whoever can read a secret that nobody asked for.
    if tokens.verifies_only() && !config.demo {
        return Ok(Vec::new());
    }
    let strength = if config.demo {
        Strength::WeakAllowed
    } else {
        strength(tokens)
    };
    Ok(Secret::load(
        &tokens.jwt_secret,
        &tokens.jwt_secret_file,
        &config.storage.data_dir,
        strength,
    )?)
}

/// Whether these flags take a short secret.
pub fn strength(tokens: &Tokens) -> Strength {
    if tokens.allow_weak_secret {
        Strength::WeakAllowed
    } else {
        Strength::Required
    }
}

/// Whether these flags take a token without an end.
pub fn expiry(tokens: &Tokens) -> Expiry {
    if tokens.allow_tokens_without_exp {
        Expiry::Optional
    } else {
        Expiry::Required
    }
}

/// What is told in the log to have taken long.
pub(super) fn slow(config: &Serve) -> SlowThreshold {
    SlowThreshold::from_millis(config.log.slow_operation)
}

/// Who signs tokens for the host.
pub(super) fn mint(config: &Serve, secret: Option<Secret>) -> TokenMint {
    TokenMint {
        secret,
        max_ttl: config.admin.max_token_ttl,
    }
}

/// How many uploads there may be.
pub(super) fn uploads(config: &Serve) -> Uploads {
    let storage = &config.storage;
    Uploads::new(storage.max_uploads, storage.max_uploads_per_user)
}

/// Whether there is a chat page at `/`.
pub(super) fn has_chat_page(config: &Serve) -> bool {
    match config.web_ui {
        Some(Switch::On) => true,
        Some(Switch::Off) => false,
        None => config.demo,
    }
}

/// The file of keys that change, if there is one.
pub(super) fn key_set(config: &Serve) -> Result<Option<Arc<KeySet>>, Error> {
    let path = config.tokens.jwks_file.as_deref();
    let opened = path.map(|path| KeySet::open(path).map(Arc::new));
    Ok(opened.transpose()?)
}

pub(super) fn verifier(
    config: &Serve,
    secrets: Vec<Secret>,
    key_set: Option<Arc<KeySet>>,
) -> Result<Verifier, Error> {
    let tokens = &config.tokens;
    let verifier = Verifier::new(secrets, expiry(tokens), CLOCK_LEEWAY)
        .with_public_keys(PublicKey::load(&tokens.jwt_public_key_file)?)
        .with_key_set(key_set);
    verifier.self_test().map_err(|_| Error::SelfTest)?;
    Ok(verifier)
}

pub(super) fn admin_key(config: &Serve) -> Result<Option<AdminKey>, Error> {
    let admin = &config.admin;
    let key = match (&admin.admin_key, &admin.admin_key_file) {
        (None, None) => return Ok(None),
        (Some(key), _) => key.clone(),
        (None, Some(path)) => {
            std::fs::read_to_string(path).map_err(|source| Error::AdminKeyFile {
                path: path.display().to_string(),
                source,
            })?
        }
    };
    AdminKey::new(key.trim())
        .map(Some)
        .ok_or(Error::EmptyAdminKey)
}

/// What https is spoken with, if it is.
pub(super) fn certificates(config: &Serve) -> Result<Option<Arc<Certificates>>, Error> {
    let opened = config
        .tls
        .files()
        .map(|(certificate, key)| Certificates::open(certificate, key).map(Arc::new));
    Ok(opened.transpose()?)
}

/// What browsers are told of https, by a server that speaks it: one behind a proxy leaves that to the proxy.
pub(super) fn hsts(config: &Serve) -> Option<HeaderValue> {
    config.tls.files()?;
    HeaderValue::try_from(format!("max-age={}", config.tls.hsts_max_age)).ok()
}

pub(super) fn rules(config: &Serve) -> chat::Options {
    chat::Options {
        require_known_users: config.tokens.require_known_users,
        mark_read_on_fetch: config.rules.mark_read_on_fetch,
        media_quota: config.storage.media_quota,
        blocked_users: config.abuse.max_blocked_users,
        offline_grace: Duration::from_secs(config.rules.offline_grace),
    }
}

/// What may be asked how often.
pub(super) fn guard(config: &Serve) -> guard::Settings {
    if config.rules.no_rate_limit {
        return guard::Settings::default();
    }
    let abuse = &config.abuse;
    let limit = |per_user, per_address| Limit {
        per_user,
        per_address,
    };
    guard::Settings {
        messages: limit(config.rules.message_rate, abuse.message_rate_per_address),
        message_burst: config.rules.message_burst,
        typing: limit(abuse.typing_rate, abuse.typing_rate_per_address),
        chats: limit(abuse.chat_rate, abuse.chat_rate_per_address),
        blocks: limit(abuse.block_rate, abuse.block_rate_per_address),
        uploads: limit(abuse.upload_rate, abuse.upload_rate_per_address),
        reads: limit(abuse.read_rate, abuse.read_rate_per_address),
        reports: limit(abuse.report_rate, abuse.report_rate_per_address),
        upload_kib: limit(
            abuse.upload_volume << 10,
            abuse.upload_volume_per_address << 10,
        ),
        failed_authentications: abuse.failed_auth_rate,
    }
}

/// What is too much of one user.
pub(super) fn bounds(config: &Serve) -> chat::Bounds {
    let abuse = &config.abuse;
    let limit = |limit| if config.rules.no_rate_limit { 0 } else { limit };
    chat::Bounds {
        chats_per_hour: limit(abuse.chats_per_hour),
        chats_per_hour_established: limit(abuse.chats_per_hour_established),
        duplicate_chats: limit(abuse.duplicate_chats),
    }
}

/// How slow an upload may be.
pub(super) fn upload_pace(config: &Serve) -> UploadPace {
    UploadPace {
        idle: Duration::from_secs(config.storage.upload_idle_timeout),
        min_rate: config.abuse.min_upload_rate,
        total: Duration::from_secs(config.abuse.upload_timeout),
    }
}

/// Where uploaded files are.
pub(super) fn media_dir(config: &Serve) -> PathBuf {
    let storage = &config.storage;
    let default = || storage.data_dir.join("media");
    storage.media_path.clone().unwrap_or_else(default)
}

/// Where things are kept, for whoever asks how much room there is.
pub(super) fn directories(config: &Serve) -> [(&'static str, PathBuf); 2] {
    let data_dir = config.storage.data_dir.clone();
    [("data", data_dir), ("media", media_dir(config))]
}

/// What is to go by itself, and when.
pub(super) fn disposal_policy(config: &Serve) -> disposal::Policy {
    let storage = &config.storage;
    let hours = |count: u32| (count > 0).then(|| Duration::from_hours(count.into()));
    let days = |count: u32| hours(count * 24);
    disposal::Policy {
        content: days(storage.retain_days),
        media: days(storage.media_retain_days),
        orphans: hours(storage.orphan_hours),
    }
}

pub(super) fn backend(config: &Serve) -> backend::Settings {
    let backend = &config.backend;
    let per_minute = if config.rules.no_rate_limit {
        0
    } else {
        backend.pull_rate
    };
    backend::Settings {
        profiles: backend.profile_url.clone(),
        pets: backend.pet_url.clone(),
        timeout: Duration::from_millis(backend.pull_timeout),
        ttl: Duration::from_secs(backend.pull_ttl),
        at_once: backend.pull_concurrency.into(),
        tolerance: Tolerance {
            failures: backend.pull_failures,
            pause: Duration::from_secs(backend.pull_pause),
        },
        rate: Rate {
            per_minute,
            burst: per_minute.div_ceil(2),
        },
        roots: backend.pull_ca_file.clone(),
    }
}

pub(super) fn media(config: &Serve) -> media::Settings {
    let storage = &config.storage;
    media::Settings {
        max_file_size: storage.max_file_size,
        keep_metadata: storage.keep_exif,
        thumbnail_cache: storage.thumbnail_cache << 20,
        thumbnail_memory: storage.thumbnail_memory << 20,
    }
}

pub(super) fn compaction_policy(config: &Serve) -> store::CompactionPolicy {
    store::CompactionPolicy {
        ratio: config.storage.compact_ratio,
        min_bytes: config.storage.compact_min_size << 20,
    }
}

pub(super) fn engine_config(config: &Serve) -> engineio::Config {
    let protocol = &config.protocol;
    let rate = |limit| if config.rules.no_rate_limit { 0 } else { limit };
    engineio::Config {
        path: "/socket.io".to_owned(),
        ping_interval: Duration::from_millis(protocol.ping_interval),
        ping_timeout: Duration::from_millis(protocol.ping_timeout),
        upgrade_timeout: Duration::from_millis(protocol.upgrade_timeout),
        body_deadline: Duration::from_millis(protocol.body_timeout),
        max_payload: protocol.max_payload as usize,
        transports: Transports {
            polling: protocol.transports.contains(&TransportName::Polling),
            websocket: protocol.transports.contains(&TransportName::Websocket),
        },
        max_sessions: config.network.max_connections as usize,
        max_sessions_per_address: protocol.max_sessions_per_address as usize,
        max_unaccepted: protocol.max_unauthenticated as usize,
        max_messages_per_second: rate(protocol.max_events_per_second),
        max_bytes_per_second: rate(protocol.max_bytes_per_second),
        max_packets_per_post: protocol.max_packets_per_post as usize,
        max_fragments: protocol.max_fragments as usize,
        max_outbound_packets: protocol.max_outbound_packets as usize,
        max_outbound_bytes: protocol.max_outbound_bytes as usize,
        kept_headers: vec![hyper::header::AUTHORIZATION],
        shutdown_jitter: Duration::from_secs(1),
        ..engineio::Config::default()
    }
}

pub(super) fn namespace(config: &Serve) -> Namespace {
    let protocol = &config.protocol;
    if protocol.recovery_window == 0 {
        return Namespace::new(realtime::NAMESPACE);
    }
    let recovery = RecoveryConfig {
        window: Duration::from_secs(protocol.recovery_window),
        detection: Duration::from_millis(protocol.ping_interval + protocol.ping_timeout),
        max_events: protocol.recovery_max_events as usize,
        max_bytes: protocol.recovery_max_bytes as usize,
        max_sockets: protocol.recovery_max_sockets as usize,
        max_missed: protocol.recovery_max_missed as usize,
    };
    Namespace::with_recovery(realtime::NAMESPACE, recovery)
}

pub(super) fn socketio_config(config: &Serve) -> socketio::Config {
    let protocol = &config.protocol;
    socketio::Config {
        connect_timeout: Duration::from_millis(protocol.connect_timeout),
        attachment_timeout: Duration::from_millis(protocol.attachment_timeout),
        max_attachments: protocol.max_attachments as usize,
        max_attachment_bytes: protocol.max_payload as usize,
        max_namespace_bytes: protocol.max_namespace_length as usize,
        max_event_name_bytes: protocol.max_event_name_length as usize,
        max_json_depth: protocol.max_json_depth as usize,
    }
}
