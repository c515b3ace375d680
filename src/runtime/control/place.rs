//! Where the socket of a run lies: in the run's folder, or, where that cannot hold one (its path is too long for a
//! socket's address, its file system knows none), in a folder of this user's own, which a file in the run's folder names.

use crate::runtime::environment::var_os;
use crate::runtime::store::disk::folder::make_private;
use std::fs::{OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The socket's name in the run's folder.
const SOCKET: &str = "control.sock";
/// The file there that says where else the socket lies.
const ELSEWHERE: &str = "control.at";
/// The longest path that such a file may hold.
const PATH_MAX: u64 = 4_096;

/// A socket that listens; it is removed when this goes.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: UnixListener,
    files: Vec<PathBuf>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        for file in &self.files {
            // The run's lock is still held, so these are this process's own; what cannot be removed is replaced by the
            // next one to open the run.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Makes the socket of a run. Whoever calls holds the run's lock, so a socket that is there is of a dead process.
pub(super) fn bind(folder: &Path) -> Result<Bound> {
    let (own, pointer) = (folder.join(SOCKET), folder.join(ELSEWHERE));
    remove(&own)?;
    remove(&pointer)?;
    let here = match listen(&own) {
        Ok(listener) => return Ok(Bound { listener, files: vec![own] }),
        Err(error) => error,
    };
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{}-{run}.sock", std::process::id());
    for place in short_folders() {
        let path = place.join(&name);
        let listener = make_private(&place)
            .map_err(|error| Error::other(error.to_string()))
            .and_then(|()| remove(&path))
            .and_then(|()| listen(&path));
        if let Ok(listener) = listener {
            // From here on both are removed, whatever follows.
            let bound = Bound { listener, files: vec![pointer.clone(), path.clone()] };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&pointer)?;
            file.write_all(path.as_os_str().as_bytes())?;
            return Ok(bound);
        }
    }
    Err(here)
}

fn listen(path: &Path) -> Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    let ready = std::fs::set_permissions(path, Permissions::from_mode(0o600));
    match ready.and_then(|()| listener.set_nonblocking(true)) {
        Ok(()) => Ok(listener),
        Err(error) => {
            remove(path)?;
            Err(error)
        }
    }
}

/// Folders of this user with short names.
fn short_folders() -> Vec<PathBuf> {
    let runtime = var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let own = format!("/tmp/upbeat-{}", rustix::process::geteuid().as_raw());
    runtime.map(|folder| folder.join("upbeat")).into_iter().chain([PathBuf::from(own)]).collect()
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Connects to the socket of a run.
pub(super) fn connect(folder: &Path) -> Result<UnixStream> {
    let path = match elsewhere(&folder.join(ELSEWHERE)) {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => folder.join(SOCKET),
        Err(error) => return Err(error),
    };
    let stream = UnixStream::connect(path)?;
    if is_own(&stream) { Ok(stream) } else { Err(Error::other("somebody else listens there")) }
}

/// What the file in the run's folder says.
fn elsewhere(pointer: &Path) -> Result<PathBuf> {
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(pointer)?.take(PATH_MAX).read_to_end(&mut bytes)?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    if path.is_absolute() { Ok(path) } else { Err(Error::other("where the socket lies is not written down whole")) }
}

/// Whether the process at the other end belongs to this user.
#[cfg(target_os = "linux")]
fn is_own(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// Elsewhere the rights of the folder say so: nobody else can have made a socket in it.
#[cfg(not(target_os = "linux"))]
fn is_own(_: &UnixStream) -> bool {
    true
}
