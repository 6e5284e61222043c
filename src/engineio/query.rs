//! Query strings: the last value of a name, percent-decoded. Pure.

/// The last value of `name` in a raw query, or `None` if it does not occur. Invalid escapes and invalid UTF-8 are replaced.
pub(super) fn last_value(query: &str, name: &str) -> Option<String> {
    query
        .rsplit('&')
        .find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key) == name).then_some(value)
        })
        .map(decode)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        match escaped {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None if first == b'+' => bytes.push(b' '),
            None => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_value_wins_and_is_decoded() {
        for (query, expected) in [
            ("EIO=3&EIO=4", Some("4")),
            ("EIO=4&x=1", Some("4")),
            ("E%49O=%34", Some("4")),
            ("EIO=4%00", Some("4\0")),
            ("EIO=a+b%2", Some("a b%2")),
            ("EIO=%ff", Some("\u{fffd}")),
            ("EIO", Some("")),
            ("EIO=", Some("")),
            ("eio=4", None),
            ("", None),
        ] {
            assert_eq!(last_value(query, "EIO").as_deref(), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(query in any::<String>()) {
            let _ = last_value(&query, "sid");
        }
    }
}
