//! A pet as the host describes it: one JSON object. Reads what chat needs, fills in what clients rely on, and keeps every other field
//! as it came.

use serde_json::{Map, Value, json};

use crate::id::PetId;
use crate::model::Pet;

/// Largest document, in bytes of JSON.
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// The title of a pet that has none any more.
const NAMELESS: &str = "Removed listing";

/// Why a document is no pet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The document is not an object.
    #[error("a pet must be a JSON object")]
    NotAnObject,
    /// `title` is missing or no text.
    #[error("a pet needs a title")]
    Title,
    /// `owner` is neither an id nor an object with one.
    #[error("owner must be a user id")]
    Owner,
    /// `images` is not a list.
    #[error("images must be a list")]
    Images,
    /// Too large.
    #[error("a pet may have at most 65536 bytes of JSON")]
    TooLarge,
}

/// Reads the document of the pet `id`. `owner` may be an id or an object with `_id`.
pub fn read(id: PetId, document: Value) -> Result<Pet, Error> {
    let Value::Object(mut fields) = document else {
        return Err(Error::NotAnObject);
    };
    if !fields.get("title").is_some_and(Value::is_string) {
        return Err(Error::Title);
    }
    let owner = match fields.get("owner") {
        None | Some(Value::Null) => None,
        Some(Value::String(owner)) => Some(owner.parse().map_err(|_| Error::Owner)?),
        Some(owner) => {
            let id = owner
                .get("_id")
                .and_then(Value::as_str)
                .ok_or(Error::Owner)?;
            Some(id.parse().map_err(|_| Error::Owner)?)
        }
    };
    if !fields
        .entry("images")
        .or_insert_with(|| json!([]))
        .is_array()
    {
        return Err(Error::Images);
    }
    fields.entry("price").or_insert(Value::Null);
    fields.entry("address").or_insert(Value::Null);
    let document = with_id(&id, fields).to_string();
    if document.len() > MAX_DOCUMENT {
        return Err(Error::TooLarge);
    }
    Ok(Pet {
        id,
        owner,
        document,
    })
}

/// What the chats of a removed pet show: its last title, and that it is removed.
pub fn removed(pet: &Pet) -> Pet {
    let known: Option<Map<String, Value>> = serde_json::from_str(&pet.document).ok();
    let title = known.and_then(|mut known| known.remove("title"));
    stub(&pet.id, &title.unwrap_or_else(|| json!(NAMELESS)))
}

/// The same of a pet of somebody who was erased: its title was theirs.
pub fn erased(id: &PetId) -> Pet {
    stub(id, &json!(NAMELESS))
}

fn stub(id: &PetId, title: &Value) -> Pet {
    let document = json!({
        "_id": id, "title": title, "images": [], "price": null, "address": null, "isRemoved": true,
    });
    Pet {
        id: id.clone(),
        owner: None,
        document: document.to_string(),
    }
}

/// `_id` first, and always the pet's own.
fn with_id(id: &PetId, mut fields: Map<String, Value>) -> Value {
    fields.shift_remove("_id");
    let mut document = Map::from_iter([("_id".to_owned(), json!(id))]);
    document.append(&mut fields);
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pet(document: Value) -> Result<Pet, Error> {
        read("p1".parse().unwrap(), document)
    }

    #[test]
    fn unknown_fields_are_kept_in_their_order() {
        let pet = pet(
            json!({"title": "Beagle", "zebra": 1, "owner": {"_id": "u1"}, "age": {"months": 3}}),
        )
        .unwrap();
        assert_eq!(
            pet.document,
            r#"{"_id":"p1","title":"Beagle","zebra":1,"owner":{"_id":"u1"},"age":{"months":3},"images":[],"price":null,"address":null}"#
        );
        assert_eq!(pet.owner, Some("u1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_pet_is_refused() {
        assert_eq!(pet(json!([])).unwrap_err(), Error::NotAnObject);
        assert_eq!(pet(json!({})).unwrap_err(), Error::Title);
        assert_eq!(
            pet(json!({"title": "x", "owner": 5})).unwrap_err(),
            Error::Owner
        );
        assert_eq!(
            pet(json!({"title": "x", "owner": "a b"})).unwrap_err(),
            Error::Owner
        );
        assert_eq!(
            pet(json!({"title": "x", "images": "a"})).unwrap_err(),
            Error::Images
        );
        assert_eq!(
            pet(json!({"title": "x".repeat(MAX_DOCUMENT)})).unwrap_err(),
            Error::TooLarge
        );
    }
}
