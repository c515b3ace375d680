//! Attempts as real processes: what they leave behind is nothing, whatever they or we do.
//!
//! Tests that kill or stop reapers run in a process of their own ([`alone`]): the tree of a dead reaper comes to the
//! process that owns the pool, which ends every child it does not know, and would take the other tests' children for
//! such a tree.
#![expect(clippy::disallowed_methods, reason = "tests are started by nobody they could ask")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use upbeat::runtime::reaper::{Ended, Exit, Pool, ProcessSpec, Running, StartErrorKind};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_upbeat");
/// Longer than anything takes on a loaded machine; a condition that does not come by then never does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Set in a process that a test has started for itself.
pub(crate) const ALONE: &str = "UPBEAT_TEST_ALONE";

/// A process that detaches itself twice, in a session of its own, and hears neither TERM nor HUP.
const LEAF: &str = "trap '' TERM HUP\necho $$ >> \"$DIR/pids\"\nexec sleep 1000\n";
/// Starts three of them, waits until they live, says so, and then does `$1`.
const HOSTILE: &str = r#"trap '' TERM HUP
for n in 1 2 3; do (setsid sh "$DIR/leaf.sh" &); done
until [ "$(cat "$DIR/pids" 2>/dev/null | wc -l)" -ge 3 ]; do sleep 0.01; done
echo ready
eval "$1"
"#;

pub(crate) struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("leaf.sh"), LEAF).unwrap();
        fs::write(dir.path().join("hostile.sh"), HOSTILE).unwrap();
        Self { dir }
    }
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
    fn hostile(&self, then: &str) -> ProcessSpec {
        hostile(self.path(), then)
    }
    pub(crate) fn pids(&self) -> Vec<u32> {
        pids(self.path())
    }
    pub(crate) fn assert_gone(&self) {
        let pids = self.pids();
        assert!(pids.len() >= 3, "{pids:?}");
        let left: Vec<_> = pids.into_iter().filter(|pid| is_alive(*pid)).collect();
        assert!(left.is_empty(), "still alive: {left:?}");
    }
}

fn hostile(dir: &Path, then: &str) -> ProcessSpec {
    let mut spec = spec(["sh".into(), dir.join("hostile.sh").into_os_string(), then.into()]);
    spec.env.push(("DIR".into(), dir.into()));
    spec
}

fn pids(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("pids")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

pub(crate) fn spec(argv: impl IntoIterator<Item = OsString>) -> ProcessSpec {
    let path = std::env::var_os("PATH").unwrap();
    ProcessSpec {
        argv: argv.into_iter().collect(),
        env: vec![("PATH".into(), path)],
        cwd: None,
        grace: Duration::from_millis(100),
    }
}

pub(crate) fn sh(line: &str) -> ProcessSpec {
    spec(["sh", "-c", line].map(OsString::from))
}

/// Runs, and not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn pool() -> Pool {
    Pool::new(PROGRAM.into())
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("never came") })
}

/// Waits for a condition of the outside world, which tells nobody when it changes.
pub(crate) fn wait_until(what: &str, limit: Duration, condition: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "waited {limit:?} for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    began.elapsed()
}

/// This test binary again, with one test and a word for it.
pub(crate) fn again(test: &str, word: &std::ffi::OsStr) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = if test.contains("::") { test.to_owned() } else { format!("processes::{test}") };
    command.args(["--exact", &name, "--include-ignored", "--nocapture"]).env(ALONE, word);
    command
}

/// Runs a test in a process of its own; one of another module is named with it.
pub(crate) fn alone<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(ALONE).is_some() {
        return block_on(body());
    }
    let output = again(test, "1".as_ref()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads all output, then waits for the end.
pub(crate) async fn finish(running: Running) -> (String, Ended) {
    let Running { mut stdout, stop, ended, stdin, stderr, .. } = running;
    let ended = ended.await.unwrap();
    drop((stdin, stderr, stop));
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).await.unwrap();
    (String::from_utf8(text).unwrap(), ended)
}

pub(crate) async fn line(running: &mut Running) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(running.stdout.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn the_exit_is_told_as_it_was() {
    block_on(async {
        let pool = pool();
        for code in [0, 1, 64, 75, 126, 127, 255] {
            let (_, end) = finish(pool.start(sh(&format!("exit {code}"))).await.unwrap()).await;
            assert_eq!((end.exit, end.left, end.descendants_ended), (Exit::Code(code), 0, 0));
        }
        let (_, end) = finish(pool.start(sh("kill -SEGV $$")).await.unwrap()).await;
        assert_eq!(end.exit, Exit::Signal(11));
    });
}

#[test]
fn what_cannot_start_says_why_and_leaves_the_reaper_usable() {
    block_on(async {
        let scene = Scene::new();
        let file = |name: &str, text: &str, mode: u32| {
            let path = scene.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            path.into_os_string()
        };
        let cases: [(ProcessSpec, StartErrorKind, &str); 11] = [
            (spec([]), StartErrorKind::Invalid, "names no program"),
            (spec(["".into()]), StartErrorKind::Invalid, "names no program"),
            (spec(["echo".into(), "a\0b".into()]), StartErrorKind::Invalid, "argument 1 of `echo` holds a NUL"),
            (spec(["no-such-program".into()]), StartErrorKind::NotFound, "`no-such-program` in PATH"),
            (spec(["/no/such".into()]), StartErrorKind::NotFound, "no program `/no/such`"),
            (spec([scene.path().into()]), StartErrorKind::NotExecutable, "it is a folder"),
            (spec([file("plain", "x", 0o644)]), StartErrorKind::NotExecutable, "may not be executed"),
            (spec([file("junk", "junk", 0o755)]), StartErrorKind::NotExecutable, "first line such as #!/bin/sh"),
            (spec([file("lost", "#!/no/interpreter\n", 0o755)]), StartErrorKind::NotFound, "interpreter"),
            (
                spec(["echo".into(), "x".repeat(3_000_000).into()]),
                StartErrorKind::Invalid,
                "hand large values over stdin",
            ),
            (ProcessSpec { cwd: Some("/no/folder".into()), ..sh("true") }, StartErrorKind::Folder, "does not exist"),
        ];
        let pool = pool();
        for (spec, kind, words) in cases {
            let error = pool.start(spec).await.unwrap_err();
            assert!(error.kind == kind && error.message.contains(words), "{error:?}, not {kind:?} {words}");
        }
        assert_eq!(finish(pool.start(sh("echo fine")).await.unwrap()).await.0, "fine\n");
        assert_eq!(pool.idle_reapers(), 1);
    });
}

#[test]
fn a_process_gets_its_folder_its_variables_and_nothing_else() {
    block_on(async {
        let scene = Scene::new();
        let folder = scene.path().canonicalize().unwrap();
        fs::write(folder.join("tool"), "#!/bin/sh\necho from the relative PATH\n").unwrap();
        fs::set_permissions(folder.join("tool"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut spec = sh("pwd; tool; env | grep -v ^_= | grep -v ^PWD= | sort");
        spec.cwd = Some(folder.clone());
        spec.env = vec![("PATH".into(), ".:/usr/bin:/bin".into()), ("B".into(), "1".into()), ("B".into(), "2".into())];
        let pool = pool();
        let (text, _) = finish(pool.start(spec).await.unwrap()).await;
        let lines: Vec<_> = text.lines().filter(|l| !l.starts_with("SHLVL=") && !l.starts_with("OLDPWD")).collect();
        assert_eq!(lines, [folder.to_str().unwrap(), "from the relative PATH", "B=2", "PATH=.:/usr/bin:/bin"]);
    });
}

#[test]
fn detached_descendants_are_gone_when_the_step_has_ended() {
    block_on(async {
        let (scene, pool) = (Scene::new(), pool());
        let (text, end) = finish(pool.start(scene.hostile("exit 3")).await.unwrap()).await;
        scene.assert_gone();
        assert_eq!((end.exit, end.left, end.descendants_ended), (Exit::Code(3), 0, 3));
        assert_eq!(text, "ready\n", "output ends although descendants held the pipe");
        assert_eq!(pool.idle_reapers(), 1);
    });
}

#[test]
fn detached_descendants_are_gone_after_a_stop_and_after_a_kill() {
    block_on(async {
        let pool = pool();
        for (then, at_once) in
            [("exec sleep 1000", false), ("exec sleep 1000", true), ("kill -STOP $$; exec sleep 1000", false)]
        {
            let scene = Scene::new();
            let mut running = pool.start(scene.hostile(then)).await.unwrap();
            assert_eq!(line(&mut running).await, "ready\n");
            if at_once {
                running.stop.kill();
            } else {
                running.stop.stop();
            }
            let (_, end) = finish(running).await;
            scene.assert_gone();
            assert_eq!((end.exit, end.left), (Exit::Signal(9), 0));
        }
        assert_eq!(pool.idle_reapers(), 1);
    });
}

#[test]
fn a_gentle_stop_lets_the_whole_tree_finish_within_the_grace() {
    block_on(async {
        let scene = Scene::new();
        // The leader ends at once; its child, detached, takes a moment to tidy up.
        let line_of_child =
            "trap 'sleep 0.2; echo tidy > \"$DIR/done\"; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
        let mut spec = sh(&format!("setsid sh -c '{}' & wait", line_of_child.replace('\'', r"'\''")));
        spec.env.push(("DIR".into(), scene.path().into()));
        spec.grace = DEADLINE;
        let pool = pool();
        let mut running = pool.start(spec).await.unwrap();
        assert_eq!(line(&mut running).await, "ready\n");
        running.stop.stop();
        let (_, end) = finish(running).await;
        assert_eq!((end.exit, end.left, end.descendants_ended), (Exit::Signal(15), 0, 0));
        assert_eq!(fs::read_to_string(scene.path().join("done")).unwrap(), "tidy\n");
    });
}

#[test]
fn a_second_stop_does_not_wait_for_the_grace() {
    block_on(async {
        let scene = Scene::new();
        let mut spec = scene.hostile("while :; do sleep 1000; done");
        spec.grace = Duration::from_secs(10_000);
        let pool = pool();
        let mut running = pool.start(spec).await.unwrap();
        assert_eq!(line(&mut running).await, "ready\n");
        running.stop.stop();
        running.stop.stop();
        assert_eq!(finish(running).await.1.exit, Exit::Signal(9));
        scene.assert_gone();
    });
}

#[test]
fn whoever_drops_an_attempt_or_the_pool_ends_it() {
    let scenes = [Scene::new(), Scene::new(), Scene::new()];
    block_on(async {
        let pool = pool();
        let mut running = pool.start(scenes[0].hostile("sleep 1000")).await.unwrap();
        line(&mut running).await;
        drop(running);
        wait_until("the dropped attempt to end", DEADLINE, || scenes[0].pids().iter().all(|pid| !is_alive(*pid)));
        let mut running = pool.start(scenes[1].hostile("sleep 1000")).await.unwrap();
        line(&mut running).await;
        pool.shutdown().await;
        scenes[1].assert_gone();
        assert_eq!(running.ended.await.unwrap().left, 0);
        assert_eq!(pool.idle_reapers(), 0);
        assert!(pool.start(sh("true")).await.is_err());
        let other = self::pool();
        let mut running = other.start(scenes[2].hostile("sleep 1000")).await.unwrap();
        line(&mut running).await;
        drop(other);
        assert_eq!(running.ended.await.unwrap().exit, Exit::Signal(9));
    });
    scenes.iter().for_each(Scene::assert_gone);
}

#[test]
fn two_hundred_attempts_in_a_row_need_one_reaper_and_leak_nothing() {
    alone("two_hundred_attempts_in_a_row_need_one_reaper_and_leak_nothing", || async {
        let pool = pool();
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let children = || {
            let me = format!("/proc/{}/task", std::process::id());
            assert!(Path::new(&me).exists());
            children_of(std::process::id())
        };
        finish(pool.start(sh("true")).await.unwrap()).await;
        let (open, reapers) = (descriptors(), children());
        assert_eq!(reapers.len(), 1);
        let reaper_fds = || fs::read_dir(format!("/proc/{}/fd", reapers[0])).unwrap().count();
        let reaper_open = reaper_fds();
        for n in 0..200 {
            let (text, end) = finish(pool.start(sh(&format!("echo $PPID {n}"))).await.unwrap()).await;
            assert_eq!(text, format!("{} {n}\n", reapers[0]));
            assert_eq!(end.exit, Exit::Code(0));
        }
        assert_eq!(children(), reapers, "no zombie, no second reaper");
        assert_eq!((descriptors(), reaper_fds()), (open, reaper_open));
    });
}

pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let is_child = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok()) == Some(parent)
    };
    ids.filter(is_child).collect()
}

#[test]
fn agents_and_reapers_inherit_no_descriptor_of_others() {
    block_on(async {
        let pool = pool();
        let first = pool.start(sh("read x")).await.unwrap();
        let second = pool.start(sh("ls -l /proc/$PPID/fd; echo; ls -l /proc/self/fd")).await.unwrap();
        assert_eq!(pool.idle_reapers(), 0, "two attempts at once, two reapers");
        let (text, _) = finish(second).await;
        let (reaper, agent) = text.split_once("\n\n").unwrap();
        let place = |fd: i32| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap().display().to_string();
        let of_first = [first.stdin.as_raw_fd(), first.stdout.as_raw_fd(), first.stderr.as_raw_fd()].map(place);
        for name in &of_first {
            assert!(name.starts_with("pipe:") && !reaper.contains(name) && !agent.contains(name), "{name}: {text}");
        }
        let sockets = |text: &str| -> BTreeSet<_> {
            text.lines().filter_map(|line| line.split_once("-> socket:")).map(|(_, name)| name.to_owned()).collect()
        };
        assert_eq!(sockets(reaper).len(), 1, "its own: {reaper}");
        assert!(sockets(agent).is_empty() && !agent.contains("pidfd"), "{agent}");
        // The first one sees the end of its input as soon as we let go: nobody else holds it.
        let Running { stdin, ended, .. } = first;
        drop(stdin);
        assert_eq!(ended.await.unwrap().exit, Exit::Code(1));
    });
}

#[test]
fn usage_counts_what_the_tree_used() {
    block_on(async {
        let pool = pool();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let (_, end) = finish(pool.start(sh(busy)).await.unwrap()).await;
        assert!(end.cpu_s > 0.01 && end.cpu_s < 60.0, "{end:?}");
        assert!(end.peak_rss_bytes > 500_000, "{end:?}");
        let (_, idle) = finish(pool.start(sh("exit 0")).await.unwrap()).await;
        assert!(idle.cpu_s < end.cpu_s, "usage of earlier attempts is not counted again: {idle:?} {end:?}");
    });
}

#[test]
fn nothing_survives_the_killing_of_upbeat() {
    let scene = Scene::new();
    let mut parent = again("parent_to_be_killed", scene.path().as_os_str()).spawn().unwrap();
    let told = scene.path().join("reaper");
    wait_until("the parent's agent", DEADLINE, || fs::read_to_string(&told).is_ok_and(|text| text.ends_with('\n')));
    let reaper: u32 = fs::read_to_string(&told).unwrap().trim().parse().unwrap();
    assert!(is_alive(reaper) && scene.pids().iter().all(|pid| is_alive(*pid)));
    parent.kill().unwrap();
    let all = || scene.pids().iter().chain(&[reaper]).all(|pid| !is_alive(*pid));
    let took = wait_until("the orphans to end", Duration::from_secs(2), all);
    println!("gone after {took:?}");
    parent.wait().unwrap();
    scene.assert_gone();
}

/// Not a test: what the test before this one kills. A hostile agent that has also stopped its reaper.
#[test]
#[ignore = "started by nothing_survives_the_killing_of_upbeat"]
fn parent_to_be_killed() {
    let Some(dir) = std::env::var_os(ALONE).map(PathBuf::from).filter(|dir| dir.is_dir()) else { return };
    block_on(async {
        let then = "kill -STOP $PPID; echo $PPID > \"$DIR/reaper\"; sleep 1000";
        let pool = pool();
        let _running = pool.start(hostile(&dir, then)).await.unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn an_agent_that_kills_its_reaper_is_ended_by_upbeat() {
    alone("an_agent_that_kills_its_reaper_is_ended_by_upbeat", || async {
        let (scene, pool) = (Scene::new(), pool());
        let (_, end) = finish(pool.start(scene.hostile("kill -KILL $PPID; sleep 1000")).await.unwrap()).await;
        scene.assert_gone();
        assert_eq!((end.exit, end.left), (Exit::Lost, 0));
        assert!(end.descendants_ended >= 4, "{end:?}");
        assert_eq!(pool.idle_reapers(), 0);
        assert_eq!(finish(pool.start(sh("echo on")).await.unwrap()).await.0, "on\n", "the pool goes on");
        assert_eq!(children_of(std::process::id()).len(), 1, "no zombie but the new reaper is ours");
    });
}

#[test]
fn a_reaper_that_dies_at_rest_is_replaced() {
    alone("a_reaper_that_dies_at_rest_is_replaced", || async {
        let pool = pool();
        finish(pool.start(sh("true")).await.unwrap()).await;
        let reaper = children_of(std::process::id());
        assert_eq!(reaper.len(), 1);
        assert!(Command::new("kill").args(["-KILL", &reaper[0].to_string()]).status().unwrap().success());
        wait_until("the reaper to die", DEADLINE, || !is_alive(reaper[0]));
        assert_eq!(finish(pool.start(sh("echo on")).await.unwrap()).await.0, "on\n");
    });
}

#[test]
fn an_agent_that_stops_its_reaper_is_ended_all_the_same() {
    alone("an_agent_that_stops_its_reaper_is_ended_all_the_same", || async {
        let (scene, pool) = (Scene::new(), pool());
        let mut running = pool.start(scene.hostile("kill -STOP $PPID; echo stopped; sleep 1000")).await.unwrap();
        assert_eq!((line(&mut running).await, line(&mut running).await), ("ready\n".into(), "stopped\n".into()));
        running.stop.kill();
        let (_, end) = finish(running).await;
        scene.assert_gone();
        assert_eq!((end.exit, end.left), (Exit::Signal(9), 0), "the reaper was woken and saw it end");
    });
}

#[test]
fn a_reaper_that_was_stopped_at_rest_is_woken() {
    alone("a_reaper_that_was_stopped_at_rest_is_woken", || async {
        let pool = pool();
        finish(pool.start(sh("true")).await.unwrap()).await;
        let reaper = children_of(std::process::id());
        assert_eq!(reaper.len(), 1);
        let stop = || Command::new("kill").args(["-STOP", &reaper[0].to_string()]).status().unwrap().success();
        assert!(stop());
        assert_eq!(finish(pool.start(sh("echo on")).await.unwrap()).await.0, "on\n");
        assert_eq!(children_of(std::process::id()), reaper, "the same one");
        assert!(stop());
        pool.shutdown().await;
        assert!(children_of(std::process::id()).is_empty(), "a stopped one is let go, too");
    });
}
