//! `MongoDB`'s extended JSON, versions 1 and 2, canonical and relaxed, to plain JSON: ids and numbers as what they are, dates as
//! RFC 3339. Pure. What has no plain form stays as it is.

use serde_json::{Map, Number, Value, json};

use super::when::{self, Moment};
use crate::model::Timestamp;

/// The value without `MongoDB`'s types.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, plain(value)))
                .collect();
            typed(&fields).unwrap_or(Value::Object(fields))
        }
        simple => simple,
    }
}

/// What an object with one field that begins with a dollar stands for.
fn typed(fields: &Map<String, Value>) -> Option<Value> {
    if fields.len() != 1 {
        return None;
    }
    let (name, value) = fields.iter().next()?;
    match name.as_str() {
        "$oid" | "$uuid" | "$symbol" => value.is_string().then(|| value.clone()),
        "$numberInt" | "$numberLong" => Some(json!(whole(value)?)),
        "$numberDouble" | "$numberDecimal" => {
            let number = match value {
                Value::String(text) => text.parse::<f64>().ok()?,
                other => other.as_f64()?,
            };
            // `15000` is more faithful than `15000.0`; JSON has no word for what is no number.
            Some(
                match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
                    Some(whole) => json!(whole),
                    None => Number::from_f64(number).map_or(Value::Null, Value::Number),
                },
            )
        }
        "$date" => Some(match moment(value)? {
            moment if when::text(moment).is_some() => serde_json::to_value(Moment(moment)).ok()?,
            _ => Value::Null,
        }),
        "$undefined" => Some(Value::Null),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// A date's value, once its own number is plain.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => when::parse(text),
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "`as` keeps to the range")]
            let float = || number.as_f64().map(|ms| ms as i64);
            number.as_i64().or_else(float).map(Timestamp)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_plain() {
        let date = json!("2025-01-06T12:00:00.120Z");
        for (extended, expected) in [
            (
                json!({"$oid": "65a0b1c2d3e4f5061728394a"}),
                json!("65a0b1c2d3e4f5061728394a"),
            ),
            (json!({"$date": "2025-01-06T12:00:00.120Z"}), date.clone()),
            (
                json!({"$date": "2025-01-06T17:30:00.120+0530"}),
                date.clone(),
            ),
            (json!({"$date": 1_736_164_800_120_i64}), date.clone()),
            (
                json!({"$date": {"$numberLong": "1736164800120"}}),
                date.clone(),
            ),
            (
                json!({"$date": {"$numberLong": "9223372036854775807"}}),
                Value::Null,
            ),
            (json!({"$numberInt": "-5"}), json!(-5)),
            (
                json!({"$numberLong": "9007199254740993"}),
                json!(9_007_199_254_740_993_i64),
            ),
            (json!({"$numberDouble": "1.5"}), json!(1.5)),
            (json!({"$numberDouble": "15000"}), json!(15000)),
            (json!({"$numberDouble": "NaN"}), Value::Null),
            (json!({"$numberDouble": "-Infinity"}), Value::Null),
            (json!({"$numberDecimal": "15000.50"}), json!(15000.5)),
            (json!({"$undefined": true}), Value::Null),
            (json!({"$oid": 5}), json!({"$oid": 5})),
            (json!({"$date": "soon"}), json!({"$date": "soon"})),
            (
                json!({"$oid": "a", "more": 1}),
                json!({"$oid": "a", "more": 1}),
            ),
            (
                json!({"$binary": {"base64": "", "subType": "00"}}),
                json!({"$binary": {"base64": "", "subType": "00"}}),
            ),
            (json!([{"a": {"$numberInt": "1"}}]), json!([{"a": 1}])),
        ] {
            assert_eq!(plain(extended.clone()), expected, "{extended}");
        }
    }
}
