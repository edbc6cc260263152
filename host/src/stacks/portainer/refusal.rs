//! Why Portainer did not do it, and what a person is told.

use hyper::StatusCode;

use crate::model::failure::Failure;
use crate::stacks::portainer::SERVICE;

/// How much of Portainer's words is told.
const MOST_WORDS: usize = 600;

/// Why Portainer did not do it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing was sent.
    Unreachable(String),
    /// The request was sent, and may have been carried out.
    Lost(String),
    /// It says no.
    Answer {
        /// HTTP status.
        status: StatusCode,
        /// Its own words.
        words: String,
        /// Whether it does not know such a request at all.
        is_gap: bool,
    },
    /// There is a sentence for it already.
    Told(Failure),
}

impl Refusal {
    /// It answers with an error.
    pub(super) fn answer(status: StatusCode, words: &str, is_gap: bool) -> Self {
        let words: String =
            words.chars().filter(|c| !c.is_control() || *c == '\n').take(MOST_WORDS).collect();
        let words = words.lines().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>();
        let words = match words.first() {
            None => "it says nothing".to_owned(),
            Some(first) if first.starts_with('<') => "a page of HTML".to_owned(),
            Some(_) => words.join(" "),
        };
        Self::Answer { status, words, is_gap }
    }

    /// It is what it says.
    pub(super) fn sentence(code: &str, message: &str) -> Self {
        Self::Told(Failure::safe(code, message))
    }

    /// What it answered cannot be understood.
    pub(super) fn nonsense(what: &str) -> Self {
        let message = format!(
            "Portainer answered something else than Portainer does ({what} cannot be read): is it \
             another program?"
        );
        Self::Told(Failure::safe("portainer_refused", message))
    }

    /// This host made a request that is none.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Self::Told(Failure::safe("internal", format!("a request to Portainer: {error}")))
    }

    /// Nobody gave it a password in its first five minutes.
    pub(super) fn locked() -> Self {
        let message = format!(
            "Portainer has locked itself, since it got no administrator within five minutes of its \
             start: restart it with `docker service update --force {SERVICE}` on the server, and \
             run this again"
        );
        Self::Told(Failure::safe("portainer_refused", message))
    }

    /// Whether the sign-in was tried and is wrong.
    pub(super) fn is_wrong_password(&self) -> bool {
        matches!(self, Self::Answer { status, .. } if *status == StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// Whether something of that name is there already.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Answer { status, .. } if *status == StatusCode::CONFLICT)
    }

    /// Whether the engine was changing a service at the same time.
    pub(super) fn is_collision(&self) -> bool {
        matches!(self, Self::Answer { words, .. } if words.contains("update out of sequence"))
    }

    /// What a refused sign-in means.
    pub(super) fn at_the_door(self) -> Self {
        let Self::Answer { status, words, .. } = &self else { return self };
        let message = match *status {
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::UNAUTHORIZED => format!(
                "Portainer does not take the administrator's password that this host keeps \
                 ({words}): somebody changed it there; change it back, and run this again"
            ),
            StatusCode::FORBIDDEN => format!(
                "Portainer lets nobody sign in for now ({words}): after too many tries it waits an \
                 hour; run this again then"
            ),
            _ => return self,
        };
        Self::Told(Failure::safe("portainer_refused", message))
    }

    /// What a refused first administrator means.
    pub(super) fn at_first_start(self) -> Self {
        let Self::Answer { words, .. } = &self else { return self };
        let message = format!(
            "Portainer has no administrator, and does not take one from this host ({words}): set \
             the server up again, which starts Portainer with a password"
        );
        Self::Told(Failure::safe("portainer_refused", message))
    }

    /// What a person is told who wanted this: `deploy the stack …`.
    pub(super) fn failure(self, wanted: &str) -> Failure {
        match self {
            Self::Unreachable(why) => unavailable(wanted, &why),
            Self::Lost(why) => Failure::safe(
                "portainer_unavailable",
                format!(
                    "Portainer was told to {wanted}, and nobody knows whether it did: {why}; run \
                     this again"
                ),
            ),
            Self::Answer { is_gap: true, .. } => Failure::safe(
                "portainer_refused",
                format!(
                    "this Portainer cannot {wanted}, it is older than 2.19: set the server up \
                     again, which brings a newer one"
                ),
            ),
            Self::Answer { status: StatusCode::FORBIDDEN, words, .. } => Failure::safe(
                "portainer_refused",
                format!("Portainer does not let its administrator {wanted}: {words}"),
            ),
            Self::Answer { status: StatusCode::UNAUTHORIZED, words, .. } => Failure::safe(
                "portainer_refused",
                format!("Portainer let this host in and does not know it any more: {words}"),
            ),
            Self::Answer { status, words, .. } => Failure::safe(
                "stack_failed",
                format!("Portainer cannot {wanted} (HTTP {}): {words}", status.as_u16()),
            ),
            Self::Told(failure) => failure,
        }
    }
}

/// What a person is told when Portainer is recorded and not there.
pub fn unavailable(wanted: &str, why: &str) -> Failure {
    let message = format!(
        "cannot {wanted}: this server has Portainer, and it does not answer: {why}; look at \
         `docker service ps {SERVICE}` on the server, or set the server up again"
    );
    Failure::safe("portainer_unavailable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portainers_own_words_are_told_without_what_surrounds_them() {
        let told = |status: u16, words: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            Refusal::answer(status, words, false).failure("deploy the stack `a`").message
        };
        assert_eq!(
            told(500, "no such\n  network\u{7}"),
            "Portainer cannot deploy the stack `a` (HTTP 500): no such network"
        );
        assert!(told(502, "<html><body>Bad gateway").ends_with("a page of HTML"));
        assert!(told(400, "").ends_with("it says nothing"));
        assert!(told(500, &"x".repeat(10_000)).len() < 800);
    }
}
