//! The columns of templates, `P^T W T`, where their groups are owned.
//!
//! A group whose baselines are all on one rank is there already. Of others, each rank sends what it has to the owner, as
//! whole numbers, whose sums do not depend on how the samples were divided.

use std::collections::BTreeMap;

use dolmen_core::index::{at, to_lid};
use dolmen_core::{ColumnBlockMatrix, Combine, Comm, ExchangePlan, Gid, IndexMap, Layout, Lid, memory};

use super::sums::{Chunk, InPixels, LIMBS, OfGroup, rounded};
use super::{Groups, Sums};
use crate::error::Result;
use crate::fixed_point::Converter;
use crate::pixel_blocks::packed_len;

/// Values that the matrix adds behind the last one.
const SPARE: usize = 3;

/// The columns of templates of all groups, without the weight of samples, and their products.
pub(crate) struct Columns {
    /// In pixels that take part in the solve.
    pub(crate) solve: ColumnBlockMatrix<f64>,
    /// In the other pixels of the maps.
    pub(crate) map: ColumnBlockMatrix<f64>,
    /// Of each group of this rank the products of two templates, packed.
    pub(crate) products: Vec<f64>,
    /// Of each baseline of the groups of this rank the sums of the templates.
    pub(crate) offsets: Vec<f64>,
    /// Of each group of this rank the sums of the templates times the signal.
    pub(crate) signal: Vec<f64>,
}

impl Columns {
    /// Brings the sums of all ranks to the owners of the groups; `pixels` is the distribution of the pixels, of `width`
    /// Stokes parameters.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More amplitudes or pixels than a rank can count.
    pub(crate) fn new(
        comm: &Comm,
        pixels: &Layout,
        baselines: &Layout,
        groups: &Groups,
        columns: usize,
        width: usize,
        sums: Sums,
    ) -> Result<Columns> {
        let amplitudes = groups.layout.refined(columns)?;
        comm.agree(to_lid("amplitudes of templates of a rank", amplitudes.local_len()))?;
        let Sums { baselines: of_baselines, groups: mut of_groups, converter } = sums;
        let products = add_products(comm, groups, columns, &mut of_groups, converter)?;
        let imported = groups.plan.start_import(&of_baselines, 2 * columns).finish();
        let (mut offsets, mut signal) = (Vec::with_capacity(groups.baselines() * columns), Vec::new());
        for group in 0..groups.owned.len() {
            let start = signal.len();
            signal.resize(start + columns, 0.0);
            for &position in groups.of(group).0 {
                let (templates, signals) = imported[position * 2 * columns..][..2 * columns].split_at(columns);
                offsets.extend_from_slice(templates);
                signal[start..].iter_mut().zip(signals).for_each(|(sum, signal)| *sum += signal);
            }
        }
        drop(imported);
        drop(of_baselines);
        let chunks = collect(comm, baselines, groups, [columns, width], of_groups, converter)?;
        let [map, solve] = rows(chunks, columns, width);
        let matrix = |(ids, starts, numbers, values): Rows| {
            ColumnBlockMatrix::from_rows(pixels, &amplitudes, [width, 1], ids, starts, numbers, values)
        };
        Ok(Columns { solve: matrix(solve)?, map: matrix(map)?, products, offsets, signal })
    }
}

/// Adds up the products of templates over the ranks that have samples of a group; takes their digits away.
fn add_products(
    comm: &Comm,
    groups: &Groups,
    columns: usize,
    of_groups: &mut [OfGroup],
    converter: Converter,
) -> Result<Vec<f64>> {
    let width = packed_len(columns) * LIMBS;
    let map = comm.agree(IndexMap::new(of_groups.iter().map(|of| of.group.number).collect()))?;
    let digits: Vec<i64> = of_groups.iter_mut().flat_map(|of| std::mem::take(&mut of.products)).collect();
    let mut owned = vec![0; groups.owned.len() * width];
    ExchangePlan::new(&groups.layout, &map)?.start_export(&digits, width).finish(Combine::Add, &mut owned);
    Ok(rounded(&owned, converter))
}

/// Returns the sums in pixels of all groups that this rank owns, in their order.
fn collect(
    comm: &Comm,
    baselines: &Layout,
    groups: &Groups,
    shape: [usize; 2],
    of_groups: Vec<OfGroup>,
    converter: Converter,
) -> Result<Vec<Chunk>> {
    // Parts lie one after the other; the first baseline of a part tells where it begins, and its length.
    let (mut all_keys, mut all_digits) = (Vec::new(), Vec::new());
    let mut places = vec![[0u64; 2]; baselines.local_len()];
    let mut whole = BTreeMap::new();
    for of_group in of_groups {
        match of_group.pixels {
            InPixels::Whole(chunk) => {
                whole.insert(of_group.group.number, chunk);
            }
            InPixels::Part { keys, digits } => {
                places[of_group.baseline] = [all_keys.len() as u64, keys.len() as u64];
                all_keys.extend(keys);
                all_digits.extend(digits);
            }
        }
    }
    let parts = Layout::from_local_len(comm, all_keys.len())?;
    let first = parts.range().start;
    places.iter_mut().filter(|place| place[1] > 0).for_each(|place| place[0] += first);
    let places = groups.plan.start_import(places.as_flattened(), 2).finish();
    let of_part = |group: usize| {
        let place = |&position: &usize| places[2 * position]..places[2 * position] + places[2 * position + 1];
        groups.of(group).0.iter().flat_map(place)
    };
    let wanted = (0..groups.owned.len()).flat_map(of_part).collect();
    let map = comm.agree(IndexMap::new(wanted))?;
    let plan = ExchangePlan::new(&parts, &map)?;
    let keys = plan.start_import(&all_keys, 1).finish();
    let digits = plan.start_import(&all_digits, shape[0] * shape[1] * LIMBS).finish();
    drop((all_keys, all_digits));
    let position = |id: Gid| at(map.global_to_local(id).expect("invariant: the map has all of them"));
    let chunk = |group: usize| match whole.remove(&groups.owned[group].number) {
        Some(chunk) => chunk,
        None => merged(of_part(group).map(position), &keys, &digits, shape, converter),
    };
    Ok((0..groups.owned.len()).map(chunk).collect())
}

/// Adds up the parts of a group, which lie at these positions.
fn merged(
    positions: impl Iterator<Item = usize>,
    keys: &[u64],
    digits: &[i64],
    [columns, width]: [usize; 2],
    converter: Converter,
) -> Chunk {
    let mut order: Vec<(u64, usize)> = positions.map(|position| (keys[position], position)).collect();
    order.sort_unstable();
    let each = columns * width * LIMBS;
    let (mut all, mut sums): (Vec<u64>, Vec<i64>) = (Vec::new(), Vec::new());
    for (key, position) in order {
        if all.last() != Some(&key) {
            all.push(key);
            sums.resize(all.len() * each, 0);
        }
        let (sum, part) = (&mut sums[(all.len() - 1) * each..], &digits[position * each..][..each]);
        sum.iter_mut().zip(part).for_each(|(sum, digit)| *sum += digit);
    }
    Chunk::new(&all, &sums, width, converter)
}

/// Pixels, the first block of each, columns and values.
type Rows = (Vec<Gid>, Vec<usize>, Vec<Lid>, Vec<f64>);

/// Sorts the sums of all groups by pixels: those outside the solve, and those in it.
fn rows(chunks: Vec<Chunk>, columns: usize, width: usize) -> [Rows; 2] {
    let mut rows = [0, 1].map(|used| -> Rows {
        let places = || chunks.iter().flat_map(|chunk| &chunk.places).filter(|(key, _)| key % 2 == used);
        let mut pixels: Vec<Gid> = places().map(|(key, _)| key / 2).collect();
        pixels.sort_unstable();
        pixels.dedup();
        let mut starts = vec![0; pixels.len() + 1];
        for (key, templates) in places() {
            starts[row_of(&pixels, *key) + 1] += at(templates.count_ones());
        }
        (1..starts.len()).for_each(|row| starts[row] += starts[row - 1]);
        let blocks = starts[pixels.len()];
        // Chunks give their memory back while this is filled.
        let mut values = memory::zeros(blocks * width + SPARE);
        values.truncate(blocks * width);
        (pixels, starts, memory::zeros(blocks), values)
    });
    let mut next = [0, 1].map(|used| rows[used].1.clone());
    for (group, chunk) in chunks.into_iter().enumerate() {
        let first = Lid::try_from(group * columns).expect("invariant: counted before");
        let mut sums = chunk.values.chunks_exact(width);
        for &(key, templates) in &chunk.places {
            let used = usize::from(key % 2 == 1);
            let (pixels, _, numbers, values) = &mut rows[used];
            let block = &mut next[used][row_of(pixels, key)];
            let there = (0..64).filter(|template| (templates >> template) & 1 == 1);
            for (template, sums) in there.zip(&mut sums) {
                numbers[*block] = first + template;
                values[*block * width..][..width].copy_from_slice(sums);
                *block += 1;
            }
        }
    }
    rows
}

/// Returns the position of a key's pixel.
fn row_of(pixels: &[Gid], key: u64) -> usize {
    pixels.binary_search(&(key / 2)).expect("invariant: all pixels are there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let converter = Converter::new(10.0, 100);
        let digits = |terms: &[f64]| -> Vec<i64> {
            let sum = |&term: &f64| {
                let mut sum = [0; LIMBS];
                converter.add(term, &mut sum);
                sum
            };
            terms.iter().flat_map(sum).collect()
        };
        // Keys 4, 6 and 9 of the first rank, 6 and 8 of the second; two templates for each, of which one is zero in 8.
        let all = digits(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5, 0.25, 0.0, -8.0]);
        let chunk = merged(0..5, &[4, 6, 9, 6, 8], &all, [2, 1], converter);
        assert_eq!(chunk.places, [(4, 0b11), (6, 0b11), (8, 0b10), (9, 0b11)]);
        assert_eq!(chunk.values, [1.0, 2.0, 3.5, 4.25, -8.0, 5.0, 6.0]);
    }

    #[test]
    fn sums_are_sorted_by_pixels_and_uses() {
        let chunk = |places: &[(u64, u64)], first: f64| Chunk {
            places: places.to_vec(),
            values: (0..places.iter().map(|(_, templates)| templates.count_ones()).sum())
                .map(|i| first + f64::from(i))
                .collect(),
        };
        // Two templates, intensity; pixel 3 is outside the solve, 2 and 5 are in it.
        let first = chunk(&[(5, 0b11), (6, 0b01), (11, 0b11)], 10.0);
        let [map, solve] = rows(vec![first, chunk(&[(6, 0b11), (11, 0b10)], 20.0)], 2, 1);
        assert_eq!(map, (vec![3], vec![0, 3], vec![0, 2, 3], vec![12.0, 20.0, 21.0]));
        assert_eq!(solve, (vec![2, 5], vec![0, 2, 5], vec![0, 1, 0, 1, 3], vec![10.0, 11.0, 13.0, 14.0, 22.0]));
    }
}
