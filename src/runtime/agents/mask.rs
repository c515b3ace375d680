//! Values that came from upbeat's own environment are secrets: they are masked wherever an attempt's text goes.
//!
//! Shorter ones than four characters are left alone: they would mask half of every text and hide nothing.

use serde_json::Value;

const SHORTEST: usize = 4;
const STAND_IN: &str = "***";

/// The secrets of one attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask {
    /// Longest first, so that a secret inside another one does not spoil it.
    secrets: Vec<String>,
}

impl Mask {
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        // Logs come line by line, so the lines of a secret (a key file) are secrets as well.
        let lines = values
            .into_iter()
            .flat_map(|value| value.lines().map(str::to_owned).chain([value.clone()]).collect::<Vec<_>>());
        let mut secrets: Vec<_> = lines.filter(|value| value.chars().count() >= SHORTEST).collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// The text with every secret replaced.
    pub(super) fn text(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), STAND_IN) } else { text }
        })
    }

    /// The value with every secret replaced, in names of members too.
    pub(super) fn value(&self, value: Value) -> Value {
        if self.secrets.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => members.into_iter().map(|(name, v)| (self.text(name), self.value(v))).collect(),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_in_every_place_and_nothing_else_is() {
        let mask = Mask::new(["hunter22".into(), "hunter22-long".into(), "abc".into(), "first line\nx".into()]);
        assert_eq!(mask.text("a hunter22 b hunter22-long c abc".into()), "a *** b *** c abc");
        assert_eq!(mask.text("first line".into()), "***");
        let got = mask.value(json!({"hunter22": ["x hunter22", 1, null, {"k": "hunter22"}]}));
        assert_eq!(got, json!({"***": ["x ***", 1, null, {"k": "***"}]}));
        assert_eq!(Mask::default().text("hunter22".into()), "hunter22");
    }
}
