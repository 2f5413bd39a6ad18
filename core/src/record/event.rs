//! The guard of an event, and the recorder of this thread behind it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use super::recorder::{Recorder, Work, next_number};
use crate::scalar::Scalar;

/// Threads that record or name operations. An event of the others costs a look into the thread's own memory too.
static RECORDING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
    /// Open spans and the numbers of their events.
    static SPANS: RefCell<Vec<(u64, EnteredSpan)>> = const { RefCell::new(Vec::new()) };
    /// Operations of this crate under way, with the numbers of their events, where they are named.
    static OPERATIONS: RefCell<Option<Vec<(u64, &'static str)>>> = const { RefCell::new(None) };
}

fn with_recorder<R>(f: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    // Guards may be dropped while the thread ends.
    RECORDER.try_with(|recorder| recorder.borrow_mut().as_mut().map(f)).ok().flatten()
}

pub(crate) fn is_recording() -> bool {
    with_recorder(|_| ()).is_some()
}

pub(crate) fn install(recorder: Recorder) {
    RECORDER.set(Some(recorder));
    RECORDING.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn uninstall() -> Option<Recorder> {
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
    /// Zero for one that nobody wants to know of: one word, so that it costs no more than that.
    number: u64,
    /// Events are those of one thread.
    _not_send: PhantomData<*const ()>,
}

/// Begins an event; see [the module](crate::profile).
///
/// Counts are added as in `event("MatMult").flops(2 * entries)`, and belong to this event and all
/// around it.
#[inline]
pub fn event(name: &'static str) -> Event {
    let unwanted = RECORDING.load(Ordering::Relaxed) == 0 && LevelFilter::current() < LevelFilter::TRACE;
    Event { number: if unwanted { 0 } else { begin(name) }, _not_send: PhantomData }
}

/// Begins an event of this crate, which all ranks have alike where it communicates.
#[inline]
pub(crate) fn operation(name: &'static str) -> Event {
    let event = event(name);
    if event.number != 0 {
        // A Python interpreter ends its program after the memory of its main thread was dropped.
        let _ = OPERATIONS.try_with(|names| {
            names.borrow_mut().iter_mut().for_each(|names| names.push((event.number, name)));
        });
    }
    event
}

/// From here on [`operations`] knows those of this thread.
pub(crate) fn name_operations() {
    OPERATIONS.set(Some(Vec::new()));
    RECORDING.fetch_add(1, Ordering::Relaxed);
}

/// Returns the operations of this crate that are under way, and in them `last`.
pub(crate) fn operations(last: &str) -> String {
    OPERATIONS.with_borrow(|names| {
        let names = names.iter().flatten().map(|(_, name)| *name);
        names.chain(std::iter::once(last)).collect::<Vec<_>>().join(" > ")
    })
}

#[cold]
fn begin(name: &'static str) -> u64 {
    let number = next_number();
    let span = tracing::trace_span!(target: "dolmen", "event", name);
    if !span.is_disabled() {
        SPANS.with_borrow_mut(|spans| spans.push((number, span.entered())));
    }
    with_recorder(|recorder| recorder.begin(name, number));
    number
}

#[cold]
fn add(number: u64, work: Work) {
    with_recorder(|recorder| recorder.add_to(number, work));
}

#[cold]
fn end(number: u64) {
    with_recorder(|recorder| recorder.end(number));
    // Guards may be dropped while the thread ends.
    let _ = OPERATIONS.try_with(|names| {
        names.borrow_mut().iter_mut().for_each(|names| names.retain(|(of, _)| *of != number));
    });
    let take = |spans: &RefCell<Vec<(u64, EnteredSpan)>>| {
        let mut spans = spans.borrow_mut();
        let at = spans.iter().rposition(|(of, _)| *of == number)?;
        Some(spans.remove(at))
    };
    // What a subscriber does when a span is left may be anything, so the list is not borrowed then.
    drop(SPANS.try_with(take));
}

impl Event {
    /// Adds floating-point operations.
    #[inline]
    pub fn flops(self, flops: u64) -> Event {
        self.add(Work { flops, ..Work::default() })
    }

    /// Adds floating-point operations that are counted only where somebody wants to know.
    #[inline]
    pub(crate) fn flops_of(self, count: impl FnOnce() -> u64) -> Event {
        if self.number == 0 { self } else { self.flops(count()) }
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
        if self.number != 0 {
            add(self.number, work);
        }
        self
    }
}

impl Drop for Event {
    #[inline]
    fn drop(&mut self) {
        if self.number != 0 {
            end(self.number);
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

/// Returns an event of a loop over `len` entries of vectors of `T`: the numbers of sums and products for each
/// entry, and of vectors read or written.
#[inline]
pub(crate) fn entrywise<T: Scalar>(
    name: &'static str,
    len: usize,
    sums: usize,
    products: usize,
    moved: usize,
) -> Event {
    let flops = if T::COMPLEX { 2 * sums + 6 * products } else { sums + products };
    operation(name).flops((flops * len) as u64).bytes((moved * len * size_of::<T>()) as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Level, Metadata, Subscriber};

    use super::*;

    /// Notes what happens to spans.
    #[derive(Clone)]
    struct Log {
        lines: Arc<Mutex<Vec<String>>>,
        level: Level,
    }

    impl Log {
        fn note(&self, line: String) {
            self.lines.lock().unwrap().push(line);
        }
    }

    impl Visit for Log {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.note(format!("{field} {value}"));
        }

        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= &self.level
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(self.lines.lock().unwrap().len() as u64)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &tracing::Event<'_>) {}

        fn enter(&self, span: &Id) {
            self.note(format!("enter {}", span.into_u64()));
        }

        fn exit(&self, span: &Id) {
            self.note(format!("exit {}", span.into_u64()));
        }
    }

    fn spans(level: Level) -> Vec<String> {
        let log = Log { lines: Arc::default(), level };
        tracing::subscriber::with_default(log.clone(), || {
            let _outer = event("outer");
            drop(event("inner").flops(1));
        });
        let lines = log.lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn events_are_spans_where_someone_listens() {
        let all = ["name outer", "enter 1", "name inner", "enter 3", "exit 3", "exit 1"];
        assert_eq!(spans(Level::TRACE), all);
        assert_eq!(spans(Level::DEBUG), [""; 0]);
    }

    #[test]
    fn a_panic_ends_the_events_that_it_leaves() {
        let mut recorder = Recorder::new(0);
        recorder.start();
        install(recorder);
        let around = event("around");
        let result = std::panic::catch_unwind(|| {
            let _outer = event("outer");
            let _inner = event("inner");
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(result.is_err());
        drop(event("after"));
        drop(around);
        let record = uninstall().unwrap().finish();
        let parents: Vec<_> = record.nodes.iter().map(|node| (node.name, node.parent)).collect();
        assert_eq!(parents, [("", 0), ("around", 0), ("outer", 1), ("inner", 2), ("after", 1)]);
    }
}
