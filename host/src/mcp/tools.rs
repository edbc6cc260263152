//! The tools: their names, which are those of the first plan unless a host is told to use English
//! ones, who may call them, and what they are for, in the order in which they are listed.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use crate::app::access::Scope;
use crate::config::{AgentSettings, Language};
use crate::mcp::schema::{self, Field};
use crate::mcp::words::{Voice, Words};
use crate::mcp::{
    apps, cancel, dns, jobs, logs, providers, retry, servers, setup, sizes, system, wait,
};

/// A tool.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: Words,
    pub(super) title: Words,
    pub(super) about: Words,
    pub(super) nature: Nature,
    /// What a caller's token must allow.
    pub(super) scope: Scope,
    pub(super) takes: &'static [Field],
    pub(super) gives: &'static [Field],
}

/// What calling a tool can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// It changes nothing.
    pub(super) reads: bool,
    /// It may take something away.
    pub(super) destroys: bool,
    /// The same again does no more.
    pub(super) repeats: bool,
    /// It reaches beyond this host.
    pub(super) reaches_out: bool,
}

impl Nature {
    /// Looking at what the host knows.
    pub(super) const LOOKS: Self =
        Self { reads: true, destroys: false, repeats: true, reaches_out: false };
    /// Making something outside, once.
    pub(super) const MAKES: Self =
        Self { reads: false, destroys: false, repeats: true, reaches_out: true };
    /// Taking something away outside, once.
    pub(super) const DESTROYS: Self =
        Self { reads: false, destroys: true, repeats: true, reaches_out: true };
}

/// Those of every host.
const CORE: [&Definition; 16] = [
    &system::INITIALISE,
    &providers::CONFIGURE,
    &dns::CONFIGURE,
    &jobs::SHOW,
    &jobs::LIST,
    &wait::WAIT,
    &servers::CREATE,
    &servers::LIST,
    &servers::SHOW,
    &setup::SET_UP,
    &servers::EXECUTE,
    &servers::DESTROY,
    &apps::AVAILABLE,
    &apps::INSTALL,
    &apps::INSTALLED,
    &apps::REMOVE,
];

/// Those that a host has besides when it is told to.
const JOBS: [&Definition; 4] = [&cancel::CANCEL, &retry::RETRY, &logs::LOGS, &sizes::LIST];

/// All that any host has.
pub(super) fn all() -> impl Iterator<Item = &'static Definition> {
    CORE.into_iter().chain(JOBS)
}

/// Those of a host with these settings.
pub(super) fn of(settings: &AgentSettings) -> impl Iterator<Item = &'static Definition> + use<> {
    let more = if settings.jobs_tools { JOBS.len() } else { 0 };
    all().take(CORE.len() + more)
}

/// The one that a host with these settings calls so.
pub(super) fn named(settings: &AgentSettings, name: &str) -> Option<&'static Definition> {
    let voice = Voice::of(settings);
    of(settings).find(|tool| voice.name(tool) == name)
}

impl Definition {
    /// What the audit log and what is sealed know it by, whatever it is called here.
    pub(super) const fn id(&self) -> &'static str {
        self.name.within(Language::Portuguese)
    }

    /// As clients are told of it.
    pub(super) fn tool(&self, voice: Voice) -> Tool {
        let Nature { reads, destroys, repeats, reaches_out } = self.nature;
        let annotations = ToolAnnotations::new()
            .read_only(reads)
            .destructive(destroys)
            .idempotent(repeats)
            .open_world(reaches_out);
        let takes = Arc::new(schema::object(self.takes, voice));
        Tool::new(voice.name(self), voice.say(self.about), takes)
            .with_title(voice.say(self.title))
            .with_raw_output_schema(Arc::new(schema::object(self.gives, voice)))
            .with_annotations(annotations)
    }

    /// Whether a caller of this scope may call it on a host that allows agents to change things.
    pub(super) fn is_open_to(&self, scope: Scope, read_only: bool) -> bool {
        scope >= self.scope && (self.nature.reads || !read_only)
    }
}
