//! Asking a registry, by the OCI distribution specification 1.1: manifests and blobs, fetched and
//! brought.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::model::names::Digest;
use crate::oci::challenge::Challenge;
use crate::oci::credentials::{Credentials, Login};
use crate::oci::reference::{self, Reference};
use crate::oci::{OciError, check, digest_of};

/// The media type of manifests.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Others that a registry may have in the place of one; each is refused by name.
const OTHERS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// The largest manifest that is read, in bytes.
pub(super) const LARGEST_MANIFEST: usize = 1024 * 1024;
/// The largest of other answers that are read, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
/// How much of a registry's own words is shown, in characters.
const SHOWN: usize = 200;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);
/// How long one request may take in all.
const WHOLE: Duration = Duration::from_secs(600);
/// How often an answer may send us elsewhere.
const REDIRECTS: usize = 5;

/// How a registry is spoken to.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Without TLS. For a registry on this machine that is so anyway.
    pub plain_http: bool,
    /// What to be let in with.
    pub credentials: Credentials,
}

/// A repository of a registry.
pub struct Repository {
    http: reqwest::Client,
    base: Url,
    reference: Reference,
    plain_http: bool,
    credentials: Credentials,
    /// What let us in last.
    pass: Mutex<Option<HeaderValue>>,
}

/// What a manifest's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As they came.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
}

#[derive(Deserialize)]
struct Token {
    token: Option<Zeroizing<String>>,
    access_token: Option<Zeroizing<String>>,
}

impl Repository {
    /// The repository that this reference is in. Nobody is asked yet.
    ///
    /// # Errors
    /// When its URL is none.
    pub fn open(reference: &Reference, options: Options) -> Result<Self, OciError> {
        let Options { plain_http, credentials } = options;
        let is_plain = plain_http || reference.is_local();
        let scheme = if is_plain { "http" } else { "https" };
        // Docker Hub answers elsewhere than it is called.
        let host = match reference.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let unusable =
            |reason: String| OciError::Unreachable { registry: reference.registry.clone(), reason };
        let base = format!("{scheme}://{host}/v2/{}/", reference.repository);
        let base = Url::parse(&base).map_err(|error| unusable(error.to_string()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(WHOLE)
            .redirect(Policy::custom(move |attempt| follow(attempt, plain_http)))
            .referer(false)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let reference = reference.clone();
        Ok(Self { http, base, reference, plain_http, credentials, pass: Mutex::default() })
    }

    /// What it is a repository of.
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// A manifest by its tag or digest. None when there is none.
    ///
    /// # Errors
    /// When the registry does not answer, or with something else than was asked for.
    pub async fn manifest(&self, pointer: &str) -> Result<Option<Manifest>, OciError> {
        let what = format!("the manifest `{pointer}`");
        let url = self.url(&format!("manifests/{pointer}"))?;
        let accepted = format!("{MANIFEST}, {OTHERS}");
        let ask = || self.http.get(url.clone()).header(ACCEPT, &accepted);
        let answer = self.send(&what, ask).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.successful(&what, answer).await?;
        let told = answer.headers().get("Docker-Content-Digest").cloned();
        let bytes = self.read(&what, answer, LARGEST_MANIFEST).await?;
        let digest = digest_of(&bytes)?;
        if let Ok(wanted) = pointer.parse() {
            check(&what, &wanted, &bytes)?;
        }
        if let Some(told) = told.as_ref().and_then(|it| it.to_str().ok()?.parse().ok()) {
            check(&what, &told, &bytes)?;
        }
        Ok(Some(Manifest { bytes, digest }))
    }

    /// A blob by its digest, of at most this many bytes.
    ///
    /// # Errors
    /// When the registry does not answer, or with something else than was asked for.
    pub async fn blob(
        &self,
        what: &str,
        digest: &Digest,
        most: usize,
    ) -> Result<Vec<u8>, OciError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self.send(what, || self.http.get(url.clone())).await?;
        let answer = self.successful(what, answer).await?;
        let bytes = self.read(what, answer, most).await?;
        check(what, digest, &bytes)?;
        Ok(bytes)
    }

    /// Brings a blob, unless it is there.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_blob(&self, what: &str, bytes: &Bytes) -> Result<(), OciError> {
        let digest = digest_of(bytes)?;
        let there = self.url(&format!("blobs/{digest}"))?;
        let head = || self.http.request(Method::HEAD, there.clone());
        if self.send(what, head).await?.status().is_success() {
            return Ok(());
        }
        let begin = self.url("blobs/uploads/")?;
        let begun = self.send(what, || self.http.post(begin.clone())).await?;
        let begun = self.successful(what, begun).await?;
        let mut place = self.place(what, &begun)?;
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        let put = || {
            let request = self.http.put(place.clone());
            request.header(CONTENT_TYPE, "application/octet-stream").body(bytes.clone())
        };
        let put = self.send(what, put).await?;
        self.successful(what, put).await.map(drop)
    }

    /// Brings a manifest by a tag.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_manifest(&self, tag: &str, bytes: &[u8]) -> Result<(), OciError> {
        let what = format!("the manifest `{tag}`");
        let url = self.url(&format!("manifests/{tag}"))?;
        let put = || self.http.put(url.clone()).header(CONTENT_TYPE, MANIFEST).body(bytes.to_vec());
        let put = self.send(&what, put).await?;
        self.successful(&what, put).await.map(drop)
    }

    fn url(&self, path: &str) -> Result<Url, OciError> {
        self.base.join(path).map_err(|error| self.unreachable(error.to_string()))
    }

    /// Where an upload goes on: on this registry, since what lets us in goes with it.
    fn place(&self, what: &str, begun: &Response) -> Result<Url, OciError> {
        let location = begun.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let place = location.and_then(|it| self.base.join(it).ok());
        let is_here = |place: &Url| place.origin() == self.base.origin();
        place.filter(is_here).ok_or_else(|| OciError::Refused {
            registry: self.reference.registry.clone(),
            status: begun.status().as_u16(),
            what: what.to_owned(),
            said: "it names no place of its own for the upload".to_owned(),
        })
    }

    /// Sends a request; where it is asked who we are, says so and sends it once more.
    async fn send(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, OciError> {
        let send = async || {
            let pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let request = match pass {
                Some(pass) => request().header(AUTHORIZATION, pass),
                None => request(),
            };
            request.send().await.map_err(|error| self.unreachable(words(&error)))
        };
        let answer = send().await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let asked = answer.headers().get_all(reqwest::header::WWW_AUTHENTICATE);
        let mut asked = asked.iter().filter_map(|it| it.to_str().ok());
        let challenge = asked.find_map(Challenge::of);
        let pass = match challenge {
            Some(Challenge::Basic) => self.login(what).map(|login| basic(&login))?,
            Some(Challenge::Bearer { realm, service, scope }) => {
                self.token(what, &realm, service.as_deref(), scope.as_deref()).await?
            }
            None => return Err(self.denied(what)),
        };
        let mut pass = HeaderValue::try_from(pass).map_err(|_secret| self.denied(what))?;
        pass.set_sensitive(true);
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        send().await
    }

    /// A token for a request, from whom the registry names.
    async fn token(
        &self,
        what: &str,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<String, OciError> {
        let url = Url::parse(realm).ok().filter(|url| is_allowed(url, self.plain_http));
        let mut url = url.ok_or_else(|| {
            self.unreachable(format!(
                "it sends us for a token to `{}`, which is no https URL",
                realm.chars().take(SHOWN).collect::<String>().escape_debug()
            ))
        })?;
        for (name, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut request = self.http.get(url);
        if let Some(login) = &self.credentials.login {
            request = request.basic_auth(&login.username, Some(login.password.expose_secret()));
        }
        let answer = request.send().await.map_err(|error| self.unreachable(words(&error)))?;
        if !answer.status().is_success() {
            return Err(self.denied(what));
        }
        let bytes = self.read("the token", answer, LARGEST_ANSWER).await?;
        // The words of a parser would quote what is secret.
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|it| it.token.or(it.access_token));
        let token = token.ok_or_else(|| self.unreachable("the token is none".to_owned()))?;
        Ok(format!("Bearer {}", token.as_str()))
    }

    fn login(&self, what: &str) -> Result<Login, OciError> {
        self.credentials.login.clone().ok_or_else(|| self.denied(what))
    }

    async fn successful(&self, what: &str, answer: Response) -> Result<Response, OciError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.denied(what));
        }
        let said = self.read("the answer", answer, LARGEST_ANSWER).await.unwrap_or_default();
        let said: String = String::from_utf8_lossy(&said).chars().take(SHOWN).collect();
        Err(OciError::Refused {
            registry: self.reference.registry.clone(),
            status: status.as_u16(),
            what: what.to_owned(),
            said: said.trim().escape_debug().to_string(),
        })
    }

    async fn read(
        &self,
        what: &str,
        mut answer: Response,
        most: usize,
    ) -> Result<Vec<u8>, OciError> {
        let too_large = || OciError::TooLarge { what: what.to_owned(), most };
        let length = answer.content_length().unwrap_or_default();
        if usize::try_from(length).is_ok_and(|length| length > most) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let next = async |answer: &mut Response| {
            answer.chunk().await.map_err(|error| self.unreachable(words(&error)))
        };
        while let Some(piece) = next(&mut answer).await? {
            if bytes.len().saturating_add(piece.len()) > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn denied(&self, what: &str) -> OciError {
        let Credentials { login, missing } = &self.credentials;
        let hint = match (login, missing) {
            (Some(login), _) => format!("`{}` may not, or the password is wrong", login.username),
            (None, Some(missing)) => {
                format!("{missing}; use --username and --password-stdin")
            }
            (None, None) => {
                "log in with `docker login`, or use --username and --password-stdin".to_owned()
            }
        };
        OciError::Denied { registry: self.reference.registry.clone(), what: what.to_owned(), hint }
    }

    fn unreachable(&self, reason: String) -> OciError {
        OciError::Unreachable { registry: self.reference.registry.clone(), reason }
    }
}

fn basic(login: &Login) -> String {
    use base64::Engine as _;
    let pair = format!("{}:{}", login.username, login.password.expose_secret());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Registries send us to where their blobs are. Not out of TLS.
fn follow(attempt: Attempt<'_>, plain_http: bool) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("it sends us from one place to the next");
    }
    if !is_allowed(attempt.url(), plain_http) {
        return attempt.error("it sends us to a place without TLS");
    }
    attempt.follow()
}

fn is_allowed(url: &Url, plain_http: bool) -> bool {
    let is_local = || url.host_str().is_some_and(reference::is_loopback);
    url.scheme() == "https" || url.scheme() == "http" && (plain_http || is_local())
}

/// The last cause, without the URL.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() }
}
