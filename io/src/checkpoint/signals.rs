//! Signals that ask for a checkpoint.
//!
//! A batch system sends SIGTERM some time before it takes the machine away, and SIGUSR1 where it is
//! told to. SIGUSR2 means what SIGTERM does: Open MPI's `mpirun` passes it on to all ranks and returns
//! their exit code, but on SIGTERM it kills them after a second and returns 1. Handlers only set flags; the program
//! looks at them between two of its steps and lets all ranks act alike, since a signal reaches ranks at different
//! times, and perhaps one only.

use signal_hook::consts::{SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Request by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A checkpoint (SIGUSR1).
    Save,
    /// A checkpoint, and the end of the program (SIGTERM, SIGUSR2).
    Stop,
}

/// As long as this lives, SIGTERM, SIGUSR1 and SIGUSR2 do not end the program but are kept as wishes.
/// Afterwards they end it again.
///
/// There is one at a time; of several, the first that is dropped ends it for all.
#[derive(Debug)]
pub struct Signals(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// True if the signals have their usual effect.
    usual: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

/// Handlers are installed once and never removed: to remove one would not bring back its default.
static INSTALLED: Mutex<Option<Arc<Flags>>> = Mutex::new(None);

impl Signals {
    /// Watches the signals on this rank.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub fn watch() -> io::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = match installed.as_ref() {
            Some(flags) => Arc::clone(flags),
            None => Arc::clone(installed.insert(Arc::new(Flags::install()?))),
        };
        flags.save.store(false, Ordering::SeqCst);
        flags.stop.store(false, Ordering::SeqCst);
        flags.usual.store(false, Ordering::SeqCst);
        Ok(Self(flags))
    }

    /// Returns the request that signals have made and that is not [`done`](Signals::saved) yet.
    #[must_use]
    pub fn wish(&self) -> Option<Wish> {
        if self.0.stop.load(Ordering::SeqCst) {
            Some(Wish::Stop)
        } else {
            self.0.save.load(Ordering::SeqCst).then_some(Wish::Save)
        }
    }

    /// Forgets the wish for a checkpoint, since one is being written. The wish to stop stays.
    pub fn saved(&self) {
        self.0.save.store(false, Ordering::SeqCst);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.usual.store(true, Ordering::SeqCst);
    }
}

impl Flags {
    fn install() -> io::Result<Self> {
        let flags = Self::default();
        for (signal, wish) in [(SIGTERM, &flags.stop), (SIGUSR2, &flags.stop), (SIGUSR1, &flags.save)] {
            flag::register_conditional_default(signal, Arc::clone(&flags.usual))?;
            flag::register(signal, Arc::clone(wish))?;
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_kept_until_they_are_done() {
        let signals = Signals::watch().unwrap();
        assert_eq!(signals.wish(), None);
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        assert_eq!(signals.wish(), Some(Wish::Save));
        signals.saved();
        assert_eq!(signals.wish(), None);
        drop(signals);
        for signal in [SIGTERM, SIGUSR2] {
            let signals = Signals::watch().unwrap();
            assert_eq!(signals.wish(), None, "wishes of before are forgotten");
            signal_hook::low_level::raise(signal).unwrap();
            signals.saved();
            assert_eq!(signals.wish(), Some(Wish::Stop));
        }
    }
}
