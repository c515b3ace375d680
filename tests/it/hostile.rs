//! Agents that do not want to end, each under a cancel and under `kill -9` of upbeat: nothing of them may be left in time.
//!
//! What an agent starts writes its id down; the harness adds the start time as soon as it sees one, so that an id that was
//! given away again is not taken for a survivor. Beside that, nobody may be left who has the scene's folder among its
//! arguments, in its environment, or as its working folder.
//!
//! What looks for leftovers runs in a process of its own: a test process that has a pool of reapers gets the orphans that
//! others leave behind, and nobody's own descendants are leftovers.
#![expect(clippy::disallowed_methods, reason = "tests measure real time and start the program they test")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::processes::{DEADLINE, PROGRAM, alone, children_of, wait_until};
use crate::program::command;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use upbeat::runtime::reaper::leftovers::{Leftovers, end_leftovers, processes_of};

const GRACE: Duration = Duration::from_millis(300);
/// What is promised for a cancel.
const AFTER_CANCEL: Duration = GRACE.saturating_add(Duration::from_secs(1));
/// What is promised for `kill -9`.
const AFTER_KILL: Duration = Duration::from_secs(2);
/// What is there after this time survives; what has gone before, but later than promised, was late.
const SURVIVES: Duration = Duration::from_secs(15);

/// Every script begins with this. `born` counts who has written itself down.
const HEAD: &str = r#"DIR=${0%/*}
born() { until [ "$(wc -l < "$DIR/pids")" -ge "$1" ]; do sleep 0.01; done; }
echo $$ >> "$DIR/pids"
"#;
/// One that hears nothing but KILL. It needs no variable.
const LEAF: &str = "trap '' TERM HUP INT QUIT USR1 USR2\necho $$ >> \"${0%/*}/pids\"\nexec sleep 1000\n";
/// A row of processes, each in a session of its own, each the parent of the next.
const CHAIN: &str = "[ $1 -gt 0 ] && setsid sh \"$0\" $(($1-1)) &\n. \"${0%/*}/leaf\"\n";
/// Begets one that does the same and ends at once: whoever is seen is gone already. Bounded, should it ever get away.
const HOPPER: &str = "[ $1 -gt 0 ] && sh \"$0\" $(($1-1)) &\n";

/// What an agent is, how many lines are written when it is in place, and what it does.
type Kind = (&'static str, usize, &'static str);

const KINDS: [Kind; 40] = [
    ("ignores TERM", 1, "trap '' TERM; while :; do sleep 1000; done"),
    ("ignores all that can be ignored", 2, "exec sh $DIR/leaf"),
    ("forks twice into its own session", 2, "(setsid sh $DIR/leaf &); exec sleep 1000"),
    ("closes its streams and goes on", 2, "exec <&- >&- 2>&-; exec sh $DIR/leaf"),
    ("stops itself", 2, "sh $DIR/leaf & born 2; kill -STOP $$; exec sleep 1000"),
    ("stops its children", 3, "sh $DIR/leaf & born 2; kill -STOP $!; echo $$ >> $DIR/pids; wait"),
    ("stops its whole group", 2, "sh $DIR/leaf & born 2; kill -STOP 0; wait"),
    ("stops its reaper", 3, "sh $DIR/leaf & born 2; kill -STOP $PPID; exec sh $DIR/leaf"),
    ("stops its reaper's group", 2, "kill -s STOP -- -$PPID; exec sh $DIR/leaf"),
    ("stops its reaper for ever", 2, "r=$PPID; (setsid sh $DIR/leaf &); while kill -STOP $r; do sleep 0.005; done"),
    ("kills its reaper", 1, "(setsid sh $DIR/leaf &); born 2; kill -KILL $PPID; exec sh $DIR/leaf"),
    ("kills its reaper's group", 1, "kill -s KILL -- -$PPID; exec sh $DIR/leaf"),
    ("terminates its reaper", 1, "kill -TERM $PPID; exec sh $DIR/leaf"),
    (
        "forks while it is ended",
        1,
        "trap 'for n in 1 2 3 4 5 6 7 8; do sh $DIR/leaf & done' TERM; while :; do sleep 0.01; done",
    ),
    ("forks a storm", 41, "i=0; while [ $i -lt 40 ]; do setsid sh $DIR/leaf & i=$((i+1)); done; wait; exec sleep 1000"),
    ("hops from process to process", 2, "sh $DIR/hopper 5000 & sh $DIR/hopper 5000 & exec sh $DIR/leaf"),
    (
        "restarts what is ended",
        3,
        "trap '' TERM; while :; do sh $DIR/leaf & wait $!; done & while :; do sh $DIR/leaf & wait $!; done",
    ),
    ("never reads its input", 1, "exec sleep 1000"),
    ("floods its output", 1, "trap '' TERM PIPE; yes \"$DIR\" | head -c 15000000; while :; do echo x; done"),
    ("floods its log", 1, "trap '' TERM PIPE; yes \"$DIR\" >&2; while :; do echo x >&2; done"),
    ("ends well and keeps its pipes open elsewhere", 1, "(setsid sh $DIR/leaf &); born 2; echo 1"),
    ("ends at once and leaves a deaf daemon", 1, "setsid sh $DIR/leaf < /dev/null > /dev/null 2>&1 &"),
    ("fails and leaves a deaf daemon", 1, "setsid sh $DIR/leaf & exit 3"),
    ("changes its session", 1, "exec setsid sh $DIR/leaf"),
    ("changes its process group", 2, "set -m; sh $DIR/leaf & wait; exec sleep 1000"),
    ("drops its environment", 2, "(env -i setsid /bin/sh $DIR/leaf &); cd /; exec env -i /bin/sleep 1000"),
    (
        "renames itself",
        3,
        "n=\"$DIR/a) Z 1 (\n\"; cp /bin/sleep \"$n\"; (trap '' TERM; setsid \"$n\" 1000 &); sh $DIR/leaf & born 2; echo $! >> $DIR/pids; wait",
    ),
    ("becomes another program", 1, "exec env sleep 1000"),
    ("hides behind nohup", 2, "nohup sh $DIR/leaf > /dev/null 2>&1 & wait; exec sleep 1000"),
    ("collects no children", 1, "for n in 1 2 3 4 5; do true & done; trap '' TERM; exec sleep 1000"),
    ("runs under timeout", 2, "exec timeout 1000 sh $DIR/leaf"),
    ("runs under timeout in the background", 2, "timeout -s KILL 1000 sh $DIR/leaf & wait; exec sleep 1000"),
    ("takes its time to leave", 2, "trap 'sleep 1000' EXIT; trap exit TERM; sh $DIR/leaf & wait"),
    (
        "is late",
        1,
        "(setsid sh -c \"sleep 0.25; exec sh $DIR/leaf\" &); (trap '' TERM; sleep 0.3; exec sh $DIR/leaf) & wait; exec sleep 1000",
    ),
    ("is a chain of daemons", 6, "setsid sh $DIR/chain 4 & exec sleep 1000"),
    ("is nice", 2, "nice -n 19 setsid sh $DIR/leaf & exec nice -n 19 sleep 1000"),
    ("has lost its folder", 2, "mkdir $DIR/gone; cd $DIR/gone; rmdir $DIR/gone; exec sh $DIR/leaf"),
    ("is a pipeline", 1, "yes | sort > /dev/null & yes $DIR | cat > /dev/null"),
    ("is an upbeat itself", 3, "exec $UPBEAT run $DIR/inner.yaml --output json"),
    (
        "is an upbeat in the background",
        3,
        "trap '' TERM; (setsid $UPBEAT run $DIR/inner.yaml --output json > /dev/null 2>&1 &); wait; exec sleep 1000",
    ),
];

const INNER: &str = "id: inner
agents: {a: {kind: process, command: [sh, DIR/inner, x], grace: 100s, capabilities: [a]}}
steps: [{id: a, capability: a, retry: 0, timeout: off}]
";

/// An upbeat at work with agents of these kinds, each in a folder of its own.
struct Scene {
    dir: tempfile::TempDir,
    upbeat: Child,
    agents: usize,
    seen: BTreeMap<u32, u64>,
    /// upbeat and its reapers.
    own: BTreeSet<u32>,
}

/// When a process started, in ticks; `None`: it is gone, or only waits to be collected.
fn started(id: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    (!matches!(fields[0], "Z" | "X")).then(|| fields[19].parse().ok())?
}

impl Scene {
    fn new(kinds: &[Kind]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut file = String::from("id: hostile\nagents:\n");
        let mut steps = String::from("steps:\n");
        for (n, (_, _, script)) in kinds.iter().enumerate() {
            let home = dir.path().join(format!("{n}"));
            let at = home.to_str().unwrap();
            fs::create_dir(&home).unwrap();
            fs::write(home.join("agent"), [HEAD, &script.replace("$UPBEAT", PROGRAM), "\n"].concat()).unwrap();
            for (name, text) in [("leaf", LEAF), ("chain", CHAIN), ("hopper", HOPPER), ("pids", "")] {
                fs::write(home.join(name), text).unwrap();
            }
            fs::write(home.join("inner"), format!("{HEAD}setsid sh \"$DIR/leaf\" &\nexec sh \"$DIR/leaf\"\n")).unwrap();
            fs::write(home.join("inner.yaml"), INNER.replace("DIR", at)).unwrap();
            file +=
                &format!("  a{n}: {{kind: process, command: [sh, {at}/agent], grace: 300ms, capabilities: [c{n}]}}\n");
            // The document is larger than a pipe takes: with who does not read it the writing never ends.
            let with = "x".repeat(200_000);
            steps += &format!("  - {{id: s{n}, capability: c{n}, retry: 0, timeout: off, with: {{big: {with}}}}}\n");
        }
        // Ends the run later than any kind, whatever becomes of the others.
        steps += "  - {id: hold, run: exec sleep 1000, timeout: off}\n";
        let path = dir.path().join("hostile.yaml");
        fs::write(&path, file + &steps).unwrap();
        let mut command = command(&["run", path.to_str().unwrap(), "--output", "json"]);
        let upbeat = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let own = BTreeSet::from([upbeat.id()]);
        Self { dir, upbeat, agents: kinds.len(), seen: BTreeMap::new(), own }
    }

    fn lines(&self, agent: usize) -> usize {
        let text = fs::read_to_string(self.dir.path().join(format!("{agent}/pids"))).unwrap();
        text.lines().count()
    }

    /// Takes down who has written itself down, and upbeat's own children.
    fn note(&mut self) {
        let told = (0..self.agents).flat_map(|agent| {
            let text = fs::read_to_string(self.dir.path().join(format!("{agent}/pids"))).unwrap();
            text.lines().filter_map(|line| line.parse::<u32>().ok()).collect::<Vec<_>>()
        });
        let told: Vec<u32> = told.collect();
        let reapers = children_of(self.upbeat.id());
        self.own.extend(&reapers);
        for id in told.into_iter().chain(reapers) {
            if let Some(start) = started(id) {
                self.seen.entry(id).or_insert(start);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.upbeat), signal).unwrap();
    }

    /// Who is left, with its command line.
    fn left(&mut self) -> Vec<(u32, String)> {
        self.note();
        let dir = self.dir.path().as_os_str().as_bytes().to_owned();
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Some(start) = started(id) else { continue };
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let names_us = |bytes: &[u8]| bytes.windows(dir.len()).any(|part| part == dir);
            let line = read("cmdline");
            if self.seen.get(&id) == Some(&start)
                || names_us(&line)
                || names_us(place.as_os_str().as_bytes())
                || names_us(&read("environ"))
            {
                left.push((id, String::from_utf8_lossy(&line).replace('\0', " ")));
            }
        }
        left
    }

    /// Waits until nobody is left; gives the time that took, however long. After a cancel upbeat, which has a summary to
    /// write, and its reapers at rest do not count towards it: what is promised is the end of what agents have started.
    fn gone(&mut self, signal: Signal) -> Result<Duration, String> {
        let (began, mut agents_gone) = (Instant::now(), None);
        loop {
            // Collected, so that it is not taken for one of those left.
            let _ = self.upbeat.try_wait();
            let left = self.left();
            let took = began.elapsed();
            let counts = |id: &u32| signal == Signal::KILL || !self.own.contains(id);
            if !left.iter().any(|(id, _)| counts(id)) {
                agents_gone = agents_gone.or(Some(took));
            }
            match agents_gone {
                Some(took) if left.is_empty() => return Ok(took),
                _ if took > SURVIVES => return Err(format!("still there after {took:?}: {left:?}")),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Scene {
    /// What a failed promise has left is not left by the test.
    fn drop(&mut self) {
        let _ = self.upbeat.kill();
        let _ = self.upbeat.wait();
        for (id, start) in &self.seen {
            if started(*id) == Some(*start) {
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
        }
    }
}

/// Whether it leaves nobody but upbeat to end it. Killed at that very moment upbeat cannot, and only the mark is left: that
/// has tests of its own.
fn disables_its_reaper(kind: &Kind) -> bool {
    ["kills its reaper", "terminates its reaper", "stops its reaper for ever"].iter().any(|how| kind.0.starts_with(how))
}

/// Tries until nobody is late, twice at most: all cores may be busy with other tests once. A survivor fails at once.
fn in_time(limit: Duration, trial: impl Fn() -> Result<Duration, String>) -> Result<Duration, String> {
    match trial()? {
        took if took <= limit => Ok(took),
        first => match trial()? {
            took if took <= limit => Ok(took),
            second => Err(format!("late twice: gone after {first:?} and {second:?}")),
        },
    }
}

/// One kind under one end.
fn trial(kind: Kind, signal: Signal) -> Result<Duration, String> {
    let mut scene = Scene::new(&[kind]);
    wait_until(kind.0, DEADLINE, || scene.lines(0) >= kind.1);
    scene.note();
    scene.signal(signal);
    scene.gone(signal)
}

#[test]
fn no_kind_of_hostile_agent_survives_a_cancel_or_the_killing_of_upbeat() {
    let trials: VecDeque<_> = KINDS
        .iter()
        .flat_map(|kind| {
            let killing = (!disables_its_reaper(kind)).then_some((*kind, Signal::KILL));
            [Some((*kind, Signal::TERM)), killing].into_iter().flatten()
        })
        .collect();
    let (trials, failed, told) = (Mutex::new(trials), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some((kind, signal)) = trials.lock().unwrap().pop_front() else { break };
                    let limit = if signal == Signal::KILL { AFTER_KILL } else { AFTER_CANCEL };
                    match in_time(limit, || trial(kind, signal)) {
                        Ok(took) => told.lock().unwrap().push((took, format!("{signal:?}"), kind.0)),
                        Err(left) => failed.lock().unwrap().push(format!("{} {signal:?}: {left}", kind.0)),
                    }
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    for (took, signal, name) in told.iter().rev() {
        println!("{:>5} ms  {signal}  {name}", took.as_millis());
    }
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The same numbers for the same seed.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

/// upbeat with 8 to 16 agents of any kind, killed at any moment of its first 400 ms.
fn killed_at_any_moment(seed: u64) -> Result<Duration, String> {
    let (mut seed, mut kinds) = (seed, Vec::new());
    let count = 8 + draw(&mut seed, 9);
    while (kinds.len() as u64) < count {
        let kind = KINDS[usize::try_from(draw(&mut seed, KINDS.len() as u64)).unwrap()];
        if !disables_its_reaper(&kind) {
            kinds.push(kind);
        }
    }
    let after = Duration::from_micros(draw(&mut seed, 400_000));
    let mut scene = Scene::new(&kinds);
    let began = Instant::now();
    // What happens meanwhile is not waited for: the moment is the point.
    while began.elapsed() < after {
        scene.note();
        std::thread::yield_now();
    }
    scene.signal(Signal::KILL);
    scene.gone(Signal::KILL)
}

/// Ends upbeat at random moments; gives the slowest end.
fn kill_often(seeds: std::ops::Range<u64>) -> Duration {
    let ends = seeds.map(|seed| {
        in_time(AFTER_KILL, || killed_at_any_moment(seed)).unwrap_or_else(|left| panic!("seed {seed}: {left}"))
    });
    ends.max().unwrap()
}

#[test]
fn nothing_survives_whenever_upbeat_is_killed() {
    println!("the slowest of 10: {:?}", kill_often(0..10));
}

#[test]
#[ignore = "the same at length: 200 times"]
fn nothing_survives_two_hundred_killings() {
    println!("the slowest of 200: {:?}", kill_often(1_000..1_200));
}

/// Waits until so many have written themselves down at this place.
fn wait_for_pids(place: &Path, count: usize) -> Vec<u32> {
    let read = || fs::read_to_string(place.join("pids")).unwrap_or_default();
    wait_until("the processes of the scene", DEADLINE, || read().lines().count() >= count);
    read().lines().map(|line| line.parse().unwrap()).collect()
}

/// Starts, for this run and without upbeat, what is there when an agent has killed its reaper and someone then upbeat: a
/// deaf process with the run's mark, nobody's child any more, and below it one that has dropped its environment.
fn leave_behind(place: &Path, run: &str) -> Vec<u32> {
    fs::create_dir(place).unwrap();
    fs::write(place.join("leaf"), LEAF).unwrap();
    let parent = "trap '' TERM\nsetsid env -i /bin/sh \"${0%/*}/leaf\" &\n. \"${0%/*}/leaf\"\n";
    fs::write(place.join("parent"), parent).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "setsid sh \"$0\" < /dev/null > /dev/null 2>&1 &"]).arg(place.join("parent"));
    assert!(command.env("UPBEAT_RUN_ID", run).status().unwrap().success());
    wait_for_pids(place, 2)
}

fn alive(ids: &[u32]) -> Vec<u32> {
    ids.iter().copied().filter(|id| started(*id).is_some()).collect()
}

#[test]
fn leftovers_of_dead_runs_are_ended_and_those_of_others_are_not() {
    alone("hostile::leftovers_of_dead_runs_are_ended_and_those_of_others_are_not", || async {
        let dir = tempfile::tempdir().unwrap();
        let name = |n: u32| format!("leftover-{}-{n}", std::process::id());
        let dead: Vec<u32> =
            [1, 2].iter().flat_map(|n| leave_behind(&dir.path().join(n.to_string()), &name(*n))).collect();
        let living = leave_behind(&dir.path().join("3"), &name(3));
        let mut expected = living.clone();
        expected.sort_unstable();
        assert_eq!(processes_of(&name(3)), expected, "the one without a mark is found by its parent");
        let ended = end_leftovers(&|run| run == name(1) || run == name(2), DEADLINE);
        let told = Leftovers { found: 4, ended: 4, left: 0, runs: vec![name(1), name(2)] };
        assert_eq!((ended, alive(&dead), alive(&living)), (told, vec![], living.clone()));
        assert_eq!((processes_of(&name(1)), processes_of(&name(3))), (vec![], expected));
        assert_eq!(end_leftovers(&|run| run == name(1), DEADLINE), Leftovers::default());
        assert_eq!(end_leftovers(&|run| run == name(3), DEADLINE).ended, 2);
        assert!(alive(&living).is_empty());
    });
}

#[test]
fn a_look_for_leftovers_spares_whoever_looks_and_its_ancestors() {
    // The shell, and the test below as its child, bear the mark as well as the leftover does.
    let dir = tempfile::tempdir().unwrap();
    let run = format!("own-{}", std::process::id());
    let left = leave_behind(&dir.path().join("1"), &run);
    let line = "\"$0\" --exact hostile::looks_for_its_own_mark --include-ignored --nocapture; echo \"then $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).arg(std::env::current_exe().unwrap()).env("UPBEAT_RUN_ID", &run);
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("found 2 ended 2 left 0") && text.contains("then 0"), "{text}");
    assert!(alive(&left).is_empty());
}

/// Not a test: what the test before this one runs.
#[test]
#[ignore = "started by a_look_for_leftovers_spares_whoever_looks_and_its_ancestors"]
fn looks_for_its_own_mark() {
    let Ok(run) = std::env::var("UPBEAT_RUN_ID") else { return };
    assert!(run.starts_with("own-"));
    let Leftovers { found, ended, left, runs } = end_leftovers(&|of| of == run, DEADLINE);
    assert_eq!(runs, [run]);
    println!("found {found} ended {ended} left {left}");
}

/// The run of an agent, by its mark.
fn run_of(agent: u32) -> String {
    let environment = fs::read(format!("/proc/{agent}/environ")).unwrap();
    let text = String::from_utf8_lossy(&environment).into_owned();
    text.split('\0').find_map(|entry| entry.strip_prefix("UPBEAT_RUN_ID=")).unwrap().to_owned()
}

#[test]
fn when_an_agent_has_killed_its_reaper_and_upbeat_is_killed_the_mark_tells_what_is_left() {
    alone("hostile::when_an_agent_has_killed_its_reaper_and_upbeat_is_killed_the_mark_tells_what_is_left", || async {
        // The upbeat is stopped while its agent kills the reaper, so that it can end nothing before it is killed.
        let kill = "until [ -e $DIR/now ]; do sleep 0.01; done; kill -KILL $PPID; exec sh $DIR/leaf";
        let mut scene = Scene::new(&[("kills its reaper when told", 1, kill)]);
        let place = scene.dir.path().join("0");
        let agent = wait_for_pids(&place, 1)[0];
        let run = run_of(agent);
        assert!(processes_of(&run).contains(&agent));
        scene.signal(Signal::STOP);
        fs::write(place.join("now"), "").unwrap();
        wait_for_pids(&place, 2);
        scene.note();
        scene.signal(Signal::KILL);
        scene.upbeat.wait().unwrap();
        assert_eq!(alive(&[agent]), [agent], "nobody is there to end it");
        let ended = end_leftovers(&|of| of == run, DEADLINE);
        assert!(ended.ended >= 1 && ended.left == 0 && ended.runs == [run.clone()], "{ended:?}");
        assert!(processes_of(&run).is_empty());
        assert!(scene.gone(Signal::KILL).is_ok());
    });
}

#[test]
fn when_an_agent_holds_its_reaper_and_upbeat_is_killed_both_are_ended_by_the_mark() {
    alone("hostile::when_an_agent_holds_its_reaper_and_upbeat_is_killed_both_are_ended_by_the_mark", || async {
        let mut scene = Scene::new(&[("holds its reaper", 1, "while kill -STOP $PPID; do :; done")]);
        let agent = wait_for_pids(&scene.dir.path().join("0"), 1)[0];
        let run = run_of(agent);
        let reaper = children_of(scene.upbeat.id()).into_iter().find(|reaper| children_of(*reaper) == [agent]).unwrap();
        scene.note();
        scene.signal(Signal::KILL);
        scene.upbeat.wait().unwrap();
        let ended = end_leftovers(&|of| of == run, DEADLINE);
        assert_eq!((ended.left, processes_of(&run)), (0, vec![]));
        wait_until("the reaper to end", DEADLINE, || started(reaper).is_none());
        assert!(scene.gone(Signal::KILL).is_ok());
    });
}
