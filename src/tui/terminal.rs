//! The terminal: taken over once, given back once, whatever happens. Each frame is one write.
//!
//! What is switched on is switched off again in [`restore`]: raw mode, the alternate screen, mouse, paste and focus
//! reports, the hidden cursor. It runs at the end, on a panic, and before the process is stopped; twice does no harm.

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, queue};
use ratatui::layout::Rect;
use std::io::{Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{ThreadId, current};

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether nobody is behind it any more.
static GONE: AtomicBool = AtomicBool::new(false);
/// The thread that draws; a panic there gives the terminal back.
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
/// What panics of other threads said: told when the terminal is free again.
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// At most so many of them are kept.
const ELSEWHERE_MAX: usize = 20;

/// The screen, and what it shows.
#[derive(Debug)]
pub(crate) struct Terminal {
    shown: Buffer,
    next: Buffer,
}

impl Terminal {
    /// Takes the terminal over.
    pub(crate) fn take() -> std::io::Result<Self> {
        hook();
        // NO_COLOR is a theme here: the library would strip colours and take bold and reverse along with them.
        force_color_output(true);
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(current().id());
        let area = Rect::from(screen());
        let terminal = Self { shown: Buffer::empty(area), next: Buffer::empty(area) };
        enter()?;
        Ok(terminal)
    }

    /// Takes it over again after the process was stopped, and draws everything anew.
    pub(crate) fn retake(&mut self) -> std::io::Result<()> {
        enter()?;
        self.forget()
    }

    /// Forgets what is shown: the next frame draws every cell.
    pub(crate) fn forget(&mut self) -> std::io::Result<()> {
        let area = Rect::from(screen());
        self.shown = Buffer::empty(area);
        self.next = Buffer::empty(area);
        let mut bytes = Vec::new();
        queue!(bytes, Clear(ClearType::All))?;
        write(&bytes);
        Ok(())
    }

    /// The screen's cells.
    pub(crate) const fn area(&self) -> Rect {
        self.shown.area
    }

    /// Draws a frame: only cells that changed are written, and nothing at all where none did.
    pub(crate) fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> std::io::Result<()> {
        self.next.reset();
        paint(&mut self.next);
        let changed = self.shown.diff(&self.next);
        if changed.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(changed.len() * 8);
        queue!(bytes, BeginSynchronizedUpdate)?;
        CrosstermBackend::new(&mut bytes).draw(changed.into_iter())?;
        queue!(bytes, EndSynchronizedUpdate)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        write(&bytes);
        Ok(())
    }

    /// Asks the terminal to put a text on the clipboard (OSC 52).
    pub(crate) fn copy(text: &str) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        queue!(bytes, CopyToClipboard::to_clipboard_from(text))?;
        write(&bytes);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Columns and rows; a terminal that does not know says so with zeros.
fn screen() -> ratatui::layout::Size {
    let (width, height) = size().unwrap_or((80, 24));
    let (width, height) = if width == 0 || height == 0 { (80, 24) } else { (width, height) };
    // Cells are counted in 16 bits at some places; nobody has such a screen.
    ratatui::layout::Size::new(width.min(1_000), height.min(500))
}

/// Writes. A terminal that takes nothing any more has been closed: that is told by [`is_gone`], not by every caller.
fn write(bytes: &[u8]) {
    if is_gone() {
        return;
    }
    let mut out = stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        GONE.store(true, Ordering::SeqCst);
    }
}

/// Whether the terminal has been closed.
pub(crate) fn is_gone() -> bool {
    GONE.load(Ordering::SeqCst)
}

fn enter() -> std::io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut bytes = Vec::new();
    queue!(
        bytes,
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange,
        EnableMouseCapture,
        cursor::Hide,
        Clear(ClearType::All)
    )?;
    write(&bytes);
    Ok(())
}

/// Gives the terminal back. Twice does no harm; errors have nobody to go to.
pub(crate) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut bytes = Vec::new();
    let queued = queue!(
        bytes,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    if queued.is_ok() {
        write(&bytes);
    }
    let _ = disable_raw_mode();
    let told: Vec<String> = std::mem::take(&mut ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner));
    for line in told {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// A panic of the drawing thread gives the terminal back before it is told; one of another thread is kept for later, so
/// that it does not write across the panel.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let owner = *OWNER.lock().unwrap_or_else(PoisonError::into_inner);
            if TAKEN.load(Ordering::SeqCst) && owner != Some(current().id()) {
                tracing::error!("{panic}");
                let mut told = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
                if told.len() < ELSEWHERE_MAX {
                    told.push(panic.to_string());
                }
                return;
            }
            restore();
            before(panic);
        }));
    });
}
