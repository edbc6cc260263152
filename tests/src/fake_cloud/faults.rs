//! What can go wrong at the fake, and with which requests it does.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Harm {
    /// An error of the API.
    Refuse {
        /// HTTP status.
        status: u16,
        /// The API's code.
        code: &'static str,
        /// The `Retry-After` header.
        retry_after: Option<&'static str>,
    },
    /// An error of the API with words of its own.
    Say {
        /// HTTP status.
        status: u16,
        /// The API's code.
        code: &'static str,
        /// The API's message.
        message: &'static str,
    },
    /// A page of HTML with this status, as from a proxy.
    Html(u16),
    /// The connection ends without an answer.
    Cut,
    /// There is never an answer.
    Silence,
    /// The action that the request starts ends in error.
    ActionFails {
        /// The action's error code.
        code: &'static str,
        /// The action's error message.
        message: &'static str,
    },
    /// The server that the request orders never gets to run, though its actions end well.
    NeverBoots,
    /// A list says that its next page is the one just given.
    SamePage,
    /// A list says that its next page is there.
    NextPage(String),
}

impl Harm {
    /// An error of the API, without `Retry-After`.
    pub fn refuse(status: u16, code: &'static str) -> Self {
        Self::Refuse { status, code, retry_after: None }
    }
}

/// Something that goes wrong with certain requests.
#[derive(Clone, Debug)]
pub struct Fault {
    request: String,
    harm: Harm,
    times: usize,
    after_work: bool,
}

impl Fault {
    /// Something that goes wrong with the next such request: `POST /servers`,
    /// `DELETE /servers/{id}`.
    pub fn on(request: &str, harm: Harm) -> Self {
        Self { request: request.to_owned(), harm, times: 1, after_work: false }
    }

    /// It goes wrong with so many requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// It goes wrong with all of them.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// The request is carried out, and only its answer goes wrong.
    #[must_use]
    pub fn after_work(self) -> Self {
        Self { after_work: true, ..self }
    }
}

/// The harm for one request, and whether the request is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) harm: Harm,
    pub(super) works: bool,
}

/// Takes what goes wrong with this request off the list.
pub(super) fn take(faults: &mut Vec<Fault>, request: &str) -> Option<Trouble> {
    let position = faults.iter().position(|fault| fault.request == request)?;
    let fault = &mut faults[position];
    let inside = matches!(
        fault.harm,
        Harm::ActionFails { .. } | Harm::NeverBoots | Harm::SamePage | Harm::NextPage(_)
    );
    let trouble = Trouble { harm: fault.harm.clone(), works: fault.after_work || inside };
    fault.times -= 1;
    if fault.times == 0 {
        faults.remove(position);
    }
    Some(trouble)
}

/// The answer that a harm puts in place of the right one; `refuse` makes an error of a status, a
/// code and a message.
pub(super) fn answer(harm: &Harm, refuse: fn(u16, &str, &str) -> Response) -> Option<Response> {
    match harm {
        Harm::Say { status, code, message } => Some(refuse(*status, code, message)),
        Harm::Refuse { status, code, retry_after } => {
            let mut answer = refuse(*status, code, &format!("injected {code}"));
            if let Some(wait) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, wait.parse().unwrap());
            }
            Some(answer)
        }
        Harm::Html(status) => {
            let body = Body::from("<html><body><h1>Bad things happened</h1></body></html>");
            let status = StatusCode::from_u16(*status).unwrap();
            Some((status, [(CONTENT_TYPE, "text/html")], body).into_response())
        }
        Harm::Cut
        | Harm::Silence
        | Harm::ActionFails { .. }
        | Harm::NeverBoots
        | Harm::SamePage
        | Harm::NextPage(_) => None,
    }
}
