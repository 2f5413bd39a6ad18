//! Templates: shapes of drifts in time, whose amplitudes are solved for beside the offsets.
//!
//! `d = P m + F a + T c + n`. A column of `T` is one template over the samples of one detector in one interval, or in
//! one observation: its [`Group`]. The system for offsets and amplitudes is that of [`destripe`](crate::destripe) with
//! `[F T]` in place of `F`.
//!
//! A template meets every pixel that its group sees. `P^T W T` is therefore stored by pixels and groups, of which there are
//! fewer than pairs of pixels and baselines: a scan comes back to a pixel in baseline after baseline. These sums, `F^T W T`
//! and `T^T W T` are over samples that take part in the solve, which is known when all samples are read; so the timelines
//! are read a second time ([`sums`]), and still not kept.
//!
//! A group has one owner, the rank of the baseline in its middle. Ranks that have other baselines of the group send it their
//! sums, which are whole numbers, so that what is stored has the same bits on any number of ranks ([`columns`]).
//!
//! Offsets follow a slow template by steps, so the two are nearly dependent, and the more so the shorter the baselines.
//! The preconditioner takes the offsets' part out of each template ([`coupling`]). What is left of a template that offsets
//! and the templates before it can follow exactly is zero: its amplitude is zero, and marked.

mod amplitudes;
mod basis;
mod columns;
mod coupling;
mod group;
mod groups;
mod operator;
mod sums;
mod unknowns;

pub use amplitudes::TemplateAmplitudes;
pub(crate) use basis::Basis;
pub(crate) use columns::Columns;
pub(crate) use coupling::{Coupled, Coupling};
pub use group::Group;
pub(crate) use groups::Groups;
pub(crate) use operator::{Extended, Templates};
pub(crate) use sums::{Kept, Sums};
pub(crate) use unknowns::{OffsetsOnly, Unknowns};
