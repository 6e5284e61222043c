//! Jivbook chat: a chat server for pet marketplaces in one self-contained binary.
//!
//! Buyers ask sellers about a pet, people message each other; an app talks REST under `/api/chat` and Socket.IO. What was
//! acknowledged survives a power cut, once, in one order. This page is the map; a reader should know the house after it.
//!
//! # The rooms
//!
//! ```text
//! main ─▶ commands ─▶ server                  flags, signals, banner ─▶ composition root: open, accept, dispatch, drain
//!                       │
//!          ┌────────────┼───────────┬──────────────┐
//!         api        realtime      web            cors      REST · Socket.IO · the pages · who may call from a browser
//!          │            │ └─▶ socketio ─▶ engineio          the protocol layer: knows nothing of chat
//!          ├─▶ access ◀─┤ ─▶ auth, backend                    token ─▶ user, one check for both edges; what an existing backend knows
//!          ├─▶ input, view ◀┤                                JSON in and out, one shape for both edges
//!          ├─▶ media, pet_document                           files by their bytes; a pet as the host describes it
//!          ├─▶ disposal                                      what has to go: erased people, old messages, files nobody shows
//!          │            │          exchange ◀─ commands       out of a stopped server and into one, and from MongoDB
//!          │            │
//!          └──▶ chat ◀──┘                                    the rules, each written once; what happened leaves as events
//!                 │
//!         guard ◀─┤ ─▶ limits                                  how often a user and an address may do a thing; the edges ask it too
//!     metrics ◀─ api, realtime, chat, store                   what happens, counted where it does; `server` shows it
//!     audit ◀─ api                                            what admins did, written down
//!               store ─▶ journal                             typed tables ─▶ the log that is the truth (sled is its index)
//!               ▲ │         ▲
//!               │ └──▶ archive ─▶ media                      its form on disk, which an older schema is kept in too ─▶ its files
//!               │       ▲
//!              backup ──┘                                   one consistent state, taken and put back
//! ```
//!
//! In reading order: [`id`] and [`model`] (the words), [`chat`] (the rules), [`store`] and [`journal`] (the disk), [`engineio`] and
//! [`socketio`] (the protocols), [`realtime`] and [`api`] (the edges), [`server`] (all of it together). The arrows are a test:
//! `tests/it/architecture.rs`. What "promise P5" means in the source is in `docs/promises.md`.
//!
//! # How a message travels
//!
//! ```text
//! text frame ▶ engineio packet ▶ socketio packet ▶ realtime::events (one `match`) ▶ typed request
//!   ▶ chat::Service::send_message                        the rule, as one job
//!     ▶ writer thread: participant? blocked? a retry? next seq; stage message, chat, counters, indexes
//!     ▶ group: append to the journal, one fdatasync, show it to readers, then on_commit in job order ▶ events, replies
//!     ▶ later, many groups at a time, on a thread of its own: into sled
//!   ▶ realtime::delivery: view::message ▶ bytes once ▶ the room of each participant ▶ each socket's bounded queue
//!   ▶ ack to the sender, in the order of its sends: realtime::answers holds up to 32 of one socket, so that they share a group
//! ```
//!
//! REST enters at the typed request and leaves with 201; everything between is the same code.
//!
//! # Invariants
//!
//! 1. The protocol layer knows nothing of chat: the echo examples are built on it alone. *Guard: the architecture test.*
//! 2. Codecs (`packet`, `payload`, `frame`) are pure and never panic. *Guard: property tests on any bytes.*
//! 3. Each rule is written once, in [`chat`]. *Guard: one scenario table runs through both edges and compares.*
//! 4. Handlers never broadcast: what happened comes out as a [`chat::Event`]; only `realtime::delivery` emits it.
//! 5. One thread appends to the journal and decides what is true; the index and the base are made from it by others, and may be
//!    thrown away. Acknowledged ⇒ in the journal and synced; delivered ⇒ the same. The stored order, `seq`, is the delivered order. *Guard: kill and damage tests.*
//! 6. Every queue is bounded; nobody waits for a slow reader; a full outbound queue ends its own session as a slow consumer.
//!    *Guard: `.clippy.toml` bans unbounded channels.*
//! 7. One task owns a session's life; when it returns the session has left the table and `on_close` has run, once.
//! 8. No lock is held across an `.await` (*guard: clippy*); every lock is private to one file; no function takes two, but for
//!    `socketio::recovery`: the numbers of events must grow in every queue, so it is held while one is queued; and but for [`store`],
//!    whose order is `maintenance`, `draining`, `state`, `row_cache`.
//! 9. No panic on a path a client can reach; a panic in one connection never ends another (`panic = "unwind"`).
//! 10. A failed sync is fatal: log, exit non-zero; recovery on start.
//! 11. JSON out is in [`view`]; JSON in is beside the route or event that reads it, and in [`input`] where both read the same; bytes on
//!     disk are in `store::codec`, with a version byte.

pub mod id;
pub mod model;

pub mod audit;

pub mod chat;
pub mod guard;
pub mod limits;
pub mod metrics;

pub mod journal;
pub mod store;

pub mod engineio;
pub mod socketio;

pub mod access;
pub mod auth;
pub mod backend;
pub mod disposal;
pub mod input;
pub mod media;
pub mod pet_document;
pub mod view;

pub mod archive;
pub mod backup;

pub mod api;
pub mod cors;
pub mod exchange;
pub mod realtime;
pub mod web;

pub mod commands;
pub mod config;
pub mod server;

/// The example in the documentation compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/protocol.md")]
struct Documentation;
