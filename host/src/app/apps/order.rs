//! Which apps have to be deployed so that one can be, what it needs first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::apps::{operation, refusals};
use crate::error::{Error, ErrorKind};
use crate::model::app::{AppRecord, AppStatus, DEPLOY};
use crate::model::names::{AppName, InvalidName};
use crate::plugins::catalog::Catalog;
use crate::plugins::plugin::Plugin;

/// An app to be deployed.
pub(super) struct Wanted {
    /// Which.
    pub(super) name: AppName,
    /// What deploys it.
    pub(super) plugin: Arc<Plugin>,
    /// What it needs.
    pub(super) needs: Vec<AppName>,
}

/// Looks for what is missing, depth first.
pub(super) struct Order<'a> {
    /// What there is.
    pub(super) catalog: &'a Catalog,
    /// What the server has.
    pub(super) records: &'a BTreeMap<AppName, AppRecord>,
    path: Vec<AppName>,
    found: Vec<Wanted>,
}

impl<'a> Order<'a> {
    /// Nothing was looked for yet.
    pub(super) const fn new(
        catalog: &'a Catalog,
        records: &'a BTreeMap<AppName, AppRecord>,
    ) -> Self {
        Self { catalog, records, path: Vec::new(), found: Vec::new() }
    }

    /// What is missing for this app, in the order in which it has to come, the app itself last.
    pub(super) fn of(mut self, name: &AppName, plugin: Arc<Plugin>) -> Result<Vec<Wanted>, Error> {
        self.add(name, plugin)?;
        Ok(self.found)
    }

    fn add(&mut self, name: &AppName, plugin: Arc<Plugin>) -> Result<(), Error> {
        self.path.push(name.clone());
        let mut needs = Vec::new();
        for text in &plugin.descriptor.dependencies {
            let needed: AppName = text.parse().map_err(|e: InvalidName| Error::internal(e))?;
            self.need(name, &needed)?;
            needs.push(needed);
        }
        self.path.pop();
        self.found.push(Wanted { name: name.clone(), plugin, needs });
        Ok(())
    }

    fn need(&mut self, name: &AppName, needed: &AppName) -> Result<(), Error> {
        if self.path.contains(needed) {
            return Err(self.cycle(needed));
        }
        if self.found.iter().any(|it| it.name == *needed) {
            return Ok(());
        }
        let record = self.records.get(needed);
        match record.map(|record| (record.status, &record.job_id)) {
            Some((AppStatus::Running | AppStatus::Deploying, _)) => Ok(()),
            Some((AppStatus::Removing, job)) => Err(refusals::being_removed(name, needed, job)),
            Some((AppStatus::Error, _)) | None => {
                let plugin = self.catalog.active(&operation(DEPLOY, needed)?);
                self.add(needed, plugin.ok_or_else(|| missing(name, needed))?)
            }
        }
    }

    fn cycle(&self, again: &AppName) -> Error {
        let circle = self.path.iter().skip_while(|it| *it != again).chain([again]);
        let circle: Vec<&str> = circle.map(AppName::as_str).collect();
        let message = format!(
            "These apps need each other in a circle, so none of them can be the first: {}.",
            circle.join(" → ")
        );
        Error::new(ErrorKind::Invalid, "dependency_cycle", message).with_detail("cycle", circle)
    }
}

fn missing(name: &AppName, needed: &AppName) -> Error {
    let message = format!("`{name}` needs `{needed}`, and no plugin of this host provides that.");
    Error::new(ErrorKind::Conflict, "no_plugin", message)
        .with_detail("missing", needed.as_str())
        .with_next("GET /api/apps")
}
