//! Many users or pets in one request, each answered by itself.

use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::api::body::RequestBody;
use crate::api::response::{Body, succeeded};
use crate::api::{Failure, request};

/// Rows in one batch.
const MAX_ROWS: usize = 1000;
/// Largest body of a batch, in bytes.
const MAX_BATCH: usize = 8 << 20;

pub(super) async fn rows(
    request: Request<RequestBody>,
) -> Result<Vec<Map<String, Value>>, Failure> {
    let rows: Vec<Map<String, Value>> = request::array(request, MAX_BATCH).await?;
    if rows.len() > MAX_ROWS {
        return Err(Failure::invalid_request(
            "A batch may have at most 1000 rows",
        ));
    }
    Ok(rows)
}

/// Each row is answered by itself: one that is refused does not hold up the others.
pub(super) fn outcome(row: &Map<String, Value>, result: Result<(), Failure>) -> Value {
    let id = row.get("_id").cloned().unwrap_or_default();
    match result {
        Ok(()) => json!({ "_id": id, "success": true }),
        Err(Failure { code, message, .. }) => {
            json!({ "_id": id, "success": false, "error": code, "message": message })
        }
    }
}

pub(super) fn batch(results: &[Value]) -> Result<Response<Body>, Failure> {
    let stored = results.iter().filter(|row| row["success"] == true).count();
    let data = json!({ "stored": stored, "refused": results.len() - stored, "rows": results });
    succeeded(StatusCode::OK, "Batch processed", data)
}
