//! Baselines whose offset nothing determines: none of their samples takes part in the solve, and no prior links them to
//! one that does. Their samples are left out of the maps, where an offset of kelvins would go in as it is.

use dolmen_core::{Comm, Lid, index::at};

use crate::baselines::Baselines;

/// Returns true for each baseline of this rank that is not determined; `hits` has its samples in the solve.
///
/// # Collective
pub(crate) fn find(baselines: &Baselines, hits: &[u64], prior: bool) -> Vec<bool> {
    if !prior {
        return hits.iter().map(|&hits| hits == 0).collect();
    }
    let layout = baselines.layout();
    let series: Vec<Vec<Lid>> = baselines.series().map(|series| series.among(&layout.range())).collect();
    let mut sums: Vec<u64> = series.iter().map(|members| members.iter().map(|&b| hits[at(b)]).sum()).collect();
    layout.comm().all_reduce_sum(&mut sums);
    let mut found = vec![false; hits.len()];
    let lost = series.iter().zip(sums).filter(|(_, sum)| *sum == 0);
    lost.flat_map(|(members, _)| members).for_each(|&baseline| found[at(baseline)] = true);
    found
}

/// Returns true if one of these baselines of any rank has a sample in a map; `in_map` lists those that have samples in
/// pixels of the map outside the solve.
///
/// # Collective
pub(crate) fn are_in_map(comm: &Comm, undetermined: &[bool], in_map: &[Lid]) -> bool {
    let mut any = [u64::from(in_map.iter().any(|&baseline| undetermined[at(baseline)]))];
    comm.all_reduce_max(&mut any);
    any == [1]
}

/// Returns the text that tells of samples that were left out.
///
/// # Collective
pub(crate) fn note(comm: &Comm, left_out: u64, undetermined: &[bool]) -> String {
    let baselines = undetermined.iter().filter(|undetermined| **undetermined).count() as u64;
    let mut counts = [left_out, baselines];
    comm.all_reduce_sum(&mut counts);
    format!(
        "{} samples are left out of all maps: their {} baselines have no sample outside the mask, so that nothing \
         determines their offsets; to keep them, use longer baselines, a noise prior, or a smaller destripe.mask",
        counts[0], counts[1]
    )
}
