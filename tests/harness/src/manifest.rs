//! The manifest of the reference data: what is known of its files.

use std::path::Path;

use serde_json::Value;

use crate::case::TestResult;

/// The manifest of the reference data in `folder`, which [`shared`](crate::shared) finds. Numbers
/// that are not finite, which JSON does not have, are null.
///
/// # Errors
/// A manifest that cannot be read.
pub fn manifest(folder: &Path) -> TestResult<Value> {
    let text = std::fs::read_to_string(folder.join("data/MANIFEST.json"))?;
    let text =
        ["NaN", "-Infinity", "Infinity"].iter().fold(text, |text, name| text.replace(&format!(" {name}"), " null"));
    Ok(serde_json::from_str(&text)?)
}
