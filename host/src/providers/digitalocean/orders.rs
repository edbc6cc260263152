//! Orders: sent once, and looked for by tag and by name when their answer was lost. Names are not
//! unique and the API has no idempotency key, so an order that is sent twice buys twice.

use std::time::Instant;

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::model::names::{Identity, ServerName};
use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::cloud_config::cloud_config;
use crate::providers::cloud::request::Request;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::dialect::explain;
use crate::providers::digitalocean::tags::Tags;
use crate::providers::digitalocean::wire::{Droplet, Ordered};
use crate::providers::{Machine, NewMachine, ProviderError};

/// What DigitalOcean takes as `user_data`.
const MOST_USER_DATA: usize = 64 * 1024;
/// How far DigitalOcean's clock and ours may be apart.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(15);

/// What a look for an order's droplet came to.
enum Sighting {
    Found(Droplet),
    /// A droplet that nothing tells apart from the one looked for but its tags, which it has not
    /// got, or not yet.
    Doubtful(u64),
    Nothing,
}

impl DigitalOcean {
    pub(super) async fn order(&self, wanted: &NewMachine) -> Result<Machine, ProviderError> {
        let doing = format!(
            "order the droplet `{}` ({} with {} in {})",
            wanted.name, wanted.server_type, wanted.image, wanted.region
        );
        check(wanted, &doing)?;
        let tags = Tags::new(&wanted.identity);
        let keys: Vec<Value> = wanted.ssh_keys.iter().map(|key| key_of(key)).collect();
        let body = json!({
            "name": wanted.name,
            "region": wanted.region,
            "size": wanted.server_type,
            "image": wanted.image,
            "ssh_keys": keys,
            "tags": tags.all(),
            "user_data": cloud_config(&wanted.boot).expose_secret(),
            "ipv6": true,
        });
        let ordered = self.cloud.call::<Ordered>(&Request::post("/droplets", body)).await;
        let Ordered { droplet, links } = ordered.map_err(|error| explain(&doing, error))?;
        let actions = links.actions.iter().map(|action| action.id.to_string()).collect();
        Ok(droplet.into_machine(actions))
    }

    /// Looks until the droplet shows, or until an order that was cut off would have shown. Tags
    /// show later than the droplet: one that has none yet is watched for longer.
    pub(super) async fn find_order(
        &self,
        identity: &Identity,
        name: &ServerName,
    ) -> Result<Option<Machine>, ProviderError> {
        let began = Instant::now();
        loop {
            let looking_since = began.elapsed();
            match self.look_for(identity, name).await? {
                Sighting::Found(droplet) => return Ok(Some(droplet.into_machine(Vec::new()))),
                Sighting::Doubtful(id) if looking_since >= self.options.tags_settle => {
                    return Err(doubtful(identity, name, id));
                }
                Sighting::Nothing if looking_since >= self.options.order_settles => {
                    return Ok(None);
                }
                Sighting::Doubtful(_) | Sighting::Nothing => self.pause().await,
            }
        }
    }

    async fn look_for(
        &self,
        identity: &Identity,
        name: &ServerName,
    ) -> Result<Sighting, ProviderError> {
        let tags = Tags::new(identity);
        let tagged = self.droplets(("tag_name", &tags.order)).await?;
        let mut named = self.droplets(("name", name.as_str())).await?;
        // The API's filter is not relied on: by its name alone no droplet is ever adopted.
        named.retain(|droplet| droplet.name.eq_ignore_ascii_case(name.as_str()));
        let since = identity.job.made_at().map(|job| job - CLOCKS_DIFFER);
        let is_young = |droplet: &Droplet| match (droplet.made_at(), since) {
            (Some(made_at), Some(since)) => made_at >= since,
            _ => true,
        };
        let doubtful = named.iter().find(|droplet| tags.may_mark(droplet) && is_young(droplet));
        let doubtful = doubtful.map(|droplet| droplet.id);
        let mut ours: Vec<Droplet> =
            tagged.into_iter().chain(named).filter(|droplet| tags.mark(droplet)).collect();
        ours.sort_by_key(|droplet| droplet.id);
        ours.dedup_by_key(|droplet| droplet.id);
        match (ours.pop(), ours.first()) {
            (Some(one), Some(other)) => Err(twice(&tags, &one, other)),
            (Some(droplet), None) => Ok(Sighting::Found(droplet)),
            (None, _) => Ok(doubtful.map_or(Sighting::Nothing, Sighting::Doubtful)),
        }
    }

    async fn droplets(&self, filter: (&'static str, &str)) -> Result<Vec<Droplet>, ProviderError> {
        match self.cloud.list("/droplets", &[filter], "droplets").await {
            Ok(droplets) => Ok(droplets),
            // A tag that nobody has given yet.
            Err(CallError::Refused(error)) if error.status == 404 => Ok(Vec::new()),
            Err(error) => Err(explain("look for the droplet of this job", error)),
        }
    }
}

/// Whether it is a size of machines that lists by name leave out.
pub(super) fn is_gpu(size: &str) -> bool {
    size.starts_with("gpu-")
}

fn check(wanted: &NewMachine, doing: &str) -> Result<(), ProviderError> {
    let refused = |code, why: String| {
        Err(ProviderError::Refused { code, message: format!("could not {doing}: {why}") })
    };
    if is_gpu(&wanted.server_type) {
        let why = "a droplet with GPUs cannot be found again after a crash: choose another size";
        return refused("unsupported", why.to_owned());
    }
    if cloud_config(&wanted.boot).expose_secret().len() > MOST_USER_DATA {
        let why = format!(
            "its keys are longer than the {MOST_USER_DATA} bytes that a machine can be told; use \
             ed25519 keys"
        );
        return refused("invalid_argument", why);
    }
    Ok(())
}

/// An id as a number, anything else (a fingerprint) as text.
fn key_of(key: &str) -> Value {
    key.parse::<u64>().map_or_else(|_| Value::from(key), Value::from)
}

fn doubtful(identity: &Identity, name: &ServerName, id: u64) -> ProviderError {
    ProviderError::OutcomeUnknown {
        message: format!(
            "the answer to an order of `{name}` at DigitalOcean was lost, and droplet {id}, made \
             since then, has that name but not the tags of the order: look at it in the \
             DigitalOcean control panel; if it is the one, give it the tag `{}`, and if not, any \
             other tag, then try again",
            Tags::new(identity).order
        ),
    }
}

fn twice(tags: &Tags, one: &Droplet, other: &Droplet) -> ProviderError {
    ProviderError::Conflict {
        message: format!(
            "the droplets {} and {} at DigitalOcean both have the tags of one order (`{}`): delete \
             one of them in the DigitalOcean control panel, then try again",
            other.id, one.id, tags.order
        ),
    }
}
