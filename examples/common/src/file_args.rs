//! The options about what files may make a program do.

use clap::Args;
use dolmen_core::Comm;
use dolmen_io::budget;
use dolmen_io::hdf5::OpenOptions;

/// Options about files that are read.
#[derive(Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// Read data that an HDF5 file refers to in other files: external raw files, sources of virtual datasets,
    /// external links. Use it only with files that you trust: they may refer to any file of this machine.
    #[arg(long, global = true, display_order = 900)]
    pub allow_external: bool,
    /// Memory limit per machine for the unpacked contents of compressed files, for example 500M or 8G [default:
    /// the available memory].
    #[arg(long, global = true, display_order = 900, value_name = "BYTES", value_parser = bytes)]
    pub max_memory: Option<u64>,
}

impl FileArgs {
    /// Puts the budget of memory in force, and gives how HDF5 files are to be opened.
    ///
    /// # Collective
    pub fn apply(&self, comm: &Comm) -> OpenOptions {
        budget::share(comm, self.max_memory);
        OpenOptions::new().allow_external(self.allow_external)
    }
}

/// Bytes, with K, M, G or T behind them for thousands, millions and so on.
fn bytes(text: &str) -> Result<u64, String> {
    let refused = || format!("{text:?} is not a size; give a number of bytes, for example 500M or 8G");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "T" | "TB" => 1_000_000_000_000,
        _ => return Err(refused()),
    };
    let number: u64 = digits.parse().map_err(|_| refused())?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("500M"), Ok(500_000_000));
        assert_eq!(bytes("8g"), Ok(8_000_000_000));
        assert_eq!(bytes("12"), Ok(12));
        for text in ["", "G", "-1G", "1X", "0", "99999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
