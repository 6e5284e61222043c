//! Attachments inside JSON: finds `{"_placeholder":true,"num":k}` and renumbers, so that what is passed on means the same to every
//! receiver. Pure; expects JSON that has been checked.

use super::json::string_end;

/// JSON whose placeholders are numbered from 0, and which of the received attachments belongs to each number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Normalised {
    pub(super) json: String,
    /// Received positions in their new order. An attachment nothing refers to is not among them.
    pub(super) order: Vec<usize>,
}

/// A placeholder that names no attachment, or is not only a placeholder: a receiver would take it for something else than we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid placeholder")]
pub(super) struct InvalidPlaceholder;

#[derive(Debug)]
struct Placeholder {
    start: usize,
    end: usize,
    number: usize,
}

/// Orders the placeholders by number, as the reference does, not by appearance.
pub(super) fn normalise(json: &str, attachments: usize) -> Result<Normalised, InvalidPlaceholder> {
    let mut scanner = Scanner {
        text: json.as_bytes(),
        at: 0,
        attachments,
        found: Vec::new(),
    };
    scanner.value()?;
    let found = scanner.found;
    let mut order: Vec<usize> = found.iter().map(|placeholder| placeholder.number).collect();
    order.sort_unstable();
    order.dedup();
    let mut normalised = String::with_capacity(json.len());
    let mut copied = 0;
    for Placeholder { start, end, number } in found {
        let number = order
            .binary_search(&number)
            .map_err(|_| InvalidPlaceholder)?;
        normalised.push_str(json.get(copied..start).unwrap_or_default());
        normalised.push_str(&text(number));
        copied = end;
    }
    normalised.push_str(json.get(copied..).unwrap_or_default());
    Ok(Normalised {
        json: normalised,
        order,
    })
}

fn text(number: usize) -> String {
    format!(r#"{{"_placeholder":true,"num":{number}}}"#)
}

/// Walks checked JSON; recursion is bounded by the depth it was checked for.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    attachments: usize,
    found: Vec<Placeholder>,
}

impl<'a> Scanner<'a> {
    /// The text of the next value.
    fn value(&mut self) -> Result<&'a [u8], InvalidPlaceholder> {
        self.skip_space();
        let start = self.at;
        match self.text.get(start) {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => self.at = string_end(self.text, start),
            _ => self.scalar(),
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn array(&mut self) -> Result<(), InvalidPlaceholder> {
        self.at += 1;
        while !self.closes(b']') {
            self.value()?;
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), InvalidPlaceholder> {
        let start = self.at;
        self.at += 1;
        let mut is_placeholder = false;
        let mut number = None;
        let mut keys = 0;
        while !self.closes(b'}') {
            let key = unescape(self.value()?);
            self.skip_space();
            self.at += 1;
            let value = self.value()?;
            keys += 1;
            match key.as_str() {
                "_placeholder" => is_placeholder = value == b"true",
                "num" => number = Some(value),
                _ => {}
            }
        }
        if is_placeholder {
            let number = number.filter(|_| keys == 2).ok_or(InvalidPlaceholder)?;
            let number = self.number(number)?;
            self.found.push(Placeholder {
                start,
                end: self.at,
                number,
            });
        }
        Ok(())
    }

    fn number(&self, digits: &[u8]) -> Result<usize, InvalidPlaceholder> {
        str::from_utf8(digits)
            .ok()
            .filter(|_| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number < self.attachments)
            .ok_or(InvalidPlaceholder)
    }

    /// Always moves on, so that a text that is not JSON after all comes to an end.
    fn scalar(&mut self) {
        self.at += 1;
        while self
            .text
            .get(self.at)
            .is_some_and(|byte| !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n'))
        {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while self
            .text
            .get(self.at)
            .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        {
            self.at += 1;
        }
    }

    /// Passes the separator or the end of an array or object; true at its end, and at the end of a text that is not JSON after all.
    fn closes(&mut self, end: u8) -> bool {
        self.skip_space();
        match self.text.get(self.at) {
            Some(b',') => {
                self.at += 1;
                false
            }
            Some(byte) if *byte == end => {
                self.at += 1;
                true
            }
            Some(_) => false,
            None => true,
        }
    }
}

fn unescape(key: &[u8]) -> String {
    serde_json::from_slice(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(json: &str, attachments: usize) -> (String, Vec<usize>) {
        let Normalised { json, order } = normalise(json, attachments).unwrap();
        (json, order)
    }

    #[test]
    fn order_is_by_number_and_numbers_are_dense() {
        assert_eq!(
            normal(
                r#"["a",{"num":3, "_placeholder" : true},{"x":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":3}]"#,
                4
            ),
            (
                r#"["a",{"_placeholder":true,"num":1},{"x":[{"_placeholder":true,"num":0}]},{"_placeholder":true,"num":1}]"#
                    .to_owned(),
                vec![1, 3]
            )
        );
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        for json in [
            r#"["a",{"_placeholder":false,"num":9}]"#,
            r#"["a",{"_placeholder":1,"num":9}]"#,
            r#"["a",{"num":9}]"#,
            r#"["{\"_placeholder\":true,\"num\":9}"]"#,
            "[ ]",
            "[-1.5e3, null ,{} ]",
        ] {
            assert_eq!(normal(json, 1), (json.to_owned(), vec![]));
        }
    }

    #[test]
    fn a_placeholder_must_name_an_attachment_and_nothing_else() {
        for json in [
            r#"[{"_placeholder":true,"num":10}]"#,
            r#"[{"_placeholder":true,"num":-1}]"#,
            r#"[{"_placeholder":true,"num":"splice"}]"#,
            r#"[{"_placeholder":true,"num":0.5}]"#,
            r#"[{"_placeholder":true,"num":1e0}]"#,
            r#"[{"_placeholder":true}]"#,
            r#"[{"_placeholder":true,"num":0,"x":1}]"#,
            r#"[{"_placeholder":true,"num":0,"num":0}]"#,
            r#"[{"_place\u0068older":true,"num":9}]"#,
            r#"[{"_placeholder":true,"num":{"_placeholder":true,"num":0}}]"#,
        ] {
            assert_eq!(normalise(json, 2), Err(InvalidPlaceholder), "{json}");
        }
    }

    #[test]
    fn a_text_that_is_no_json_comes_to_an_end() {
        for text in ["[}", "{]", "{0", "{\"a\"", "[\"", "{,", "[,,", ""] {
            let _ = normalise(text, 1);
        }
    }

    proptest! {
        #[test]
        fn never_panics_or_hangs(text in r#"[\[\]{}",:truenum_placholder0-9 \\]{0,60}"#) {
            let _ = normalise(&text, 3);
        }
    }
}
