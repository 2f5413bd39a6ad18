//! State of a method in a snapshot.

use dolmen_core::{Comm, Scalar, Snapshot, Vector};

use crate::error::{Error, Result};
use crate::krylov::powers::{Numbers, whole};

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

    /// A power of two.
    pub(crate) fn power(&mut self, name: &str, power: &mut i32) {
        let mut number = f64::from(*power);
        self.real(name, &mut number);
        *power = whole(number);
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
