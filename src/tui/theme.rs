//! From meanings to styles. Colour is for state, weight is for focus; everything else keeps the terminal's own colours,
//! so that the panel sits well on dark and on light backgrounds alike.
//!
//! Without colours (`NO_COLOR`) states keep their glyphs and words, and weight does the rest.

use super::caps::{Capabilities, ColourDepth};
use crate::report::look::Role;
use ratatui::style::{Color, Modifier, Style};

/// A part of the screen that is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Ordinary text.
    Text,
    /// What matters in a line.
    Strong,
    /// What may be overlooked.
    Dim,
    /// Frames of panes.
    Frame,
    /// The frame of the focused pane.
    FrameFocused,
    /// A key in a hint.
    Key,
    /// The selected row of the focused pane.
    Selected,
    /// The selected row of another pane.
    SelectedElsewhere,
    /// What a search found.
    Match,
    /// A title at the very top.
    Brand,
}

/// Styles for one terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    colours: ColourDepth,
    /// Whether only ASCII is drawn.
    pub(crate) ascii: bool,
}

/// One colour at each depth: readable on dark and on light grounds.
struct Tone(Color, Color, Color);

const fn rgb(r: u8, g: u8, b: u8, index: u8, basic: Color) -> Tone {
    Tone(Color::Rgb(r, g, b), Color::Indexed(index), basic)
}

const GREEN: Tone = rgb(76, 165, 100, 71, Color::Green);
const RED: Tone = rgb(222, 82, 84, 167, Color::Red);
const BLUE: Tone = rgb(72, 148, 222, 68, Color::Cyan);
const AMBER: Tone = rgb(200, 142, 40, 172, Color::Yellow);
const MAGENTA: Tone = rgb(196, 102, 200, 170, Color::Magenta);
const GREY: Tone = rgb(128, 132, 142, 244, Color::Reset);
const FAINT: Tone = rgb(104, 110, 122, 242, Color::Reset);
const ACCENT: Tone = rgb(110, 158, 232, 68, Color::Blue);
const BAR: Tone = rgb(52, 62, 88, 237, Color::Blue);
const BAR_TEXT: Tone = rgb(240, 243, 250, 255, Color::White);

impl Theme {
    pub(crate) const fn new(caps: Capabilities) -> Self {
        Self { colours: caps.colours, ascii: caps.ascii }
    }

    fn colour(self, tone: &Tone) -> Option<Color> {
        match self.colours {
            ColourDepth::None => None,
            ColourDepth::Sixteen => Some(tone.2),
            ColourDepth::Indexed => Some(tone.1),
            ColourDepth::True => Some(tone.0),
        }
    }

    fn fore(self, tone: &Tone) -> Style {
        let style = Style::new();
        match self.colour(tone) {
            // The sixteen have no grey that is readable on every ground: faint text instead.
            Some(Color::Reset) | None => style,
            Some(colour) => style.fg(colour),
        }
    }

    fn muted(self, tone: &Tone) -> Style {
        let dim = matches!(self.colours, ColourDepth::None | ColourDepth::Sixteen);
        if dim { Style::new().add_modifier(Modifier::DIM) } else { self.fore(tone) }
    }

    /// The style of a state.
    pub(crate) fn role(self, role: Role) -> Style {
        match role {
            Role::Idle | Role::Off => self.muted(&GREY),
            Role::Ready => Style::new(),
            Role::Active => self.fore(&BLUE).add_modifier(Modifier::BOLD),
            Role::Waiting | Role::Ending => self.fore(&AMBER),
            Role::Good => self.fore(&GREEN),
            Role::Bad => self.fore(&RED).add_modifier(Modifier::BOLD),
            Role::Fault => self.fore(&MAGENTA).add_modifier(Modifier::BOLD),
        }
    }

    /// The style of a part.
    pub(crate) fn part(self, part: Part) -> Style {
        match part {
            Part::Text => Style::new(),
            Part::Strong => Style::new().add_modifier(Modifier::BOLD),
            Part::Dim => self.muted(&GREY),
            Part::Frame => self.muted(&FAINT),
            Part::FrameFocused => self.fore(&ACCENT).add_modifier(Modifier::BOLD),
            Part::Key => self.fore(&ACCENT).add_modifier(Modifier::BOLD),
            Part::Selected => match (self.colour(&BAR), self.colour(&BAR_TEXT)) {
                (Some(ground), Some(text)) if self.colours > ColourDepth::Sixteen => Style::new().bg(ground).fg(text),
                _ => Style::new().add_modifier(Modifier::REVERSED),
            },
            Part::SelectedElsewhere => Style::new().add_modifier(Modifier::BOLD),
            Part::Match => Style::new().add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
            Part::Brand => self.fore(&ACCENT).add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(colours: ColourDepth) -> Theme {
        Theme::new(Capabilities { colours, ascii: false })
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let plain = theme(ColourDepth::None);
        for style in Role::ALL.map(|role| plain.role(role)) {
            assert_eq!((style.fg, style.bg), (None, None));
        }
        assert!(plain.part(Part::Selected).add_modifier.contains(Modifier::REVERSED));
    }

    fn luminance(colour: Color) -> f64 {
        let Color::Rgb(r, g, b) = colour else { panic!("{colour:?}") };
        let linear = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.039_28 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(a: f64, b: f64) -> f64 {
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn states_can_be_read_on_black_on_white_and_on_the_selection() {
        for tone in [GREEN, RED, BLUE, AMBER, MAGENTA, GREY, ACCENT] {
            let own = luminance(tone.0);
            assert!(contrast(own, luminance(Color::Rgb(20, 20, 24))) >= 4.0, "{:?} on dark", tone.0);
            assert!(contrast(own, 1.0) >= 2.6, "{:?} on white", tone.0);
        }
        assert!(contrast(luminance(BAR_TEXT.0), luminance(BAR.0)) >= 7.0);
    }
}
