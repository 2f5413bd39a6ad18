//! The system for offsets and the amplitudes of templates.

use std::cell::RefCell;

use dolmen_core::{AdjointOperator, Combine, Layout, LinearOperator, Result as CoreResult, Stored, Vector};

use super::{Basis, Columns, Coupling, Group, Groups, TemplateAmplitudes, Unknowns};
use crate::destripe::Destriper;
use crate::error::Result;
use crate::pixel_blocks::packed_len;
use crate::tod::Description;
use crate::weight::inverse_variance;

/// The templates of a run, and their products with each other, with offsets and with the signal, weighted.
pub(crate) struct Templates {
    pub(crate) groups: Groups,
    pub(crate) unknowns: Unknowns,
    /// Templates of a group.
    pub(crate) columns: usize,
    names: Vec<String>,
    stored: Columns,
    /// Weight of the samples of each group.
    weight: Vec<f64>,
    /// `F^T W T`: of each baseline of this rank's groups a value for each template.
    pub(crate) offsets: Vec<f64>,
    /// `T^T W T`: of each group a matrix, by rows.
    products: Vec<f64>,
    work: RefCell<Work>,
}

struct Work {
    amplitudes: Vector<f64>,
    map: Vector<f64>,
}

impl Templates {
    /// Creates the templates of the groups from their stored columns.
    ///
    /// # Collective
    ///
    /// # Errors
    /// More unknowns than 64 bits can count.
    pub(crate) fn new(
        description: &Description,
        baselines: &Layout,
        basis: &Basis,
        groups: Groups,
        mut stored: Columns,
    ) -> Result<Templates> {
        let columns = basis.len();
        let unknowns = Unknowns::new(baselines, &groups, columns)?;
        let weight_of = |group: &Group| {
            let rate = description.observations[group.observation].sample_rate;
            inverse_variance(description.detectors[group.detector].net, rate)
        };
        let weight: Vec<f64> = groups.owned.iter().map(weight_of).collect();
        let (mut offsets, packed) = (std::mem::take(&mut stored.offsets), std::mem::take(&mut stored.products));
        let mut products = Vec::with_capacity(groups.owned.len() * columns * columns);
        for (group, &weight) in weight.iter().enumerate() {
            let (positions, first) = groups.of(group);
            offsets[first * columns..][..positions.len() * columns].iter_mut().for_each(|sum| *sum *= weight);
            let packed = &packed[group * packed_len(columns)..];
            let row = |i: usize| i * (2 * columns - i + 1) / 2;
            for i in 0..columns {
                for j in 0..columns {
                    let (low, high) = (i.min(j), i.max(j));
                    products.push(weight * packed[row(low) + high - low]);
                }
            }
            stored.signal[group * columns..][..columns].iter_mut().for_each(|sum| *sum *= weight);
        }
        let work = Work { amplitudes: Vector::zeros(stored.solve.domain()), map: Vector::zeros(stored.solve.range()) };
        let (names, work) = (basis.names(), RefCell::new(work));
        Ok(Templates { groups, unknowns, columns, names, stored, weight, offsets, products, work })
    }

    /// Returns the distribution of the amplitudes.
    pub(crate) fn amplitudes(&self) -> &Layout {
        self.stored.solve.domain()
    }

    /// Returns `T^T W T` of a group, by rows.
    pub(crate) fn products_of(&self, group: usize) -> &[f64] {
        &self.products[group * self.columns * self.columns..][..self.columns * self.columns]
    }

    /// Visits the baselines of all groups of this rank: the position in the exchange, and the number.
    pub(crate) fn for_each_baseline(&self, mut visit: impl FnMut(usize, usize)) {
        for group in 0..self.groups.owned.len() {
            let (positions, first) = self.groups.of(group);
            positions.iter().zip(first..).for_each(|(&position, row)| visit(position, row));
        }
    }

    /// Multiplies the values of each group by the weight of its samples.
    fn weigh(&self, values: &mut [f64]) {
        for (values, weight) in values.chunks_exact_mut(self.columns).zip(&self.weight) {
            values.iter_mut().for_each(|value| *value *= weight);
        }
    }

    /// Adds `P^T W T c` to sums over pixels: those of the solve, and the others of the maps if `all` is true.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the layouts fit.
    pub(crate) fn add_to(&self, amplitudes: &[f64], all: bool, sums: &mut Vector<f64>) -> CoreResult<()> {
        let Work { amplitudes: weighted, map } = &mut *self.work.borrow_mut();
        weighted.owned_mut().copy_from_slice(amplitudes);
        self.weigh(weighted.owned_mut());
        let others = all.then_some(&self.stored.map);
        for columns in std::iter::once(&self.stored.solve).chain(others) {
            columns.apply(weighted, map)?;
            sums.axpy(1.0, map)?;
        }
        Ok(())
    }

    /// Computes `T^T W P m` over the samples of the solve.
    fn look(&self, map: &Vector<f64>, result: &mut Vector<f64>) -> CoreResult<()> {
        self.stored.solve.apply_adjoint(map, result)?;
        self.weigh(result.owned_mut());
        Ok(())
    }

    /// Computes `T^T W Z d` from the map of the signal; zero for amplitudes that are not determined.
    ///
    /// # Collective
    ///
    /// # Errors
    /// None in practice: the layouts fit.
    pub(crate) fn right_hand_side(&self, map: &Vector<f64>, determined: &[bool]) -> Result<Vec<f64>> {
        let mut rhs = Vector::zeros(self.amplitudes());
        self.look(map, &mut rhs)?;
        let entries = rhs.owned().iter().zip(&self.stored.signal).zip(determined);
        Ok(entries.map(|((seen, signal), &is)| if is { signal - seen } else { 0.0 }).collect())
    }

    /// Returns the energies of all templates.
    pub(crate) fn energies(&self) -> Vec<f64> {
        let n = self.columns;
        self.products.chunks_exact(n * n).flat_map(|matrix| (0..n).map(move |i| matrix[i * n + i])).collect()
    }

    /// Returns what a solve found.
    ///
    /// # Errors
    /// None in practice: the layout fits.
    pub(crate) fn found(&self, values: Vec<f64>, determined: Vec<bool>) -> Result<TemplateAmplitudes> {
        let values = Vector::from_owned(self.amplitudes(), values)?;
        Ok(TemplateAmplitudes { names: self.names.clone(), groups: self.groups.owned.clone(), values, determined })
    }

    /// Returns the amplitudes of a part of the timelines, whose baselines are `members`: zero for groups of others.
    pub(crate) fn of_part(&self, values: &Vector<f64>, members: Option<&[bool]>) -> Vec<f64> {
        let mut values = values.owned().to_vec();
        let Some(members) = members else { return values };
        for (values, &middle) in values.chunks_exact_mut(self.columns).zip(&self.groups.middles) {
            if !members[middle] {
                values.fill(0.0);
            }
        }
        values
    }
}

/// The system for all unknowns.
pub(crate) struct Extended<'e, 'd, const N: usize, S> {
    destriper: &'e Destriper<'d, N, S>,
    templates: &'e Templates,
    coupling: &'e Coupling,
    work: RefCell<Extension>,
}

struct Extension {
    offsets: [Vector<f64>; 2],
    amplitudes: [Vector<f64>; 2],
    map: Vector<f64>,
    copies: Vec<f64>,
}

impl<'e, 'd, const N: usize, S: Stored> Extended<'e, 'd, N, S> {
    pub(crate) fn new(
        destriper: &'e Destriper<'d, N, S>,
        templates: &'e Templates,
        coupling: &'e Coupling,
    ) -> Extended<'e, 'd, N, S> {
        let work = RefCell::new(Extension {
            offsets: [(); 2].map(|()| Vector::zeros(destriper.domain())),
            amplitudes: [(); 2].map(|()| Vector::zeros(templates.amplitudes())),
            map: Vector::zeros(templates.stored.solve.range()),
            copies: vec![0.0; templates.groups.plan.copies_len()],
        });
        Extended { destriper, templates, coupling, work }
    }
}

impl<const N: usize, S: Stored> LinearOperator<f64> for Extended<'_, '_, N, S> {
    fn domain(&self) -> &Layout {
        &self.templates.unknowns.layout
    }

    fn range(&self) -> &Layout {
        &self.templates.unknowns.layout
    }

    fn compute(&self, x: &Vector<f64>, y: &mut Vector<f64>) -> CoreResult<()> {
        let Extension { offsets: [a, of_a], amplitudes: [c, of_c], map, copies } = &mut *self.work.borrow_mut();
        let Templates { groups, unknowns, columns, .. } = self.templates;
        unknowns.split(x.owned(), a.owned_mut(), c.owned_mut());
        map.fill(0.0);
        self.templates.add_to(c.owned(), false, map)?;
        self.destriper.compute_beside(a, map, of_a)?;
        self.templates.look(map, of_c)?;
        let imported = groups.plan.start_import(a.owned(), 1).finish();
        let amplitudes = c.owned().chunks_exact(*columns).zip(of_c.owned_mut().chunks_exact_mut(*columns));
        for (group, (c, of_c)) in amplitudes.enumerate() {
            let products = self.templates.products_of(group).chunks_exact(*columns);
            for (result, row) in of_c.iter_mut().zip(products) {
                *result = row.iter().zip(c).map(|(product, c)| product * c).sum::<f64>() - *result;
            }
            let (positions, first) = groups.of(group);
            let rows = self.templates.offsets[first * columns..].chunks_exact(*columns);
            for (&position, row) in positions.iter().zip(rows) {
                of_c.iter_mut().zip(row).for_each(|(result, product)| *result += product * imported[position]);
                copies[position] = row.iter().zip(c).map(|(product, c)| product * c).sum();
            }
        }
        drop(imported);
        groups.plan.start_export(copies, 1).finish(Combine::Add, of_a.owned_mut());
        for (value, determined) in of_c.owned_mut().iter_mut().zip(&self.coupling.determined) {
            *value = if *determined { *value } else { 0.0 };
        }
        unknowns.join(of_a.owned(), of_c.owned(), y.owned_mut());
        Ok(())
    }
}
