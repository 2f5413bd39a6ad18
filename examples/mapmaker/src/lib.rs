//! Planck-style map-making: detector timelines to maps of the sky.
//!
//! `d = P m + F a + n`: samples `d`, sky map `m` seen through the pointing `P`, baseline offsets
//! `F a` (and templates of drifts beside them), noise `n`. The offsets are solved for by conjugate gradients,
//! subtracted, and what is left is binned. Every matrix here is a [`dolmen_core::LinearOperator`], every solve one of
//! [`dolmen_solvers`], every file one of [`dolmen_io`], and no output depends on the number of
//! ranks.

mod angle_spread;
pub mod baselines;
mod binning;
pub mod compare;
pub mod components;
mod compressed;
pub mod config;
mod coverage;
pub mod destripe;
mod error;
mod extremes;
pub mod figures;
mod filter;
mod fixed_point;
mod gallery;
pub mod gls;
pub mod healpix;
pub mod import;
pub mod info;
pub mod maps;
mod marked_snapshots;
pub mod memory;
mod merging;
mod noise_choice;
pub mod noise_estimate;
pub mod output;
mod pairs;
pub mod parts;
pub mod phases;
pub mod picture;
pub mod pixel_blocks;
mod pixel_sums;
pub mod pixels;
mod prior;
pub mod quaternion;
mod reading;
pub mod report;
pub mod run;
pub mod simulate;
pub mod sky;
mod solved;
mod statistics;
pub mod survey;
pub mod templates;
pub mod tod;
mod undetermined;
pub mod units;
mod weight;

pub use error::{Error, Result};
