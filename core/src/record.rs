//! Events of this rank, as they happen. Everything that communicates records its own here; [`crate::profile`] joins the
//! records of all ranks.

mod event;
mod recorder;

pub use event::{Event, event};
pub(crate) use event::{
    count_message, entrywise, install, is_recording, name_operations, operation, operations, uninstall,
};
pub(crate) use recorder::{Interval, Node, Record, Recorder, Work};
