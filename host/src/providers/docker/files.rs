//! The files that a machine gets before its first boot.

use secrecy::ExposeSecret;

use crate::providers::Boot;

/// An archive with who may log in, and whom the machine is known as; to be unpacked at `/`.
pub(super) fn of(boot: &Boot) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    directory(&mut archive, "root/", 0o700)?;
    directory(&mut archive, "root/.ssh/", 0o700)?;
    let authorized = format!("{}\n", boot.authorized_key);
    add(&mut archive, "root/.ssh/authorized_keys", authorized.as_bytes(), 0o600)?;
    let private = boot.host_key.expose_secret().as_bytes();
    add(&mut archive, "etc/ssh/ssh_host_ed25519_key", private, 0o600)?;
    let public = format!("{}\n", boot.host_key_public);
    add(&mut archive, "etc/ssh/ssh_host_ed25519_key.pub", public.as_bytes(), 0o644)?;
    archive.into_inner()
}

/// Adds a file of root's.
pub(super) fn add(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
) -> std::io::Result<()> {
    let size = u64::try_from(content.len()).map_err(std::io::Error::other)?;
    let mut header = header(tar::EntryType::Regular, mode, size);
    archive.append_data(&mut header, path, content)
}

fn directory(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32) -> std::io::Result<()> {
    let mut header = header(tar::EntryType::Directory, mode, 0);
    archive.append_data(&mut header, path, std::io::empty())
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}
