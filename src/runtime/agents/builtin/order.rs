//! The order of JSON values, as jq has it: null, false, true, numbers, texts, lists, objects.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Compares two values. Equal by it are also `1` and `1.0`, and objects whose members stand in another order.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let differing = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            differing.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => objects(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Compares two numbers: whole ones exactly.
#[must_use]
pub fn numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        // Finite, since they were read from JSON.
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// The kinds' order; the two truth values count as kinds.
const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// First the names of all members, in their order, then the values under them.
fn objects(a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
    let names = |object: &Map<String, Value>| {
        let mut names: Vec<String> = object.keys().cloned().collect();
        names.sort_unstable();
        names
    };
    let (of_a, of_b) = (names(a), names(b));
    of_a.cmp(&of_b).then_with(|| {
        let values = of_a.iter().filter_map(|name| Some(compare(a.get(name)?, b.get(name)?)));
        values.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_in_the_order_of_jq() {
        let sorted = json!([
            null, false, true, -1.5, 0, 1, 1.5, 18446744073709551615u64, "", "a", "ab", "b", "é", [], [null], [1], [1, 0], [2],
            {}, {"a": 1}, {"a": 2}, {"a": 0, "b": 0}, {"b": 0}
        ]);
        let list = sorted.as_array().unwrap();
        for (i, a) in list.iter().enumerate() {
            for (j, b) in list.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        assert_eq!(compare(&json!({"a": 1, "b": 2}), &json!({"b": 2.0, "a": 1})), Ordering::Equal);
        assert_eq!(compare(&json!(9007199254740993i64), &json!(9007199254740992i64)), Ordering::Greater);
    }
}
