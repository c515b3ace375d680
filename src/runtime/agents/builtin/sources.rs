//! What is brought together: values in their places, the names of the places, and which of them are empty.

use super::args::{found, permanent};
use super::numbers;
use crate::model::aggregate::Missing;
use crate::model::completion::Failure;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// As many names are told in a message.
const NAMES_MAX: usize = 10;

/// Values in their places; `None`: there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// In order.
    pub values: Vec<Option<Value>>,
    /// Their names; `None`: `[0]`, `[1]` and so on.
    pub names: Option<Vec<String>>,
}

/// A value that takes part, and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) at: usize,
    pub(super) value: Value,
    /// It was missing, and this stands for it.
    pub(super) stands_in: bool,
}

impl Sources {
    /// The elements of a list; null is none.
    #[must_use]
    pub fn of_list(list: Vec<Value>) -> Self {
        Self {
            values: list.into_iter().map(|value| Some(value).filter(|value| !value.is_null())).collect(),
            names: None,
        }
    }

    /// A payload: `{"values": [1, null], "names": ["a", "b"], "missing": ["b"]}`. Where `missing` is not said, null is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_payload(payload: &Map<String, Value>) -> Result<Self, Failure> {
        let list = |name: &str| match payload.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(permanent(format!("`{name}` is {}, a list is expected", found(other)))),
        };
        let texts = |name: &str| -> Result<Option<Vec<String>>, Failure> {
            let Some(list) = list(name)? else { return Ok(None) };
            let wrong = |value: &Value| permanent(format!("`{name}` holds {}, texts are expected", found(value)));
            list.iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(value)))
                .collect::<Result<_, _>>()
                .map(Some)
        };
        let values = list("values")?.ok_or_else(|| permanent("`values` is missing, a list is expected".to_owned()))?;
        let (names, missing) = (texts("names")?, texts("missing")?);
        if let Some(names) = names.as_ref().filter(|names| names.len() != values.len()) {
            let (names, values) = (names.len(), values.len());
            return Err(permanent(format!("there are {names} `names` for {values} `values`; one each is expected")));
        }
        let Some(missing) = missing else { return Ok(Self { names, ..Self::of_list(values.clone()) }) };
        let missing: HashSet<String> = missing.into_iter().collect();
        let mut sources = Self { values: values.iter().cloned().map(Some).collect(), names };
        for at in 0..sources.values.len() {
            if missing.contains(&sources.name(at)) {
                sources.values[at] = None;
            }
        }
        Ok(sources)
    }

    /// The payload that [`Sources::of_payload`] reads again.
    #[must_use]
    pub fn into_payload(self) -> Value {
        let missing = self.missing();
        let values: Vec<Value> = self.values.into_iter().map(Option::unwrap_or_default).collect();
        match self.names {
            Some(names) => json!({ "values": values, "names": names, "missing": missing }),
            None => json!({ "values": values, "missing": missing }),
        }
    }

    /// The name of a place.
    #[must_use]
    pub fn name(&self, at: usize) -> String {
        self.names.as_ref().and_then(|names| names.get(at).cloned()).unwrap_or_else(|| format!("[{at}]"))
    }

    /// The names of the places that are empty.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let empty = self.values.iter().enumerate().filter(|(_, value)| value.is_none());
        empty.map(|(at, _)| self.name(at)).collect()
    }

    /// The values that take part.
    ///
    /// # Errors
    /// If something is missing that must not be, or nothing can stand in for it.
    pub(super) fn parts(&mut self, rule: Missing) -> Result<Vec<Part>, Failure> {
        let missing = self.missing();
        if rule == Missing::Fail && !missing.is_empty() {
            return Err(permanent(format!("nothing came from {}", listed(&missing))));
        }
        let means = if rule == Missing::Interpolate && !missing.is_empty() { self.interpolated()? } else { Vec::new() };
        let values = std::mem::take(&mut self.values).into_iter().enumerate();
        let parts = values.filter_map(|(at, value)| match (value, rule) {
            (Some(value), _) => Some(Part { at, value, stands_in: false }),
            (None, Missing::Skip | Missing::Fail) => None,
            (None, Missing::Null) => Some(Part { at, value: Value::Null, stands_in: true }),
            (None, Missing::Interpolate) => {
                Some(Part { at, value: means.get(at).cloned().unwrap_or_default(), stands_in: true })
            }
        });
        Ok(parts.collect())
    }

    /// For every place the mean of the nearest numbers before and behind it.
    fn interpolated(&self) -> Result<Vec<Value>, Failure> {
        let mut before = Vec::with_capacity(self.values.len());
        let mut last = None;
        for (at, value) in self.values.iter().enumerate() {
            match value {
                Some(Value::Number(number)) => last = Some(number.clone()),
                Some(other) => return Err(no_number(&self.name(at), other)),
                None => {}
            }
            before.push(last.clone());
        }
        let mut behind = None;
        let mut means = Vec::with_capacity(before.len());
        for (value, before) in self.values.iter().zip(before).rev() {
            if let Some(Value::Number(number)) = value {
                behind = Some(number.clone());
            }
            let neighbours: Vec<_> = before.into_iter().chain(behind.clone()).collect();
            means.push(numbers::mean(&neighbours).ok_or_else(too_large)?);
        }
        means.reverse();
        match means.first() {
            Some(Value::Null) => {
                Err(permanent(format!("nothing came from {}, so nothing can stand in for it", listed(&self.missing()))))
            }
            _ => Ok(means),
        }
    }
}

/// The failure of a value that is no number.
pub(super) fn no_number(name: &str, value: &Value) -> Failure {
    permanent(format!("`{}` is {}, a number is expected", name.escape_debug(), found(value)))
}

/// The failure of numbers that are too large.
pub(super) fn too_large() -> Failure {
    permanent("the numbers are too large: their sum is beyond 1.8e308".to_owned())
}

/// Some names, and how many others there are.
fn listed(names: &[String]) -> String {
    let told: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("`{}`", name.escape_debug())).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => told.join(", "),
        others => format!("{} and {others} others", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(list: &Value) -> Sources {
        Sources::of_list(list.as_array().unwrap().clone())
    }

    fn values(list: &Value, rule: Missing) -> Result<Value, String> {
        let parts = sources(list).parts(rule).map_err(|failure| failure.message)?;
        Ok(parts.into_iter().map(|part| part.value).collect())
    }

    #[test]
    fn a_payload_says_what_is_missing_and_what_is_null() {
        let payload = json!({"values": [null, null, 3], "names": ["a", "b", "c"], "missing": ["b"]});
        let read = Sources::of_payload(payload.as_object().unwrap()).unwrap();
        assert_eq!(read.values, [Some(Value::Null), None, Some(json!(3))]);
        assert_eq!(read.into_payload(), payload);
        let unnamed = sources(&json!([1, null]));
        assert_eq!(unnamed.missing(), ["[1]"]);
        assert_eq!(Sources::of_payload(unnamed.clone().into_payload().as_object().unwrap()).unwrap(), unnamed);
        for (wrong, words) in [
            (json!({}), "`values` is missing"),
            (json!({"values": 1}), "`values` is 1, a list"),
            (json!({"values": [1], "names": []}), "0 `names` for 1 `values`"),
            (json!({"values": [1], "missing": [2]}), "`missing` holds 2"),
        ] {
            let told = Sources::of_payload(wrong.as_object().unwrap()).unwrap_err().message;
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn what_is_missing_is_left_out_or_null_or_fails() {
        assert_eq!(values(&json!([1, null, "x"]), Missing::Skip), Ok(json!([1, "x"])));
        assert_eq!(values(&json!([1, null, "x"]), Missing::Null), Ok(json!([1, null, "x"])));
        assert_eq!(values(&json!([1, 2]), Missing::Fail), Ok(json!([1, 2])));
        assert_eq!(values(&json!([1, null]), Missing::Fail), Err("nothing came from `[1]`".to_owned()));
        let many = values(&json!(vec![Value::Null; 15]), Missing::Fail).unwrap_err();
        assert!(many.ends_with("`[9]` and 5 others"), "{many}");
    }

    #[test]
    fn interpolation_takes_the_nearest_on_both_sides() {
        let told = |list: Value| values(&list, Missing::Interpolate);
        assert_eq!(told(json!([null, 1, null, null, 4, null])), Ok(json!([1, 1, 2.5, 2.5, 4, 4])));
        assert_eq!(told(json!([1, null, 3])), Ok(json!([1, 2, 3])));
        assert_eq!(told(json!(["x", 1])), Ok(json!(["x", 1])), "nothing is missing");
        assert_eq!(told(json!(["x", null])), Err("`[0]` is the text \"x\", a number is expected".to_owned()));
        assert!(told(json!([null, null])).unwrap_err().contains("nothing can stand in"));
        assert_eq!(told(json!([])), Ok(json!([])));
    }
}
