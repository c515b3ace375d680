//! Lines between two neighbouring ranks: a source's lines leave as one, turn on a track of their own, and branch off to
//! their targets; sources with one line each to the same target turn on one track and arrive as one. Tracks run across the flow; a track further from the source is a greater number.
//!
//! Two nets may touch in a row only where one's branch would run over the other's stem; then the stem's net must turn
//! first. These demands, and the wish to avoid needless crossings, give an order; tracks follow from it by the longest
//! path over overlapping stretches. A circle of demands is broken by a detour through a free row (a bend).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// How a segment turns: on one track, or over a free row onto a second one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The track the line turns on first.
    pub track: u32,
    /// A row to go along and the track to leave it on.
    pub bend: Option<(i32, u32)>,
}

/// The lines of one gap.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    /// For every segment, in the order given.
    pub turns: Vec<Turn>,
    /// How many tracks there are.
    pub tracks: u32,
    /// Whether lines of different sources had to share tracks.
    pub bundled: bool,
    /// The last row in use.
    pub last_row: i32,
}

/// In a gap of more nets than this, circles of demands are not untangled.
const DETOURS_MOST: usize = 2_000;

/// Lines that share a track: of one source, or to one target.
#[derive(Default)]
struct Net {
    /// Rows of the sources, and of the targets.
    stems: Vec<i32>,
    rows: Vec<i32>,
    waits: u32,
    /// Nets that may turn only after this one.
    then: Vec<u32>,
    /// Row of the detour, once there is one.
    detour: Option<i32>,
    first: u32,
    second: u32,
}

impl Net {
    fn straight(&self) -> bool {
        self.rows.iter().all(|r| self.stems.iter().all(|s| s == r))
    }

    /// Whether the lines lead down on the whole, and the row order that keeps parallel lines from crossing.
    fn wish(&self) -> (bool, i32) {
        let mean = |rows: &[i32]| rows.iter().map(|r| i64::from(*r)).sum::<i64>() * 2 / rows.len().max(1) as i64;
        let (from, to) = (mean(&self.stems), mean(&self.rows));
        let key = ((from + to) / 2) as i32;
        if to > from { (false, -key) } else { (true, key) }
    }
}

/// The first and last of some rows and another.
fn range(rows: &[i32], other: i32) -> (i32, i32) {
    rows.iter().fold((other, other), |(low, high), r| (low.min(*r), high.max(*r)))
}

/// Routes one gap. `lines` are (source, row of source, row of target), those of one source next to each other.
pub(crate) fn gap(lines: &[(u32, i32, i32)], max_tracks: u32) -> Gap {
    let (mut nets, net_of) = nets(lines);
    demands(&mut nets);
    let mut used: BTreeSet<i32> = lines.iter().flat_map(|l| [l.1, l.2]).collect();
    let mut tangled = false;
    let mut tracks = Tracks::new(lines);
    let mut ready: BinaryHeap<Reverse<(bool, i32, u32)>> = BinaryHeap::new();
    let mut stuck: BTreeSet<(bool, i32, u32)> = BTreeSet::new();
    for (i, net) in nets.iter().enumerate().filter(|(_, n)| !n.straight()) {
        let (up, row) = net.wish();
        if net.waits == 0 {
            ready.push(Reverse((up, row, i as u32)));
        } else {
            stuck.insert((up, row, i as u32));
        }
    }
    loop {
        if let Some(Reverse((_, _, i))) = ready.pop() {
            finish(&mut nets, i, &mut tracks, &mut ready, &mut stuck);
        } else if let Some((up, row, i)) = stuck.first().copied() {
            if nets.len() > DETOURS_MOST {
                // Nobody could follow lines in such a gap; it only has to end.
                stuck.remove(&(up, row, i));
                nets[i as usize].waits = u32::MAX;
                tangled = true;
                finish(&mut nets, i, &mut tracks, &mut ready, &mut stuck);
                continue;
            }
            // Its stem turns now into a free row; the branches wait for their turn.
            let row_free = free_row(&nets[i as usize], &mut used);
            let net = &mut nets[i as usize];
            net.detour = Some(row_free);
            let (low, high) = range(&net.stems, row_free);
            net.first = tracks.take(low, high);
            stuck.remove(&(up, row, i));
            let then = std::mem::take(&mut net.then);
            release(&mut nets, &then, &mut ready, &mut stuck);
            if nets[i as usize].waits == 0 {
                ready.push(Reverse((up, row, i)));
            }
        } else {
            break;
        }
    }
    let mut gap = collect(&net_of, &nets, &tracks, max_tracks, used.last().copied().unwrap_or(0));
    gap.bundled |= tangled;
    gap
}

/// The nets of the lines, and the net of every line.
fn nets(lines: &[(u32, i32, i32)]) -> (Vec<Net>, Vec<u32>) {
    let (mut nets, mut net_of): (Vec<Net>, Vec<u32>) = (Vec::new(), Vec::with_capacity(lines.len()));
    let mut by_target: BTreeMap<i32, u32> = BTreeMap::new();
    for chunk in lines.chunk_by(|a, b| a.0 == b.0) {
        let fresh = nets.len() as u32;
        let net = if chunk.len() == 1 { *by_target.entry(chunk[0].2).or_insert(fresh) } else { fresh };
        if net == fresh {
            nets.push(Net { rows: chunk.iter().map(|l| l.2).collect(), ..Net::default() });
        }
        nets[net as usize].stems.push(chunk[0].1);
        net_of.extend(chunk.iter().map(|_| net));
    }
    for net in &mut nets {
        net.rows.sort_unstable();
    }
    (nets, net_of)
}

/// Which nets must turn before which: the owner of a stem before those whose branches lie in its row.
fn demands(nets: &mut [Net]) {
    let stem: BTreeMap<i32, u32> =
        nets.iter().enumerate().flat_map(|(i, n)| n.stems.iter().map(move |s| (*s, i as u32))).collect();
    for i in 0..nets.len() as u32 {
        if nets[i as usize].straight() {
            continue;
        }
        let rows = nets[i as usize].rows.clone();
        let mut last = None;
        for row in rows {
            let owner = stem.get(&row).copied().filter(|o| *o != i && last != Some(row));
            last = Some(row);
            if let Some(o) = owner
                && nets[o as usize].rows.binary_search(&row).is_err()
            {
                nets[o as usize].then.push(i);
                nets[i as usize].waits += 1;
            }
        }
    }
}

type Ready = BinaryHeap<Reverse<(bool, i32, u32)>>;

fn finish(nets: &mut [Net], i: u32, tracks: &mut Tracks, ready: &mut Ready, stuck: &mut BTreeSet<(bool, i32, u32)>) {
    let net = &mut nets[i as usize];
    let (low, high) = match net.detour {
        Some(row) => range(&net.rows, row),
        None => range(&net.stems, net.rows[0]),
    };
    let (low, high) = (low.min(net.rows[0]), high.max(net.rows[net.rows.len() - 1]));
    let track = tracks.take(low, high);
    if net.detour.is_some() {
        net.second = track;
    } else {
        net.first = track;
    }
    let then = std::mem::take(&mut net.then);
    release(nets, &then, ready, stuck);
}

fn release(nets: &mut [Net], then: &[u32], ready: &mut Ready, stuck: &mut BTreeSet<(bool, i32, u32)>) {
    for w in then {
        let net = &mut nets[*w as usize];
        if net.waits == u32::MAX {
            continue;
        }
        net.waits -= 1;
        if net.waits == 0 {
            let (up, row) = net.wish();
            // A net whose stem is already turned is no longer among the stuck.
            stuck.remove(&(up, row, *w));
            ready.push(Reverse((up, row, *w)));
        }
    }
}

/// The free row nearest to the net's own, towards its targets first.
fn free_row(net: &Net, used: &mut BTreeSet<i32>) -> i32 {
    let down = !net.wish().0;
    let (own, mut away) = (net.stems[0], 1);
    let row = loop {
        let near = if down { own + away } else { own - away };
        let far = if down { own - away } else { own + away };
        if near >= 0 && !used.contains(&near) {
            break near;
        }
        if far >= 0 && !used.contains(&far) {
            break far;
        }
        away += 1;
    };
    used.insert(row);
    row
}

fn collect(net_of: &[u32], nets: &[Net], tracks: &Tracks, max_tracks: u32, last_row: i32) -> Gap {
    let most = max_tracks.max(1);
    let bundled = tracks.most > most;
    let fold = |t: u32| if bundled { (u64::from(t) * u64::from(most) / u64::from(tracks.most)) as u32 } else { t };
    let turn = |net: &Net| Turn { track: fold(net.first), bend: net.detour.map(|row| (row, fold(net.second))) };
    let turns = net_of.iter().map(|n| turn(&nets[*n as usize])).collect();
    Gap { turns, tracks: tracks.most.min(most), bundled, last_row }
}

/// Hands out tracks: one more than the greatest that overlaps. A segment tree over the rows in use.
struct Tracks {
    rows: Vec<i32>,
    size: usize,
    /// Greatest track wholly below a tree node, and greatest that covers it whole.
    inside: Vec<u32>,
    whole: Vec<u32>,
    most: u32,
}

impl Tracks {
    fn new(lines: &[(u32, i32, i32)]) -> Self {
        let mut rows: Vec<i32> = lines.iter().flat_map(|l| [l.1, l.2]).collect();
        rows.sort_unstable();
        rows.dedup();
        let size = rows.len().max(1).next_power_of_two();
        Self { rows, size, inside: vec![0; size * 2], whole: vec![0; size * 2], most: 0 }
    }

    /// A track for a line over these rows. A row between known ones counts as the known ones beside it.
    fn take(&mut self, low: i32, high: i32) -> u32 {
        let from = self.rows.partition_point(|r| *r < low).saturating_sub(usize::from(!self.known(low)));
        let to = self.rows.partition_point(|r| *r < high).min(self.rows.len() - 1);
        let track = self.greatest(1, 0, self.size, from, to + 1);
        self.cover(1, 0, self.size, from, to + 1, track + 1);
        self.most = self.most.max(track + 1);
        track
    }

    fn known(&self, row: i32) -> bool {
        self.rows.binary_search(&row).is_ok()
    }

    fn greatest(&self, node: usize, low: usize, high: usize, from: usize, to: usize) -> u32 {
        if from >= high || to <= low {
            return 0;
        }
        if from <= low && high <= to {
            return self.inside[node];
        }
        let middle = usize::midpoint(low, high);
        let left = self.greatest(node * 2, low, middle, from, to);
        let right = self.greatest(node * 2 + 1, middle, high, from, to);
        self.whole[node].max(left).max(right)
    }

    fn cover(&mut self, node: usize, low: usize, high: usize, from: usize, to: usize, value: u32) {
        if from >= high || to <= low {
            return;
        }
        self.inside[node] = self.inside[node].max(value);
        if from <= low && high <= to {
            self.whole[node] = self.whole[node].max(value);
            return;
        }
        let middle = usize::midpoint(low, high);
        self.cover(node * 2, low, middle, from, to, value);
        self.cover(node * 2 + 1, middle, high, from, to, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_needs_no_track() {
        let gap = gap(&[(0, 3, 3)], 8);
        assert_eq!((gap.tracks, gap.bundled), (0, false));
    }

    #[test]
    fn parallel_lines_turn_in_the_order_that_avoids_crossings() {
        let gap = gap(&[(0, 1, 5), (1, 2, 6)], 8);
        assert!(gap.turns[1].track < gap.turns[0].track);
    }

    #[test]
    fn a_stem_turns_before_a_branch_enters_its_row() {
        let gap = gap(&[(0, 1, 2), (1, 2, 9)], 8);
        assert!(gap.turns[1].track < gap.turns[0].track);
    }

    #[test]
    fn two_that_change_places_are_kept_apart_by_a_detour() {
        let gap = gap(&[(0, 1, 2), (1, 2, 1)], 8);
        assert_eq!(gap.turns.iter().filter(|t| t.bend.is_some()).count(), 1);
        let bent = gap.turns.iter().find_map(|t| t.bend).unwrap();
        assert!(bent.0 != 1 && bent.0 != 2);
    }

    #[test]
    fn too_many_tracks_are_shared_and_said_so() {
        let lines: Vec<(u32, i32, i32)> = (0..50).map(|i| (i, i as i32, 100 - i as i32)).collect();
        let gap = gap(&lines, 6);
        assert!(gap.bundled);
        assert!(gap.turns.iter().all(|t| t.track < 6));
    }
}
