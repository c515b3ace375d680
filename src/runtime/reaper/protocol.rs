//! What upbeat and a reaper say to each other, over one socket pair.
//!
//! upbeat → reaper: a head of five bytes (a kind, the length of what follows), then that many bytes. The head of a start
//! carries three descriptors; what follows it is the [`Spec`], in counted byte strings, since arguments, variables and
//! paths need not be UTF-8 and may be megabytes.
//! reaper → upbeat: four bytes of length, then a [`Report`] as JSON.
//!
//! A stop, freeze or thaw that crosses the report of an end on its way reaches a reaper at rest, which ignores it. Kinds a
//! reaper does not know it skips.

use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const START: u8 = b'S';
const STOP: u8 = b'T';
const FREEZE: u8 = b'F';
const THAW: u8 = b'W';
const HEAD: usize = 5;
/// No order is longer: the kernel takes a few megabytes of arguments at most.
const ORDER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// No report is longer.
const REPORT_BYTES_MAX: usize = 1024 * 1024;

/// The order to end what runs: the first one gently, the second at once.
pub(super) const STOP_ORDER: [u8; HEAD] = [STOP, 0, 0, 0, 0];
/// The order to halt what runs where it stands.
pub(super) const FREEZE_ORDER: [u8; HEAD] = [FREEZE, 0, 0, 0, 0];
/// The order to let it go on.
pub(super) const THAW_ORDER: [u8; HEAD] = [THAW, 0, 0, 0, 0];

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Program and arguments.
    pub(super) argv: Vec<OsString>,
    /// All of its environment.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Its folder; `None`: the reaper's.
    pub(super) cwd: Option<PathBuf>,
    /// Time between TERM and KILL.
    pub(super) grace: Duration,
}

/// What a reaper is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Start an attempt with these standard input, output and error.
    Start(Box<Spec>, [OwnedFd; 3]),
    /// End the attempt that runs.
    Stop,
    /// Halt the attempt that runs.
    Freeze,
    /// Let it go on.
    Thaw,
    /// Something this version does not know.
    Unknown,
}

/// What a reaper tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The leader runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// Nothing was started.
    CannotStart(StartError),
    /// The attempt is over.
    Ended(Ended),
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartErrorKind {
    /// There is no such program, or its interpreter is missing.
    NotFound,
    /// It is there, and may not or cannot be executed.
    NotExecutable,
    /// Its folder is not there or cannot be entered.
    Folder,
    /// No program name, a NUL byte, or more arguments and variables than the system takes.
    Invalid,
    /// The system or upbeat was short of something (processes, descriptors, memory): it may work later.
    Resources,
}

/// A program that could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartError {
    /// The kind.
    pub kind: StartErrorKind,
    /// In words, after `cannot start`. Names files of the user's: sanitise before it meets a terminal.
    pub message: String,
}

impl StartError {
    pub(super) fn new(kind: StartErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot start: {}", self.message)
    }
}

impl std::error::Error for StartError {}

/// How a leader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody saw it: the reaper was killed, or the leader could not be ended in time.
    Lost,
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// How the leader ended.
    pub exit: Exit,
    /// User and system time in seconds: of the leader and of what it waited for exactly, of all other descendants in
    /// steps of 10 ms. Time of processes whose parent ignored their end is lost to the kernel's own books.
    pub cpu_s: f64,
    /// The largest resident set, in bytes, of any single one among the leader and what it waited for. Never less than
    /// the reaper's own few megabytes, from which the leader was forked.
    pub peak_rss_bytes: u64,
    /// How many descendants were still alive after the leader and had to be ended.
    pub descendants_ended: u32,
    /// How many could not be ended in time; 0: all are proved gone.
    pub left: u32,
}

impl Ended {
    /// An end nobody saw.
    pub(super) const fn lost(descendants_ended: u32, left: u32) -> Self {
        Self { exit: Exit::Lost, cpu_s: 0.0, peak_rss_bytes: 0, descendants_ended, left }
    }
}

impl Spec {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let grace_ms = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        out.extend_from_slice(&grace_ms.to_le_bytes());
        put_list(&mut out, self.cwd.iter().map(|path| path.as_os_str()));
        put_list(&mut out, self.argv.iter().map(OsString::as_os_str));
        put_list(&mut out, self.env.iter().flat_map(|(name, value)| [name.as_os_str(), value.as_os_str()]));
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let grace_ms = u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?);
        let cwd = get_list(&mut bytes)?.into_iter().next().map(PathBuf::from);
        let argv = get_list(&mut bytes)?;
        let mut flat = get_list(&mut bytes)?.into_iter();
        let mut env = Vec::with_capacity(flat.len() / 2);
        while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
            env.push((name, value));
        }
        bytes.is_empty().then_some(Self { argv, env, cwd, grace: Duration::from_millis(grace_ms) })
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // Longer ones are refused as an order that is too long: the check is on the sum.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a OsStr>) {
    let items: Vec<_> = items.collect();
    put_len(out, items.len());
    for item in items {
        put_len(out, item.len());
        out.extend_from_slice(item.as_bytes());
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}

fn get_len(bytes: &mut &[u8]) -> Option<usize> {
    let len = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?);
    usize::try_from(len).ok()
}

fn get_list(bytes: &mut &[u8]) -> Option<Vec<OsString>> {
    let count = get_len(bytes)?;
    (0..count)
        .map(|_| get_len(bytes).and_then(|len| take(bytes, len)).map(|item| OsString::from_vec(item.to_vec())))
        .collect()
}

/// The head of a start whose spec has this length.
///
/// # Errors
/// If the spec is longer than any kernel would take.
pub(super) fn start_head(spec_len: usize) -> Result<[u8; HEAD], StartError> {
    if spec_len > ORDER_BYTES_MAX {
        return Err(StartError::new(StartErrorKind::Invalid, "its arguments and variables are longer than 64 MB"));
    }
    let len = u32::try_from(spec_len).expect("the limit is far below 4 GB").to_le_bytes();
    Ok([START, len[0], len[1], len[2], len[3]])
}

/// Sends the head of a start and the three descriptors; they stay open here.
///
/// # Errors
/// As the socket's.
pub(super) fn send_head(socket: BorrowedFd<'_>, head: &[u8; HEAD], fds: &[BorrowedFd<'_>; 3]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)), "the space was made for three descriptors");
    // Five bytes go as a whole or not at all.
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(head)], &mut ancillary, SendFlags::empty()))?;
    Ok(())
}

/// Waits for the next order; `None`: upbeat is gone.
///
/// # Errors
/// As the socket's; `InvalidData` for an order that makes no sense.
pub(super) fn receive_order(socket: &UnixStream) -> io::Result<Option<Order>> {
    let mut head = [0_u8; HEAD];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = retry_on_intr(|| recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut head)], &mut ancillary, flags))?;
    if got.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let mut socket = socket;
    socket.read_exact(&mut head[got.bytes..])?;
    let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > ORDER_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; len];
    socket.read_exact(&mut body)?;
    Ok(Some(match head[0] {
        START => {
            let spec = Spec::decode(&body).ok_or(io::ErrorKind::InvalidData)?;
            let fds = fds.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
            Order::Start(Box::new(spec), fds)
        }
        STOP => Order::Stop,
        FREEZE => Order::Freeze,
        THAW => Order::Thaw,
        _ => Order::Unknown,
    }))
}

/// Sends a report.
///
/// # Errors
/// As the socket's.
pub(super) fn send_report(mut socket: &UnixStream, report: &Report) -> io::Result<()> {
    let body = serde_json::to_vec(report)?;
    let mut frame = Vec::with_capacity(4 + body.len());
    put_len(&mut frame, body.len());
    frame.extend_from_slice(&body);
    socket.write_all(&frame)
}

/// Takes the first whole report out of what was read so far.
///
/// # Errors
/// If that is no report.
pub(super) fn take_report(buffer: &mut Vec<u8>) -> io::Result<Option<Report>> {
    let mut bytes = buffer.as_slice();
    let Some(len) = get_len(&mut bytes) else { return Ok(None) };
    if len > REPORT_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let Some(body) = take(&mut bytes, len) else { return Ok(None) };
    let report = serde_json::from_slice(body)?;
    buffer.drain(..4 + len);
    Ok(Some(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            argv: vec!["a".into(), OsString::from_vec(vec![0xff, 0x80]), OsString::new()],
            env: vec![("NAME".into(), "value with = and\nline".into())],
            cwd: Some("/tmp/ö".into()),
            grace: Duration::from_millis(1_500),
        }
    }

    #[test]
    fn a_spec_survives_the_way() {
        assert_eq!(Spec::decode(&spec().encode()), Some(spec()));
        let bare = Spec { argv: vec![], env: vec![], cwd: None, grace: Duration::ZERO };
        assert_eq!(Spec::decode(&bare.encode()), Some(bare));
    }

    #[test]
    fn a_cut_spec_is_refused_wherever_it_is_cut() {
        let whole = spec().encode();
        for end in 0..whole.len() {
            assert_eq!(Spec::decode(&whole[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn orders_larger_than_any_socket_buffer_arrive_with_their_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let big = Spec { argv: vec!["x".repeat(3_000_000).into()], ..spec() };
        let sent = big.clone();
        let sender = std::thread::spawn(move || {
            let body = sent.encode();
            let fd = ours.as_fd();
            send_head(fd, &start_head(body.len()).unwrap(), &[fd, fd, fd]).unwrap();
            (&ours).write_all(&body).unwrap();
            (&ours).write_all(&STOP_ORDER).unwrap();
        });
        let Some(Order::Start(got, fds)) = receive_order(&theirs).unwrap() else { panic!("no start") };
        assert_eq!(*got, big);
        assert!(fds.iter().all(|fd| rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC)));
        drop(fds);
        assert!(matches!(receive_order(&theirs).unwrap(), Some(Order::Stop)));
        sender.join().unwrap();
        assert!(receive_order(&theirs).unwrap().is_none());
    }

    #[test]
    fn reports_are_taken_whole_from_pieces() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ended = Ended { exit: Exit::Signal(9), cpu_s: 0.25, peak_rss_bytes: 5, descendants_ended: 2, left: 0 };
        send_report(&ours, &Report::Started { pid: 7 }).unwrap();
        send_report(&ours, &Report::Ended(ended)).unwrap();
        drop(ours);
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        let (mut buffer, mut got) = (Vec::new(), Vec::new());
        for byte in all {
            buffer.push(byte);
            got.extend(take_report(&mut buffer).unwrap());
        }
        assert_eq!(got, [Report::Started { pid: 7 }, Report::Ended(ended)]);
    }
}
