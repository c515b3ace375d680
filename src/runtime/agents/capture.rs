//! What an agent prints, kept within bounds: the whole of it up to a limit, or its head and tail; and cut into lines for
//! the log.

use crate::runtime::logs::LINE_BYTES_MAX;
use std::collections::VecDeque;

/// The most standard output that is kept whole.
pub(super) const WHOLE_MAX: usize = 16 * 1024 * 1024;
/// Of longer text this much is kept of the head, and as much of the tail.
pub(super) const PART_MAX: usize = 1024 * 1024;
/// Room for the words that say how much of a line is missing.
const CUT_WORDS: usize = 64;

/// What happens to output beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// It is not kept at all: a cut document is none.
    Refuse,
    /// Head and tail are kept.
    KeepEnds,
}

/// Standard output so far.
#[derive(Debug)]
pub(super) struct Capture {
    beyond: Beyond,
    head: Vec<u8>,
    /// Filled once the limit was passed.
    tail: VecDeque<u8>,
    left_out: u64,
    over: bool,
}

impl Capture {
    pub(super) const fn new(beyond: Beyond) -> Self {
        Self { beyond, head: Vec::new(), tail: VecDeque::new(), left_out: 0, over: false }
    }

    /// Takes more of it. `false`: it is more than may be kept, and refused.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if !self.over && self.head.len() + bytes.len() <= WHOLE_MAX {
            self.head.extend_from_slice(bytes);
            return true;
        }
        self.over = true;
        match self.beyond {
            Beyond::Refuse => {
                self.head = Vec::new();
                false
            }
            Beyond::KeepEnds => {
                if self.head.len() > PART_MAX {
                    let rest = self.head.split_off(PART_MAX);
                    self.head.shrink_to_fit();
                    self.keep_end(&rest);
                }
                self.keep_end(bytes);
                true
            }
        }
    }

    fn keep_end(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(PART_MAX);
        self.tail.extend(&bytes[skipped..]);
        let excess = self.tail.len().saturating_sub(PART_MAX);
        self.tail.drain(..excess);
        self.left_out += (skipped + excess) as u64;
    }

    /// All of it, if nothing is missing.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.over).then_some(&self.head)
    }

    /// As text: what is no UTF-8 is replaced, and a line says how much of a long middle is left out.
    pub(super) fn into_text(mut self) -> String {
        if !self.over && self.head.len() <= 2 * PART_MAX {
            return String::from_utf8_lossy(&self.head).into_owned();
        }
        if self.head.len() > PART_MAX {
            let rest = self.head.split_off(PART_MAX);
            self.keep_end(&rest);
        }
        let tail = self.tail.make_contiguous();
        // The cuts may go through characters: give those up as a whole.
        let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        let start = tail.iter().take(3).take_while(|byte| continues(byte)).count();
        let mut end = self.head.len();
        if let Err(error) = std::str::from_utf8(&self.head)
            && error.error_len().is_none()
        {
            end = error.valid_up_to();
        }
        let left_out = self.left_out + (start + self.head.len() - end) as u64;
        let (head, tail) = (String::from_utf8_lossy(&self.head[..end]), String::from_utf8_lossy(&tail[start..]));
        format!("{head}\n… {left_out} bytes left out …\n{tail}")
    }
}

/// Cuts a stream into lines of bounded length.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// Takes more of the stream and hands every line that is complete to `emit`.
    pub(super) fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, complete) = piece.strip_suffix(b"\n").map_or((piece, false), |piece| (piece, true));
            let room = (LINE_BYTES_MAX - CUT_WORDS).saturating_sub(self.line.len()).min(piece.len());
            self.line.extend_from_slice(&piece[..room]);
            self.cut += (piece.len() - room) as u64;
            if complete {
                self.emit(emit);
            }
        }
    }

    /// Hands over what stands after the last line break.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            self.emit(emit);
        }
    }

    fn emit(&mut self, emit: &mut dyn FnMut(&str)) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let text = String::from_utf8_lossy(line);
        if self.cut > 0 {
            emit(&format!("{text} … ({} bytes more)", self.cut));
        } else {
            emit(&text);
        }
        self.line.clear();
        self.cut = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, &mut |line| got.push(line.to_owned()));
        }
        lines.finish(&mut |line| got.push(line.to_owned()));
        got
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let text = "one\ntwo ö\r\n\nlast".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), ["one", "two ö", "", "last"], "cut at {cut}");
        }
        assert_eq!(lines(&[b"a\n"]), ["a"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut held = Lines::default();
        for _ in 0..1_000 {
            held.push(&[b'x'; 65_536], &mut |_| panic!("it has no end"));
        }
        assert!(held.line.capacity() <= 2 * LINE_BYTES_MAX);
        let mut got = Vec::new();
        held.push(b"\nnext\n", &mut |line| got.push(line.to_owned()));
        assert!(got[0].ends_with(&format!("x … ({} bytes more)", 65_536_000 - LINE_BYTES_MAX + CUT_WORDS)));
        assert!(got[0].len() <= LINE_BYTES_MAX);
        assert_eq!(got[1], "next");
    }

    #[test]
    fn short_text_stays_whole_and_long_text_keeps_both_ends() {
        let mut short = Capture::new(Beyond::KeepEnds);
        short.push(b"a\xffb");
        assert_eq!(short.into_text(), "a\u{fffd}b");
        // Once just over two parts, once over what is ever kept whole; `ö` has two bytes, so that cuts go through it.
        for total in [2 * PART_MAX + 1_001, WHOLE_MAX + PART_MAX + 77] {
            let mut long = Capture::new(Beyond::KeepEnds);
            let text: Vec<u8> = [b"<" as &[u8], &"ö".repeat(total / 2).into_bytes(), b">"].concat();
            for piece in text.chunks(60_000) {
                assert!(long.push(piece));
            }
            assert!(long.tail.len() <= PART_MAX);
            let got = long.into_text();
            assert!(got.len() < 2 * PART_MAX + 100 && got.starts_with("<ö") && got.ends_with("ö>"));
            let left_out: u64 = got.split(' ').nth(1).unwrap().parse().unwrap();
            let kept = got.len() - format!("\n… {left_out} bytes left out …\n").len();
            assert_eq!(kept as u64 + left_out, text.len() as u64, "every byte is kept or counted");
            assert!(!got.contains('\u{fffd}'));
        }
    }

    #[test]
    fn a_document_beyond_the_limit_is_refused_and_not_held() {
        let mut capture = Capture::new(Beyond::Refuse);
        assert!(capture.push(&vec![b' '; WHOLE_MAX]));
        assert_eq!(capture.whole().map(<[u8]>::len), Some(WHOLE_MAX));
        assert!(!capture.push(b"x"));
        assert!(!capture.push(b"x"));
        assert_eq!((capture.whole(), capture.head.capacity()), (None, 0));
    }
}
