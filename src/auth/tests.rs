//! Tokens that are fine and tokens that are not, as a table.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: u64 = 1_750_000_000;
const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes, "a test", Strength::WeakAllowed).unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(vec![secret(SECRET)], Expiry::Required, Duration::ZERO)
}

fn signed_with(key: &[u8], header: &str, payload: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let key = EncodingKey::from_secret(key);
    let signature = crypto::sign(message.as_bytes(), &key, SHARED).unwrap();
    format!("{message}.{signature}")
}

fn token(payload: &str) -> String {
    signed_with(SECRET, r#"{"alg":"HS256","typ":"JWT"}"#, payload.as_bytes())
}

fn verify(token: &str) -> Result<Claims, AuthError> {
    verifier().verify_at(token, NOW)
}

fn with_header(header: &str) -> Result<Claims, AuthError> {
    let payload = json!({"id": "u1", "exp": NOW + 60}).to_string();
    verify(&signed_with(SECRET, header, payload.as_bytes()))
}

#[test]
fn a_token_of_the_host_is_accepted() {
    let payload = json!({
        "id": "64b0c1", "name": " Asha ", "email": "asha@example.com", "picture": "/p.jpg", "role": ["x"],
        "exp": NOW + 60, "nbf": NOW, "iat": NOW - 5, "aud": "app", "iss": "host", "sub": 7
    });
    let claims = verify(&token(&payload.to_string())).unwrap();
    assert_eq!(
        claims,
        Claims {
            user_id: "64b0c1".parse().unwrap(),
            name: Some("Asha".into()),
            email: Some("asha@example.com".into()),
            profile_picture: Some("/p.jpg".into()),
            issued_at: Some(NOW - 5),
            expires_at: Some(NOW + 60),
        }
    );
}

#[test]
fn the_first_id_claim_counts() {
    let id = |mut claims: serde_json::Value| {
        claims["exp"] = json!(NOW + 1);
        verify(&token(&claims.to_string())).map(|claims| claims.user_id.to_string())
    };
    let all = json!({"sub": "s", "userId": "u", "_id": "m", "id": "i"});
    assert_eq!(id(all), Ok("i".into()));
    assert_eq!(
        id(json!({"sub": "s", "userId": "u", "_id": "m"})),
        Ok("m".into())
    );
    assert_eq!(id(json!({"sub": "s", "userId": "u"})), Ok("u".into()));
    assert_eq!(id(json!({"sub": "s", "id": null})), Ok("s".into()));
    for useless in [
        json!({}),
        json!({"id": 7}),
        json!({"id": 7, "sub": "s"}),
        json!({"id": ""}),
        json!({"id": "", "sub": "s"}),
        json!({"id": ["u"]}),
        json!({"id": {"$oid": "u"}}),
        json!({"id": "u".repeat(65)}),
        json!({"id": "a b"}),
        json!({"id": "../etc"}),
        json!({"id": "u\u{0}"}),
        json!({"sub": true}),
    ] {
        assert_eq!(id(useless.clone()), Err(AuthError::Invalid), "{useless}");
    }
}

#[test]
fn names_of_the_wrong_type_are_left_out() {
    let payload = json!({"id": "u", "exp": NOW + 1, "name": 7, "email": "", "profilePicture": null, "profileImage": "/q"});
    let claims = verify(&token(&payload.to_string())).unwrap();
    assert_eq!((claims.name, claims.email), (None, None));
    assert_eq!(claims.profile_picture.as_deref(), Some("/q"));
}

#[test]
fn times_are_numbers_and_kept() {
    let outcome = |times: &str| {
        let claims = verify(&token(&format!(r#"{{"id":"u"{times}}}"#)));
        claims.map(|claims| claims.expires_at)
    };
    let at = |seconds: i64| i64::try_from(NOW).unwrap() + seconds;
    assert_eq!(outcome(&format!(r#","exp":{}"#, at(1))), Ok(Some(NOW + 1)));
    assert_eq!(
        outcome(&format!(r#","exp":{}.75"#, at(1))),
        Ok(Some(NOW + 1))
    );
    for (past, expected) in [(0, AuthError::Expired), (-1, AuthError::Expired)] {
        assert_eq!(outcome(&format!(r#","exp":{}"#, at(past))), Err(expected));
    }
    assert_eq!(outcome(r#","exp":0"#), Err(AuthError::Expired));
    for wrong in [
        "",
        r#","exp":null"#,
        r#","exp":"1999999999""#,
        r#","exp":true"#,
        r#","exp":[1999999999]"#,
        r#","exp":{"at":1999999999}"#,
        r#","exp":-1"#,
        r#","exp":-0.5"#,
        r#","exp":1e300"#,
        r#","exp":1e999"#,
        r#","exp":18446744073709551615"#,
        r#","exp":18446744073709551616"#,
        r#","exp":1999999999,"nbf":"0""#,
        r#","exp":1999999999,"nbf":null"#,
        r#","exp":1999999999,"nbf":1999999998"#,
        r#","exp":1999999999,"nbf":-5"#,
        r#","exp":1,"exp":1999999999"#,
        r#","exp":1999999999,"id":"v""#,
    ] {
        assert_eq!(outcome(wrong), Err(AuthError::Invalid), "{wrong}");
    }
}

#[test]
fn a_token_without_an_end_needs_permission() {
    let optional = Verifier::new(vec![secret(SECRET)], Expiry::Optional, Duration::ZERO);
    let forever = token(r#"{"id":"u"}"#);
    assert_eq!(optional.verify_at(&forever, NOW).unwrap().expires_at, None);
    let ended = token(r#"{"id":"u","exp":5}"#);
    assert_eq!(optional.verify_at(&ended, NOW), Err(AuthError::Expired));
    let wrong = token(r#"{"id":"u","exp":"never"}"#);
    assert_eq!(optional.verify_at(&wrong, NOW), Err(AuthError::Invalid));
}

#[test]
fn leeway_is_small_and_works_both_ways() {
    let patient = Verifier::new(
        vec![secret(SECRET)],
        Expiry::Required,
        Duration::from_hours(1),
    );
    let ended = token(&json!({"id": "u", "exp": NOW}).to_string());
    assert!(patient.verify_at(&ended, NOW + 4).is_ok());
    assert_eq!(patient.verify_at(&ended, NOW + 5), Err(AuthError::Expired));
    let early = token(&json!({"id": "u", "exp": NOW + 60, "nbf": NOW}).to_string());
    assert!(patient.verify_at(&early, NOW - 5).is_ok());
    assert_eq!(patient.verify_at(&early, NOW - 6), Err(AuthError::Invalid));
}

#[test]
fn headers_choose_neither_algorithm_nor_key() {
    for ignored in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"../../dev/null","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","jku":"https://evil.example/keys","x5u":"x","x5c":["x"],"jwk":{"kty":"oct","k":"AAAA"}}"#,
    ] {
        assert!(with_header(ignored).is_ok(), "{ignored}");
    }
    for refused in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"["HS256"]"#,
        "HS256",
        "",
    ] {
        assert_eq!(with_header(refused), Err(AuthError::Invalid), "{refused}");
    }
}

#[test]
fn bytes_that_are_no_token_are_refused() {
    let good = token(&json!({"id": "u", "exp": NOW + 60}).to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    assert!(verify(&good).is_ok());
    assert_eq!(verify(""), Err(AuthError::Missing));
    let swapped = token(r#"{"id":"v","exp":1999999999}"#);
    let other_payload = swapped.split('.').nth(1).unwrap();
    for bad in [
        "x".into(),
        "..".into(),
        "...".into(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{message}."),
        message.into(),
        format!("{header}..{signature}"),
        format!("{header}.{other_payload}.{signature}"),
        format!("{message}.{}", "A".repeat(43)),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("Bearer {good}"),
        good.replace('.', "\u{0}"),
        "é.é.é".into(),
        signed_with(
            b"another secret",
            r#"{"alg":"HS256"}"#,
            br#"{"id":"u","exp":1999999999}"#,
        ),
        signed_with(b"", r#"{"alg":"HS256"}"#, br#"{"id":"u","exp":1999999999}"#),
        signed_with(
            SECRET,
            r#"{"alg":"HS256"}"#,
            b"{\"id\":\"\xff\",\"exp\":1999999999}",
        ),
        signed_with(SECRET, r#"{"alg":"HS256"}"#, b"[]"),
        signed_with(SECRET, r#"{"alg":"HS256"}"#, b""),
        signed_with(
            SECRET,
            r#"{"alg":"HS256"}"#,
            b"{\"id\":\"u\",\"exp\":1999999999} x",
        ),
        token(&format!(
            r#"{{"id":"u","exp":1999999999,"deep":{}}}"#,
            "[".repeat(3000)
        )),
        token(&json!({"id": "u", "exp": NOW + 60, "name": "x".repeat(MAX_TOKEN)}).to_string()),
    ] {
        assert_eq!(verify(&bad), Err(AuthError::Invalid), "{bad}");
    }
}

#[test]
fn every_secret_is_tried() {
    let other = b"the secret of last year, also a long one";
    let secrets = vec![secret(SECRET), secret(other)];
    let rotating = Verifier::new(secrets, Expiry::Required, Duration::ZERO);
    let payload = br#"{"id":"u","exp":1999999999}"#;
    for key in [SECRET, other] {
        let token = signed_with(key, r#"{"alg":"HS256"}"#, payload);
        assert!(rotating.verify_at(&token, NOW).is_ok());
    }
    rotating.self_test().unwrap();
}

#[test]
fn nobody_is_let_in_without_a_secret() {
    let none = Verifier::new(Vec::new(), Expiry::Optional, Duration::ZERO);
    let token = signed_with(b"", r#"{"alg":"HS256"}"#, br#"{"id":"u"}"#);
    assert_eq!(none.verify_at(&token, NOW), Err(AuthError::Invalid));
}

#[test]
fn a_minted_token_is_verified() {
    let hour = Duration::from_hours(1);
    let mint = |id| {
        mint(
            &secret(SECRET),
            id,
            Some("Asha"),
            None,
            Some("/a.png"),
            hour,
        )
    };
    let claims = verifier().verify(&mint("asha").unwrap()).unwrap();
    assert_eq!(claims.user_id.as_str(), "asha");
    assert_eq!(claims.name.as_deref(), Some("Asha"));
    assert_eq!(claims.email, None);
    assert_eq!(claims.profile_picture.as_deref(), Some("/a.png"));
    assert!(claims.expires_at.is_some());
    assert_eq!(mint("no id"), Err(AuthError::Invalid));
}

#[test]
fn the_bearer_scheme_has_no_case() {
    for (value, token) in [
        ("Bearer abc", Some("abc")),
        ("bEARER   abc ", Some("abc")),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        ("Bearerabc", None),
    ] {
        assert_eq!(bearer(value), token, "{value}");
    }
}

proptest! {
    #[test]
    fn no_text_is_let_in(text in "\\PC{0,200}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn one_changed_character_is_noticed(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
        let good = token(&json!({"id": "u", "exp": NOW + 60}).to_string());
        let at = at.index(good.len());
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != good);
        prop_assert_eq!(verify(&changed), Err(AuthError::Invalid));
    }
}

#[test]
fn the_host_is_told_the_cause_and_the_remedy() {
    let examine = |token: &str| verifier().examine_at(token, NOW).unwrap_err().to_string();
    let claims = |claims: serde_json::Value| examine(&token(&claims.to_string()));
    let headed = |header: &str| examine(&signed_with(SECRET, header, b"{}"));
    for (said, cause) in [
        (examine("x.y"), "three parts"),
        (examine("x.y.z"), "its header"),
        (headed(r#"{"alg":"none"}"#), "(alg) is \"none\""),
        (headed("{}"), "(alg) is missing"),
        (headed(r#"{"alg":"RS256"}"#), "no public key here"),
        (headed(r#"{"alg":"HS256","crit":[]}"#), "(crit)"),
        (headed(r#"{"alg":"HS256","kid":7}"#), "(kid)"),
        (
            examine(&signed_with(b"another", r#"{"alg":"HS256"}"#, b"{}")),
            "another secret",
        ),
        (claims(json!({"id": "u", "exp": NOW - 9})), "expired"),
        (claims(json!({"id": "u"})), "--allow-tokens-without-exp"),
        (claims(json!({"id": "u", "exp": "soon"})), "claim exp"),
        (
            claims(json!({"id": "u", "exp": NOW + 9, "nbf": NOW + 9})),
            "nbf",
        ),
        (claims(json!({"exp": NOW + 9})), "id, _id, userId or sub"),
        (claims(json!({"id": 42, "exp": NOW + 9})), "id is 42, and"),
        (
            claims(json!({"id": "a b", "exp": NOW + 9})),
            "id \"a b\" cannot",
        ),
    ] {
        assert!(said.contains(cause), "{said}: {cause}");
        assert!(!said.contains('\n'), "{said}");
    }
    let long = json!({"id": "\u{1b}[2J".repeat(100), "exp": NOW + 9});
    let said = claims(long);
    assert!(said.len() < 600 && !said.contains('\u{1b}'), "{said}");
}
