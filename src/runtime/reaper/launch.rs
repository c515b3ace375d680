//! How a reaper starts a leader, and what it says when it cannot.
#![expect(clippy::disallowed_methods, reason = "the one place that starts an agent's process")]

use super::ProcessSpec;
use super::protocol::{Spec, StartError, StartErrorKind};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Starts the leader in a process group of its own.
///
/// # Errors
/// With the kind and the words for people.
pub(super) fn start(spec: &Spec, [stdin, stdout, stderr]: [OwnedFd; 3]) -> Result<Child, StartError> {
    check(spec)?;
    if let Some(folder) = &spec.cwd {
        check_folder(folder)?;
    }
    let program = find(spec)?;
    let mut command = Command::new(&program);
    command.arg0(&spec.argv[0]).args(&spec.argv[1..]);
    command.env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
    if let Some(folder) = &spec.cwd {
        command.current_dir(folder);
    }
    command.spawn().map_err(|error| explain(&error, &spec.argv[0], &program))
}

/// Where the program of a process lies, found as its start would find it.
///
/// # Errors
/// Why it could not be started. What only the start itself shows (a missing interpreter, say) is not found.
pub fn find_program(spec: &ProcessSpec) -> Result<PathBuf, StartError> {
    let ProcessSpec { argv, env, cwd, grace } = spec.clone();
    let spec = Spec { argv, env, cwd, grace };
    check(&spec)?;
    if let Some(folder) = &spec.cwd {
        check_folder(folder)?;
    }
    let program = find(&spec)?;
    // Relative places count from the folder that the process is started in.
    let seen = spec.cwd.as_deref().unwrap_or(Path::new("")).join(&program);
    let usable = if seen.is_dir() { Err(rustix::io::Errno::ACCESS) } else { access(&seen, Access::EXEC_OK) };
    match usable {
        Ok(()) => Ok(seen),
        Err(error) => Err(explain(&error.into(), &spec.argv[0], &seen)),
    }
}

/// What no kernel would take, found before anything is sent anywhere.
///
/// # Errors
/// If the program's name is empty or something holds a NUL byte.
pub(super) fn check(spec: &Spec) -> Result<(), StartError> {
    let invalid = |message: String| Err(StartError::new(StartErrorKind::Invalid, message));
    let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
    if spec.argv.first().is_none_or(|program| program.is_empty()) {
        return invalid("the command names no program".into());
    }
    if let Some(place) = spec.argv.iter().position(|arg| has_nul(arg)) {
        return invalid(format!("argument {place} of `{}` holds a NUL byte", spec.argv[0].to_string_lossy()));
    }
    for (name, value) in &spec.env {
        if name.is_empty() || name.as_bytes().contains(&b'=') || has_nul(name) || has_nul(value) {
            return invalid(format!("`{}` cannot be an environment variable", name.to_string_lossy().escape_debug()));
        }
    }
    if spec.cwd.as_deref().is_some_and(|folder| has_nul(folder.as_os_str())) {
        return invalid("the folder's name holds a NUL byte".into());
    }
    Ok(())
}

fn check_folder(folder: &Path) -> Result<(), StartError> {
    let why = match folder.metadata() {
        Ok(meta) if meta.is_dir() => match access(folder, Access::EXEC_OK) {
            Ok(()) => return Ok(()),
            Err(_) => "may not be entered",
        },
        Ok(_) => "is not a folder",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist",
        Err(_) => "cannot be read",
    };
    Err(StartError::new(StartErrorKind::Folder, format!("the folder `{}` {why}", folder.display())))
}

/// The file to execute. Names without a slash are looked up in the attempt's own `PATH`, here and not by the system, so
/// that there is one way, and words for what was found on it.
fn find(spec: &Spec) -> Result<PathBuf, StartError> {
    let name = &spec.argv[0];
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = spec.env.iter().rev().find(|(key, _)| key == "PATH").map_or(OsStr::new("/bin:/usr/bin"), |(_, v)| v);
    let mut unusable = None;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        let folder = Path::new(OsStr::from_bytes(if folder.is_empty() { b"." } else { folder }));
        // Relative places count from the attempt's folder, as they would for a shell there.
        let seen = spec.cwd.as_deref().unwrap_or(Path::new("")).join(folder).join(name);
        if !seen.is_file() {
            continue;
        }
        if access(&seen, Access::EXEC_OK).is_ok() {
            return Ok(folder.join(name));
        }
        unusable.get_or_insert(seen);
    }
    let name = name.to_string_lossy();
    Err(match unusable {
        Some(file) => StartError::new(
            StartErrorKind::NotExecutable,
            format!("`{}` is not executable (chmod +x makes it so)", file.display()),
        ),
        None => StartError::new(StartErrorKind::NotFound, format!("there is no program `{name}` in PATH")),
    })
}

fn explain(error: &io::Error, name: &OsStr, program: &Path) -> StartError {
    use rustix::io::Errno;
    let name = name.to_string_lossy();
    let (kind, message) = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) if program.exists() => {
            (StartErrorKind::NotFound, format!("the interpreter that `{name}` names in its first line is missing"))
        }
        Some(Errno::NOENT | Errno::NOTDIR) => (StartErrorKind::NotFound, format!("there is no program `{name}`")),
        Some(Errno::ACCESS | Errno::PERM) => {
            let hint = if program.is_dir() { "it is a folder" } else { "it may not be executed (see its mode)" };
            (StartErrorKind::NotExecutable, format!("`{name}`: {hint}"))
        }
        Some(Errno::NOEXEC) => (
            StartErrorKind::NotExecutable,
            format!("`{name}` is no program for this machine; a script needs a first line such as #!/bin/sh"),
        ),
        Some(Errno::TOOBIG) => (
            StartErrorKind::Invalid,
            format!(
                "the arguments and variables of `{name}` are more than the system takes; hand large values over stdin"
            ),
        ),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TXTBSY) => {
            (StartErrorKind::Resources, format!("`{name}`: {error}"))
        }
        _ => (StartErrorKind::NotExecutable, format!("`{name}`: {error}")),
    };
    StartError::new(kind, message)
}
