//! The small matrix of a process with thick restarts: upper bidiagonal, with a column of couplings after a restart. Of
//! Lanczos' process it is the upper triangle of a symmetric matrix.

use dolmen_core::Scalar;
use dolmen_core::ndarray::{Array2, ArrayView2, s};

use crate::eigen::basis::noise;
use crate::eigen::search::Ritz;
use crate::krylov::snapshot_state::Archive;

pub(super) struct Arrow {
    matrix: Array2<f64>,
    /// Length of what the last step left beside the basis; zero if that spans an invariant space.
    pub(super) beta: f64,
    /// The largest entry so far.
    largest: f64,
    pub(super) ritz: Ritz,
}

impl Arrow {
    pub(super) fn new(size: usize) -> Arrow {
        Arrow { matrix: Array2::zeros((size, size)), beta: 0.0, largest: 0.0, ritz: Ritz::default() }
    }

    /// Notes the absolute value of an entry, beside which rounding errors are measured.
    pub(super) fn see<T: Scalar>(&mut self, entry: f64) {
        self.largest = self.largest.max(entry);
        self.ritz.noise = noise::<T>(self.largest);
    }

    pub(super) fn set_diagonal(&mut self, j: usize, entry: f64) {
        self.matrix[(j, j)] = entry;
    }

    /// Couples a vector to the next one by `beta`.
    pub(super) fn set_beside(&mut self, j: usize) {
        if j + 1 < self.matrix.ncols() {
            self.matrix[(j, j + 1)] = self.beta;
        }
    }

    /// Returns the part that belongs to the first `n` vectors without the locked ones.
    pub(super) fn open(&self, n: usize) -> ArrayView2<'_, f64> {
        let locked = self.ritz.locked;
        self.matrix.slice(s![locked..n, locked..n])
    }

    /// Returns vectors of the open part as vectors of all, beside those that are locked.
    pub(super) fn with_locked(&self, open: &Array2<f64>) -> Array2<f64> {
        let locked = self.ritz.locked;
        let mut whole = Array2::eye(locked + open.nrows());
        whole.slice_mut(s![locked.., locked..]).assign(open);
        whole
    }

    /// Takes the values of the open part and the vectors on which residuals depend, from [`Arrow::with_locked`].
    pub(super) fn take(&mut self, values: Vec<f64>, vectors: &Array2<f64>) {
        let locked = self.ritz.locked;
        self.ritz.values = (0..locked).map(|i| self.matrix[(i, i)]).chain(values).collect();
        let places: Vec<usize> = (0..vectors.ncols()).collect();
        self.ritz.residuals = self.couplings(&places, vectors).into_iter().map(f64::abs).collect();
    }

    /// Returns the couplings of values to the next vector of the basis.
    pub(super) fn couplings(&self, places: &[usize], vectors: &Array2<f64>) -> Vec<f64> {
        let last = vectors.nrows().wrapping_sub(1);
        let coupling = |&place: &usize| {
            if place < self.ritz.locked { 0.0 } else { self.beta * vectors[(last, place)] }
        };
        places.iter().map(coupling).collect()
    }

    /// Leaves some values, on the diagonal.
    pub(super) fn replace(&mut self, places: &[usize]) {
        self.matrix.fill(0.0);
        for (i, &place) in places.iter().enumerate() {
            self.matrix[(i, i)] = self.ritz.values[place];
        }
    }

    /// Couples as many vectors to the next one.
    pub(super) fn couple(&mut self, couplings: &[f64]) {
        let next = couplings.len();
        if next < self.matrix.ncols() {
            couplings.iter().enumerate().for_each(|(i, &coupling)| self.matrix[(i, next)] = coupling);
        }
    }

    /// Names the state beside `filled` vectors, as a restart has left them.
    pub(super) fn archive<T: Scalar>(&mut self, filled: usize, archive: &mut Archive<'_, T>) {
        archive.integer("locked", &mut self.ritz.locked);
        archive.flag("complete", &mut self.ritz.complete);
        archive.real("beta", &mut self.beta);
        let mut largest = self.largest;
        archive.real("largest", &mut largest);
        self.see::<T>(largest);
        if self.ritz.locked > filled {
            self.ritz.locked = 0;
            return archive.refuse("locked");
        }
        let room = filled < self.matrix.ncols();
        let mut diagonal: Vec<f64> = (0..filled).map(|i| self.matrix[(i, i)]).collect();
        let mut couplings: Vec<f64> = (0..filled).map(|i| if room { self.matrix[(i, filled)] } else { 0.0 }).collect();
        archive.reals("diagonal", &mut diagonal);
        archive.reals("couplings", &mut couplings);
        diagonal.into_iter().enumerate().for_each(|(i, entry)| self.set_diagonal(i, entry));
        self.couple(&couplings);
    }
}
