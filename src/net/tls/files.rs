//! The certificates and keys in the files that a URL or a variable names. Of a file only its purpose is told: its
//! path is part of a declared value.

use std::io;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::net::Failure;
use crate::os::file;

/// The largest file that is read, in bytes. A system's root certificates are about 200 KiB.
const MAX_SIZE: usize = 4 * 1024 * 1024;

/// The certificates in a file of this purpose, such as "the root certificates".
///
/// # Errors
/// When the file cannot be read, or holds none in PEM.
pub fn certificates(path: &str, purpose: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let content = read(path, purpose)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(Failure::not_yet(format!(
            "the file with {purpose} holds no certificate in PEM"
        ))),
    }
}

/// The private key in a file of this purpose.
///
/// # Errors
/// When the file cannot be read, or holds none in PEM that is not encrypted.
pub fn private_key(path: &str, purpose: &str) -> Result<PrivateKeyDer<'static>, Failure> {
    let content = read(path, purpose)?;
    PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        Failure::not_yet(format!(
            "the file with {purpose} holds no unencrypted private key in PEM"
        ))
    })
}

fn read(path: &str, purpose: &str) -> Result<Vec<u8>, Failure> {
    let told = |problem: &str| Failure::not_yet(format!("the file with {purpose} {problem}"));
    match file::read(Path::new(path), MAX_SIZE) {
        Ok(content) if content.len() <= MAX_SIZE => Ok(content),
        Ok(_) => Err(told(&format!(
            "is larger than {} MiB",
            MAX_SIZE / (1024 * 1024)
        ))),
        Err(error) => Err(told(&match error.kind() {
            io::ErrorKind::NotFound => "does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
            io::ErrorKind::IsADirectory => "cannot be read: it is a directory".to_owned(),
            // Errors without a number are the reader's own, and their words are ours.
            _ if error.raw_os_error().is_none() => format!("cannot be read: {error}"),
            kind => format!("cannot be read: {kind}"),
        })),
    }
}
