//! The header `Range` (RFC 9110 §14): which bytes of a file a client asks for. Pure.

use std::ops::Range;

/// What to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ranged {
    /// All of it: nothing was asked, or nothing that is understood.
    Whole,
    /// These bytes; never empty, always within the file.
    Part(Range<u64>),
    /// Well asked, but there are no such bytes.
    Unsatisfiable,
}

/// Several ranges at once are answered whole: "A server MAY ignore the Range header field."
pub(super) fn parse(header: &str, size: u64) -> Ranged {
    let Some((unit, spec)) = header.split_once('=') else {
        return Ranged::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Ranged::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Ranged::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => part(first, last.saturating_add(1), size),
        (Some(first), None) if last.is_empty() => part(first, size, size),
        // The last so many bytes; of a shorter file, all.
        (None, Some(count)) if first.is_empty() => part(size.saturating_sub(count), size, size),
        _ => Ranged::Whole,
    }
}

fn part(start: u64, end: u64, size: u64) -> Ranged {
    let end = end.min(size);
    if start < end {
        Ranged::Part(start..end)
    } else {
        Ranged::Unsatisfiable
    }
}

/// Digits only: no sign, no list. A number beyond every file is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let huge = "99999999999999999999999";
        for (header, expected) in [
            ("bytes=0-499", Ranged::Part(0..500)),
            ("bytes=500-999", Ranged::Part(500..1000)),
            ("bytes=999-999", Ranged::Part(999..1000)),
            ("bytes=0-0", Ranged::Part(0..1)),
            ("bytes=-500", Ranged::Part(500..1000)),
            ("bytes=-5000", Ranged::Part(0..1000)),
            ("bytes=9-", Ranged::Part(9..1000)),
            ("Bytes = 9-", Ranged::Part(9..1000)),
            ("bytes=900-5000", Ranged::Part(900..1000)),
            (&format!("bytes=0-{huge}"), Ranged::Part(0..1000)),
            (&format!("bytes=-{huge}"), Ranged::Part(0..1000)),
            ("bytes=1000-", Ranged::Unsatisfiable),
            ("bytes=1000-2000", Ranged::Unsatisfiable),
            ("bytes=-0", Ranged::Unsatisfiable),
            (&format!("bytes={huge}-"), Ranged::Unsatisfiable),
            ("bytes=5-2", Ranged::Whole),
            ("bytes=0-1,5-6", Ranged::Whole),
            ("bytes=-", Ranged::Whole),
            ("bytes=", Ranged::Whole),
            ("bytes=a-b", Ranged::Whole),
            ("bytes=+1-2", Ranged::Whole),
            ("bytes=--5", Ranged::Whole),
            ("bytes", Ranged::Whole),
            ("items=0-5", Ranged::Whole),
            ("", Ranged::Whole),
        ] {
            assert_eq!(parse(header, 1000), expected, "{header}");
        }
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(parse(header, 0), Ranged::Unsatisfiable, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_nor_outside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Ranged::Part(part) = parse(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn a_range_that_is_there_is_found(first in 0u64..1000, length in 1u64..1000, more in 0u64..1000) {
            let header = format!("bytes={first}-{}", first + length - 1);
            let expected = Ranged::Part(first..first + length);
            prop_assert_eq!(parse(&header, first + length + more), expected);
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(header in "\\PC{0,60}", size: u64) {
            let _ = parse(&header, size);
        }
    }
}
