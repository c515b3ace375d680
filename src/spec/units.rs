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

/// Why a text is no address that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadUrl {
    /// It holds a user's name or a password.
    Credentials,
    /// It does not read as `http://HOST…` or `https://HOST…`.
    Unreadable,
}

/// Judges an address: a scheme, a host, perhaps a port, and whatever follows.
pub(crate) fn bad_url(text: &str) -> Option<BadUrl> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    if authority.contains('@') {
        return Some(BadUrl::Credentials);
    }
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
    (!(known && clean && is_host(authority))).then_some(BadUrl::Unreadable)
}

/// Whether a text looks like an address of version 6; whether it is one shows when it is asked.
fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
}

/// Whether a text is a host, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if is_ipv6(address) => ("v6", port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let known = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    host.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && host.bytes().all(known) && port_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts_and_credentials_from_both() {
        let good = "http://a https://a.b-c:8080/x?y=@#z HTTP://127.0.0.1 http://[::1]:80/ https://a_b/p@q";
        for good in good.split(' ') {
            assert_eq!(bad_url(good), None, "{good}");
        }
        for bad in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:b",
            "http://a b",
            "http://[x]",
            "http://-a",
            "http://a\\b",
        ] {
            assert_eq!(bad_url(bad), Some(BadUrl::Unreadable), "{bad}");
        }
        for bad in ["http://u@a", "https://u:p@a/x", "ftp://u:p@a", "u:p@a", "http://:p@a:1"] {
            assert_eq!(bad_url(bad), Some(BadUrl::Credentials), "{bad}");
        }
    }

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
