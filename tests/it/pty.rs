//! A real pseudo-terminal with the real program in it, and an emulator that reads along. Waits for conditions, never
//! for time to pass.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a condition may take on a busy machine before the test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Seen {
    emulator: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

/// The program on its terminal.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    modes_before: String,
}

impl Terminal {
    /// Starts upbeat with these arguments in a folder, on a terminal of this size.
    pub fn start(folder: &Path, args: &[&str], (columns, rows): (u16, u16), env: &[(&str, &str)]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_upbeat"));
        command.args(args);
        command.cwd(folder);
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("UPBEAT_NO_STORE", "1");
        for (name, value) in env {
            command.env(name, value);
        }
        let modes_before = format!("{:?}", pty.master.get_termios());
        let child = pty.slave.spawn_command(command).expect("upbeat starts");
        drop(pty.slave);
        let emulator = vt100::Parser::new(cells(rows), cells(columns), 1_000);
        let seen = Arc::new((Mutex::new(Seen { emulator, raw: Vec::new(), closed: false }), Condvar::new()));
        let mut output = pty.master.try_clone_reader().expect("a reader of the terminal");
        let shared = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 65_536];
            loop {
                let got = output.read(&mut buffer).unwrap_or(0);
                let mut seen = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.closed |= got == 0;
                seen.emulator.process(&buffer[..got]);
                seen.raw.extend_from_slice(&buffer[..got]);
                shared.1.notify_all();
                if got == 0 {
                    break;
                }
            }
        });
        let keyboard = pty.master.take_writer().expect("a writer to the terminal");
        Self { master: pty.master, child, keyboard, seen, modes_before }
    }

    /// Waits until the screen fulfils a condition.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let guard = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |seen: &mut Seen| !condition(&seen.emulator.screen().contents()) && !seen.closed;
        let waited = self.seen.1.wait_timeout_while(guard, PATIENCE, held);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let screen = guard.emulator.screen().contents();
        drop(guard);
        assert!(condition(&screen), "never on the screen: {what}\n{screen}");
        screen
    }

    /// Waits until a text is on the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.keyboard.flush().expect("the terminal takes keys");
    }

    /// Gives the terminal another size.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("the terminal takes a size");
        self.seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .emulator
            .screen_mut()
            .set_size(cells(rows), cells(columns));
    }

    /// Takes the terminal away, as closing its window does. Gives the exit code.
    pub fn close(self) -> u32 {
        let Self { master, mut child, keyboard, .. } = self;
        // The reading thread holds a descriptor of its own: a hang-up has to be sent by hand.
        rustix::process::kill_process(pid_of(&*child), rustix::process::Signal::HUP).expect("it can be signalled");
        drop((keyboard, master));
        child.wait().expect("its end can be waited for").exit_code()
    }

    /// The process.
    pub fn pid(&self) -> rustix::process::Pid {
        pid_of(&*self.child)
    }

    /// Waits for the end and checks that the terminal is as it was. Gives the exit code and the text left on it.
    pub fn end(mut self) -> (u32, String) {
        {
            let guard = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.seen.1.wait_timeout_while(guard, PATIENCE, |seen| !seen.closed);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            assert!(!timeout.timed_out(), "it does not end\n{}", guard.emulator.screen().contents());
        }
        let status = self.child.wait().expect("its end can be waited for");
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = seen.emulator.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!screen.bracketed_paste(), "bracketed paste is off");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is let go");
        assert_eq!(format!("{:?}", self.master.get_termios()), self.modes_before, "the line modes are as before");
        (status.exit_code(), screen.contents())
    }
}

fn pid_of(child: &(dyn Child + Send + Sync)) -> rustix::process::Pid {
    let raw = child.process_id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
    rustix::process::Pid::from_raw(raw).expect("a process id")
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has at least one cell")
}
