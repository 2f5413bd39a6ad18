//! Errors of files that come to all ranks with their fields.

use std::io::ErrorKind;
use std::path::PathBuf;

use dolmen_io::{Error, open_on_all_ranks, open_regular};
use dolmen_tests::{Comm, TestResult};

/// A failure on one rank has its variant, its fields and the number of the system on all ranks.
pub(crate) fn keep_their_fields(comm: &Comm) -> TestResult {
    let last = comm.size() - 1;
    let only_last = |error: fn() -> Error| if comm.rank() == last { Err(error()) } else { Ok(()) };
    let error =
        comm.agree(only_last(|| Error::Length { path: PathBuf::from("b.mtx"), object: None, found: 3, expected: 4 }));
    let error = error.expect_err("it failed");
    assert!(
        matches!(error.cause(), Error::Length { path, object: None, found: 3, expected: 4 } if path.ends_with("b.mtx")),
        "{error:?}"
    );
    let rank = if last == 0 { String::new() } else { format!(" (rank {last})") };
    let text = "b.mtx: its vectors have 3 entries, but the layout they are read into has 4";
    assert_eq!((error.message(), error.to_string()), (text.to_owned(), format!("{text}{rank}")));

    let missing = comm.agree(only_last(|| open_regular("no such file").expect_err("it is not there")));
    let missing = missing.expect_err("it failed");
    let Error::Io { source, action, .. } = missing.cause() else { return Err(format!("{missing:?}").into()) };
    assert_eq!((source.kind(), source.raw_os_error(), action.as_str()), (ErrorKind::NotFound, Some(2), "open"));

    // A file that the last rank does not see.
    let name = if comm.rank() == last { "no such file".into() } else { std::env::current_exe()? };
    let error = open_on_all_ranks(comm, name).expect_err("it failed");
    assert!(matches!(error.cause(), Error::Io { source, .. } if source.kind() == ErrorKind::NotFound), "{error:?}");
    assert_eq!(matches!(error, Error::NotSeen { rank, .. } if rank == last), last > 0, "{error:?}");
    Ok(())
}
