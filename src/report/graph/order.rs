//! Order within ranks: as few crossings as a fixed amount of work can find.
//! Components are ordered apart and put side by side. For each: walks from sources and sinks give first orders, sweeps
//! of weighted medians with greedy switching improve them, sifting and seeded restarts polish the best. The budget
//! counts elementary operations, so the answer depends on the graph alone, never on the machine.

use super::crossings::Fenwick;
use super::layered::Layered;
use super::side::Side;
use super::sift::Row;

/// Orders every rank. `effort` is the number of operations that may be spent.
pub(crate) fn order(graph: &Layered, effort: u64) -> Vec<Vec<u32>> {
    let (up, down) = (Side::new(graph, false), Side::new(graph, true));
    let mut ranks: Vec<Vec<u32>> = vec![Vec::new(); graph.depth()];
    let mut place = vec![0; graph.rank.len()];
    let mut seen = vec![0; graph.rank.len()];
    let all = graph.segments.len().max(1) as u64;
    for members in components(&up, &down, graph.rank.len()) {
        let first = members.iter().map(|v| graph.rank[*v as usize]).min().unwrap_or(0);
        let depth = members.iter().map(|v| graph.rank[*v as usize] - first + 1).max().unwrap_or(0);
        let segments = members.iter().map(|v| down.of(*v).len()).sum::<usize>() as u64;
        let budget = (u128::from(effort) * u128::from(segments) / u128::from(all)) as u64;
        let fenwick = Fenwick::default();
        let (place, seen) = (&mut place, &mut seen);
        let mut part = Part { graph, up: &up, down: &down, first, place, seen, stamp: 0, work: 0, fenwick };
        let rows = part.best(&members, depth as usize, budget);
        for (r, row) in rows.into_iter().enumerate() {
            ranks[first as usize + r].extend(row);
        }
    }
    ranks
}

/// Connected parts, by their first vertex.
fn components(up: &Side, down: &Side, vertices: usize) -> Vec<Vec<u32>> {
    let mut seen = vec![false; vertices];
    let mut parts = Vec::new();
    for root in 0..vertices as u32 {
        if seen[root as usize] {
            continue;
        }
        seen[root as usize] = true;
        let mut part = vec![root];
        let mut i = 0;
        while i < part.len() {
            let v = part[i];
            for (w, _) in down.of(v).iter().chain(up.of(v)) {
                if !seen[*w as usize] {
                    seen[*w as usize] = true;
                    part.push(*w);
                }
            }
            i += 1;
        }
        parts.push(part);
    }
    parts
}

/// One component under work.
struct Part<'a> {
    graph: &'a Layered,
    up: &'a Side,
    down: &'a Side,
    first: u32,
    place: &'a mut [u32],
    /// The last walk that met each vertex.
    seen: &'a mut [u32],
    stamp: u32,
    work: u64,
    fenwick: Fenwick,
}

type Rows = Vec<Vec<u32>>;

/// What stands for the middle of a vertex's neighbours.
#[derive(Clone, Copy)]
enum Measure {
    Mean,
    Median,
}

/// How to sweep: by what measure, whether neighbours are exchanged as well, and how often at most.
#[derive(Clone, Copy)]
struct Sweep {
    measure: Measure,
    switch: bool,
    most: usize,
}

/// Ways to walk a component for a first order.
const WALKS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

impl Part<'_> {
    fn best(&mut self, members: &[u32], depth: usize, budget: u64) -> Rows {
        let mut starts: Vec<(u64, Rows)> = Vec::new();
        'walks: for (from_sources, deep) in WALKS {
            for measure in [Measure::Mean, Measure::Median] {
                let rows = self.walk(members, depth, from_sources, deep);
                let found = self.sweep(rows, Sweep { measure, switch: false, most: 12 }, budget / 3);
                if found.0 == 0 {
                    return found.1;
                }
                starts.push(found);
                if self.work >= budget / 3 {
                    break 'walks;
                }
            }
        }
        starts.sort_by_key(|s| s.0);
        starts.truncate(4);
        for (i, (from_sources, deep)) in WALKS.into_iter().enumerate() {
            let at = (2 * i + 1).min(starts.len());
            starts.insert(at, (u64::MAX, self.walk(members, depth, from_sources, deep)));
        }
        let mut best = (u64::MAX, Vec::new());
        for (_, rows) in starts {
            let found = self.sweep(rows, Sweep { measure: Measure::Median, switch: true, most: 24 }, budget / 3 * 2);
            if found.0 < best.0 {
                best = found;
            }
            if best.0 == 0 || self.work >= budget / 3 * 2 {
                break;
            }
        }
        best = self.polish(best, budget);
        self.search(best, budget)
    }

    /// A depth-first or breadth-first walk; each rank takes its vertices in the order they are met.
    fn walk(&mut self, members: &[u32], depth: usize, from_sources: bool, deep: bool) -> Rows {
        let mut rows: Rows = vec![Vec::new(); depth];
        self.stamp += 1;
        let (ahead, behind) = if from_sources { (self.down, self.up) } else { (self.up, self.down) };
        let mut starts: Vec<u32> = members.iter().copied().filter(|v| behind.of(*v).is_empty()).collect();
        starts.sort_unstable();
        let mut line = std::collections::VecDeque::new();
        let groups: Vec<Vec<u32>> = if deep { starts.iter().map(|s| vec![*s]).collect() } else { vec![starts] };
        for group in groups {
            line.extend(group);
            while let Some(v) = if deep { line.pop_back() } else { line.pop_front() } {
                if std::mem::replace(&mut self.seen[v as usize], self.stamp) == self.stamp {
                    continue;
                }
                rows[(self.graph.rank[v as usize] - self.first) as usize].push(v);
                let next = ahead.of(v).iter().map(|n| n.0).filter(|n| self.seen[*n as usize] != self.stamp);
                if deep {
                    let from = line.len();
                    line.extend(next);
                    line.make_contiguous()[from..].reverse();
                } else {
                    line.extend(next);
                }
            }
        }
        self.work += members.len() as u64 * 4;
        rows
    }

    fn index(&mut self, row: &[u32]) {
        for (i, v) in row.iter().enumerate() {
            self.place[*v as usize] = i as u32;
        }
    }

    /// Sweeps down and up until nothing gets better; returns the best count and order met.
    fn sweep(&mut self, mut rows: Rows, how: Sweep, budget: u64) -> (u64, Rows) {
        for row in &rows {
            self.index(row);
        }
        let mut best = (self.crossings(&rows), rows.clone());
        let mut idle = 0;
        for round in 0..how.most {
            if best.0 == 0 || idle >= 6 || self.work >= budget {
                break;
            }
            let downward = round % 2 == 0;
            for step in 0..rows.len() {
                let r = if downward { step } else { rows.len() - 1 - step };
                let mut row = std::mem::take(&mut rows[r]);
                self.reorder(&mut row, downward, round % 4 >= 2, how.measure);
                self.index(&row);
                if how.switch {
                    self.switch(&mut row, round % 4 >= 2, budget);
                    self.index(&row);
                }
                rows[r] = row;
            }
            let now = self.crossings(&rows);
            idle = if now < best.0 - best.0 / 200 { 0 } else { idle + 1 };
            if now < best.0 {
                best = (now, rows.clone());
            }
        }
        best
    }

    /// Reorders a row by the mean or weighted median of the neighbours behind; those without neighbours keep their place.
    fn reorder(&mut self, row: &mut [u32], downward: bool, late: bool, measure: Measure) {
        let side = if downward { self.up } else { self.down };
        let mut movable: Vec<(u64, u32, u32)> = Vec::with_capacity(row.len());
        let mut slots: Vec<usize> = Vec::with_capacity(row.len());
        let mut spots: Vec<u32> = Vec::new();
        for (i, v) in row.iter().enumerate() {
            spots.clear();
            spots.extend(side.of(*v).iter().map(|n| self.place[n.0 as usize]));
            self.work += spots.len() as u64 * 3 + 2;
            if !spots.is_empty() {
                let middle = match measure {
                    Measure::Mean => mean(side.of(*v), &spots),
                    Measure::Median => {
                        spots.sort_unstable();
                        median(&spots)
                    }
                };
                let tie = if late { u32::MAX - i as u32 } else { i as u32 };
                movable.push((middle, tie, *v));
                slots.push(i);
            }
        }
        movable.sort_unstable();
        for (slot, (_, _, v)) in slots.into_iter().zip(movable) {
            row[slot] = v;
        }
    }

    fn switch(&mut self, row: &mut [u32], flip: bool, budget: u64) {
        let mut view = Row::new(row, self.up, self.down, self.place);
        view.switch(flip, budget.saturating_sub(self.work));
        self.work += view.work;
        view.write(row);
    }

    /// Sifts every rank until no vertex wants to move.
    fn polish(&mut self, found: (u64, Rows), budget: u64) -> (u64, Rows) {
        let (mut count, mut rows) = found;
        for row in &rows {
            self.index(row);
        }
        let mut quiet = 0;
        let mut r = 0;
        while quiet < rows.len() && self.work < budget && count > 0 {
            let mut row = std::mem::take(&mut rows[r]);
            let mut view = Row::new(&row, self.up, self.down, self.place);
            let gain = view.sift(budget.saturating_sub(self.work));
            self.work += view.work + 1;
            view.write(&mut row);
            self.index(&row);
            rows[r] = row;
            quiet = if gain > 0 { 0 } else { quiet + 1 };
            count -= gain.min(count);
            r = (r + 1) % rows.len();
        }
        (self.crossings(&rows), rows)
    }

    /// Seeded restarts: shake the best order, improve it, keep what is not worse.
    fn search(&mut self, mut best: (u64, Rows), budget: u64) -> Rows {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let (mut fruitless, mut round) = (0, 0);
        while best.0 > 0 && self.work < budget && fruitless < 40 {
            let mut rows = best.1.clone();
            let strength = 1 + fruitless % 4;
            for row in &mut rows {
                if row.len() > 1 {
                    for _ in 0..strength {
                        let from = dice.below(row.len());
                        let to = dice.below(row.len());
                        let v = row.remove(from);
                        row.insert(to, v);
                    }
                }
            }
            // By turns: settle by moving single vertices only, or sweep first.
            let found = if round % 4 == 3 {
                self.polish((u64::MAX, rows), budget)
            } else {
                let found = self.sweep(rows, Sweep { measure: Measure::Median, switch: true, most: 8 }, budget);
                if found.0 < best.0 + best.0 / 10 { self.polish(found, budget) } else { found }
            };
            round += 1;
            fruitless = if found.0 < best.0 { 0 } else { fruitless + 1 };
            if found.0 <= best.0 {
                best = found;
            }
        }
        best.1
    }

    fn crossings(&mut self, rows: &[Vec<u32>]) -> u64 {
        let mut total = 0;
        let mut ends: Vec<(u32, u32)> = Vec::new();
        for pair in rows.windows(2) {
            self.fenwick.reset(pair[1].len());
            let mut through = 0;
            for u in &pair[0] {
                ends.clear();
                ends.extend(self.down.of(*u).iter().map(|n| (self.place[n.0 as usize], n.1)));
                self.work += ends.len() as u64 * 6 + 1;
                for (p, w) in &ends {
                    total += u64::from(*w) * (through - self.fenwick.up_to(*p));
                }
                for (p, w) in &ends {
                    self.fenwick.add(*p, u64::from(*w));
                    through += u64::from(*w);
                }
            }
        }
        total
    }
}

/// The weighted mean, scaled to whole numbers.
fn mean(neighbours: &[(u32, u32)], spots: &[u32]) -> u64 {
    let weight: u64 = neighbours.iter().map(|n| u64::from(n.1)).sum();
    let sum: u64 = neighbours.iter().zip(spots).map(|(n, p)| u64::from(n.1) * u64::from(*p)).sum();
    sum * SCALE / weight.max(1)
}

/// Fractions of a place are kept this fine.
const SCALE: u64 = 1 << 16;

/// The weighted median of Gansner et al., scaled to whole numbers.
fn median(spots: &[u32]) -> u64 {
    let half = spots.len() / 2;
    let at = |i: usize| u64::from(spots[i]);
    if spots.len() % 2 == 1 {
        return at(half) * SCALE;
    }
    if spots.len() == 2 {
        return (at(0) + at(1)) * SCALE / 2;
    }
    let left = at(half - 1) - at(0);
    let right = at(spots.len() - 1) - at(half);
    if left + right == 0 {
        return (at(half - 1) + at(half)) * SCALE / 2;
    }
    ((at(half - 1) * right + at(half) * left) * SCALE) / (left + right)
}

/// A small fixed sequence of numbers: the same restarts every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
