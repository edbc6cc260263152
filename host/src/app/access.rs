//! Who asks, and what he may: the verbs are methods of [`Reader`], [`Operator`] and [`Admin`], so
//! a caller who may only read never holds anything that writes.

use std::sync::Arc;

use crate::app::App;
use crate::app::repeats::Repeats;
use crate::error::{Error, ErrorKind};
use crate::storage::planned::Planned;

/// How much a token allows; each includes those before it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Looking.
    Read,
    /// Jobs and servers.
    Operate,
    /// Tokens, configuration, plugins.
    Admin,
}

impl Scope {
    /// The name that APIs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Read, Self::Operate, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| "a scope is read, operate or admin".to_owned())
    }
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of his token.
    pub name: String,
    /// How much it allows.
    pub scope: Scope,
}

/// What a caller may who may look.
#[derive(Clone)]
pub struct Reader {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
}

/// What a caller may who may make jobs.
#[derive(Clone)]
pub struct Operator {
    pub(super) app: Arc<App>,
    pub(super) by: String,
    pub(super) repeats: Repeats,
    /// What has to hold for what he begins, when he begins it by a plan.
    pub(super) planned: Option<Arc<Planned>>,
}

/// What a caller may who may do all.
#[derive(Clone)]
pub struct Admin {
    pub(super) app: Arc<App>,
    pub(super) by: String,
}

impl Reader {
    /// Who brings this token, and that he may look.
    pub fn authenticate(app: &Arc<App>, token: &str) -> Result<Self, Error> {
        let caller = app.tokens.caller(token).ok_or_else(|| {
            let message = "This token is unknown here, or was revoked.";
            Error::new(ErrorKind::Unauthenticated, "unknown_token", message)
        })?;
        Ok(Self { app: app.clone(), caller })
    }

    /// The same caller, if he may make jobs.
    pub fn operator(self) -> Result<Operator, Error> {
        self.caller.has(Scope::Operate)?;
        let (repeats, planned) = (Repeats::default(), None);
        Ok(Operator { app: self.app, by: self.caller.name, repeats, planned })
    }

    /// The same caller, if he may do all.
    pub fn admin(self) -> Result<Admin, Error> {
        self.caller.has(Scope::Admin)?;
        Ok(Admin { app: self.app, by: self.caller.name })
    }
}

impl Caller {
    fn has(&self, wanted: Scope) -> Result<(), Error> {
        if self.scope >= wanted {
            return Ok(());
        }
        let message = format!(
            "The token `{}` has the scope {}, and this needs {}.",
            self.name,
            self.scope.as_str(),
            wanted.as_str()
        );
        Err(Error::new(ErrorKind::Denied, "insufficient_scope", message)
            .with_detail("scope", self.scope.as_str())
            .with_detail("needed", wanted.as_str()))
    }
}
