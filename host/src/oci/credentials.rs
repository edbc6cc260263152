//! What a registry is logged in to with: what the command line says, else what `docker login` kept.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::Value;

use crate::oci::OciError;

/// The largest file of Docker's that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A name and a password, or a token in its place.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: SecretString,
}

/// What there is to be let in with.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The login, where there is one.
    pub login: Option<Login>,
    /// Why there is none, where somebody might expect one.
    pub missing: Option<String>,
}

impl Credentials {
    /// A login that somebody names.
    pub const fn given(login: Login) -> Self {
        Self { login: Some(login), missing: None }
    }

    /// What `docker login` kept for a registry, in the folder of Docker's configuration.
    ///
    /// # Errors
    /// When its file is there and cannot be read.
    pub fn of_docker(folder: &Path, registry: &str) -> Result<Self, OciError> {
        let path = folder.join("config.json");
        let bad = |why: &dyn std::fmt::Display| {
            OciError::Credentials(format!("Docker's {} cannot be used: {why}", path.display()))
        };
        let length = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(bad(&error)),
        };
        if length > LARGEST {
            return Err(bad(&format_args!(
                "it has {length} bytes, and at most {LARGEST} are read"
            )));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| bad(&error))?;
        // The words of a parser would quote what is secret.
        let config: Value = serde_json::from_str(&text)
            .map_err(|error| bad(&format_args!("line {} is no JSON", error.line())))?;
        Self::of_config(&config, registry).map_err(|why| bad(&why))
    }

    fn of_config(config: &Value, registry: &str) -> Result<Self, String> {
        for name in names(registry) {
            let Some(entry) = config.pointer("/auths").and_then(|auths| auths.get(&name)) else {
                continue;
            };
            if let Some(login) = login_of(entry, &name)? {
                return Ok(Self::given(login));
            }
        }
        let own = config.pointer("/credHelpers").and_then(|helpers| helpers.get(registry));
        let store = own.or_else(|| config.get("credsStore")).and_then(Value::as_str);
        let missing = store.map(|store| {
            format!(
                "Docker keeps its logins in `{}`, which windlass does not ask",
                store.escape_debug()
            )
        });
        Ok(Self { login: None, missing })
    }
}

/// What Docker may call a registry in its file.
fn names(registry: &str) -> Vec<String> {
    let mut names = vec![
        registry.to_owned(),
        format!("https://{registry}"),
        format!("https://{registry}/v1/"),
        format!("https://{registry}/v2/"),
        format!("http://{registry}"),
    ];
    if registry == "docker.io" {
        names.push("https://index.docker.io/v1/".to_owned());
    }
    names
}

fn login_of(entry: &Value, name: &str) -> Result<Option<Login>, String> {
    let text =
        |field: &str| entry.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("identitytoken").is_some() {
        return Err(format!(
            "its login for {name} is an identity token, which windlass does not exchange: use \
             --username and --password-stdin"
        ));
    }
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        let password = SecretString::from(password);
        return Ok(Some(Login { username: username.to_owned(), password }));
    }
    let Some(auth) = text("auth") else { return Ok(None) };
    let broken = || format!("its `auth` of {name} is no base64 of name:password");
    let decoded = STANDARD.decode(auth).map_err(|_secret| broken())?;
    let decoded = String::from_utf8(decoded).map_err(|_secret| broken())?;
    let (username, password) = decoded.split_once(':').ok_or_else(broken)?;
    let password = SecretString::from(password);
    Ok(Some(Login { username: username.to_owned(), password }))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn of(config: &Value, registry: &str) -> Credentials {
        Credentials::of_config(config, registry).unwrap()
    }

    #[test]
    fn a_login_is_found_under_every_name_that_docker_gives_it() {
        let auth = STANDARD.encode("ana:pass:word");
        for name in ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/"] {
            let login =
                of(&json!({ "auths": { name: { "auth": auth } } }), "ghcr.io").login.unwrap();
            assert_eq!(login.username, "ana");
            assert_eq!(login.password.expose_secret(), "pass:word");
        }
        let hub = json!({ "auths": { "https://index.docker.io/v1/": { "auth": auth } } });
        assert!(of(&hub, "docker.io").login.is_some());
        assert!(of(&hub, "ghcr.io").login.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_said_and_no_secret_with_it() {
        let store = json!({ "credsStore": "desktop" });
        assert!(of(&store, "ghcr.io").missing.unwrap().contains("`desktop`"));
        for entry in [json!({ "auth": "c2VjcmV0" }), json!({ "auth": "%secret%" })] {
            let config = json!({ "auths": { "ghcr.io": entry } });
            let said = Credentials::of_config(&config, "ghcr.io").unwrap_err();
            assert!(said.contains("ghcr.io") && !said.contains("c2Vj"), "{said}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(Credentials::of_docker(folder.path(), "ghcr.io").unwrap().login.is_none());
        std::fs::write(folder.path().join("config.json"), "{\"auths\": secret").unwrap();
        let said = Credentials::of_docker(folder.path(), "ghcr.io").unwrap_err().to_string();
        assert!(said.contains("line 1") && !said.contains("secret"), "{said}");
    }
}
