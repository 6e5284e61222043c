//! Who was refused for what looks like a flood: for the host to look at, and to ban or not.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::api::response::{Body, succeeded};
use crate::api::{Api, Failure};
use crate::model::Timestamp;
use crate::view::Time;

impl Api {
    /// The last hundred since the start, the latest first.
    pub(super) fn suspects(&self) -> Result<Response<Body>, Failure> {
        let suspects = self.guard.suspects().into_iter();
        let rows: Vec<Value> = suspects
            .map(|one| {
                json!({
                    "userId": one.user,
                    "refused": one.refused.name(),
                    "times": one.times,
                    "lastAt": Time(Timestamp::from(one.at)),
                })
            })
            .collect();
        let data = json!({ "suspects": rows });
        succeeded(StatusCode::OK, "Suspects retrieved successfully", data)
    }
}
