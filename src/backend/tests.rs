//! What the answers of backends mean, variant by variant. How they are asked for is tested against a backend, in `tests/it`.

use serde_json::{Value, json};

use super::answer::{Listing, Senseless, pet, profile};
use crate::chat::Profile;

fn user(answer: Value) -> Result<Profile, Senseless> {
    profile(&"u1".parse().unwrap(), answer)
}

fn listing(answer: Value) -> Result<Listing, Senseless> {
    pet(&"p1".parse().unwrap(), answer)
}

fn document(answer: Value) -> Value {
    serde_json::from_str(&listing(answer).unwrap().pet.document).unwrap()
}

fn owner(answer: Value) -> Option<String> {
    let Listing { pet, owner } = listing(answer).unwrap();
    let id = pet.owner.map(|id| id.to_string());
    assert_eq!(
        owner.map(|owner| owner.id.to_string()),
        id,
        "one and the same"
    );
    id
}

#[test]
fn a_profile_is_found_in_every_envelope() {
    let bare = json!({"_id": "u1", "name": "Asha", "email": "a@b", "profilePicture": "/a.png"});
    let whole = user(bare.clone()).unwrap();
    assert_eq!(whole.name.as_deref(), Some("Asha"));
    assert_eq!(whole.email.as_deref(), Some("a@b"));
    assert_eq!(whole.picture.as_deref(), Some("/a.png"));
    for answer in [
        json!({"success": true, "data": bare}),
        json!({"success": true, "message": "ok", "data": {"user": bare}}),
        json!({"success": true, "user": bare}),
        json!({"profile": bare}),
        json!({"status": "ok", "result": {"data": {"profile": bare}}}),
    ] {
        assert_eq!(user(answer.clone()).as_ref(), Ok(&whole), "{answer}");
    }
}

#[test]
fn a_profile_has_several_spellings() {
    for (said, name, picture) in [
        (
            json!({"id": "u1", "fullName": "Asha K"}),
            Some("Asha K"),
            None,
        ),
        (
            json!({"id": "u1", "name": " ", "fullName": " Asha "}),
            Some("Asha"),
            None,
        ),
        (
            json!({"id": "u1", "name": "A", "fullName": "B"}),
            Some("A"),
            None,
        ),
        (
            json!({"name": "A", "profileImage": "/i"}),
            Some("A"),
            Some("/i"),
        ),
        (
            json!({"name": "A", "profilePicture": null, "picture": "/p"}),
            Some("A"),
            Some("/p"),
        ),
        (
            json!({"name": "A", "profileImage": {"url": "/o"}}),
            Some("A"),
            Some("/o"),
        ),
        (json!({"name": "A", "profilePicture": 7}), Some("A"), None),
        (
            json!({"name": "A", "profilePicture": "x".repeat(3000)}),
            Some("A"),
            None,
        ),
        (
            json!({"id": "u1", "email": "a@b", "name": "x".repeat(600)}),
            None,
            None,
        ),
    ] {
        let read = user(said.clone()).unwrap();
        assert_eq!(
            (read.name.as_deref(), read.picture.as_deref()),
            (name, picture),
            "{said}"
        );
        assert_eq!(read.id.as_str(), "u1");
    }
}

#[test]
fn what_is_no_profile_is_refused() {
    for (answer, error) in [
        (json!([]), Senseless::NoObject),
        (json!("Asha"), Senseless::NoObject),
        (json!(null), Senseless::NoObject),
        (json!({}), Senseless::NoObject),
        (json!({"data": []}), Senseless::NoObject),
        (
            json!({"data": {"data": {"data": {"data": {"name": "A"}}}}}),
            Senseless::NoObject,
        ),
        (
            json!({"success": false, "message": "no"}),
            Senseless::Unsuccessful,
        ),
        (
            json!({"data": {"success": false, "name": "A"}}),
            Senseless::Unsuccessful,
        ),
        (json!({"_id": "u2", "name": "B"}), Senseless::AnotherId),
        (
            json!({"data": {"id": 7, "name": "B"}}),
            Senseless::AnotherId,
        ),
        (json!({"_id": "u1"}), Senseless::NothingSaid),
        (json!({"_id": "u1", "name": ["A"]}), Senseless::NothingSaid),
    ] {
        assert_eq!(user(answer.clone()), Err(error), "{answer}");
    }
}

#[test]
fn a_pet_is_found_in_every_envelope_and_kept_whole() {
    let bare = json!({"_id": "p1", "title": "Beagle", "images": [], "price": 5, "address": "Delhi", "breed": {"a": [1]}, "sold": true});
    for answer in [
        bare.clone(),
        json!({"success": true, "data": bare}),
        json!({"success": true, "data": {"pet": bare}}),
        json!({"pet": bare, "user": {"_id": "viewer", "name": "V"}}),
        json!({"listing": bare}),
    ] {
        assert_eq!(document(answer.clone()), bare, "{answer}");
    }
}

#[test]
fn a_pet_has_several_spellings() {
    let read =
        document(json!({"id": "p1", "name": "Rex", "images": "/one.png", "price": "15,000"}));
    assert_eq!(read["title"], "Rex");
    assert_eq!(read["_id"], "p1");
    assert_eq!(read["images"], json!([{"url": "/one.png"}]));
    assert_eq!(
        (&read["price"], &read["address"]),
        (&json!("15,000"), &Value::Null)
    );
    let images =
        |images: Value| document(json!({"title": "T", "images": images}))["images"].clone();
    assert_eq!(
        images(json!(["/a", {"url": "/b", "w": 1}, null, 7])),
        json!([{"url": "/a"}, {"url": "/b", "w": 1}])
    );
    assert_eq!(images(json!(null)), json!([]));
    assert_eq!(images(json!({"url": "/c"})), json!([{"url": "/c"}]));
    let numbered = pet(&"42".parse().unwrap(), json!({"id": 42, "title": "T"}));
    assert_eq!(numbered.unwrap().pet.id.as_str(), "42");
}

#[test]
fn an_owner_is_named_in_several_ways() {
    for (field, expected) in [
        (json!({"owner": "u1"}), Some("u1")),
        (json!({"owner": {"_id": "u1", "name": "Asha"}}), Some("u1")),
        (json!({"owner": {"id": "u1"}}), Some("u1")),
        (json!({"owner": 17}), Some("17")),
        (json!({"userId": "u2"}), Some("u2")),
        (
            json!({"userId": {"_id": "u2", "fullName": "B"}}),
            Some("u2"),
        ),
        (json!({"user": {"id": 9}}), Some("9")),
        (json!({"seller": "u3"}), Some("u3")),
        (json!({"owner": null, "seller": "u3"}), Some("u3")),
        (json!({"owner": "Asha Kumar", "userId": "u1"}), Some("u1")),
        (json!({"userId": "u2", "owner": "u1"}), Some("u1")),
        (json!({}), None),
    ] {
        let mut answer = json!({"_id": "p1", "title": "T"});
        let fields = field.as_object().unwrap().clone();
        answer.as_object_mut().unwrap().extend(fields);
        assert_eq!(owner(answer).as_deref(), expected, "{field}");
    }
    let said = json!({"title": "T", "seller": {"_id": "u3", "fullName": "Chitra", "email": "c@d", "profileImage": {"url": "/c"}}});
    let listing = listing(said.clone()).unwrap();
    let owner = listing.owner.unwrap();
    assert_eq!(owner.name.as_deref(), Some("Chitra"));
    assert_eq!(owner.picture.as_deref(), Some("/c"));
    let kept: Value = serde_json::from_str(&listing.pet.document).unwrap();
    assert_eq!(
        (&kept["seller"], &kept["owner"]),
        (&said["seller"], &json!("u3"))
    );
}

#[test]
fn what_is_no_pet_is_refused() {
    use crate::pet_document::Error;
    for (answer, error) in [
        (json!([]), Senseless::NoObject),
        (json!({"data": null}), Senseless::NoObject),
        (json!({"success": false}), Senseless::Unsuccessful),
        (json!({"_id": "p2", "title": "T"}), Senseless::AnotherId),
        (json!({"_id": "p1"}), Error::Title.into()),
        (json!({"_id": "p1", "title": 7}), Error::Title.into()),
        (
            json!({"_id": "p1", "title": "T", "owner": "a b"}),
            Senseless::Owner,
        ),
        (
            json!({"_id": "p1", "title": "T", "owner": {"name": "x"}}),
            Senseless::Owner,
        ),
        (
            json!({"_id": "p1", "title": "x".repeat(70_000)}),
            Error::TooLarge.into(),
        ),
    ] {
        assert_eq!(listing(answer.clone()), Err(error), "{answer}");
    }
}
