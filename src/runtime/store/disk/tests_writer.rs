//! The writing thread: order, full disks, retries. And figures, measured by hand.

use super::tests::{events, header, steps, store};
use super::*;
use crate::model::event::Event;
use crate::model::id::RunId;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn writer() -> (Writer, Receiver<Ack>) {
    let (said, acks) = channel();
    let writer = Writer::start(move |ack| {
        let _ = said.send(ack);
    });
    (writer.unwrap(), acks)
}

fn await_durable(acks: &Receiver<Ack>, ticket: u64) {
    loop {
        match acks.recv_timeout(PATIENCE).unwrap() {
            Ack::Durable { up_to_ticket } if up_to_ticket >= ticket => return,
            Ack::Durable { .. } => {}
            Ack::Failed { error, .. } => panic!("{error}"),
        }
    }
}

fn of_run(run: u32, events: &[Arc<Event>]) -> Vec<Arc<Event>> {
    events.iter().map(|event| Arc::new(Event { run: RunId(run), ..(**event).clone() })).collect()
}

#[test]
fn batches_of_several_runs_are_acknowledged_in_order_and_stored() {
    let (_folder, store) = store();
    let (writer, acks) = writer();
    for run in 0..3 {
        let journal = store.create(&header(&format!("r{run}")), SyncMode::Normal).unwrap();
        writer.open(RunId(run), journal);
    }
    let all = events(steps(50), 1);
    let mut ticket = 0;
    for batch in all.chunks(5) {
        for run in 0..3 {
            ticket += 1;
            writer.append(ticket, RunId(run), of_run(run, batch));
        }
    }
    writer.snapshot(RunId(1), 100, b"state".to_vec());
    writer.release(RunId(0));
    let mut last = 0;
    while last < ticket {
        let Ack::Durable { up_to_ticket } = acks.recv_timeout(PATIENCE).unwrap() else { panic!("it failed") };
        assert!(up_to_ticket > last);
        last = up_to_ticket;
        let least = (last / 15) * 5;
        for run in 0..3 {
            assert!(store.read_since(&format!("r{run}"), 0).unwrap().last_seq >= least);
        }
    }
    writer.close().unwrap();
    for run in 0..3 {
        let saved = store.read_since(&format!("r{run}"), 0).unwrap();
        assert_eq!(
            saved.with_run(RunId(run)).events,
            of_run(run, &all).iter().map(|e| (**e).clone()).collect::<Vec<_>>()
        );
        assert!(!store.is_live(&format!("r{run}")));
    }
    assert_eq!(store.read("r1").unwrap().snapshot, Some((100, b"state".to_vec())));
}

#[test]
fn what_could_not_be_stored_waits_in_order_and_is_written_by_a_retry() {
    let (_folder, store) = store();
    let (writer, acks) = writer();
    writer.open(RunId(0), store.create(&header("good"), SyncMode::Normal).unwrap());
    let full = store.create(&header("full"), SyncMode::Normal).unwrap();
    full.limit_pages(12);
    writer.open(RunId(1), full);
    let all = events(steps(2_000), 1);
    let mut ticket = 0;
    for batch in all.chunks(40) {
        for run in 0..2 {
            ticket += 1;
            writer.append(ticket, RunId(run), of_run(run, batch));
        }
    }
    let mut durable = 0;
    let error = loop {
        match acks.recv_timeout(PATIENCE).unwrap() {
            Ack::Durable { up_to_ticket } => durable = up_to_ticket,
            Ack::Failed { error, waiting } => {
                assert!(waiting > 0);
                break error;
            }
        }
    };
    assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
    assert!(durable < ticket);
    let stored = store.read_since("full", 0).unwrap().last_seq;
    assert!(stored >= durable / 2 * 40, "{stored} events, acknowledged up to ticket {durable}");
    // Opened anew, the file has no limit any more: room was made.
    writer.retry();
    await_durable(&acks, ticket);
    writer.close().unwrap();
    for run in ["good", "full"] {
        assert_eq!(store.read_since(run, 0).unwrap().last_seq, 4_000);
    }
}

#[test]
fn closing_tries_once_more_and_says_what_it_could_not_store() {
    let (_folder, store) = store();
    let (writer, acks) = writer();
    writer.open(RunId(0), store.create(&header("a1"), SyncMode::Normal).unwrap());
    // A gap: nothing will ever make this batch fit.
    writer.append(1, RunId(0), events(steps(1), 5));
    let Ack::Failed { error, waiting: 2 } = acks.recv_timeout(PATIENCE).unwrap() else { panic!("a gap was stored") };
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert_eq!(writer.close().unwrap_err(), error);
    assert!(!store.is_live("a1"));
}

#[test]
fn a_commit_that_arrived_although_it_failed_is_not_written_twice() {
    let (_folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    let all = events(steps(4), 1);
    journal.append(0, &all[..4]).unwrap();
    journal.forget_last_commit(&all[..4]);
    assert_eq!(journal.last_seq(), 0);
    journal.reopen().unwrap();
    assert_eq!(journal.last_seq(), 4);
    journal.append(4, &all[4..]).unwrap();
    assert_eq!(store.read("a1").unwrap().last_seq, 8);
}

/// The limit of the child's files, in bytes: `ulimit -f` counts 512 a block.
const LIMIT: u64 = 400 * 512;

/// Under a limit on file sizes, set by a shell that also has the signal for it ignored, this is the child.
#[test]
fn a_real_limit_on_file_sizes_loses_nothing_that_was_acknowledged() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Fsize);
    if limit.current != Some(LIMIT) {
        let test = "runtime::store::disk::tests_writer::a_real_limit_on_file_sizes_loses_nothing_that_was_acknowledged";
        let script = format!("trap '' XFSZ; ulimit -S -f {} && exec \"$0\" --exact {test}", LIMIT / 512);
        #[expect(clippy::disallowed_methods, reason = "a limit that SIGXFSZ must not end is set by a shell")]
        let child =
            std::process::Command::new("sh").arg("-c").arg(script).arg(std::env::current_exe().unwrap()).output();
        let child = child.unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (_folder, store) = store();
    let (writer, acks) = writer();
    writer.open(RunId(0), store.create(&header("a1"), SyncMode::Full).unwrap());
    let all = events(steps(1_000), 1);
    let batches = all.chunks(40);
    let last = batches.len() as u64;
    for (ticket, batch) in (1..).zip(batches) {
        writer.append(ticket, RunId(0), batch.to_vec());
    }
    let mut durable = 0;
    let (error, waiting) = loop {
        match acks.recv_timeout(PATIENCE).unwrap() {
            Ack::Durable { up_to_ticket } => durable = up_to_ticket,
            Ack::Failed { error, waiting } => break (error, waiting),
        }
    };
    assert!(matches!(error.kind, StoreErrorKind::Full | StoreErrorKind::Io), "{error}");
    assert!(waiting > 0 && error.way_out.is_some(), "{error}");
    assert!(store.read_since("a1", 0).unwrap().last_seq >= durable * 40);
    setrlimit(Resource::Fsize, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    writer.retry();
    await_durable(&acks, last);
    writer.close().unwrap();
    assert_eq!(store.read_since("a1", 0).unwrap().events.len(), all.len());
}

/// Times of a kind, for `figures`.
fn percentiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1e3;
    format!("p50 {:.1} µs, p99 {:.1} µs, max {:.1} µs", at(0.5), at(0.99), at(1.0))
}

#[test]
#[ignore = "measures: run by hand in release, with --nocapture"]
fn figures() {
    let now = crate::runtime::clock::now;
    for sync in [SyncMode::Normal, SyncMode::Full] {
        let (_folder, store) = store();
        let (writer, acks) = writer();
        let began = now();
        writer.open(RunId(0), store.create(&header("chain"), sync).unwrap());
        eprintln!("{}: create {:?}", sync.word(), began.elapsed());
        let all = events(steps(5_000), 1);
        let mut times = Vec::new();
        for (ticket, batch) in (1..).zip(all.chunks(5)) {
            let began = now();
            writer.append(ticket, RunId(0), batch.to_vec());
            await_durable(&acks, ticket);
            times.push(began.elapsed());
        }
        eprintln!("{}: chain, 5 events an ack: {}", sync.word(), percentiles(&mut times));
        writer.open(RunId(1), store.create(&header("wide"), sync).unwrap());
        let all = events(steps(50_000), 1);
        let began = now();
        for (ticket, batch) in (100_000..).zip(all.chunks(1_000)) {
            writer.append(ticket, RunId(1), batch.to_vec());
        }
        await_durable(&acks, 100_099);
        eprintln!("{}: wide, 1,000 a batch: {:.2} µs an event", sync.word(), began.elapsed().as_secs_f64() * 10.0);
        let began = now();
        assert_eq!(store.read("wide").unwrap().events.len(), 100_000);
        eprintln!("{}: reading 100,000 events, live: {:?}", sync.word(), began.elapsed());
        writer.close().unwrap();
        let began = now();
        assert_eq!(store.open_journal("wide", sync).unwrap().1.events.len(), 100_000);
        eprintln!("{}: opening 100,000 events: {:?}", sync.word(), began.elapsed());
    }
    let (_folder, store) = store();
    let began = now();
    for run in 0..1_000 {
        drop(store.create(&header(&format!("r{run:04}")), SyncMode::Normal).unwrap());
    }
    eprintln!("creating 1,000 runs: {:?}", began.elapsed());
    let began = now();
    assert_eq!(store.list().unwrap().len(), 1_000);
    eprintln!("listing 1,000 runs: {:?}", began.elapsed());
}
