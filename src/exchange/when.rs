//! Moments as text, there and back. Pure.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use time::{Date, Month};

use crate::model::Timestamp;
use crate::view::Time;

/// What RFC 3339 can write: the years 1 to 9999, in milliseconds.
const WRITABLE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// A moment in a file: RFC 3339 in UTC with milliseconds, or a number of milliseconds where that has no year for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match text(self.0) {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_i64(self.0.0),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Milliseconds(i64),
        }
        let moment = match Written::deserialize(deserializer)? {
            Written::Text(text) => parse(&text),
            Written::Milliseconds(ms) => Some(Timestamp(ms)),
        };
        moment
            .map(Self)
            .ok_or_else(|| de::Error::custom("it is no time"))
    }
}

/// The moment as it is written, if it has a year to be written with.
pub(super) fn text(moment: Timestamp) -> Option<Time> {
    WRITABLE.contains(&moment.0).then_some(Time(moment))
}

/// Reads RFC 3339, and what `MongoDB`'s tools write: an offset without a colon, or none for UTC.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date =
        Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let days = i64::from(date.to_julian_day()) - 2_440_588;
    if rest.is_empty() {
        return Some(Timestamp(days * 86_400_000));
    }
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let end = clock.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
    let (clock, offset) = clock.split_at(end.unwrap_or(clock.len()));
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':').map(digits);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    // 60 is a leap second, which is told as the one after.
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let milliseconds = digits(&format!("{fraction:0<3}")[..3])?;
    let seconds = (hour * 60 + minute) * 60 + second - offset_seconds(offset)?;
    Some(Timestamp(days * 86_400_000 + seconds * 1000 + milliseconds))
}

fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, text) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest.replace(':', "")),
        ("-", rest) => (-1, rest.replace(':', "")),
        _ => return None,
    };
    let (hours, minutes) = text.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "0" } else { minutes };
    Some(sign * (digits(hours)? * 60 + digits(minutes)?) * 60)
}

fn digits(text: &str) -> Option<i64> {
    let all = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_mongodb_and_rfc_3339_write_is_read() {
        for (text, expected) in [
            ("2025-01-06T12:00:00.120Z", 1_736_164_800_120),
            ("2025-01-06T12:00:00.12Z", 1_736_164_800_120),
            ("2025-01-06T12:00:00.1209999Z", 1_736_164_800_120),
            ("2025-01-06T12:00:00Z", 1_736_164_800_000),
            ("2025-01-06T17:30:00.120+0530", 1_736_164_800_120),
            ("2025-01-06T17:30:00.120+05:30", 1_736_164_800_120),
            ("2025-01-06T07:00:00-05", 1_736_164_800_000),
            ("2025-01-06 12:00", 1_736_164_800_000),
            ("2025-01-06", 1_736_121_600_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(parse(text), Some(Timestamp(expected)), "{text}");
        }
        for text in [
            "",
            "now",
            "2025-13-06",
            "2025-02-30",
            "2025-01-06T",
            "2025-01-06T25:00:00Z",
            "2025-01-06T12:00:00+",
            "12",
            "2025-01-06T1é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(ms in prop_oneof![WRITABLE, any::<i64>()]) {
            let json = serde_json::to_string(&Moment(Timestamp(ms))).unwrap();
            prop_assert_eq!(serde_json::from_str::<Moment>(&json).unwrap(), Moment(Timestamp(ms)));
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,40}", digits in "[0-9T:.+Z -]{0,40}") {
            let _ = (parse(&text), parse(&digits));
        }
    }
}
