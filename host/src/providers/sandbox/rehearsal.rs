//! The sandbox of a rehearsal: a machine that is in another sandbox is copied into it, and a real
//! one is put there as far as its record tells it.

use std::io::Result;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use jiff::Timestamp;

use crate::model::server::Server;
use crate::providers::sandbox::Sandbox;
use crate::providers::sandbox::files::Files;
use crate::providers::sandbox::machines::{Machines, Simulated};
use crate::providers::sandbox::scripts;

/// The stacks that every server has which was set up.
const OWN: [&str; 2] = ["traefik", "portainer"];

impl Sandbox {
    /// Puts the machine of this record into this sandbox: as it is in `other`, where it is
    /// simulated itself. One that was not ordered yet is not put anywhere.
    ///
    /// # Errors
    /// When a folder cannot be read or written.
    pub async fn take_over(&self, server: &Server, other: &Self) -> Result<()> {
        let (into, from, server) = (self.machines.clone(), other.machines.clone(), server.clone());
        let work = move || match (&server.provider_id, server.simulated) {
            (None, _) => Ok(()),
            (Some(id), true) => copy(&into, &from, id),
            (Some(id), false) => assume(&into, &server, id),
        };
        tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
    }
}

/// Copies a machine with what is on it.
fn copy(into: &Machines, from: &Machines, id: &str) -> Result<()> {
    let Some(machine) = from.with_id(id)? else { return Ok(()) };
    into.order(&machine)?;
    copy_folder(&from.contents(&machine), &into.contents(&machine))
}

fn copy_folder(from: &Path, into: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::fs::create_dir_all(into)?;
    for entry in entries {
        let (path, target) = entry.map(|it| (it.path(), into.join(it.file_name())))?;
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => copy_folder(&path, &target)?,
            Ok(_) => std::fs::copy(&path, &target).map(drop)?,
            // A file that was being written has another name by now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts a machine there of which only its record is known.
fn assume(into: &Machines, server: &Server, id: &str) -> Result<()> {
    let machine = Simulated {
        id: id.to_owned(),
        name: server.name.to_string(),
        server_type: server.server_type.clone(),
        region: server.region.clone(),
        image: server.image.clone(),
        ipv4: server.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED),
        ipv6: server.ipv6.unwrap_or(Ipv6Addr::UNSPECIFIED),
        labels: std::collections::BTreeMap::new(),
        ssh_keys: server.ssh.key_id.iter().cloned().collect(),
        host_key: String::new(),
        ordered_at: Timestamp::UNIX_EPOCH,
        simulated: true,
    };
    into.order(&machine)?;
    let own = OWN.iter().filter(|_| server.is_set_up()).map(|&name| name.to_owned());
    let stacks: Vec<String> = own.chain(server.apps.iter().cloned()).collect();
    let state = scripts::assumed(&machine.ipv4.to_string(), server.is_set_up(), &stacks);
    let contents = into.contents(&machine);
    scripts::keep(&state, &Files::new(&contents, &machine))
}
