//! Whether a provider still has a machine. "Not found" alone does not tell: a token of another
//! project finds nothing either. So it counts only from somebody who is seen to know us: who has the
//! machine's key, or another machine of ours.

use std::collections::BTreeSet;

use crate::model::server::Server;
use crate::providers::{Provider, ProviderError};

/// What a provider says of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has it.
    There,
    /// It knows us, and has it no more.
    Gone,
    /// It has nothing at all of ours: perhaps it is another project.
    Unknowable,
}

/// Asks for the machine of a record; `all` are the host's records. One that was never ordered is
/// gone.
pub async fn presence(
    provider: &dyn Provider,
    server: &Server,
    all: &[Server],
) -> Result<Presence, ProviderError> {
    let Some(id) = &server.provider_id else { return Ok(Presence::Gone) };
    if provider.server(id).await?.is_some() {
        return Ok(Presence::There);
    }
    if knows_key(provider, server).await? {
        return Ok(Presence::Gone);
    }
    let knows_us = has_one_of(&provider.server_ids().await?, provider, all);
    Ok(if knows_us { Presence::Gone } else { Presence::Unknowable })
}

/// The same of one whose provider gave this list of machines just now.
pub async fn presence_by_list(
    provider: &dyn Provider,
    server: &Server,
    (listed, all): (&BTreeSet<String>, &[Server]),
) -> Result<Presence, ProviderError> {
    match &server.provider_id {
        None => Ok(Presence::Gone),
        Some(id) if listed.contains(id) => Ok(Presence::There),
        // What the list leaves out may have lost its labels.
        Some(id) if provider.server(id).await?.is_some() => Ok(Presence::There),
        Some(_) if has_one_of(listed, provider, all) => Ok(Presence::Gone),
        Some(_) if knows_key(provider, server).await? => Ok(Presence::Gone),
        Some(_) => Ok(Presence::Unknowable),
    }
}

async fn knows_key(provider: &dyn Provider, server: &Server) -> Result<bool, ProviderError> {
    match &server.ssh.key_id {
        Some(key) => provider.has_ssh_key(key).await,
        None => Ok(false),
    }
}

fn has_one_of(listed: &BTreeSet<String>, provider: &dyn Provider, all: &[Server]) -> bool {
    let ours = all.iter().filter(|server| server.provider == provider.kind());
    ours.filter_map(|server| server.provider_id.as_ref()).any(|id| listed.contains(id))
}
