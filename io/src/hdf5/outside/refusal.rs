//! Messages about data in other files, which are not read.

/// Remedy.
const ADVICE: &str = "such files are read only with --allow-external (OpenOptions::allow_external)";

/// Says that a dataset lies in other files, and what helps.
pub(in crate::hdf5) fn refusal(files: &[String]) -> String {
    format!("its data lie in another file, {}; {ADVICE}", files.join(", "))
}

/// Says that a link leads out of the file, and what helps.
pub(super) fn link_refusal(file: &str) -> String {
    format!("leads to another file, {file}; {ADVICE}")
}
