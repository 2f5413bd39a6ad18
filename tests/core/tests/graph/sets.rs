//! Independent sets: no two members near each other, and no room for another.

use dolmen_core::Comm;
use dolmen_tests::TestResult;

use crate::cases::{ensure, gathered, on_graphs};

pub(crate) fn independent_and_maximal(comm: &Comm) -> TestResult {
    on_graphs(comm, |graph, pattern| {
        for distance in 0..4 {
            let mine: Vec<u8> = graph.independent_set(distance).into_iter().map(u8::from).collect();
            let members = gathered(comm, &mine);
            ensure(members.len() == pattern.len(), || format!("{} vertices", members.len()))?;
            let near = pattern.within(distance);
            for (v, &member) in members.iter().enumerate() {
                let beside = near.neighbors[v].iter().any(|&other| members[other] == 1);
                ensure((member == 1) != beside, || {
                    format!("distance {distance}: vertex {v}, member {member}, has a member near it: {beside}")
                })?;
            }
        }
        let once = graph.square()?.independent_set(1);
        let same =
            comm.agree(if once == graph.independent_set(2) { Ok(()) } else { Err("the square's set is another") });
        Ok(same?)
    })
}
