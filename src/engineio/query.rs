//! Query strings: the last value of a name, percent-decoded. Pure.

/// The last value of `name` in a raw query, or `None` if it does not occur. Invalid escapes stay, and invalid UTF-8 is replaced.
pub(super) fn last_value(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
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
