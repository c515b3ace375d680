//! Which order of work would suit a workflow, rule by rule, each with the figure it was held against.

use super::format::percent;
use crate::model::defaults::{AUTO_FREE_AGENTS, AUTO_LOAD};
use crate::model::policy::Mode;
use serde_json::{Value, json};

/// The share of time that has to be saved for parallel work to pay.
pub(super) const POTENTIAL: f64 = 0.3;

/// What the rules are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Steps of the widest level.
    pub(super) independent: usize,
    /// From so many on parallel work pays.
    pub(super) threshold: u32,
    /// The share of the sequential time that parallel work saves.
    pub(super) saved: f64,
    /// Agents that can do a step of the workflow.
    pub(super) agents: usize,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
struct Rule {
    name: &'static str,
    words: &'static str,
    /// `None`: known only when it runs.
    found: Option<f64>,
    threshold: f64,
    met: Option<bool>,
}

/// The rules and what follows from them.
#[derive(Clone, Debug)]
pub(super) struct Advice {
    rules: [Rule; 4],
    /// The order of work that would suit.
    pub(super) advised: Mode,
}

impl Advice {
    pub(super) fn new(figures: Figures) -> Self {
        let independent = figures.independent >= figures.threshold as usize;
        let potential = figures.saved >= POTENTIAL;
        let agents = figures.agents >= AUTO_FREE_AGENTS;
        let advised = match (independent, potential, agents) {
            (true, true, true) => Mode::Parallel,
            (false, false, _) => Mode::Sequential,
            _ => Mode::Hybrid,
        };
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let rule = |name, words, found, threshold, met| Rule { name, words, found, threshold, met };
        let rules = [
            rule(
                "independent_steps",
                "independent steps",
                Some(count(figures.independent)),
                f64::from(figures.threshold),
                Some(independent),
            ),
            rule("parallel_potential", "time saved in parallel", Some(figures.saved), POTENTIAL, Some(potential)),
            rule("load_per_core", "one-minute load a core", None, AUTO_LOAD, None),
            rule("free_agents", "capable agents", Some(count(figures.agents)), count(AUTO_FREE_AGENTS), Some(agents)),
        ];
        Self { rules, advised }
    }

    /// For machines: `found` and `met` are null where only a run can tell.
    pub(super) fn json(&self) -> Value {
        let rule =
            |rule: &Rule| json!({"rule": rule.name, "found": rule.found, "threshold": rule.threshold, "met": rule.met});
        self.rules.iter().map(rule).collect()
    }

    /// For people: what is advised, then a line a rule.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.advised.word().to_owned()];
        for rule in &self.rules {
            let shown =
                |figure: f64| if rule.name == "parallel_potential" { percent(figure) } else { figure.to_string() };
            lines.push(match (rule.found, rule.met) {
                (Some(found), Some(met)) => {
                    let verdict = if met { "met" } else { "not met" };
                    format!("{}: {}, pays from {}: {verdict}", rule.words, shown(found), shown(rule.threshold))
                }
                _ => format!("{}: pays up to {}: looked at when it runs", rule.words, shown(rule.threshold)),
            });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_follows_from_the_rules() {
        let advised =
            |independent, saved, agents| Advice::new(Figures { independent, threshold: 3, saved, agents }).advised;
        assert_eq!(advised(3, 0.3, 2), Mode::Parallel);
        assert_eq!(advised(2, 0.29, 9), Mode::Sequential);
        assert_eq!(advised(2, 0.3, 2), Mode::Hybrid);
        assert_eq!(advised(3, 0.29, 2), Mode::Hybrid);
        assert_eq!(advised(9, 0.9, 1), Mode::Hybrid);
        assert_eq!(advised(9, 0.0, 1), Mode::Hybrid);
    }

    #[test]
    fn every_rule_is_told_with_its_figure_and_the_load_is_left_to_the_run() {
        let advice = Advice::new(Figures { independent: 4, threshold: 3, saved: 0.25, agents: 2 });
        assert_eq!(
            advice.json(),
            json!([
                {"rule": "independent_steps", "found": 4.0, "threshold": 3.0, "met": true},
                {"rule": "parallel_potential", "found": 0.25, "threshold": 0.3, "met": false},
                {"rule": "load_per_core", "found": null, "threshold": 0.8, "met": null},
                {"rule": "free_agents", "found": 2.0, "threshold": 2.0, "met": true},
            ])
        );
        assert_eq!(advice.lines()[0], "hybrid");
        assert_eq!(advice.lines()[1], "independent steps: 4, pays from 3: met");
        assert_eq!(advice.lines()[3], "one-minute load a core: pays up to 0.8: looked at when it runs");
    }
}
