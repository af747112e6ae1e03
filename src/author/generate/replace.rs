//! Replaces a file as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use crate::os::random_bytes;

/// Creates a file with this content, or replaces an existing one. Other processes see either the old content or the
/// new one, also after a crash. Only the owner can read the file, who stays the same if this process may give it away.
/// `path` must not be a symbolic link.
///
/// # Errors
/// If the file cannot be written. It is unchanged then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let missing = || io::Error::from(ErrorKind::InvalidInput);
    let folder = path.parent().ok_or_else(missing)?;
    let mut name = path.file_name().ok_or_else(missing)?.to_owned();
    name.push(".");
    for byte in random_bytes(8)? {
        name.push(format!("{byte:02x}"));
    }
    let temporary = folder.join(name);
    let write = || {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        if let Ok(old) = fs::metadata(path) {
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        // The file-creation mask may have removed permissions of the owner.
        file.set_permissions(Permissions::from_mode(0o600))?;
        (&file).write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // Some file systems cannot do this for a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
