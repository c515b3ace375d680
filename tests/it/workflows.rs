//! The workflows that ship: each runs, and takes exactly as long as it says.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, root, upbeat};
use serde_json::{Value, json};

/// A run under the virtual clock that has to end well.
fn virtually(args: &[&str]) -> Value {
    let all: Vec<&str> = ["run"].into_iter().chain(args.iter().copied()).collect();
    let ended = upbeat(&[&all[..], &["--clock", "virtual", "--output", "json"]].concat());
    assert_eq!(ended.code, 0, "{args:?}\n{}", ended.err);
    ended.json()
}

#[test]
fn the_tutorials_times_are_exact() {
    let rows = [
        ("standard", 8.0, 15.0),
        ("data_pipeline", 7.0, 14.0),
        ("order_processing", 13.0, 24.0),
        ("trading_pipeline", 9.0, 12.0),
    ];
    for (name, parallel, sequential) in rows {
        let file = format!("workflows/{name}.yaml");
        let meta = virtually(&[&file])["metadata"].take();
        assert_eq!(meta["elapsed_s"], parallel, "{name}");
        assert_eq!(meta["busy_s"], sequential, "{name}");
        assert_eq!(meta["critical_path_s"], parallel, "{name}");
        assert_eq!(meta["lower_bound_s"], parallel, "{name}");
        assert_eq!(meta["speedup"], sequential / parallel, "{name}");
        assert_eq!(meta["efficiency"], 1.0, "{name}");
        assert_eq!(meta["resources"], Value::Null, "{name}");
        let meta = virtually(&[&file, "--mode", "sequential"])["metadata"].take();
        assert_eq!((&meta["elapsed_s"], &meta["speedup"]), (&json!(sequential), &json!(1.0)), "{name}");
        assert_eq!((&meta["max_parallel"], &meta["strategy"]), (&json!(1), &json!("sequential")), "{name}");
        let plan = upbeat(&["plan", &file, "--output", "json"]).json();
        assert_eq!(plan["parallel_s"], parallel, "{name}");
        assert_eq!(plan["sequential_s"], sequential, "{name}");
    }
}

const DATACLASS: &str = r#"{
  "workflow_id": "trading_pipeline_v1",
  "name": "Multi-Agent Trading Decision Pipeline",
  "description": "Market data, two analyses, risk, a decision",
  "steps": [
    {"step_id": "market_data_collection", "action": "collect", "agent_capability": "market_data",
     "input_mapping": {"symbols": "trading_symbols"}, "output_mapping": {"market_data": "raw"}, "dependencies": [],
     "timeout": 10, "retry_count": 2},
    {"step_id": "technical_analysis", "action": "analyze", "agent_capability": "technical",
     "input_mapping": {"market_data": "raw"}, "output_mapping": {"signals": "technical_signals"},
     "dependencies": ["market_data_collection"], "timeout": 30, "retry_count": 2},
    {"step_id": "sentiment_analysis", "action": "listen", "agent_capability": "sentiment",
     "input_mapping": {"symbols": "trading_symbols"}, "output_mapping": {"sentiment": "mood"},
     "dependencies": ["market_data_collection"], "timeout": 20, "retry_count": 2},
    {"step_id": "risk_assessment", "action": "assess", "agent_capability": "risk",
     "input_mapping": {"signals": "technical_signals", "portfolio": "portfolio.current"},
     "output_mapping": {"risk_score": "calculated_risk", "max_position": "limits.position"},
     "dependencies": ["technical_analysis", "sentiment_analysis"], "timeout": 15, "retry_count": 2},
    {"step_id": "trading_decision", "action": "decide", "agent_capability": "strategy",
     "input_mapping": {"risk": "calculated_risk"}, "output_mapping": {"trades": "recommended_trades"},
     "dependencies": ["risk_assessment"], "timeout": 10, "retry_count": 2}
  ],
  "initial_data": {"trading_symbols": ["AAA"], "portfolio": {"current": {"AAA": 120}}}
}"#;

const DATACLASS_AGENTS: &str = "
agents:
  market-1: {kind: simulated, capabilities: [market_data], script: {collect: {duration: 2s, output: {market_data: [1, 2]}}}}
  technical-1: {kind: simulated, capabilities: [technical], script: {analyze: {duration: 4s, output: {signals: {AAA: 2}}}}}
  sentiment-1: {kind: simulated, capabilities: [sentiment], script: {listen: {duration: 3s, output: {sentiment: 0.1}}}}
  risk-1: {kind: simulated, capabilities: [risk], script: {assess: {duration: 1s, output: {risk_score: 0.35, max_position: 500}}}}
  strategy-1: {kind: simulated, capabilities: [strategy], script: {decide: {duration: 1s, output: {trades: [buy]}}}}
";

#[test]
fn a_dump_of_the_tutorials_dataclasses_runs_unchanged() {
    let folder = Folder::new();
    let file = folder.file("flow.json", DATACLASS);
    let agents = folder.file("agents.yaml", DATACLASS_AGENTS);
    let result = virtually(&[&file, "--agents", &agents]);
    assert_eq!(result["workflow"], "trading_pipeline_v1");
    assert_eq!(result["metadata"]["elapsed_s"], 8.0);
    assert_eq!(result["metadata"]["busy_s"], 11.0);
    assert_eq!(result["metadata"]["speedup"], 1.375);
    assert_eq!(result["data"]["limits"]["position"], 500);
    assert_eq!(result["data"]["recommended_trades"], json!(["buy"]));
    let members: Vec<&String> = result.as_object().unwrap().keys().collect();
    let expected = ["status", "run_id", "workflow", "seed", "data", "outputs", "metadata", "errors", "recovery"];
    assert_eq!(members, expected);
}

#[test]
fn the_work_of_the_failing_researcher_is_taken_over_whatever_the_seed() {
    for seed in ["0", "1", "7", "42", "123456789", "18446744073709551615"] {
        let result = virtually(&["workflows/research_report.yaml", "--seed", seed]);
        assert_eq!(result["status"], "succeeded");
        assert_eq!(result["metadata"]["steps"]["succeeded"], 10);
        assert_eq!(result["metadata"]["agents_used"], 4);
        assert_eq!(result["recovery"]["status"], "recovered", "seed {seed}");
        assert_eq!(result["errors"], json!([]));
    }
}

#[test]
fn the_booked_journey_is_rolled_back_whatever_the_seed() {
    for seed in ["0", "1", "7", "42"] {
        let args = ["run", "workflows/saga_booking.yaml", "--clock", "virtual", "--seed", seed, "--output", "jsonl"];
        let ended = upbeat(&args);
        assert_eq!(ended.code, 6, "seed {seed}\n{}", ended.err);
        let lines = ended.lines();
        let undone = lines.iter().filter(|line| line["event"] == "step_compensated");
        let undone: Vec<&str> = undone.filter_map(|line| line["step"].as_str()).collect();
        assert_eq!(undone, ["guide", "car", "hotel", "flight"], "seed {seed}");
        let result = &lines.last().unwrap()["result"];
        assert_eq!(result["status"], "compensated");
        assert_eq!(result["metadata"]["steps"]["compensated"], 4);
        assert_eq!(result["errors"][0]["step"], "insurance");
    }
}

#[test]
fn the_same_file_and_seed_give_the_same_bytes_but_for_the_run_id() {
    let run = || {
        let args = ["run", "workflows/research_report.yaml", "--clock", "virtual", "--seed", "5", "--output", "jsonl"];
        let ended = upbeat(&args);
        let id = ended.lines()[0]["run_id"].as_str().unwrap().to_owned();
        (ended.out.replace(&id, "ID"), id)
    };
    let ((first, first_id), (second, second_id)) = (run(), run());
    assert_eq!(first, second);
    assert_ne!(first_id, second_id);
}

fn check_report(ended: &Said) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.err);
    let result = ended.json();
    assert_eq!(result["status"], "succeeded");
    assert!(result["metadata"]["elapsed_s"].as_f64().unwrap() < 5.0);
    let report = result["data"]["report"].clone();
    assert!(report["size"]["files"].as_u64().unwrap() > 3, "{report}");
    assert!(report["headline"].as_str().unwrap().contains(" files, "), "{report}");
    report
}

#[test]
fn the_codebase_report_measures_this_repository() {
    let report = check_report(&upbeat(&["run", "workflows/codebase_report.yaml", "--output", "json"]));
    assert!(report["size"]["by_kind"]["rs"]["lines"].as_u64().unwrap() > 1_000, "{report}");
    assert!(report["size"]["files"].as_u64().unwrap() > 50);
    assert!(report["quality"]["tests"].as_u64().unwrap() > 50);
    assert_eq!(report["size"]["largest"].as_array().unwrap().len(), 5);
}

#[test]
fn the_codebase_report_does_without_git() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("workflows")).unwrap();
    let text = std::fs::read_to_string(root().join("workflows/codebase_report.yaml")).unwrap();
    let file = folder.file("workflows/codebase_report.yaml", &text);
    for (name, text) in
        [("a.rs", "// one\nfn a() {}\n"), ("odd \"name\".md", "# TODO\n"), ("b.py", "def test_b(): 1\n")]
    {
        folder.file(name, text);
    }
    let report = check_report(&upbeat(&["run", &file, "--output", "json"]));
    assert_eq!(report["source"], "find");
    assert_eq!(report["size"]["files"], 4);
    assert_eq!(report["history"]["available"], false);
    assert_eq!(report["quality"], json!({"todos": report["quality"]["todos"], "tests": 1, "comment_share": 0.5}));
}

#[test]
fn every_shipped_workflow_is_checked_planned_and_drawn() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("workflows")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.to_str().unwrap();
        seen += 1;
        let checked = upbeat(&["check", file]);
        assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{file}");
        assert_eq!(upbeat(&["plan", file]).code, 0, "{file}");
        for format in ["text", "dot", "mermaid", "json"] {
            let drawn = upbeat(&["graph", file, "-f", format]);
            assert!(drawn.code == 0 && !drawn.out.is_empty() && drawn.err.is_empty(), "{file} {format} {}", drawn.err);
        }
    }
    assert!(seen >= 7);
}
