//! What a backend's answer says of a user or a pet, in the shapes that such backends have: with or without an envelope, `_id` or `id`,
//! `name` or `fullName`, pictures as texts or objects. It asks nobody and stores nothing.

use serde_json::{Map, Value, json};

use crate::chat::Profile;
use crate::id::{PetId, UserId};
use crate::model::Pet;
use crate::pet_document;

/// Members that may hold a user, and that only a user has.
const USER: Shape = Shape {
    envelopes: &["data", "user", "profile", "result"],
    own: &["name", "fullName"],
};
/// Members that may hold a pet, and that only a pet has.
const PET: Shape = Shape {
    envelopes: &["data", "pet", "listing", "result"],
    own: &["title", "images", "price"],
};
/// Envelopes inside each other.
const MAX_ENVELOPES: usize = 3;
/// Members that may name a pet's owner, the most explicit first.
const OWNERS: [&str; 4] = ["owner", "userId", "user", "seller"];

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Senseless {
    #[error("it says success: false")]
    Unsuccessful,
    #[error("it holds no object that describes anything")]
    NoObject,
    #[error("it is about another id than was asked for")]
    AnotherId,
    #[error("it says nothing of the user")]
    NothingSaid,
    #[error("the owner is named by no id")]
    Owner,
    #[error(transparent)]
    Pet(#[from] pet_document::Error),
}

/// How to tell a thing from its envelope.
struct Shape {
    envelopes: &'static [&'static str],
    own: &'static [&'static str],
}

/// A pet, and whom it names as its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) pet: Pet,
    /// With whatever is said of them beside the id.
    pub(super) owner: Option<Profile>,
}

/// What the answer says of the user `id`.
pub(super) fn profile(id: &UserId, answer: Value) -> Result<Profile, Senseless> {
    let fields = unwrapped(answer, &USER)?;
    // The token says who asks; an answer that says nothing of whom it is about is about them.
    if named(&fields).is_some_and(|named| named != id.as_str()) {
        return Err(Senseless::AnotherId);
    }
    let profile = described(id.clone(), &fields);
    if profile.name.is_none() && profile.email.is_none() && profile.picture.is_none() {
        return Err(Senseless::NothingSaid);
    }
    Ok(profile)
}

/// What the answer says of the pet `id`; fields that mean nothing here are kept as they came.
pub(super) fn pet(id: &PetId, answer: Value) -> Result<Listing, Senseless> {
    let mut fields = unwrapped(answer, &PET)?;
    if named(&fields).is_some_and(|named| named != id.as_str()) {
        return Err(Senseless::AnotherId);
    }
    if !fields.get("title").is_some_and(Value::is_string)
        && let Some(name) = text(&fields, &["name"])
    {
        fields.insert("title".to_owned(), Value::String(name));
    }
    let images = pictures(fields.get("images"));
    fields.insert("images".to_owned(), images);
    let owner = owner(&mut fields)?;
    let pet = pet_document::read(id.clone(), Value::Object(fields))?;
    Ok(Listing { pet, owner })
}

/// The innermost object of the envelopes: the first that has an id or one of the fields that only the thing itself has.
fn unwrapped(answer: Value, shape: &Shape) -> Result<Map<String, Value>, Senseless> {
    let mut value = answer;
    for _ in 0..=MAX_ENVELOPES {
        let Value::Object(mut fields) = value else {
            return Err(Senseless::NoObject);
        };
        if fields.get("success") == Some(&Value::Bool(false)) {
            return Err(Senseless::Unsuccessful);
        }
        if named(&fields).is_some() || shape.own.iter().any(|name| fields.contains_key(*name)) {
            return Ok(fields);
        }
        let inner = shape
            .envelopes
            .iter()
            .find(|name| fields.get(**name).is_some_and(Value::is_object));
        let Some(inner) = inner.and_then(|name| fields.remove(*name)) else {
            return Err(Senseless::NoObject);
        };
        value = inner;
    }
    Err(Senseless::NoObject)
}

/// The id of an object; a number is taken for its digits.
fn named(fields: &Map<String, Value>) -> Option<String> {
    ["_id", "id"]
        .iter()
        .find_map(|name| id_text(fields.get(*name)?))
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The first of these members that is a text with something in it.
fn text(fields: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let text = fields.get(*name)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

fn described(id: UserId, fields: &Map<String, Value>) -> Profile {
    let picture = ["profilePicture", "profileImage", "picture"]
        .iter()
        .find_map(|name| match fields.get(*name)? {
            Value::Object(picture) => text(picture, &["url"]),
            _ => text(fields, &[name]),
        });
    let profile = Profile {
        id,
        name: text(fields, &["name", "fullName"]),
        email: text(fields, &["email"]),
        picture,
        said_at: None,
    };
    profile.bounded()
}

/// A list of objects with `url`, whatever the backend has: texts, objects, one of them, or nothing.
fn pictures(images: Option<&Value>) -> Value {
    let picture = |image: &Value| match image {
        Value::String(url) => Some(json!({ "url": url })),
        Value::Object(_) => Some(image.clone()),
        _ => None,
    };
    match images {
        Some(Value::Array(images)) => images.iter().filter_map(picture).collect(),
        Some(image) => picture(image).into_iter().collect(),
        None => json!([]),
    }
}

/// Finds the owner and sees to it that the member `owner` names them as a pet's document does.
fn owner(fields: &mut Map<String, Value>) -> Result<Option<Profile>, Senseless> {
    let mut is_named = false;
    for name in OWNERS {
        let (id, said) = match fields.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(said)) => (named(said), Some(said)),
            Some(value) => (id_text(value), None),
        };
        is_named = true;
        let Some(id) = id.and_then(|id| id.parse::<UserId>().ok()) else {
            continue;
        };
        let nothing = Map::new();
        let profile = described(id, said.unwrap_or(&nothing));
        let has_id = |said: &Map<String, Value>| said.get("_id").is_some_and(Value::is_string);
        if name != "owner" || !said.is_some_and(has_id) {
            fields.insert("owner".to_owned(), json!(profile.id));
        }
        return Ok(Some(profile));
    }
    if is_named {
        return Err(Senseless::Owner);
    }
    Ok(None)
}
