//! The groups that a rank owns, and the exchange of what their baselines have.

use dolmen_core::{Comm, ExchangePlan, IndexMap, Layout, index::at};

use super::Group;
use crate::baselines::Baselines;
use crate::config::Per;
use crate::error::Result;

/// Groups by their owners: the rank of the baseline in the middle.
pub(crate) struct Groups {
    /// Distribution of the groups.
    pub(crate) layout: Layout,
    /// Those that this rank owns.
    pub(crate) owned: Vec<Group>,
    /// From the ranks of baselines to the owner of their group.
    pub(crate) plan: ExchangePlan,
    /// Positions in the plan of the baselines of each group, group after group.
    positions: Vec<usize>,
    /// First of these of each group, and the number of all.
    starts: Vec<usize>,
    /// Positions of the middle baselines among those of this rank.
    pub(crate) middles: Vec<usize>,
}

impl Groups {
    /// Finds the groups of this rank.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More baselines than a rank can count.
    pub(crate) fn new(comm: &Comm, baselines: &Baselines, per: Per) -> Result<Groups> {
        let layout = baselines.layout();
        let range = layout.range();
        let owned: Vec<Group> = baselines.groups(per).filter(|group| range.contains(&group.middle())).collect();
        let map = comm.agree(IndexMap::new(owned.iter().flat_map(Group::baselines).collect()))?;
        let position = |number| at(map.global_to_local(number).expect("invariant: the map has all of them"));
        let positions = owned.iter().flat_map(Group::baselines).map(position).collect();
        let mut starts = vec![0];
        starts.extend(owned.iter().scan(0, |end, group| {
            *end += group.baselines().count();
            Some(*end)
        }));
        let middle = |group: &Group| layout.global_to_owned(group.middle()).expect("invariant: it is in the range");
        Ok(Groups {
            layout: Layout::from_local_len(comm, owned.len())?,
            middles: owned.iter().map(middle).collect(),
            plan: ExchangePlan::new(layout, &map)?,
            owned,
            positions,
            starts,
        })
    }

    /// Returns the positions in the plan of the baselines of a group, in time, and the number of the first among those of
    /// all groups.
    pub(crate) fn of(&self, group: usize) -> (&[usize], usize) {
        let start = self.starts[group];
        (&self.positions[start..self.starts[group + 1]], start)
    }

    /// Returns the number of baselines of all groups of this rank.
    pub(crate) fn baselines(&self) -> usize {
        self.positions.len()
    }
}
