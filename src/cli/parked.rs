//! A command to a run that nobody has open: it is opened, the command is done and recorded, and the run is left again.
//! Nothing of it starts.

use super::out::{Stop, refuse};
use super::saved::{self, Folded};
use super::session::{Session, Visit};
use super::store::Kept;
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::RunState;
use crate::runtime::clock::ClockKind;
use crate::runtime::control::{Ask, Told};
use crate::runtime::handle::RestoreOrder;
use crate::runtime::store::disk::SyncMode;

/// Does it; gives what it did and where the run stands now. `None`: somebody else has opened the run meanwhile.
pub(crate) fn steer(kept: &Kept, run: &Name, ask: &Ask) -> Result<Option<(Told, RunState)>, Stop> {
    let folded = saved::fold(kept, run)?;
    if folded.live {
        return Ok(None);
    }
    check(kept, &folded, ask)?;
    let clock = if folded.header.clock == "virtual" { ClockKind::Virtual } else { ClockKind::Real };
    let session = Session::start(clock, folded.header.speed, Some(kept.clone()), SyncMode::Normal)?;
    // A person is there, if not now: what an attempt that was lost has done can be asked when the run goes on.
    let order = RestoreOrder { name: run.clone(), seq: Some(folded.last_seq), definition: None, ask: true };
    match session.steer(order, ask)? {
        Visit::Done(told, state) => Ok(Some((told, state))),
        Visit::Unopened(_) if moved_on(kept, run, folded.last_seq) => Ok(None),
        Visit::Refused(rejection) | Visit::Unopened(rejection) => {
            refuse(&Safe::line(&rejection.to_string()).into_string())
        }
    }
}

/// Whether somebody else was quicker.
fn moved_on(kept: &Kept, run: &Name, seq: u64) -> bool {
    kept.store.is_live(run) || kept.store.read(run).is_ok_and(|saved| saved.last_seq != seq)
}

/// Refuses what has no meaning for a run that is not under way.
fn check(kept: &Kept, folded: &Folded, ask: &Ask) -> Result<(), Stop> {
    let (run, state) = (folded.name(), folded.run_view().state);
    if state.ended() {
        let way_out = kept.ways.after(run, state);
        return refuse(&format!("run {run} has ended, it is {}; {way_out}", state.word()));
    }
    if matches!(ask, Ask::Pause {} | Ask::Freeze {}) {
        let way_out = kept.ways.command("resume", run);
        let word = folded.word();
        return refuse(&format!("run {run} is {word} and nothing of it runs; `{way_out}` goes on with it"));
    }
    Ok(())
}
