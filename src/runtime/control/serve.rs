//! The listening side. Everything a client can make last is bounded: the length of a line, how long it may take to come,
//! how long an answer may take to go, how many requests and clients there are.

use super::ask::{Ask, Reply, resolve, tell};
use super::place::Bound;
use crate::model::command::Rejection;
use crate::model::id::RunId;
use crate::model::safe::Safe;
use crate::runtime::handle::{WeakHandle, gone};
use std::io::Write;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The longest line that is read, in bytes, its end included.
pub const LINE_MAX: usize = 1 << 20;
/// Requests over one connection.
const REQUESTS_MAX: usize = 1_000;
/// Clients of a run at once.
pub(super) const CLIENTS_MAX: usize = 16;
/// How long a line may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long requests under way have when the engine ends.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The wait after the system gave no connection: it is out of descriptors.
const STRAITS: Duration = Duration::from_millis(100);

/// A run to listen for.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) run: RunId,
    pub(super) bound: Bound,
    /// Says when it is over.
    pub(super) closing: watch::Receiver<bool>,
    /// Hears when the socket is gone.
    pub(super) ended: Sender<()>,
}

/// Listens until no more runs can come.
pub(super) async fn serve(handle: WeakHandle, mut orders: mpsc::UnboundedReceiver<Served>) {
    let mut listeners = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = listeners.join_next() => {}
            served = orders.recv() => match served {
                Some(served) => drop(listeners.spawn(listen(served, handle.clone()))),
                None => break,
            },
        }
    }
    let ended = async { while listeners.join_next().await.is_some() {} };
    // Those that take longer are cut off with the thread.
    let _ = timeout(LAST_WORDS, ended).await;
}

/// Listens for one run; its socket goes with this.
async fn listen(served: Served, handle: WeakHandle) {
    let Served { run, bound, mut closing, ended } = served;
    let listener = bound.listener.try_clone().and_then(UnixListener::from_std);
    let Ok(listener) = listener else { return };
    let mut clients = JoinSet::new();
    let each = closing.clone();
    loop {
        tokio::select! {
            biased;
            () = closed(&mut closing) => break,
            Some(_) = clients.join_next() => {}
            came = listener.accept() => match came {
                Ok((stream, _)) if clients.len() < CLIENTS_MAX => {
                    clients.spawn(client(stream, run, handle.clone(), each.clone()));
                }
                Ok((stream, _)) => turn_away(&stream),
                Err(_) => tokio::time::sleep(STRAITS).await,
            },
        }
    }
    // Those who came at the last moment are told so too.
    while let Ok((stream, _)) = bound.listener.accept() {
        let _ = (&stream).write(&line(&Reply::Leaving {}));
    }
    drop((listener, bound));
    let _ = ended.send(());
    while clients.join_next().await.is_some() {}
}

/// Until the run is left, or the engine ends.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Says that there are too many clients; whoever cannot take that in at once does without.
fn turn_away(stream: &UnixStream) {
    let reply = Reply::Refused(Rejection::with_way_out("too many clients at once", "try again in a moment"));
    let _ = stream.try_write(&line(&reply));
}

fn line(reply: &Reply) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(reply).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// One client, until it has nothing more to say or is not worth waiting for.
async fn client(stream: UnixStream, run: RunId, handle: WeakHandle, mut closing: watch::Receiver<bool>) {
    let own = rustix::process::geteuid().as_raw();
    if stream.peer_cred().is_ok_and(|peer| peer.uid() != own) {
        return;
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    for _ in 0..REQUESTS_MAX {
        let came = tokio::select! {
            biased;
            came = timeout(PATIENCE, next(&mut read)) => came,
            () = closed(&mut closing) => return,
        };
        let (reply, last) = match came {
            Ok(Some(Ok(text))) => (answer(&handle, run, &text).await, false),
            Ok(Some(Err(refused))) => (Reply::Refused(refused), true),
            Ok(None) | Err(_) => return,
        };
        let told = timeout(PATIENCE, write.write_all(&line(&reply))).await;
        if last || !matches!(told, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next line; `None`: there is none.
async fn next(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Result<Vec<u8>, Rejection>> {
    let mut text = Vec::new();
    let read = read.take(LINE_MAX as u64).read_until(b'\n', &mut text).await;
    match read {
        Ok(0) | Err(_) => None,
        Ok(_) if text.ends_with(b"\n") => Some(Ok(text)),
        // An end without a line break was cut off, unless there is no more room.
        Ok(LINE_MAX) => Some(Err(Rejection::new(format!("a request has at most {LINE_MAX} bytes")))),
        Ok(_) => None,
    }
}

async fn answer(handle: &WeakHandle, run: RunId, text: &[u8]) -> Reply {
    match obey(handle, run, text).await {
        Ok(reply) => reply,
        Err(rejection) if rejection == gone() => Reply::Leaving {},
        Err(rejection) => Reply::Refused(rejection),
    }
}

async fn obey(handle: &WeakHandle, run: RunId, text: &[u8]) -> Result<Reply, Rejection> {
    let ask: Ask = serde_json::from_slice(text).map_err(|error| {
        let found = Safe::line(&error.to_string()).into_string();
        Rejection::with_way_out(format!("this is no request: {found}"), "send a line such as {\"do\":\"pause\"}")
    })?;
    let handle = handle.upgrade().ok_or_else(gone)?;
    let views = handle.views();
    let command = resolve(&ask, &views.borrow(), run)?;
    let done = match timeout(ANSWER, handle.command(command)).await {
        Ok(verdict) => verdict?,
        Err(_) => return Err(Rejection::with_way_out("the engine does not answer", "look at the run: upbeat show")),
    };
    let told = tell(&done, &views.borrow(), run);
    Ok(Reply::Done(told))
}
