//! Interface between a method and the driver.

use dolmen_core::{Comm, Scalar, Snapshot, Vector};

use crate::error::{Error, Result};
use crate::krylov::context::Context;
use crate::krylov::powers::Numbers;
use crate::krylov::symmetry::Needs;
use crate::report::StopReason;

/// Estimate of the residual by the recurrences of a method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Its norm, in the requested norm.
    pub(crate) residual: f64,
    /// In least squares `|A^H r|`; infinite otherwise, where it plays no part.
    pub(crate) normal: f64,
}

impl From<f64> for Estimate {
    fn from(residual: f64) -> Estimate {
        Estimate { residual, normal: f64::INFINITY }
    }
}

/// Outcome of an iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Made; the method can continue.
    Next(Estimate),
    /// Made; the method wants to restart from the true residual.
    Cycle(Estimate),
    /// Made; the method wants to start from the true residual to find out whether it can be made smaller, and
    /// counts itself how often.
    Doubt(Estimate),
    /// Not made: a division by zero was ahead. A start from the true residual may help.
    Breakdown,
    /// Not made, and nothing will help.
    Stop(StopReason),
}

impl Step {
    /// Returns an iteration that was made.
    pub(crate) fn next(residual: f64) -> Result<Step> {
        Ok(Step::Next(residual.into()))
    }
}

/// A method under way. `r` belongs to the driver, which sets it to `b - A x` before each start; a
/// method may keep its recursive residual there.
pub(crate) trait Iteration<T: Scalar> {
    /// The operators that have to be Hermitian.
    const NEEDS: Needs = Needs::Nothing;

    /// Starts from a true residual, at the beginning and whenever the driver had to compute one.
    fn start(&mut self, cx: &Context<'_, T>, r: &Vector<T>) -> Result<()>;

    /// Makes one iteration.
    fn step(&mut self, cx: &Context<'_, T>, x: &mut Vector<T>, r: &mut Vector<T>) -> Result<Step>;

    /// Brings `x` up to date, for methods that do not in each step. A start or the end follows.
    fn finish(&mut self, _cx: &Context<'_, T>, _x: &mut Vector<T>) -> Result<()> {
        Ok(())
    }

    /// Takes `x` back to the best that the method has kept, where steps have only made it worse since, as its
    /// residual at the end shows; gives the reason for the end there.
    fn retreat(&mut self, _x: &mut Vector<T>, _residual: f64) -> Result<Option<StopReason>> {
        Ok(None)
    }

    /// Names all of the state that lives from one iteration to the next, beside `x` and `r`.
    fn archive(&mut self, archive: &mut Archive<'_, T>);
}

/// Saves to a snapshot or loads from one: the same list of names serves both ways.
pub(crate) enum Archive<'s, T> {
    /// To a snapshot.
    Save(&'s mut Snapshot<T>),
    /// From a snapshot, with the first thing that is missing or does not fit.
    Load(&'s Snapshot<T>, Result<()>),
}

impl<'s, T: Scalar> Archive<'s, T> {
    /// From a snapshot, which has to be of this method.
    pub(crate) fn load(snapshot: &'s Snapshot<T>, method: &'static str) -> Self {
        let found = snapshot.method();
        let is_same = found == method;
        let outcome = if is_same { Ok(()) } else { Err(Error::SnapshotMethod { method, found: found.to_owned() }) };
        Archive::Load(snapshot, outcome)
    }

    /// Agrees on the outcome of the loading, on all ranks.
    pub(crate) fn agree(self, comm: &Comm) -> Result<()> {
        match self {
            Archive::Save(_) => Ok(()),
            Archive::Load(_, outcome) => Ok(comm.agree(outcome)?),
        }
    }

    /// Notes that what has this name does not fit.
    pub(crate) fn refuse(&mut self, name: &str) {
        if let Archive::Load(snapshot, outcome @ Ok(())) = self {
            let method = snapshot.method().to_owned();
            *outcome = Err(Error::Snapshot { method, name: name.to_owned() });
        }
    }

    fn exchange<V>(
        &mut self,
        name: &str,
        state: &mut V,
        save: impl FnOnce(&mut Snapshot<T>, &V),
        load: impl FnOnce(&Snapshot<T>, &mut V) -> Option<()>,
    ) {
        match self {
            Archive::Save(snapshot) => save(snapshot, state),
            Archive::Load(snapshot, Ok(())) => {
                if load(snapshot, state).is_none() {
                    self.refuse(name);
                }
            }
            Archive::Load(_, Err(_)) => {}
        }
    }

    pub(crate) fn integer(&mut self, name: &str, value: &mut usize) {
        let load = |s: &Snapshot<T>, value: &mut usize| {
            *value = s.integer(name)?.try_into().ok()?;
            Some(())
        };
        self.exchange(name, value, |s, value| s.set_integer(name, *value as u64), load);
    }

    pub(crate) fn flag(&mut self, name: &str, value: &mut bool) {
        let mut number = usize::from(*value);
        self.integer(name, &mut number);
        *value = number == 1;
    }

    pub(crate) fn real(&mut self, name: &str, value: &mut f64) {
        let mut list = [*value];
        self.reals(name, &mut list);
        *value = list[0];
    }

    /// A list whose length is known.
    pub(crate) fn reals(&mut self, name: &str, mut values: &mut [f64]) {
        let load = |s: &Snapshot<T>, values: &mut &mut [f64]| {
            let saved = s.reals(name).filter(|saved| saved.len() == values.len())?;
            values.copy_from_slice(saved);
            Some(())
        };
        self.exchange(name, &mut values, |s, values| s.set_reals(name, values.to_vec()), load);
    }

    /// A list that grows.
    pub(crate) fn series(&mut self, name: &str, values: &mut Vec<f64>) {
        let load = |s: &Snapshot<T>, values: &mut Vec<f64>| {
            values.clear();
            values.extend_from_slice(s.reals(name)?);
            Some(())
        };
        self.exchange(name, values, |s, values| s.set_reals(name, values.clone()), load);
    }

    /// Sums, or numbers made from them; real or complex.
    pub(crate) fn doubles(&mut self, name: &str, values: &mut [T::Double]) {
        let mut parts: Vec<f64> = values.iter().flat_map(|value| [value.re(), value.im()]).collect();
        self.reals(name, &mut parts);
        for (value, parts) in values.iter_mut().zip(parts.as_chunks::<2>().0) {
            *value = T::Double::from_parts(parts[0], parts[1]);
        }
    }

    pub(crate) fn double(&mut self, name: &str, value: &mut T::Double) {
        self.doubles(name, std::slice::from_mut(value));
    }

    /// A vector, which is moved to its layout if the snapshot has it on another one.
    pub(crate) fn vector(&mut self, name: &str, vector: &mut Vector<T>) {
        let load = |s: &Snapshot<T>, vector: &mut Vector<T>| {
            let saved = s.vector(name)?;
            if saved.layout() == vector.layout() {
                return vector.copy_from(saved).ok();
            }
            *vector = saved.redistributed(vector.layout()).ok()?;
            Some(())
        };
        self.exchange(name, vector, |s, vector| s.set_vector(name, vector.clone()), load);
    }

    /// The solution, which is `2^power` times `x` in the user's units. Where that is not `x`, a snapshot has both:
    /// digits may be lost on the way.
    pub(crate) fn solution(&mut self, name: &str, x: &mut Vector<T>, power: i32) {
        if power == 0 {
            return self.vector(name, x);
        }
        if let Archive::Save(snapshot) = self {
            let mut users = x.clone();
            users.scale_by(power);
            snapshot.set_vector(name, users);
        }
        self.vector(&format!("scaled {name}"), x);
    }

    pub(crate) fn vectors(&mut self, name: &str, vectors: &mut [Vector<T>]) {
        for (number, vector) in vectors.iter_mut().enumerate() {
            self.vector(&format!("{name} {number}"), vector);
        }
    }
}
