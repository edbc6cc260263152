//! Asking before something is destroyed. A client that can show its user a form shows one, where
//! he types the name of what is to go; what travels with the form is sealed, bound to the caller
//! and the call, good for five minutes and once. Any other client's `confirm` has to be the name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitationSchema, InputRequest, InputRequiredResult,
    RequestStateCodec, SealOptions, StringSchema,
};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::error::{Error, ErrorKind};
use crate::mcp::call::Call;

/// How long an answer is waited for.
const LIFE: Duration = Duration::from_secs(300);
/// The name of the one form.
const FORM: &str = "confirm";

/// What is to be destroyed.
pub(super) struct Question<'a> {
    /// What the user types.
    pub(super) name: &'a str,
    /// What would be lost.
    pub(super) lost: String,
    /// How a person does it at the command line.
    pub(super) command: String,
}

/// What came of asking.
pub(super) enum Verdict {
    /// Somebody wants it.
    Confirmed,
    /// The client is to ask its user.
    Asks(InputRequiredResult),
}

/// The forms that are out, and those that came back.
pub(super) struct Confirmations {
    codec: RequestStateCodec,
    /// Of this run of the host: what an earlier one sealed is worth nothing.
    run: u128,
    used: Mutex<HashMap<u128, Instant>>,
}

/// What travels with a form.
#[derive(Serialize, Deserialize)]
struct Sealed {
    nonce: u128,
}

impl Confirmations {
    /// Seals with this key.
    pub(super) fn new(key: &[u8]) -> Result<Self, Error> {
        let codec = RequestStateCodec::try_new(key).map_err(Error::internal)?;
        Ok(Self { codec, run: rand::random(), used: Mutex::default() })
    }

    /// What travels with a form that is bound to this, for so long.
    fn seal(&self, bound: &[u8], life: Duration) -> Result<String, Error> {
        let options = SealOptions::new().associated_data(bound).ttl(life);
        let sealed = Sealed { nonce: rand::random() };
        self.codec.seal_json_with(&sealed, &options).map_err(Error::internal)
    }

    /// Whether this form is one of ours, bound to this, in time, and came for the first time.
    fn takes(&self, bound: &[u8], state: &str) -> bool {
        let opened = self.codec.open_json_with::<Sealed>(state, bound);
        let Ok(Sealed { nonce }) = opened.inspect_err(|error| debug!(%error, "a form is refused"))
        else {
            return false;
        };
        let now = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| now.duration_since(*at) <= LIFE);
        used.insert(nonce, now).is_none()
    }

    /// The caller and the call.
    fn bound(&self, call: &Call<'_>) -> Vec<u8> {
        let caller = &call.server.reader.caller().name;
        format!("{:032x}\n{caller}\n{}\n{}", self.run, call.tool.id(), call.digest()).into_bytes()
    }
}

impl Question<'_> {
    /// Finds out whether somebody wants it, or asks.
    pub(super) async fn put(
        &self,
        call: &Call<'_>,
        confirm: Option<&str>,
    ) -> Result<Verdict, Error> {
        let decided = if call.can_ask() {
            match &call.state {
                None => return self.ask(call).await,
                Some(state) => self.judge_form(call, state),
            }
        } else {
            self.judge_words(call, confirm)
        };
        call.note(decided.as_ref().map_or("unconfirmed", |()| "confirmed")).await?;
        decided.map(|()| Verdict::Confirmed)
    }

    async fn ask(&self, call: &Call<'_>) -> Result<Verdict, Error> {
        call.note("asked").await?;
        let message = call.pick(
            format!("Destruir sem volta: {}? Digite o nome para confirmar.", self.lost),
            format!("Destroy for good: {}? Type the name to confirm.", self.lost),
        );
        let title = call.pick("Nome", "Name");
        let schema = ElicitationSchema::builder()
            .required_string_with("name", |name: StringSchema| name.title(title))
            .build()
            .map_err(Error::internal)?;
        let form = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message,
            requested_schema: schema,
        };
        let form = InputRequest::Elicitation(ElicitRequest::new(form));
        let forms = BTreeMap::from([(FORM.to_owned(), form)]);
        let confirmations = &call.server.gateway.confirmations;
        let state = confirmations.seal(&confirmations.bound(call), LIFE)?;
        Ok(Verdict::Asks(InputRequiredResult::new(Some(forms), Some(state))))
    }

    fn judge_form(&self, call: &Call<'_>, state: &str) -> Result<(), Error> {
        let answer = call.responses.as_ref().and_then(|answers| answers.get(FORM));
        let action = answer.and_then(|answer| answer.get("action")?.as_str());
        if matches!(action, Some("decline" | "cancel")) {
            return Err(self.refused(call, "A pessoa recusou.", "The person refused."));
        }
        let confirmations = &call.server.gateway.confirmations;
        if !confirmations.takes(&confirmations.bound(call), state) {
            return Err(self.refused(
                call,
                "Esta confirmação não vale: expirou, já foi usada ou é de outra chamada.",
                "This confirmation counts for nothing: it expired, was used, or is of another call.",
            ));
        }
        let typed = answer.and_then(|answer| answer.get("content")?.get("name")?.as_str());
        match (action, typed) {
            (Some("accept"), Some(typed)) if typed == self.name => Ok(()),
            _ => Err(self.refused(
                call,
                "O nome digitado não é o deste recurso.",
                "The name that was typed is not this one's.",
            )),
        }
    }

    fn judge_words(&self, call: &Call<'_>, confirm: Option<&str>) -> Result<(), Error> {
        if call.server.gateway.settings.ask_a_person {
            let (pt, en) = (
                format!("Este host exige uma pessoa: ela deve rodar `{}`.", self.command),
                format!("This host demands a person: let one run `{}`.", self.command),
            );
            return Err(self.refused(call, &pt, &en));
        }
        match confirm {
            Some(confirm) if confirm == self.name => Ok(()),
            Some(_) => Err(self.refused(
                call,
                "`confirm` não é o nome deste recurso.",
                "`confirm` is not this one's name.",
            )),
            None => {
                let (pt, en) = (
                    format!(
                        "Pergunte à pessoa; se ela quiser, chame de novo com `confirm`: \"{}\".",
                        self.name
                    ),
                    format!(
                        "Ask the person; if he wants it, call again with `confirm`: \"{}\".",
                        self.name
                    ),
                );
                Err(self.refused(call, &pt, &en))
            }
        }
    }

    fn refused(&self, call: &Call<'_>, portuguese: &str, english: &str) -> Error {
        let message = call.pick(
            format!("{portuguese} Nada foi destruído. Seriam perdidos: {}.", self.lost),
            format!("{english} Nothing was destroyed. What would be lost: {}.", self.lost),
        );
        Error::new(ErrorKind::Conflict, "not_confirmed", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_once_in_its_time_and_for_its_call() {
        let confirmations = Confirmations::new(&[7; 32]).unwrap();
        let state = confirmations.seal(b"web-1", LIFE).unwrap();
        assert!(!confirmations.takes(b"web-2", &state));
        assert!(!Confirmations::new(&[8; 32]).unwrap().takes(b"web-1", &state));
        assert!(confirmations.takes(b"web-1", &state));
        assert!(!confirmations.takes(b"web-1", &state), "it came before");
        let late = confirmations.seal(b"web-1", Duration::ZERO).unwrap();
        let until = Instant::now() + Duration::from_millis(5);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        assert!(!confirmations.takes(b"web-1", &late), "it is too late");
    }
}
