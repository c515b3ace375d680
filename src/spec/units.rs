//! Small texts with a meaning of their own: shares, ids, names of variables.

/// Reads `80%` as 0.8.
pub(crate) fn share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    number.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share)).map(|share| share / 100.0)
}

/// Whether a text is an id.
pub(crate) fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._@:+-".contains(b))
}

/// Whether a text can name a capability.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 512
        && text.chars().count() <= 128
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Why a process cannot be given a variable of this name.
pub(crate) fn bad_variable(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some("a variable's name is not empty and holds neither `=` nor NUL");
    }
    let loader = name.starts_with("LD_") || name.starts_with("DYLD_");
    (loader || matches!(name, "BASH_ENV" | "ENV")).then_some("it would change what programs and shells load")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_ids_and_variables_follow_their_rules() {
        assert_eq!(share("80%"), Some(0.8));
        assert_eq!([share("80"), share("101%"), share("%"), share("-1%"), share("8e1%")], [None; 5]);
        for good in ["a", "9", "a.b_c@d:e+f-g", &"x".repeat(128)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "_a", "a b", "é", "a[0]", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad}");
        }
        for bad in ["LD_PRELOAD", "DYLD_X", "BASH_ENV", "ENV", "", "A=B", "A\0"] {
            assert!(bad_variable(bad).is_some(), "{bad}");
        }
        assert!(bad_variable("ENVIRONMENT").is_none());
    }
}
