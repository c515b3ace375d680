//! What came of trying every agent, for people and machines.

use super::format::width;
use crate::model::agent::{Agent, AgentKind, Probe};
use crate::model::safe::Safe;
use serde_json::{Value, json};

/// The kind as people read it; what is not the real thing says so.
#[must_use]
pub const fn kind(agent: &Agent) -> &'static str {
    match agent.kind {
        AgentKind::Simulated(_) => "simulated",
        AgentKind::Process(_) => "process",
        AgentKind::Builtin { .. } => "built in",
    }
}

/// The table, safe to print.
#[must_use]
pub fn text(tried: &[(&Agent, Probe)]) -> String {
    let heads = ["agent", "kind", "capabilities", "slots", "reachable", "latency", "how"];
    let mut table = vec![heads.map(str::to_owned)];
    table.extend(tried.iter().map(|(agent, probe)| cells(agent, probe)));
    let wide = |column: usize| table.iter().map(|cells| width(&cells[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(wide).collect();
    let mut out = String::new();
    for cells in &table {
        let padded =
            cells.iter().zip(&widths).map(|(cell, wide)| format!("{cell}{}", " ".repeat(wide - width(cell) + 2)));
        out += padded.collect::<String>().trim_end();
        out.push('\n');
    }
    for (agent, probe) in tried {
        if let Err(why) = &probe.reachable {
            out += &format!("\n{} is not reachable: {}\n", Safe::line(&agent.id), Safe::line(why));
        }
    }
    out
}

fn cells(agent: &Agent, probe: &Probe) -> [String; 7] {
    let capabilities: Vec<&str> = agent.capabilities.iter().map(|name| &**name).collect();
    [
        Safe::line(&agent.id).into_string(),
        kind(agent).to_owned(),
        Safe::line(&capabilities.join(", ")).into_string(),
        agent.slots.to_string(),
        if probe.reachable.is_ok() { "✓ yes" } else { "✗ no" }.to_owned(),
        probe.latency.map_or_else(|| "–".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1e3)),
        Safe::line(&probe.how).into_string(),
    ]
}

/// The list for machines.
#[must_use]
pub fn document(tried: &[(&Agent, Probe)]) -> Value {
    tried.iter().map(|(agent, probe)| member(agent, probe)).collect()
}

fn member(agent: &Agent, probe: &Probe) -> Value {
    let capabilities: Vec<&str> = agent.capabilities.iter().map(|name| &**name).collect();
    json!({
        "agent": &*agent.id,
        "kind": agent.kind.word(),
        "capabilities": capabilities,
        "slots": agent.slots,
        "backup": agent.backup,
        "reachable": probe.reachable.is_ok(),
        "latency_ms": probe.latency.map(|took| took.as_secs_f64() * 1e3),
        "how": probe.how,
        "error": probe.reachable.as_ref().err(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_table_says_what_is_there_how_that_is_known_and_what_is_missing() {
        let agents = [sample::agent("a\u{1b}[2J", "work", 2), sample::agent("b", "other", 1)];
        let there = Probe {
            reachable: Ok(()),
            latency: Some(std::time::Duration::from_micros(1_500)),
            how: "asked".to_owned(),
        };
        let gone = Probe { reachable: Err("no\nprogram".to_owned()), latency: None, how: "looked for".to_owned() };
        let tried = [(&agents[0], there), (&agents[1], gone)];
        assert_eq!(
            text(&tried),
            "agent  kind       capabilities  slots  reachable  latency  how\n\
             a      simulated  work          2      ✓ yes      1.5 ms   asked\n\
             b      simulated  other         1      ✗ no       –        looked for\n\
             \n\
             b is not reachable: no␊program\n"
        );
        let list = document(&tried);
        assert_eq!(list[0]["latency_ms"], 1.5);
        assert_eq!((&list[1]["reachable"], &list[1]["error"]), (&json!(false), &json!("no\nprogram")));
    }
}
