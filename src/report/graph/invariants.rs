//! What must hold of every layout, checked on seeded random graphs by code that shares nothing with the layout:
//! ranks, places, crossings by comparing every pair, boxes, polylines, and lines followed on the painted cells.

use super::{Area, Direction, EdgeStyles, GraphInput, GraphNode, Layout, LayoutOptions, Point, layout, paint};
use std::collections::{BTreeMap, BTreeSet};

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A random graph without cycles; node numbers are shuffled so that edges do not always lead upwards.
fn random(seed: u64, most: u64) -> GraphInput {
    let mut dice = Dice(seed);
    let nodes = 1 + dice.below(most);
    let name: Vec<u32> = {
        let mut all: Vec<u32> = (0..nodes as u32).collect();
        for i in (1..all.len()).rev() {
            all.swap(i, dice.below(i as u64 + 1) as usize);
        }
        all
    };
    let mut edges = Vec::new();
    for _ in 0..dice.below(2 * nodes + 1) {
        let (a, b) = (dice.below(nodes), dice.below(nodes));
        if a != b {
            edges.push((name[a.min(b) as usize], name[a.max(b) as usize]));
        }
    }
    edges.sort_unstable();
    edges.dedup();
    let node = |i| GraphNode::new(&format!("n{i}"), 3 + (i * 7 % 5) as u32, 1 + (i % 3) as u32);
    GraphInput { nodes: (0..nodes).map(node).collect(), edges }
}

fn cases() -> impl Iterator<Item = (GraphInput, Layout)> {
    (0..160).map(|seed| {
        let input = random(seed, 4 + seed / 4);
        let direction = if seed % 2 == 0 { Direction::LeftToRight } else { Direction::TopToBottom };
        let options = LayoutOptions { direction, max_tracks: 1000, effort: 200_000, ..LayoutOptions::default() };
        let drawn = layout(&input, &options);
        (input, drawn)
    })
}

/// (rank, place) of an edge at every rank from its source to its target.
fn path(input: &GraphInput, drawn: &Layout, e: usize) -> Vec<(u32, u32)> {
    let (u, v) = input.edges[e];
    let (from, to) = (drawn.nodes[u as usize], drawn.nodes[v as usize]);
    let mut all = vec![(from.rank, from.cross)];
    all.extend(drawn.via(e).zip(from.rank + 1..).map(|(cross, rank)| (rank, cross)));
    all.push((to.rank, to.cross));
    all
}

fn related(input: &GraphInput, a: usize, b: usize) -> bool {
    let (a, b) = (input.edges[a], input.edges[b]);
    a.0 == b.0 || a.1 == b.1
}

#[test]
fn edges_lead_to_higher_ranks_and_pass_every_rank_between() {
    for (input, drawn) in cases() {
        for e in 0..input.edges.len() {
            let path = path(&input, &drawn, e);
            assert!(path.len() >= 2 && path.windows(2).all(|p| p[1].0 == p[0].0 + 1), "{path:?}");
        }
    }
}

#[test]
fn no_place_is_shared_by_what_is_not_related() {
    for (input, drawn) in cases() {
        let mut nodes = BTreeSet::new();
        for n in &drawn.nodes {
            assert!(nodes.insert((n.rank, n.cross)));
        }
        let mut lines: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for e in 0..input.edges.len() {
            let path = path(&input, &drawn, e);
            for place in &path[1..path.len() - 1] {
                assert!(!nodes.contains(place));
                lines.entry(*place).or_default().push(e);
            }
        }
        for shared in lines.values() {
            for a in shared {
                assert!(shared.iter().all(|b| related(&input, *a, *b)), "{shared:?}");
            }
        }
    }
}

#[test]
fn crossings_are_what_comparing_every_pair_gives() {
    for (input, drawn) in cases() {
        let paths: Vec<_> = (0..input.edges.len()).map(|e| path(&input, &drawn, e)).collect();
        let mut count = 0;
        for a in 0..paths.len() {
            for b in a + 1..paths.len() {
                for (p, q) in paths[a].windows(2).flat_map(|p| paths[b].windows(2).map(move |q| (p, q))) {
                    let apart = p[0].0 == q[0].0 && !related(&input, a, b);
                    let swapped = (p[0].1 < q[0].1 && p[1].1 > q[1].1) || (p[0].1 > q[0].1 && p[1].1 < q[1].1);
                    count += u64::from(apart && swapped);
                }
            }
        }
        assert_eq!(drawn.crossings, count);
    }
}

#[test]
fn boxes_stand_apart_in_the_order_of_their_places() {
    for (_, drawn) in cases() {
        for (i, a) in drawn.nodes.iter().enumerate() {
            assert!(a.area.x >= 0 && a.area.x + a.area.w <= drawn.width);
            assert!(a.area.y >= 0 && a.area.y + a.area.h <= drawn.height);
            for b in &drawn.nodes[i + 1..] {
                assert!(!a.area.meets(&b.area));
                let (along, across) = match drawn.direction {
                    Direction::LeftToRight => (a.area.x.cmp(&b.area.x), a.area.y.cmp(&b.area.y)),
                    Direction::TopToBottom => (a.area.y.cmp(&b.area.y), a.area.x.cmp(&b.area.x)),
                };
                assert_eq!(along, a.rank.cmp(&b.rank));
                if a.rank == b.rank {
                    assert_eq!(across, a.cross.cmp(&b.cross));
                }
            }
        }
    }
}

#[test]
fn polylines_run_square_from_border_to_border_past_every_box() {
    for (input, drawn) in cases() {
        for (e, (u, v)) in input.edges.iter().enumerate() {
            let points = drawn.points(e);
            let (from, to) = (drawn.nodes[*u as usize].area, drawn.nodes[*v as usize].area);
            let (first, last) = (points[0], points[points.len() - 1]);
            match drawn.direction {
                Direction::LeftToRight => assert!(first.x == from.x + from.w - 1 && last.x == to.x),
                Direction::TopToBottom => assert!(first.y == from.y + from.h - 1 && last.y == to.y),
            }
            assert!(from.contains(first) && to.contains(last));
            for p in points.windows(2) {
                assert!((p[0].x == p[1].x) != (p[0].y == p[1].y), "{points:?}");
                let line = Area {
                    x: p[0].x.min(p[1].x),
                    y: p[0].y.min(p[1].y),
                    w: (p[0].x - p[1].x).abs() + 1,
                    h: (p[0].y - p[1].y).abs() + 1,
                };
                let hit = |i: usize| drawn.nodes[i].area.meets(&line);
                assert!((0..drawn.nodes.len()).all(|i| i == *u as usize || i == *v as usize || !hit(i)));
            }
        }
    }
}

/// The sides on which a character has a line: up, right, down, left.
fn sides(glyph: char) -> [bool; 4] {
    let list = match glyph {
        '─' => "rl",
        '│' => "ud",
        '╭' => "rd",
        '╮' => "dl",
        '╰' => "ur",
        '╯' => "ul",
        '├' => "urd",
        '┤' => "udl",
        '┬' => "rdl",
        '┴' => "url",
        '┼' => "urdl",
        other => panic!("{other} should not be drawn"),
    };
    ['u', 'r', 'd', 'l'].map(|c| list.contains(c))
}

/// Follows lines from a cell as a reader would: through joints in any direction, over an upright line that cuts a
/// level one straight on. Returns the cells seen, each with whether it was passed on the level.
fn follow(cells: &BTreeMap<Point, char>, start: Point, side: usize) -> BTreeSet<(Point, bool)> {
    let mut seen = BTreeSet::new();
    let mut line = vec![(start, side)];
    while let Some((at, came)) = line.pop() {
        let Some(glyph) = cells.get(&at) else { continue };
        let open = sides(*glyph);
        let over = *glyph == '│' && came % 2 == 1;
        if !seen.insert((at, over)) {
            continue;
        }
        for out in 0..4 {
            if if over { out % 2 == 1 } else { open[out] } {
                let (dx, dy) = [(0, -1), (1, 0), (0, 1), (-1, 0)][out];
                line.push((Point { x: at.x + dx, y: at.y + dy }, (out + 2) % 4));
            }
        }
    }
    seen
}

#[test]
fn every_edge_can_be_followed_on_the_cells_and_strangers_never_meet() {
    for (input, drawn) in cases() {
        let view = Area { x: 0, y: 0, w: drawn.width, h: drawn.height };
        let cells: BTreeMap<Point, char> =
            paint(&drawn, view, &EdgeStyles::default()).into_iter().map(|c| (c.at, c.glyph)).collect();
        let flat = drawn.direction == Direction::LeftToRight;
        let step = if flat { Point { x: 1, y: 0 } } else { Point { x: 0, y: 1 } };
        let ends = |e: usize| {
            let points = drawn.points(e);
            let (a, b) = (points[0], points[points.len() - 1]);
            (Point { x: a.x + step.x, y: a.y + step.y }, Point { x: b.x - step.x, y: b.y - step.y })
        };
        // Edges that share an end, directly or through others, may be drawn as one net.
        let mut net: Vec<usize> = (0..input.edges.len()).collect();
        for a in 0..net.len() {
            for b in a + 1..net.len() {
                if related(&input, a, b) && net[a] != net[b] {
                    let (old, new) = (net[b], net[a]);
                    net.iter_mut().filter(|n| **n == old).for_each(|n| *n = new);
                }
            }
        }
        for e in 0..input.edges.len() {
            let seen = follow(&cells, ends(e).0, if flat { 3 } else { 0 });
            let over = |p: Point| cells.get(&p) == Some(&'│') && flat;
            for other in 0..input.edges.len() {
                let end = ends(other).1;
                let met = seen.contains(&(end, over(end)));
                assert!(met || e != other, "edge {e} of {:?} is lost", input.edges);
                assert!(!met || net[e] == net[other], "edges {e} and {other} of {:?} meet", input.edges);
            }
        }
    }
}

#[test]
fn painting_a_part_gives_the_same_cells_as_painting_all() {
    for (_, drawn) in cases().take(40) {
        let all = paint(&drawn, Area { x: 0, y: 0, w: drawn.width, h: drawn.height }, &EdgeStyles::default());
        let view = Area { x: drawn.width / 3, y: drawn.height / 4, w: drawn.width / 2, h: drawn.height / 2 };
        let part = paint(&drawn, view, &EdgeStyles::default());
        let inside: Vec<_> = all.into_iter().filter(|c| view.contains(c.at)).collect();
        assert_eq!(part, inside);
        let seen: BTreeSet<u32> = drawn.nodes_in(view).into_iter().collect();
        let there = (0..drawn.nodes.len() as u32).filter(|v| drawn.nodes[*v as usize].area.meets(&view));
        assert_eq!(seen, there.collect());
    }
}

#[test]
fn a_node_is_found_under_each_of_its_cells() {
    for (_, drawn) in cases().take(40) {
        for (i, n) in drawn.nodes.iter().enumerate() {
            for (x, y) in [(0, 0), (n.area.w - 1, n.area.h - 1)] {
                assert_eq!(drawn.node_at(Point { x: n.area.x + x, y: n.area.y + y }), Some(i as u32));
            }
        }
    }
}

#[test]
fn large_plain_shapes_end_soon() {
    let node = |i: u32| GraphNode::new(&i.to_string(), 4, 1);
    let nodes: Vec<GraphNode> = (0..30_000).map(node).collect();
    let chain = (1..30_000).map(|i| (i - 1, i)).collect();
    let star = (1..30_000).map(|i| (0, i)).collect();
    for edges in [chain, star, Vec::new()] {
        let drawn = layout(&GraphInput { nodes: nodes.clone(), edges }, &LayoutOptions::default());
        assert_eq!((drawn.crossings, drawn.nodes.len()), (0, 30_000));
    }
}

#[test]
fn a_cycle_is_drawn_rather_than_refused() {
    let nodes = ["a", "b"].map(|id| GraphNode::new(id, 3, 1)).to_vec();
    let drawn = layout(&GraphInput { nodes, edges: vec![(0, 1), (1, 0), (1, 1)] }, &LayoutOptions::default());
    assert!(drawn.points(2).is_empty());
    assert_eq!(drawn.points(0).iter().rev().copied().collect::<Vec<_>>(), drawn.points(1));
}
