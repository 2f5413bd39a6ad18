//! Sums of templates over the samples of a rank, for which the timelines are read a second time.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use dolmen_core::{Comm, Gid, index::at};

use super::{Basis, Group};
use crate::baselines::Baselines;
use crate::config::{Convention, Per};
use crate::error::Result;
use crate::fixed_point::Converter;
use crate::healpix::Healpix;
use crate::merging::weights;
use crate::pairs::Use;
use crate::pixel_blocks::packed_len;
use crate::pixels::PixelNumbering;
use crate::reading::{Stretch, read_with_angles};
use crate::tod::Tod;

/// Digits of a sum.
pub(crate) const LIMBS: usize = 2;

/// Samples that are summed up, as the first reading found them.
pub(crate) struct Kept<'k> {
    /// Pixels that this rank's samples hit, ascending.
    pub(crate) pixels: &'k [Gid],
    /// Use of each of these.
    pub(crate) uses: Vec<Use>,
    /// True for each baseline of this rank that is left out.
    pub(crate) left_out: &'k [bool],
}

/// Sums over the samples of this rank, without their weights.
pub(crate) struct Sums {
    /// Of each baseline of this rank: sums of the templates, and of the templates times the signal, over samples in the
    /// solve.
    pub(crate) baselines: Vec<f64>,
    /// Of each group with samples on this rank, ascending.
    pub(crate) groups: Vec<OfGroup>,
    /// Conversion of all digits.
    pub(crate) converter: Converter,
}

/// Sums of a group that this rank has samples of.
pub(crate) struct OfGroup {
    /// The group.
    pub(crate) group: Group,
    /// First of its baselines on this rank, counted among those of the rank.
    pub(crate) baseline: usize,
    /// Digits of the products of two templates, packed, over samples in the solve.
    pub(crate) products: Vec<i64>,
    /// Its sums in pixels.
    pub(crate) pixels: InPixels,
}

/// Sums of the templates of a group, times Stokes weights, in pixels.
pub(crate) enum InPixels {
    /// All of them, rounded.
    Whole(Chunk),
    /// A part: digits for each key.
    Part {
        /// Keys of pixels, ascending.
        keys: Vec<u64>,
        /// Digits of each template and Stokes parameter.
        digits: Vec<i64>,
    },
}

/// Sums of a group in pixels.
pub(crate) struct Chunk {
    /// Key of a pixel, ascending, and the templates that are not zero there, a bit for each. The key is twice the pixel, plus
    /// one if it takes part in the solve.
    pub(crate) places: Vec<(u64, u64)>,
    /// For each of these the sums of the Stokes weights.
    pub(crate) values: Vec<f64>,
}

impl Chunk {
    /// Creates the sums of `width` Stokes weights from digits of all templates for each key.
    pub(crate) fn new(keys: &[u64], digits: &[i64], width: usize, converter: Converter) -> Chunk {
        let values = digits.iter().filter(|digit| **digit != 0).count() / LIMBS;
        let mut chunk = Chunk { places: Vec::with_capacity(keys.len()), values: Vec::with_capacity(values) };
        for (&key, digits) in keys.iter().zip(digits.chunks_exact(digits.len() / keys.len().max(1))) {
            let mut templates = 0;
            for (template, digits) in digits.chunks_exact(width * LIMBS).enumerate() {
                if digits.iter().any(|&digit| digit != 0) {
                    templates |= 1 << template;
                    chunk.values.extend(digits.as_chunks::<LIMBS>().0.iter().map(|sum| converter.value(sum)));
                }
            }
            chunk.places.push((key, templates));
        }
        chunk
    }
}

/// Sums of a group whose samples are being read.
struct Open {
    group: Group,
    baseline: usize,
    products: Vec<i64>,
    /// Position of each pixel among the sums, by its number.
    positions: HashMap<u32, usize>,
    digits: Vec<i64>,
}

/// Samples in one pixel, one after the other.
struct Stay {
    pixel: Option<Gid>,
    number: u32,
    used: Use,
    sums: Vec<f64>,
}

/// The reading of a rank's samples.
struct Summing<'s, const N: usize> {
    basis: &'s Basis,
    baselines: &'s Baselines,
    per: Per,
    kept: Kept<'s>,
    numbering: PixelNumbering,
    open: BTreeMap<Gid, Open>,
    time: Option<Gid>,
    stay: Stay,
    values: Vec<f64>,
    products: Vec<f64>,
    sums: Sums,
}

impl Sums {
    /// Reads the samples of this rank for a map of `N` Stokes parameters.
    ///
    /// # Collective
    ///
    /// # Errors
    /// A sample that cannot be read, as [`read_with_angles`] says; the same on all ranks.
    pub(crate) fn read<const N: usize>(
        comm: &Comm,
        tod: &Tod,
        baselines: &Baselines,
        healpix: Healpix,
        convention: Convention,
        (basis, per): (&Basis, Per),
        kept: Kept<'_>,
    ) -> Result<Sums> {
        let (columns, local) = (basis.len(), baselines.layout().local_len());
        let mut numbering = PixelNumbering::new(healpix.pixel_count())?;
        // In ascending order: numbers are positions among the pixels.
        for &pixel in kept.pixels {
            numbering.number(pixel);
        }
        let sums = Sums {
            baselines: vec![0.0; local * 2 * columns],
            groups: Vec::new(),
            // A template is at most one, and so is a Stokes weight.
            converter: Converter::new(baselines.longest(), baselines.samples()),
        };
        let mut summing = Summing::<N> {
            basis,
            baselines,
            per,
            kept,
            numbering,
            open: BTreeMap::new(),
            time: None,
            stay: Stay { pixel: None, number: 0, used: Use::Nothing, sums: vec![0.0; columns * N] },
            values: vec![0.0; columns],
            products: vec![0.0; packed_len(columns)],
            sums,
        };
        let mut next = 0;
        let angles = basis.angles();
        read_with_angles(comm, tod, baselines, &healpix, convention, &angles, |stretch| {
            let baseline = at(next);
            next += 1;
            if summing.kept.left_out.get(baseline) != Some(&true) {
                summing.add(baseline, &stretch);
            }
        })?;
        summing.close();
        Ok(summing.sums)
    }
}

impl<const N: usize> Summing<'_, N> {
    /// Adds the samples of a baseline, which is counted among those of this rank.
    fn add(&mut self, baseline: usize, stretch: &Stretch<'_>) {
        let number = self.baselines.layout().range().start + baseline as u64;
        let group = self.baselines.group_of(number, self.per);
        if self.time != Some(group.first_of_time) {
            // Baselines come in time: what was open has all its samples of this rank.
            self.close();
            self.time = Some(group.first_of_time);
        }
        let Summing { basis, kept, numbering, open, stay, values, products, sums, .. } = self;
        let columns = basis.len();
        let open = open.entry(group.number).or_insert_with(|| Open::new(group, baseline, products.len()));
        let (of_baseline, of_signal) = sums.baselines[baseline * 2 * columns..][..2 * columns].split_at_mut(columns);
        let samples = open.group.samples.end - open.group.samples.start;
        let (mut angles, mut count) = ([&[][..]; 2], 0);
        for values in stretch.angles() {
            angles[count] = values;
            count += 1;
        }
        let (mut place, mut within) = (stretch.first - open.group.samples.start, 0);
        products.fill(0.0);
        stretch.visit_all(|sample| {
            let (here, position) = (place, within);
            (place, within) = (place + 1, within + 1);
            let Some((pixel, cos, sin, signal)) = sample else { return };
            if stay.pixel != Some(pixel) {
                open.take(stay, sums.converter);
                let number = numbering.number(pixel);
                (stay.pixel, stay.number, stay.used) = (Some(pixel), number, kept.uses[at(number)]);
            }
            if stay.used == Use::Nothing {
                return;
            }
            let angles = angles[..count].iter().map(|values| values[position]);
            basis.evaluate(here, samples, angles, values);
            let stokes = weights::<N>(cos, sin);
            for (sums, value) in stay.sums.as_chunks_mut::<N>().0.iter_mut().zip(&*values) {
                sums.iter_mut().zip(stokes).for_each(|(sum, weight)| *sum += value * weight);
            }
            if stay.used == Use::Solve {
                of_baseline.iter_mut().zip(&*values).for_each(|(sum, value)| *sum += value);
                of_signal.iter_mut().zip(&*values).for_each(|(sum, value)| *sum += value * signal);
                add_products(values, products);
            }
        });
        open.take(stay, sums.converter);
        for (sum, &term) in open.products.as_chunks_mut::<LIMBS>().0.iter_mut().zip(&*products) {
            sums.converter.add(term, sum);
        }
    }

    /// Finishes the groups that are open.
    fn close(&mut self) {
        let range = self.baselines.layout().range();
        let width = self.basis.len() * N;
        for (_, open) in std::mem::take(&mut self.open) {
            let finished = open.finish::<N>(&range, width, &self.kept, self.sums.converter);
            self.sums.groups.push(finished);
        }
    }
}

/// Adds the products of two values each, packed by rows of the upper triangle.
fn add_products(values: &[f64], products: &mut [f64]) {
    let mut rest = products;
    for (i, &first) in values.iter().enumerate() {
        let (row, others) = rest.split_at_mut(values.len() - i);
        // All bins of an azimuth but one.
        if first != 0.0 {
            row.iter_mut().zip(&values[i..]).for_each(|(product, second)| *product += first * second);
        }
        rest = others;
    }
}

impl Open {
    fn new(group: Group, baseline: usize, products: usize) -> Open {
        let products = vec![0; products * LIMBS];
        Open { group, baseline, products, positions: HashMap::new(), digits: Vec::new() }
    }

    /// Adds what was seen while one pixel was looked at, and forgets it.
    fn take(&mut self, stay: &mut Stay, converter: Converter) {
        if stay.pixel.take().is_none() || stay.used == Use::Nothing {
            return;
        }
        let width = stay.sums.len() * LIMBS;
        let next = self.positions.len();
        let position = *self.positions.entry(stay.number).or_insert(next);
        if position == next {
            self.digits.resize(self.digits.len() + width, 0);
        }
        let digits = self.digits[position * width..][..width].as_chunks_mut::<LIMBS>().0;
        for (sum, term) in digits.iter_mut().zip(&mut stay.sums).filter(|(_, term)| **term != 0.0) {
            converter.add(std::mem::take(term), sum);
        }
    }

    /// Sorts the sums by pixels, and rounds them if they are those of all samples of the group.
    fn finish<const N: usize>(
        self,
        owned: &Range<Gid>,
        width: usize,
        kept: &Kept<'_>,
        converter: Converter,
    ) -> OfGroup {
        let mut order: Vec<(u32, usize)> = self.positions.into_iter().collect();
        order.sort_unstable();
        let key =
            |&(number, _): &(u32, usize)| 2 * kept.pixels[at(number)] + u64::from(kept.uses[at(number)] == Use::Solve);
        let keys: Vec<u64> = order.iter().map(key).collect();
        let sorted = order.iter().flat_map(|&(_, position)| &self.digits[position * width * LIMBS..][..width * LIMBS]);
        let digits: Vec<i64> = sorted.copied().collect();
        let pixels = if self.group.lies_in(owned) {
            InPixels::Whole(Chunk::new(&keys, &digits, N, converter))
        } else {
            InPixels::Part { keys, digits }
        };
        OfGroup { group: self.group, baseline: self.baseline, products: self.products, pixels }
    }
}

/// Returns sums as numbers.
pub(crate) fn rounded(digits: &[i64], converter: Converter) -> Vec<f64> {
    digits.as_chunks::<LIMBS>().0.iter().map(|sum| converter.value(sum)).collect()
}
