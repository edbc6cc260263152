//! The tags that an order gives its droplet, by which it is found again.

use std::time::Duration;

use serde::de::IgnoredAny;

use crate::model::names::Identity;
use crate::providers::cloud::answer::CallError;
use crate::providers::cloud::request::Request;
use crate::providers::digitalocean::DigitalOcean;
use crate::providers::digitalocean::wire::{Droplet, OneTag};

/// What the tag that only one order has begins with.
const ORDER: &str = "windlass:";

/// How long a droplet that is gone may keep a job busy with one of its tags.
const TAG_PATIENCE: Duration = Duration::from_secs(10);

/// The tags of one order.
pub(super) struct Tags {
    /// Which job ordered.
    job: String,
    /// Which effect of it.
    effect: String,
    /// Both in one: no other order has this.
    pub(super) order: String,
}

impl Tags {
    pub(super) fn new(identity: &Identity) -> Self {
        Self {
            job: format!("{}:{}", Identity::JOB_LABEL, identity.job),
            effect: format!("{}:{}", Identity::EFFECT_LABEL, identity.effect),
            order: format!("{ORDER}{identity}"),
        }
    }

    pub(super) fn all(&self) -> [&str; 3] {
        [&self.job, &self.effect, &self.order]
    }

    /// Whether the droplet is the one that was ordered with these.
    pub(super) fn mark(&self, droplet: &Droplet) -> bool {
        let has = |wanted: &String| droplet.tags().contains(wanted);
        has(&self.order) || (has(&self.job) && has(&self.effect))
    }

    /// Whether the droplet may yet turn out to be the one: it has no tag that these are not.
    pub(super) fn may_mark(&self, droplet: &Droplet) -> bool {
        droplet.tags().iter().all(|tag| self.all().contains(&tag.as_str()))
    }
}

impl DigitalOcean {
    /// Removes the tags of an order whose droplet is gone, unless something else has them. They
    /// harm nobody, so it does not matter when that fails.
    pub(super) async fn forget_tags(&self, tags: &[String]) {
        let job = format!("{}:", Identity::JOB_LABEL);
        let ours = |tag: &&String| is_tag(tag) && (tag.starts_with(ORDER) || tag.starts_with(&job));
        for tag in tags.iter().filter(ours) {
            let forgotten = tokio::time::timeout(TAG_PATIENCE, self.forget_tag(tag)).await;
            if let Ok(Err(error)) = forgotten {
                tracing::debug!(tag, "the tag stays at DigitalOcean: {error:?}");
            }
        }
    }

    async fn forget_tag(&self, tag: &str) -> Result<(), CallError> {
        let path = format!("/tags/{tag}");
        let OneTag { tag } = self.cloud.call(&Request::get(&path)).await?;
        if tag.resources.count == 0 {
            let IgnoredAny = self.cloud.call(&Request::delete(path)).await?;
        }
        Ok(())
    }
}

/// Whether it has only what a tag may have, so that it can stand in a path.
fn is_tag(tag: &str) -> bool {
    tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte))
}
