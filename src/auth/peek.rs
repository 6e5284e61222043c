//! What a token says of itself, believed or not: for a person who wonders why it is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The header and the claims as they stand there, unchecked; `None` if this is no JSON Web Token.
pub fn peek(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.');
    let mut object = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        value.is_object().then_some(value)
    };
    Some((object()?, object()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_without_its_key() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6ImFzaGEifQ.anything";
        let (header, claims) = peek(token).unwrap();
        assert_eq!(
            (&header["alg"], &claims["id"]),
            (&"HS256".into(), &"asha".into())
        );
        for wrong in ["", "a.b.c", "eyJhbGciOiJIUzI1NiJ9", "MQ.MQ."] {
            assert!(peek(wrong).is_none(), "{wrong}");
        }
    }
}
