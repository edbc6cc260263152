//! The tools: their names, which are those of the first plan, who may call them, and what they are
//! for, in the order in which they are listed.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use crate::app::access::Scope;
use crate::config::Language;
use crate::mcp::schema::{self, Field};
use crate::mcp::words::Words;
use crate::mcp::{apps, dns, jobs, providers, servers, setup, system, wait};

/// A tool.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
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

/// All of them.
pub(super) const TOOLS: [&Definition; 16] = [
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

/// The tool of this name.
pub(super) fn named(name: &str) -> Option<&'static Definition> {
    TOOLS.into_iter().find(|tool| tool.name == name)
}

impl Definition {
    /// As clients are told of it.
    pub(super) fn tool(&self, language: Language) -> Tool {
        let Nature { reads, destroys, repeats, reaches_out } = self.nature;
        let annotations = ToolAnnotations::new()
            .read_only(reads)
            .destructive(destroys)
            .idempotent(repeats)
            .open_world(reaches_out);
        let takes = Arc::new(schema::object(self.takes, language));
        Tool::new(self.name, self.about.within(language), takes)
            .with_title(self.title.within(language))
            .with_raw_output_schema(Arc::new(schema::object(self.gives, language)))
            .with_annotations(annotations)
    }

    /// Whether a caller of this scope may call it on a host that allows agents to change things.
    pub(super) fn is_open_to(&self, scope: Scope, read_only: bool) -> bool {
        scope >= self.scope && (self.nature.reads || !read_only)
    }
}
