//! Checks on JSON that is passed on verbatim: well-formed, not too deep, no number that overflows. Pure, linear, without recursion.

use serde_json::value::RawValue;

/// The text is not JSON we pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not well-formed, or followed by something else.
    #[error("malformed JSON")]
    Malformed,
    /// More arrays and objects inside each other than allowed.
    #[error("JSON nested too deeply")]
    TooDeep,
    /// A number that is infinite as a double, which some receivers would turn into `null`.
    #[error("number out of range")]
    NumberRange,
}

/// Checks one JSON value that makes up the whole text.
pub fn check(text: &str, max_depth: usize) -> Result<(), JsonError> {
    scan(text.as_bytes(), max_depth)?;
    serde_json::from_str::<&RawValue>(text)
        .map(|_| ())
        .map_err(|_| JsonError::Malformed)
}

fn scan(text: &[u8], max_depth: usize) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at),
            b'[' | b'{' => {
                depth += 1;
                if depth > max_depth {
                    return Err(JsonError::TooDeep);
                }
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                if is_infinite(&text[at..end]) {
                    return Err(JsonError::NumberRange);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// The position after the string that starts at `at`, or the end of the text.
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_end(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .map_or(text.len(), |length| at + length)
}

fn is_infinite(number: &[u8]) -> bool {
    // A double holds every number of up to 308 digits.
    if number.len() <= 308 && !number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return false;
    }
    str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse::<f64>().ok())
        .is_some_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_is_exact_and_strings_do_not_count() {
        assert_eq!(check("[[[]]]", 3), Ok(()));
        assert_eq!(check("[[[[]]]]", 3), Err(JsonError::TooDeep));
        assert_eq!(check(r#"["[[[[\"[[[["]"#, 1), Ok(()));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(check(&deep, 64), Err(JsonError::TooDeep));
        assert_eq!(check(&deep, usize::MAX), Ok(()));
    }

    #[test]
    fn numbers_must_be_finite() {
        let long = |digits| format!("1{}", "0".repeat(digits));
        for (number, expected) in [
            ("1e400".to_owned(), Err(JsonError::NumberRange)),
            ("-1E309".to_owned(), Err(JsonError::NumberRange)),
            (long(400), Err(JsonError::NumberRange)),
            (long(300), Ok(())),
            ("1e308".to_owned(), Ok(())),
            ("1e-400".to_owned(), Ok(())),
            ("-0".to_owned(), Ok(())),
            ("18446744073709551616".to_owned(), Ok(())),
            ("NaN".to_owned(), Err(JsonError::Malformed)),
            ("Infinity".to_owned(), Err(JsonError::Malformed)),
            ("1-1".to_owned(), Err(JsonError::Malformed)),
        ] {
            assert_eq!(check(&number, 8), expected, "{number}");
        }
    }

    #[test]
    fn nothing_may_follow() {
        assert_eq!(check("[1]zzz", 8), Err(JsonError::Malformed));
        assert_eq!(check("[1] []", 8), Err(JsonError::Malformed));
        assert_eq!(check("", 8), Err(JsonError::Malformed));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = check(&text, 4);
        }

        #[test]
        fn takes_what_serde_writes(value in proptest::collection::vec(any::<(String, i64, bool)>(), 0..5)) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(check(&text, 8), Ok(()));
        }
    }
}
