//! Circles among needs: every knot of steps that wait for each other is reported once, with a whole circle spelled out.

use crate::model::step::Need;
use crate::spec::build_step::DraftStep;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use std::collections::VecDeque;

/// The most steps of one circle that a message names.
pub(crate) const NAMED_MAX: usize = 500;

/// Reports every knot; whether there is one. `spans` are the places of `needs`.
pub(crate) fn report(steps: &[DraftStep], needs: &[Vec<Need>], spans: &[Vec<Span>], faults: &mut Faults<'_>) -> bool {
    let edges: Vec<Vec<usize>> =
        needs.iter().map(|needs| needs.iter().map(|need| need.step.index()).collect()).collect();
    let knots = knots(&edges);
    let mut knot_of = vec![usize::MAX; needs.len()];
    for (number, knot) in knots.iter().enumerate() {
        for &step in knot {
            knot_of[step] = number;
        }
    }
    for (number, knot) in knots.iter().enumerate() {
        let circle = circle(&edges, &knot_of, number, knot[0]);
        let names: Vec<&str> = circle.iter().chain(&circle[..1]).map(|&step| &*steps[step].step.id).collect();
        let shown = if names.len() > NAMED_MAX + 1 {
            format!("{} -> … ({} steps in all) … -> {}", names[..NAMED_MAX].join(" -> "), circle.len(), names[0])
        } else {
            names.join(" -> ")
        };
        let more = knot.len() - circle.len();
        let tangled = if more > 0 { format!("; {more} more steps are tangled up with them") } else { String::new() };
        // The arrow runs from a step to one that needs it, so the place is where the first one names the last.
        let last = circle[circle.len() - 1];
        let at = edges[circle[0]].iter().position(|&other| other == last).unwrap_or(0);
        let message = format!("these steps wait for each other: {shown}{tangled}");
        faults
            .error(spans[circle[0]][at], Code::Cycle, message)
            .expected("needs without a circle; the arrow runs from a step to one that needs it");
    }
    !knots.is_empty()
}

/// Sets of steps that reach each other, each in the order of the file and sorted by its first step (Tarjan, with a
/// stack of its own: a chain of 100,000 steps must not use up the thread's).
pub(crate) fn knots(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut index = vec![NEW; needs.len()];
    let mut low = vec![0; needs.len()];
    let mut on_stack = vec![false; needs.len()];
    let (mut stack, mut work, mut next) = (Vec::new(), Vec::new(), 0);
    let mut knots = Vec::new();
    for root in 0..needs.len() {
        if index[root] != NEW {
            continue;
        }
        work.push((root, 0));
        while let Some((step, at)) = work.pop() {
            if at == 0 {
                (index[step], low[step]) = (next, next);
                next += 1;
                stack.push(step);
                on_stack[step] = true;
            } else {
                let done = needs[step][at - 1];
                low[step] = low[step].min(low[done]);
            }
            let mut at = at;
            let mut entered = false;
            while let Some(&other) = needs[step].get(at) {
                at += 1;
                if index[other] == NEW {
                    work.push((step, at));
                    work.push((other, 0));
                    entered = true;
                    break;
                }
                if on_stack[other] {
                    low[step] = low[step].min(index[other]);
                }
            }
            if !entered && low[step] == index[step] {
                let from = stack.iter().rposition(|&other| other == step).unwrap_or(0);
                let mut knot = stack.split_off(from);
                knot.iter().for_each(|&other| on_stack[other] = false);
                if knot.len() > 1 || needs[step].contains(&step) {
                    knot.sort_unstable();
                    knots.push(knot);
                }
            }
        }
    }
    knots.sort_unstable();
    knots
}

/// A shortest circle through `start` within its knot, each step followed by one that needs it.
pub(crate) fn circle(needs: &[Vec<usize>], knot_of: &[usize], knot: usize, start: usize) -> Vec<usize> {
    let mut from = std::collections::HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(step) = queue.pop_front() {
        for other in needs[step].iter().copied().filter(|&other| knot_of[other] == knot) {
            if other == start {
                // `step` needs `start`; walking back along `from` ends at `start`, which needs the second to last.
                let mut circle = vec![start];
                let mut at = step;
                while at != start {
                    circle.push(at);
                    at = from[&at];
                }
                return circle;
            }
            from.entry(other).or_insert_with(|| {
                queue.push_back(other);
                step
            });
        }
    }
    vec![start]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    #[test]
    fn every_knot_is_found_and_nothing_else() {
        let tangled = [1, 2, 0, 2, 4, 6, 5].map(|other| vec![other]);
        assert_eq!(knots(&tangled), [vec![0, 1, 2], vec![4], vec![5, 6]]);
        assert!(knots(&[vec![], vec![0], vec![0, 1], vec![1, 2]]).is_empty());
    }

    #[test]
    fn a_chain_closed_over_100_000_steps_is_one_knot() {
        let edges: Vec<Vec<usize>> = (0..100_000).map(|n| vec![(n + 1) % 100_000]).collect();
        assert_eq!(knots(&edges).len(), 1);
        assert_eq!(circle(&edges, &vec![0; 100_000], 0, 0).len(), 100_000);
    }

    #[test]
    fn knots_of_random_graphs_are_those_that_plain_reachability_gives() {
        let mut rng = Rng::new(5);
        for _ in 0..300 {
            let size = 1 + rng.below(9);
            let mut edges = vec![Vec::new(); size as usize];
            for _ in 0..rng.below(2 * size) {
                edges[rng.below(size) as usize].push(rng.below(size) as usize);
            }
            let reaches = |from: usize, to: usize| {
                let (mut seen, mut open) = (vec![false; size as usize], edges[from].clone());
                while let Some(at) = open.pop() {
                    if !std::mem::replace(&mut seen[at], true) {
                        open.extend(&edges[at]);
                    }
                }
                seen[to]
            };
            let mut expected: Vec<Vec<usize>> = (0..size as usize)
                .filter(|&a| reaches(a, a))
                .map(|a| (0..size as usize).filter(|&b| a == b || (reaches(a, b) && reaches(b, a))).collect())
                .collect();
            expected.dedup();
            expected.sort();
            expected.dedup();
            assert_eq!(knots(&edges), expected, "{edges:?}");
        }
    }
}
