//! The list of files of timelines: patterns of names, and files that are named twice.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use dolmen_core::Comm;
use dolmen_core::text::shown;
use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};

/// A name that begins with a point is hidden, and matches a pattern that begins with one.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Replaces patterns among the names of files, which have `*`, `?` or `[...]`, by the files that match them, sorted by
/// name. A file whose name is a pattern itself is taken as it is.
///
/// # Collective
/// Rank 0 looks.
///
/// # Errors
/// A pattern matches nothing or is none; a file is named twice. The same on all ranks.
pub fn resolve(comm: &Comm, given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let found = if comm.rank() == 0 { look(given) } else { Ok(Vec::new()) };
    let found = comm.agree(found)?;
    // No name has a zero byte.
    let mut names: Vec<u8> = found.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
    comm.broadcast(0, &mut names);
    let names = names.split_inclusive(|&byte| byte == 0).map(|name| &name[..name.len() - 1]);
    Ok(names.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect())
}

fn look(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in given {
        found.extend(matching(path)?.into_iter().map(|file| (file, path)));
    }
    let mut seen: HashMap<(u64, u64), &Path> = HashMap::new();
    for (file, given) in &found {
        // A file that is not there is told of when it is opened.
        let Ok(metadata) = file.metadata() else { continue };
        if let Some(first) = seen.insert((metadata.dev(), metadata.ino()), file) {
            let by = if file == *given { String::new() } else { format!(" (found by {})", shown(*given)) };
            let what = format!(
                "is the same file as {}, which is in the list of timelines already{by}; its samples would count twice: name \
                 each file once",
                shown(first)
            );
            return Err(Error::File { path: file.clone(), what });
        }
    }
    Ok(found.into_iter().map(|(file, _)| file).collect())
}

/// Returns the file of this name, or the files that match it as a pattern.
fn matching(path: &Path) -> Result<Vec<PathBuf>> {
    let refused = |what: String| Error::File { path: path.to_owned(), what };
    let mut found = vec![PathBuf::new()];
    let mut is_pattern = false;
    for component in path.components() {
        let pattern = match component {
            Component::Normal(name) if !is_pattern && found[0].join(name).symlink_metadata().is_ok() => None,
            Component::Normal(name) => name.to_str().filter(|name| name.contains(['*', '?', '['])),
            _ => None,
        };
        let Some(pattern) = pattern else {
            found.iter_mut().for_each(|folder| folder.push(component));
            continue;
        };
        if pattern.contains("**") {
            return Err(refused("has **, which is not a pattern here; write a * for each folder".into()));
        }
        let pattern = Pattern::new(pattern).map_err(|error| refused(format!("is not a pattern: {}", error.msg)))?;
        is_pattern = true;
        found = found.iter().flat_map(|folder| entries(folder, &pattern)).collect();
    }
    if is_pattern {
        found.retain(|file| file.is_file());
        found.sort();
        if found.is_empty() {
            return Err(refused("no file matches this pattern; correct it, or check that the files are there".into()));
        }
    }
    Ok(found)
}

/// Returns what a folder has that matches a pattern; nothing if it cannot be read.
fn entries(folder: &Path, pattern: &Pattern) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let matches = |name: &OsString| name.to_str().is_some_and(|name| pattern.matches_with(name, OPTIONS));
    names.filter(matches).map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_of_folders_and_files() {
        let folder = std::env::temp_dir().join(format!("mapmaker-files-[1]-{}", std::process::id()));
        let path = |name: &str| folder.join(name);
        for name in ["day1/b.h5", "day1/a.h5", "day2/a.h5", "day2/.hidden.h5", "day2/a.h5.tmp", "odd[1].h5"] {
            let file = path(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, name).unwrap();
        }
        let found = |given: &[&str]| {
            let given: Vec<PathBuf> = given.iter().map(|name| path(name)).collect();
            let files = look(&given).map_err(|error| error.to_string())?;
            Ok::<_, String>(files.iter().map(|file| shown(file.strip_prefix(&folder).unwrap())).collect::<Vec<_>>())
        };
        assert_eq!(found(&["day?/*.h5"]).unwrap(), ["day1/a.h5", "day1/b.h5", "day2/a.h5"]);
        assert_eq!(found(&["day2/[ab].h5", "day1/b.h5"]).unwrap(), ["day2/a.h5", "day1/b.h5"]);
        assert_eq!(found(&["odd[1].h5", "none.h5"]).unwrap(), ["odd[1].h5", "none.h5"]);
        assert!(found(&["day3/*.h5"]).unwrap_err().contains("day3/*.h5: no file matches this pattern"));
        assert!(found(&["**/*.h5"]).unwrap_err().contains("write a * for each folder"));
        assert!(found(&["day1/[a.h5"]).unwrap_err().contains("is not a pattern"));
        let twice = found(&["day1/a.h5", "day1/*.h5"]).unwrap_err();
        assert!(twice.contains("a.h5: is the same file as ") && twice.contains("(found by "), "{twice}");
        assert!(found(&["day1/a.h5", "day1/a.h5"]).unwrap_err().contains("in the list of timelines already; its"));
        fs::remove_dir_all(folder).unwrap();
    }
}
