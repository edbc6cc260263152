//! What a simulated machine knows of Docker: scripts that begin with a line `# windlass: <name>`
//! are answered from a table, with a state that is kept on the machine. A script that is not in the
//! table goes to the shell, which refuses what it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::providers::sandbox::commands::System;
use crate::providers::sandbox::files::Files;
use crate::providers::sandbox::offer;
use crate::providers::sandbox::shell::Script;
use crate::ssh::Stream;
use crate::stacks::compose;

/// How a script says which one it is.
const MARK: &str = "# windlass: ";
/// Where the machine's state is kept, on the machine.
const KEPT: &str = "/var/lib/windlass/simulated.json";
const FOLDER: &str = "/var/lib/windlass";
/// The version of Docker that a simulated machine gets.
const DOCKER: &str = "29.1.3";

/// What was done on the machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    is_updated: bool,
    timezone: String,
    has_docker: bool,
    address: Option<String>,
    networks: BTreeSet<String>,
    secrets: BTreeSet<String>,
    stacks: BTreeMap<String, Deployed>,
    /// Whether it runs more than is known here: what is asked for is taken to be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_assumed: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deployed {
    digest: String,
    services: Vec<(String, String, u64)>,
}

/// A script, told by its first line and its variables.
struct Call<'a> {
    values: BTreeMap<&'a str, String>,
    stdin: &'a [u8],
    system: &'a System,
}

/// What is kept on a machine of which only its record is known: it was set up, or was not, and
/// these stacks run on it.
pub(super) fn assumed(address: &str, is_set_up: bool, stacks: &[String]) -> State {
    let deployed = || Deployed { digest: String::new(), services: Vec::new() };
    State {
        is_updated: is_set_up,
        has_docker: is_set_up,
        address: is_set_up.then(|| address.to_owned()),
        stacks: stacks.iter().map(|name| (name.clone(), deployed())).collect(),
        is_assumed: true,
        ..State::default()
    }
}

/// Writes what was done on a machine onto it.
pub(super) fn keep(state: &State, files: &Files) -> std::io::Result<()> {
    files.make_folders(FOLDER)?;
    files.write(KEPT, &serde_json::to_vec(state)?, 0o600).map(drop)
}

/// Answers a script of the table; none for any other line.
pub(super) fn run(line: &str, stdin: &[u8], system: &System) -> Option<Script> {
    let (name, body) = line.strip_prefix(MARK)?.split_once('\n')?;
    let call = Call { values: values(body), stdin, system };
    let mut state = call.state();
    let before = state.clone();
    let script = match name {
        "probe" => call.probe(),
        "packages" => done(&mut state.is_updated, 6, "the packages are up to date"),
        "system" => call.set_up_system(&mut state),
        "install-docker" => install_docker(&mut state),
        "swarm" => call.swarm(&mut state),
        "portainer-secret" => call.secret(&mut state),
        "answering" => call.answering(&state),
        "stack-deploy" => call.deploy(&mut state),
        "stack-inspect" => call.inspect(&state),
        "stack-remove" => call.remove(&mut state),
        "stack-run" => call.in_container(&state, "done"),
        "stack-logs" => call.in_container(&state, "nothing is wrong"),
        "database" => call.in_container(&state, "the engine has done what it was told"),
        _ => return None,
    };
    Some(call.keep(&before, &state).unwrap_or(script))
}

/// The assignments before the first line that is none.
fn values(body: &str) -> BTreeMap<&str, String> {
    let pairs = body.lines().map_while(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((name, value.replace(r"'\''", "'")))
    });
    pairs.collect()
}

impl Call<'_> {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn state(&self) -> State {
        let kept = self.system.files.read(KEPT).ok().flatten();
        kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default()
    }

    /// Writes the state where it changed; a script that says so when it cannot.
    fn keep(&self, before: &State, state: &State) -> Option<Script> {
        let content = serde_json::to_vec(state).unwrap_or_default();
        if serde_json::to_vec(before).is_ok_and(|before| before == content) {
            return None;
        }
        let files = &self.system.files;
        let written = files.make_folders(FOLDER).and_then(|_| files.write(KEPT, &content, 0o600));
        (!matches!(written, Ok(true))).then(|| failing("the sandbox's folder cannot be written"))
    }

    fn probe(&self) -> Script {
        // DigitalOcean's names end with the architecture.
        let image = self.system.machine.image.trim_end_matches("-x64");
        let (distribution, version) = image.split_once('-').unwrap_or((image, ""));
        let codename = match image {
            "debian-12" => "bookworm",
            "debian-13" => "trixie",
            "ubuntu-22.04" => "jammy",
            "ubuntu-24.04" => "noble",
            _ => {
                return failing(&format!(
                    "this is {distribution} {version}: use Debian 12 or 13, or Ubuntu 22.04 or 24.04"
                ));
            }
        };
        let architecture = match offer::machine(&self.system.machine.server_type) {
            "aarch64" => "arm64",
            _ => "amd64",
        };
        Script::saying(format!(
            "fact distribution {distribution}\nfact codename {codename}\nfact version {version}\n\
             fact architecture {architecture}\nfact container no\nfact systemd yes\nfact ipv6 yes\n"
        ))
    }

    fn set_up_system(&self, state: &mut State) -> Script {
        let mut is_set = state.timezone == self.value("TIMEZONE");
        self.value("TIMEZONE").clone_into(&mut state.timezone);
        done(&mut is_set, 1, "host name, timezone, swap, kernel settings and firewall are set")
    }

    fn swarm(&self, state: &mut State) -> Script {
        if !state.has_docker {
            return failing("Docker does not answer: docker: not found");
        }
        let mut is_there = state.address.is_some();
        state.address.get_or_insert_with(|| self.value("IPV4").to_owned());
        is_there &= !state.networks.insert(self.value("NETWORK").to_owned());
        let script = done(&mut is_there, 2, "the swarm's node is ready, and its network is there");
        script.with(Stream::Stdout, format!("fact node {}\n", self.system.machine.id))
    }

    fn secret(&self, state: &mut State) -> Script {
        let mut is_there = state.secrets.contains(self.value("SECRET"));
        if !is_there && self.stdin.is_empty() {
            return failing("no password came for Portainer's administrator");
        }
        state.secrets.insert(self.value("SECRET").to_owned());
        done(&mut is_there, 1, "the swarm has the administrator's password")
    }

    fn answering(&self, state: &State) -> Script {
        let (what, port) = (self.value("WHAT"), self.value("PORT"));
        if !state.is_assumed && !state.stacks.contains_key(&what.to_lowercase()) {
            return failing(&format!("{what} runs and does not answer"));
        }
        let now = self.system.now.strftime("%Y-%m-%dT%H:%M:%SZ");
        Script::saying(format!("{what} answers at port {port} (simulated)\nfact now {now}\n"))
    }

    fn deploy(&self, state: &mut State) -> Script {
        if state.address.is_none() {
            return failing("this server is no swarm's manager: set the server up first");
        }
        let text = String::from_utf8_lossy(self.stdin);
        let mut lines = text.splitn(2, '\n');
        let count = lines.next().and_then(|line| line.parse().ok()).unwrap_or_default();
        let rest = lines.next().unwrap_or_default();
        let compose: String = rest.split_inclusive('\n').skip(count).collect();
        let services = match compose::services(&compose) {
            Ok(services) => services,
            Err(reason) => return failing(&reason),
        };
        let services = services.into_iter().map(|it| (it.name, it.image, it.replicas)).collect();
        let deployed = Deployed { digest: self.value("wl_digest").to_owned(), services };
        state.stacks.insert(self.value("wl_stack").to_owned(), deployed);
        Script { took: Duration::from_secs(3), ..Script::default() }
    }

    fn inspect(&self, state: &State) -> Script {
        let name = self.value("wl_stack");
        if !state.has_docker {
            return failing("there is no Docker on this server: set the server up first");
        }
        let Some(stack) = state.stacks.get(name) else { return Script::default() };
        let mut told = format!("digest {}\n", stack.digest);
        for (service, image, replicas) in &stack.services {
            let full = format!("{name}_{service}");
            let replicas_shown = format!("{replicas}/{replicas}");
            let line = json!({ "Name": full, "Image": image, "Replicas": replicas_shown });
            told.push_str(&["service ", &line.to_string(), "\n"].concat());
            for number in 1..=*replicas {
                let line = json!({
                    "Name": format!("{full}.{number}"),
                    "Image": image,
                    "DesiredState": "Running",
                    "CurrentState": "Running",
                    "Error": "",
                });
                told.push_str(&["task ", &line.to_string(), "\n"].concat());
            }
        }
        Script::saying(told)
    }

    /// Where the service is simulated, it does what it is told.
    fn in_container(&self, state: &State, what: &str) -> Script {
        let (stack, service) = (self.value("wl_stack"), self.value("wl_service"));
        let found = state.stacks.get(stack);
        let runs = found.is_some_and(|it| it.services.iter().any(|(name, ..)| name == service));
        if !runs && !state.is_assumed {
            let why = format!("windlass: no container of {stack}_{service} runs on this server");
            return Script::failing(125, why);
        }
        let script = Script { took: Duration::from_secs(1), ..Script::default() };
        script.with(Stream::Stdout, format!("{stack}_{service}: {what} (simulated)\n"))
    }

    fn remove(&self, state: &mut State) -> Script {
        let was_there = state.stacks.remove(self.value("wl_stack")).is_some();
        Script { took: Duration::from_secs(u64::from(was_there)), ..Script::default() }
    }
}

fn install_docker(state: &mut State) -> Script {
    let script = done(&mut state.has_docker, 8, &format!("Docker {DOCKER} answers"));
    script.with(Stream::Stdout, format!("fact docker {DOCKER}\n"))
}

/// Says that something is so, and that there was nothing to do when it was so before.
fn done(is_so: &mut bool, seconds: u64, what: &str) -> Script {
    if *is_so {
        return Script::saying(format!("nothing to do: {what}\n"));
    }
    *is_so = true;
    let script = Script { took: Duration::from_secs(seconds), ..Script::default() };
    script.with(Stream::Stdout, format!("{what} (simulated)\n"))
}

fn failing(why: &str) -> Script {
    Script::failing(1, format!("failed: {why}"))
}
