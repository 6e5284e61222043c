//! What the host says of pets, and that one is no more.

use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::batch::{batch, outcome, rows};
use super::{Admin, Listing, listing};
use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure, request};
use crate::chat::{self, Found};
use crate::id::PetId;
use crate::input::parse_id;
use crate::pet_document;
use crate::view;

impl Api {
    pub(super) async fn list_pets(
        &self,
        request: &Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let Listing {
            prefix,
            search,
            after,
            limit,
        } = listing(request)?;
        let Found { rows, next } = match search {
            Some(text) => self.chat.search_pets(text, after, limit).await?,
            None => self.chat.pets(prefix, after, limit).await?,
        };
        let has_more = next.is_some();
        let shown: Vec<_> = rows.iter().map(view::pet).collect();
        // Not `json!`, which would take documents apart.
        let data = PetList {
            pets: shown,
            pagination: json!({ "hasMore": has_more, "next": next }),
        };
        succeeded(StatusCode::OK, "Pets retrieved successfully", data)
    }

    pub(super) async fn put_pets(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let mut results = Vec::new();
        for row in rows(request).await? {
            results.push(outcome(&row, self.pet_row(&row).await));
        }
        batch(&results)
    }

    pub(super) async fn put_pet(
        &self,
        id: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Failure> {
        let id: PetId = parse_id(id, "petId")?;
        self.upsert_pet(&id, request::object(request).await?)
            .await?;
        self.show_pet(id, "Pet stored successfully").await
    }

    pub(super) async fn remove_pet(
        &self,
        id: &str,
        admin: &Admin,
    ) -> Result<Response<Body>, Failure> {
        let id: PetId = parse_id(id, "petId")?;
        self.chat.pet(id.clone()).await?;
        self.record(admin, "pet.removed", id.as_str()).await?;
        self.chat
            .remove_pet(id.clone(), pet_document::removed)
            .await?;
        let data = json!({ "_id": id });
        succeeded(StatusCode::OK, "Pet removed successfully", data)
    }

    pub(super) async fn show_pet(
        &self,
        id: PetId,
        message: &str,
    ) -> Result<Response<Body>, Failure> {
        let pet = self.chat.pet(id).await?;
        succeeded(StatusCode::OK, message, view::pet(&pet))
    }

    async fn pet_row(&self, row: &Map<String, Value>) -> Result<(), Failure> {
        let id = row
            .get("_id")
            .and_then(Value::as_str)
            .ok_or(chat::Error::InvalidId("_id"))?;
        self.upsert_pet(&parse_id(id, "_id")?, row.clone()).await
    }

    /// Fields that are given replace those that are known; the others stay.
    async fn upsert_pet(&self, id: &PetId, fields: Map<String, Value>) -> Result<(), Failure> {
        let pet_id = id.clone();
        let merge = move |known: Option<&str>| {
            let known = known.and_then(|document| serde_json::from_str(document).ok());
            let mut merged: Map<String, Value> = known.unwrap_or_default();
            merged.extend(fields);
            pet_document::read(pet_id, Value::Object(merged))
        };
        let merged = self.chat.upsert_pet(id.clone(), merge).await?;
        merged.map_err(|error| Failure::invalid_request(error.to_string()))
    }
}

#[derive(serde::Serialize)]
struct PetList<'a> {
    pets: Vec<Option<&'a serde_json::value::RawValue>>,
    pagination: Value,
}
