//! `inicializar-sistema`: seeing that the host's home is there.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::app::access::Scope;
use crate::error::Error;
use crate::mcp::answer::Answer;
use crate::mcp::call::Call;
use crate::mcp::schema::{Kind, gives};
use crate::mcp::tools::{Definition, Nature};
use crate::mcp::words::words;

/// The tool.
pub(super) const INITIALISE: Definition = Definition {
    name: words("inicializar-sistema", "initialize-system"),
    title: words("Inicializar sistema", "Initialise the system"),
    about: words(
        "Garante que a pasta do host, o banco e as chaves existem. Repetir não muda nada.",
        "Sees that the host's home, database and keys are there. Again changes nothing.",
    ),
    nature: Nature { reads: false, destroys: false, repeats: true, reaches_out: false },
    scope: Scope::Admin,
    takes: &[],
    gives: &[
        gives("config_dir", Kind::Text),
        gives("created", Kind::Boolean),
        gives("next", Kind::Text),
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize)]
struct Initialised {
    config_dir: String,
    /// Whether the home is new, and nobody asked before.
    created: bool,
    next: Cow<'static, str>,
}

/// Says where the home is, and whether it is new.
pub(super) fn initialise(call: &Call<'_>) -> Result<Answer, Error> {
    let Nothing {} = call.arguments()?;
    let (home, created) = call.admin()?.init();
    let next = call.say(words("Chame configurar-provider.", "Call configurar-provider."));
    Answer::of(&Initialised { config_dir: home.display().to_string(), created, next })
}
