//! What an admin does to people or sees of them is written down before it is done, or it is not done. And the log of it.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::limit;
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::audit::Deed;

/// Who is at the keyboard, as they call themselves; the key alone does not tell. Percent-encoded UTF-8.
const NAME: &str = "x-admin-name";

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::api) struct Admin {
    name: Option<String>,
    peer: Option<SocketAddr>,
}

impl Admin {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let name = request.headers().get(NAME);
        let name = name.and_then(|name| name.to_str().ok());
        let name = name.map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned());
        Self {
            name: name.filter(|name| !name.trim().is_empty()),
            peer: request.extensions().get().copied(),
        }
    }
}

impl Api {
    /// Writes a deed down; what cannot be written down is refused.
    pub(in crate::api) async fn record(
        &self,
        admin: &Admin,
        action: &'static str,
        subject: &str,
    ) -> Result<(), Failure> {
        let deed = Deed {
            action,
            subject: subject.to_owned(),
            by: admin.name.clone(),
            address: admin.peer.map(|peer| peer.ip()),
        };
        let audit = Arc::clone(&self.audit);
        let written = tokio::task::spawn_blocking(move || audit.record(deed)).await;
        written
            .map_err(|_| Failure::internal())?
            .map_err(|error| refused(&error))
    }

    pub(super) async fn list_deeds(
        &self,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let limit = limit(request)?;
        let before = match request::query(request, "before") {
            Some(_) => Some(request::number(request, "before", 1)?),
            None => None,
        };
        let audit = Arc::clone(&self.audit);
        let read = tokio::task::spawn_blocking(move || audit.newest(before, limit)).await;
        let (entries, has_more) = read
            .map_err(|_| Failure::internal())?
            .map_err(|error| refused(&error))?;
        let next = entries.last().filter(|_| has_more).map(|last| last.number);
        let data =
            json!({ "entries": entries, "pagination": { "hasMore": has_more, "next": next } });
        succeeded(StatusCode::OK, "Audit log retrieved successfully", data)
    }
}

fn refused(error: &std::io::Error) -> Failure {
    tracing::error!(%error, "the audit log cannot be used");
    Failure::unavailable("The audit log cannot be used at the moment")
}
