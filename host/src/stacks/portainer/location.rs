//! Where Portainer is on its server, and who made a stack there: one look by a script.

use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;

use crate::model::failure::Failure;
use crate::model::names::{Identity, JobId};
use crate::ssh::{Command, Remote};
use crate::stacks::StackName;
use crate::stacks::portainer::SERVICE;
use crate::stacks::swarm::{judged, script};

/// How long the look may take.
const LOOKING: Duration = Duration::from_secs(60);
/// Where Portainer listens with TLS, on an address of its own.
const PORT: u16 = 9443;

/// How to get to a Portainer from its server.
#[derive(Clone, Debug)]
pub struct Location {
    /// Its address, which only the server itself reaches.
    pub address: Ipv4Addr,
    /// Its port with TLS.
    pub port: u16,
    /// The only certificate that is spoken to. It signed that itself, so it is known by its bytes.
    pub certificate: CertificateDer<'static>,
}

/// How far Portainer is known to have got with a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// This host never gave it the stack.
    None,
    /// It was told to make the stack, and its answer did not arrive yet.
    Creating,
    /// It made the stack.
    Made,
}

/// What was seen on a server.
#[derive(Debug)]
pub struct Look {
    /// Whether this host deployed the stack, by whichever way.
    pub is_ours: bool,
    /// What of it Portainer was given.
    pub mark: Mark,
    /// Whether the engine runs services of it.
    pub has_services: bool,
    /// Where Portainer is, or why it is not there.
    pub portainer: Result<Location, String>,
}

impl Look {
    /// Looks. The receipt is one of its own: what an earlier look saw is of no use.
    pub async fn at(
        remote: &dyn Remote,
        stack: &StackName,
        cancel: CancellationToken,
    ) -> Result<Self, Failure> {
        let values = [("wl_stack", stack.as_str()), ("wl_service", SERVICE)];
        let receipt = Identity { job: JobId::new(Timestamp::now(), rand::random()), effect: 0 };
        let command = Command {
            receipt: receipt.clone(),
            line: script("portainer-look", &values, include_str!("../scripts/portainer-look.sh")),
            stdin: None,
            timeout: LOOKING,
            cancel,
            lines: None,
        };
        let looked = remote.exec(command).await;
        remote.forget(&[receipt]).await?;
        Ok(read(&judged(looked?)?.stdout))
    }

    /// Whether `docker stack deploy` made the stack and runs it, at this host's command: then it
    /// stays with that, and Portainer need not even be there.
    pub fn is_made_by_swarm(&self) -> bool {
        self.is_ours && self.mark == Mark::None && self.has_services
    }

    /// Whether Portainer has nothing of the stack to take away, as far as can be seen without it.
    pub fn is_none_of_portainers(&self) -> bool {
        self.mark == Mark::None && (self.is_ours || !self.has_services)
    }
}

impl Mark {
    /// What its file says.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Creating => "creating",
            Self::Made => "made",
        }
    }
}

fn read(told: &str) -> Look {
    let line = |kind: &str| {
        told.lines().find_map(|line| line.strip_prefix(kind)).map(|rest| rest.trim().to_owned())
    };
    let mark = match line("mark ").as_deref() {
        Some("creating") => Mark::Creating,
        Some(_) => Mark::Made,
        None => Mark::None,
    };
    Look {
        is_ours: line("digest").is_some(),
        mark,
        has_services: line("services").is_some(),
        portainer: match line("down ") {
            Some(why) => Err(why),
            None => location(line("address "), line("certificate "))
                .ok_or_else(|| "the server did not tell where it is".to_owned()),
        },
    }
}

fn location(address: Option<String>, certificate: Option<String>) -> Option<Location> {
    let pem = BASE64_STANDARD.decode(certificate?).ok()?;
    let certificate = CertificateDer::from_pem_slice(&pem).ok()?;
    Some(Location { address: address?.parse().ok()?, port: PORT, certificate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_stays_with_what_made_it() {
        let down = "down it has no running container (Complete 3 seconds ago)\n";
        let ours = read(&format!("digest\nservices\n{down}"));
        assert!(ours.is_made_by_swarm());
        let given = read(&format!("digest\nmark made\nservices\n{down}"));
        assert!(!given.is_made_by_swarm() && !given.is_none_of_portainers());
        let gone = read(&format!("digest\n{down}"));
        assert!(!gone.is_made_by_swarm() && gone.is_none_of_portainers());
        let somebodys = read(&format!("services\n{down}"));
        assert!(!somebodys.is_made_by_swarm() && !somebodys.is_none_of_portainers());
        assert!(somebodys.portainer.unwrap_err().contains("no running container"));
    }

    #[test]
    fn an_order_that_was_cut_off_is_told_from_one_that_was_answered() {
        assert_eq!(read("mark creating\n").mark, Mark::Creating);
        assert_eq!(read("mark made\n").mark, Mark::Made);
        assert!(read("address 172.18.0.3\ncertificate !\n").portainer.is_err());
    }
}
