//! The filters that chunks of a dataset went through, and what is said of one that is not installed.
//!
//! A library knows its own six; others are plugins, which files name by numbers that the HDF Group registers.

/// A filter as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredFilter {
    pub(super) number: i32,
    /// Name given by the program that wrote the file, with its remarks; may be empty.
    pub(super) stored_name: String,
    /// The first of its parameters: the level, of deflate.
    pub(super) parameter: Option<u32>,
    pub(super) is_available: bool,
}

/// The number of h5py's own filter.
pub(super) const LZF: i32 = 32_000;

/// The library's own, and registered ones that files of science are likely to have.
const NAMES: [(i32, &str); 18] = [
    (1, "deflate"),
    (2, "shuffle"),
    (3, "fletcher32"),
    (4, "szip"),
    (5, "nbit"),
    (6, "scale-offset"),
    (305, "lzo"),
    (307, "bzip2"),
    (LZF, "lzf"),
    (32_001, "blosc"),
    (32_004, "lz4"),
    (32_008, "bitshuffle"),
    (32_013, "zfp"),
    (32_015, "zstd"),
    (32_017, "sz"),
    (32_024, "sz3"),
    (32_026, "blosc2"),
    (32_028, "sperr"),
];

impl StoredFilter {
    fn name(&self) -> Option<&str> {
        let known = NAMES.iter().find(|(number, _)| *number == self.number).map(|(_, name)| *name);
        // Some add an address after a semicolon; the library has words for a filter without a name.
        let stored = self.stored_name.split(';').next().map(str::trim);
        let stored = stored.filter(|name| !name.is_empty() && !name.starts_with("Unknown"));
        known.or(stored)
    }

    /// In a word or two: `shuffle`, `deflate 4`, `filter 40000`.
    pub(super) fn label(&self) -> String {
        match (self.name(), self.number, self.parameter) {
            (Some(name), 1, Some(level)) => format!("{name} {level}"),
            (Some(name), ..) => name.to_owned(),
            (None, number, _) => format!("filter {number}"),
        }
    }

    /// With its number, by which plugins are found: `blosc (filter 32001)`.
    pub(super) fn with_number(&self) -> String {
        self.name().map_or_else(|| self.label(), |name| format!("{name} (filter {})", self.number))
    }
}

/// Returns the message about a dataset that needs these filters, and the remedy.
pub(super) fn refusal(missing: &[String]) -> String {
    format!(
        "is packed with {}, which the HDF5 library here does not have; let HDF5_PLUGIN_PATH name the folder of its \
         plugin, or rewrite the file where it can be read (h5repack -f GZIP=4 OLD NEW)",
        missing.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_names() {
        let words = |number, stored_name: &str, parameter| {
            let filter = StoredFilter { number, stored_name: stored_name.into(), parameter, is_available: false };
            (filter.label(), filter.with_number())
        };
        let both = |label: &str, with_number: &str| (label.to_owned(), with_number.to_owned());
        assert_eq!(words(1, "deflate", Some(4)), both("deflate 4", "deflate (filter 1)"));
        assert_eq!(words(32_001, "", Some(2)), both("blosc", "blosc (filter 32001)"));
        assert_eq!(words(32_018, "JPEG-LS; see elsewhere", None), both("JPEG-LS", "JPEG-LS (filter 32018)"));
        assert_eq!(words(40_000, "Unknown user-defined filter", None), both("filter 40000", "filter 40000"));
        assert_eq!(words(40_000, "", Some(1)), both("filter 40000", "filter 40000"));
    }
}
