//! A small disk of its own.

use std::io;
use std::path::Path;
use std::process::Command;

/// A tmpfs, mounted as long as this lives.
pub(crate) struct Disk<'a> {
    folder: &'a Path,
}

impl<'a> Disk<'a> {
    /// Mounts an empty disk of one MiB on a folder; none where that is not permitted.
    pub(crate) fn mount(folder: &'a Path) -> io::Result<Option<Self>> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder).output()?;
        Ok(mounted.status.success().then_some(Self { folder }))
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, kibibytes: u64) -> io::Result<()> {
        let options = format!("remount,size={kibibytes}k");
        let resized = Command::new("mount").args(["-o", &options]).arg(self.folder).output()?;
        if resized.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&resized.stderr).into_owned()))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: files that could not be written are still open.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.folder).output();
        if !unmounted.is_ok_and(|output| output.status.success()) {
            eprintln!("{} is still mounted", self.folder.display());
        }
    }
}
