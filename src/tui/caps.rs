//! What the terminal can do, told by its environment. Nobody here reads the environment: the caller lends a reader.

/// How many colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColourDepth {
    /// None: weight and glyphs alone.
    None,
    /// The sixteen of the terminal's own palette.
    #[default]
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// Any.
    True,
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// How many colours may be used.
    pub colours: ColourDepth,
    /// Whether only ASCII can be shown.
    pub ascii: bool,
}

impl Capabilities {
    /// What the variables say. `NO_COLOR` wins over everything about colours; `UPBEAT_ASCII` asks for plain ASCII.
    #[must_use]
    pub fn detect(read: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| read(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        Self { colours: colours(&set, &term), ascii: ascii(&set, &term) }
    }
}

fn colours(set: &impl Fn(&str) -> Option<String>, term: &str) -> ColourDepth {
    let true_colour = set("COLORTERM").is_some_and(|value| matches!(value.as_str(), "truecolor" | "24bit"));
    if set("NO_COLOR").is_some() || matches!(term, "dumb" | "vt100" | "vt102" | "vt220") {
        ColourDepth::None
    } else if true_colour || term.ends_with("-direct") {
        ColourDepth::True
    } else if term.contains("256") || term.contains("kitty") || term.contains("alacritty") {
        ColourDepth::Indexed
    } else {
        ColourDepth::Sixteen
    }
}

/// The locale's character set, as the C library finds it; a locale that nobody set says nothing.
fn ascii(set: &impl Fn(&str) -> Option<String>, term: &str) -> bool {
    if set("UPBEAT_ASCII").is_some_and(|value| value != "0") || term == "linux" || term == "dumb" {
        return true;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !(locale.contains("utf-8") || locale.contains("utf8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(vars: &[(&str, &str)]) -> Capabilities {
        Capabilities::detect(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn colours_are_what_the_terminal_says_and_no_color_wins() {
        assert_eq!(detect(&[("TERM", "xterm")]).colours, ColourDepth::Sixteen);
        assert_eq!(detect(&[("TERM", "xterm-256color")]).colours, ColourDepth::Indexed);
        let rich = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")];
        assert_eq!(detect(&rich).colours, ColourDepth::True);
        assert_eq!(detect(&[rich[0], rich[1], ("NO_COLOR", "1")]).colours, ColourDepth::None);
        assert_eq!(detect(&[rich[0], rich[1], ("NO_COLOR", "")]).colours, ColourDepth::True);
    }

    #[test]
    fn ascii_is_used_where_the_locale_has_nothing_better() {
        assert!(!detect(&[("TERM", "xterm")]).ascii);
        assert!(!detect(&[("LANG", "de_DE.UTF-8")]).ascii);
        assert!(!detect(&[("LC_ALL", "C.utf8"), ("LANG", "C")]).ascii);
        assert!(detect(&[("LANG", "C")]).ascii);
        assert!(detect(&[("LC_ALL", "POSIX"), ("LANG", "de_DE.UTF-8")]).ascii);
        assert!(detect(&[("TERM", "linux"), ("LANG", "de_DE.UTF-8")]).ascii);
        assert!(detect(&[("UPBEAT_ASCII", "1"), ("LANG", "de_DE.UTF-8")]).ascii);
    }
}
