//! The shell scripts that set a server up. Each looks first and changes only what is not so yet, so
//! that any of them can be run again after any accident. Pure text: nothing here leaves the sandbox.

/// A script and what it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// Its first line tells it by this name.
    pub(crate) name: &'static str,
    parts: &'static [&'static str],
    /// It is stopped after so many minutes.
    pub(crate) minutes: u64,
}

const PREAMBLE: &str = include_str!("scripts/preamble.sh");
const APT: &str = include_str!("scripts/apt.sh");

/// Says what kind of machine it is; refuses those that we do not know.
pub(crate) const PROBE: Script =
    Script { name: "probe", parts: &[PREAMBLE, include_str!("scripts/probe.sh")], minutes: 2 };
/// Brings the packages up to date and adds the basic ones.
pub(crate) const PACKAGES: Script = Script {
    name: "packages",
    parts: &[PREAMBLE, APT, include_str!("scripts/packages.sh")],
    minutes: 30,
};
/// Timezone, updates, and on a machine with a kernel of its own: name, swap, settings, firewall.
pub(crate) const SYSTEM: Script =
    Script { name: "system", parts: &[PREAMBLE, include_str!("scripts/system.sh")], minutes: 10 };
/// Docker Engine.
pub(crate) const INSTALL_DOCKER: Script = Script {
    name: "install-docker",
    parts: &[PREAMBLE, APT, include_str!("scripts/install-docker.sh")],
    minutes: 30,
};
/// The swarm and its network.
pub(crate) const SWARM: Script =
    Script { name: "swarm", parts: &[PREAMBLE, include_str!("scripts/swarm.sh")], minutes: 5 };
/// The administrator's password as a secret of the swarm.
pub(crate) const PORTAINER_SECRET: Script = Script {
    name: "portainer-secret",
    parts: &[PREAMBLE, include_str!("scripts/portainer-secret.sh")],
    minutes: 2,
};
/// Whether a port answers.
pub(crate) const ANSWERING: Script = Script {
    name: "answering",
    parts: &[PREAMBLE, include_str!("scripts/answering.sh")],
    minutes: 10,
};
/// Whether Portainer answers, at an address that only its own machine reaches.
pub(crate) const PORTAINER_ANSWERING: Script = Script {
    name: "answering",
    parts: &[PREAMBLE, include_str!("scripts/portainer-answering.sh")],
    minutes: 10,
};

impl Script {
    /// The text for the server's shell, with these values as its variables.
    pub(crate) fn text(&self, values: &[(&str, &str)]) -> String {
        let mut text = format!("# windlass: {}\n", self.name);
        for (name, value) in values {
            text.push_str(&[name, "=", &quoted(value), "\n"].concat());
        }
        for part in self.parts {
            text.push_str(part);
        }
        text
    }
}

/// A value as one word of the shell, whatever is in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}
