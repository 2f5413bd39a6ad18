//! The guard of an event, and the recorder of this thread behind it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use super::recorder::{Recorder, Work};
use crate::scalar::Scalar;

/// Threads that record. An event of the others costs a look into the thread's own memory too.
static RECORDING: AtomicUsize = AtomicUsize::new(0);

thread_local!(static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) });

fn with_recorder<R>(f: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    // Guards may be dropped while the thread ends.
    RECORDER.try_with(|recorder| recorder.borrow_mut().as_mut().map(f)).ok().flatten()
}

pub(super) fn is_recording() -> bool {
    with_recorder(|_| ()).is_some()
}

pub(super) fn install(recorder: Recorder) {
    RECORDER.set(Some(recorder));
    RECORDING.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn uninstall() -> Option<Recorder> {
    let recorder = RECORDER.take();
    if recorder.is_some() {
        RECORDING.fetch_sub(1, Ordering::Relaxed);
    }
    recorder
}

/// Something that takes time: from [`event`] until it is dropped. Dropping never communicates.
///
/// An event that outlives the one around it ends with that one.
#[must_use = "an event ends when it is dropped; bind it to a name, for instance _event"]
pub struct Event {
    /// Its number in the recorder.
    recorded: Option<u64>,
    _span: Option<EnteredSpan>,
}

/// Begins an event; see [the module](crate::profile).
///
/// Counts are added as in `event("MatMult").flops(2 * entries)`, and belong to this event and all
/// around it.
#[inline]
pub fn event(name: &'static str) -> Event {
    if RECORDING.load(Ordering::Relaxed) == 0 && LevelFilter::current() < LevelFilter::TRACE {
        return Event { recorded: None, _span: None };
    }
    begin(name)
}

#[cold]
fn begin(name: &'static str) -> Event {
    let span = tracing::trace_span!(target: "dolmen", "event", name);
    let span = (!span.is_disabled()).then(|| span.entered());
    Event { recorded: with_recorder(|recorder| recorder.begin(name)), _span: span }
}

impl Event {
    /// Adds floating-point operations.
    #[inline]
    pub fn flops(self, flops: u64) -> Event {
        self.add(Work { flops, ..Work::default() })
    }

    /// Adds bytes moved, between memory and processor or to and from a file.
    #[inline]
    pub fn bytes(self, bytes: u64) -> Event {
        self.add(Work { bytes, ..Work::default() })
    }

    /// Adds messages that were sent by other means than the toolkit's, and their bytes together.
    #[inline]
    pub fn messages(self, messages: u64, message_bytes: u64) -> Event {
        self.add(Work { messages, message_bytes, ..Work::default() })
    }

    #[inline]
    fn add(self, work: Work) -> Event {
        if let Some(number) = self.recorded {
            with_recorder(|recorder| recorder.add_to(number, work));
        }
        self
    }
}

impl Drop for Event {
    #[inline]
    fn drop(&mut self) {
        if let Some(number) = self.recorded {
            with_recorder(|recorder| recorder.end(number));
        }
    }
}

/// Counts a message to another rank for the innermost event.
#[inline]
pub(crate) fn count_message(bytes: usize) {
    if RECORDING.load(Ordering::Relaxed) > 0 {
        with_recorder(|recorder| {
            recorder.add(Work { messages: 1, message_bytes: bytes as u64, ..Work::default() });
        });
    }
}

/// An event of a loop over `len` entries of vectors of `T`: so many sums and products for each
/// entry, and so many vectors read or written.
#[inline]
pub(crate) fn entrywise<T: Scalar>(
    name: &'static str,
    len: usize,
    sums: usize,
    products: usize,
    moved: usize,
) -> Event {
    let flops = if T::COMPLEX { 2 * sums + 6 * products } else { sums + products };
    event(name).flops((flops * len) as u64).bytes((moved * len * size_of::<T>()) as u64)
}
