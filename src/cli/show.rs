//! `upbeat show RUN`: one saved run, whole.

use super::args::{Output, ShowArgs};
use super::out::{self, Done};
use super::saved::{self, is_interrupted};
use super::store;
use crate::report::json;
use crate::report::show::Shown;
use crate::runtime::clock::unix_ms;

/// Shows it.
pub(crate) fn show(args: &ShowArgs) -> Done {
    let kept = store::existing(&args.saved.place)?;
    let name = saved::find(&kept, &args.saved.run)?;
    let folded = saved::fold(&kept, &name)?;
    let (run, view, summary) = (folded.run_view(), folded.view(), folded.summary());
    let shown = Shown {
        run: &run,
        agents: &view.agents,
        summary: &summary,
        now: folded.now,
        interrupted: is_interrupted(run.state, folded.live),
        live: folded.live,
        pid: folded.pid,
        began_unix_ms: folded.header.began_unix_ms,
        clock: &folded.header.clock,
        from: folded.header.from.as_ref(),
        ways: &kept.ways,
    };
    out::result(&match (args.output, args.failures) {
        (Output::Text, false) => shown.text(unix_ms()),
        (Output::Text, true) => shown.failures(),
        (Output::Json, false) => json::pretty(&shown.document()) + "\n",
        (Output::Json, true) => json::pretty(&shown.document()["errors"]) + "\n",
    })?;
    Ok(0)
}
