//! What goes to Portainer and comes back, as far as the host looks into it.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stacks::StackName;
use crate::stacks::swarm::Deployment;

/// The answer to a sign-in.
#[derive(Deserialize)]
pub(super) struct SignedIn {
    pub(super) jwt: String,
}

/// An environment: an engine that Portainer works with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Environment {
    pub(super) id: u64,
    pub(super) name: String,
}

/// The swarm that an environment belongs to.
#[derive(Debug, Deserialize)]
pub(super) struct SwarmFacts {
    #[serde(rename = "ID")]
    pub(super) id: String,
}

/// A stack that Portainer knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KnownStack {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) endpoint_id: u64,
}

/// An error in Portainer's words.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: String,
}

#[derive(Serialize)]
struct Pair<'a> {
    name: &'a str,
    value: &'a str,
}

impl Words {
    /// Both parts as one sentence.
    pub(super) fn joined(&self) -> String {
        let (message, details) = (self.message.trim(), self.details.trim());
        match (message.is_empty(), details.is_empty() || details == message) {
            (false, false) => format!("{message}: {details}"),
            (false, true) => message.to_owned(),
            (true, _) => details.to_owned(),
        }
    }
}

/// Who signs in.
pub(super) fn credentials(user: &str, password: &SecretString) -> Value {
    json!({ "Username": user, "Password": password.expose_secret() })
}

/// A new stack.
pub(super) fn new_stack(name: &StackName, swarm: &str, wanted: &Deployment) -> Value {
    json!({
        "Name": name,
        "SwarmID": swarm,
        "StackFileContent": *wanted.compose,
        "Env": pairs(wanted),
        "FromAppTemplate": false,
    })
}

/// A stack as it shall be from now on. Images are resolved as `docker stack deploy` does it of
/// itself; since 2.36 that goes by another name.
pub(super) fn update(wanted: &Deployment) -> Value {
    json!({
        "StackFileContent": *wanted.compose,
        "Env": pairs(wanted),
        "Prune": true,
        "PullImage": true,
        "RepullImageAndRedeploy": true,
    })
}

fn pairs(wanted: &Deployment) -> Value {
    let pair =
        |(name, value): &(String, SecretString)| json!(Pair { name, value: value.expose_secret() });
    Value::Array(wanted.environment.iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portainers_words_are_said_once() {
        let words = |text: &str| serde_json::from_str::<Words>(text).unwrap().joined();
        assert_eq!(words(r#"{"message":"No luck","details":"no disk"}"#), "No luck: no disk");
        assert_eq!(words(r#"{"message":"No luck","details":"No luck"}"#), "No luck");
        assert_eq!(words(r#"{"details":"no disk"}"#), "no disk");
    }
}
