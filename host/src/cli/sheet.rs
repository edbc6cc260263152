//! One thing as people read it: a line for each fact, none for what there is nothing to say of.

use console::style;
use serde_json::Value;

use crate::cli::terminal::{Terminal, plain, text};

/// How wide the names of facts are.
const WIDTH: usize = 11;
/// How many of its last lines a job shows of its log.
const SHOWN_LINES: usize = 5;

/// A sheet as it is written.
pub(super) struct Sheet<'t> {
    terminal: &'t Terminal,
}

impl<'t> Sheet<'t> {
    /// An empty one.
    pub(super) const fn new(terminal: &'t Terminal) -> Self {
        Self { terminal }
    }

    /// A fact; none where it is a dash.
    pub(super) fn fact(&self, name: &str, says: &str) {
        if says != "-" && !says.is_empty() {
            let name = style(format!("{name:WIDTH$}")).bold();
            self.terminal.say(&format!("{name}  {}", plain(says)));
        }
    }

    /// What stands at a pointer of a value.
    pub(super) fn field(&self, name: &str, value: &Value, pointer: &str) {
        self.fact(name, &text(value, pointer));
    }

    /// Each part of an object or a list as a fact of the same name.
    pub(super) fn parts(&self, name: &str, value: Option<&Value>) {
        match value {
            Some(Value::Object(parts)) => {
                for (key, part) in parts {
                    self.fact(name, &format!("{key}: {}", text(part, "")));
                }
            }
            Some(Value::Array(parts)) => {
                parts.iter().for_each(|part| self.fact(name, &text(part, "")));
            }
            _ => {}
        }
    }
}

/// A job, with what can be done about it.
pub(super) fn job(job: &Value, terminal: &Terminal) {
    let sheet = Sheet::new(terminal);
    let (id, status) = (text(job, "/job_id"), text(job, "/status"));
    sheet.fact("Job", &id);
    sheet.field("Type", job, "/type");
    sheet.field("Server", job, "/server");
    sheet.fact("Status", &format!("{status}, {} %", text(job, "/progress")));
    sheet.field("Step", job, "/current_step");
    sheet.field("Created", job, "/created_at");
    sheet.field("Started", job, "/started_at");
    sheet.field("Expected", job, "/estimated_completion");
    sheet.field("Ended", job, "/completed_at");
    if job.get("plugin").is_some_and(Value::is_object) {
        let [name, version] = ["/plugin/name", "/plugin/version"].map(|it| text(job, it));
        sheet.fact("Plugin", &format!("{name} {version}"));
    }
    sheet.field("Tries again", job, "/retry_of");
    sheet.parts("Waits for", job.get("depends_on"));
    sheet.field("Error", job, "/error");
    let effects = job.pointer("/failure/effects").and_then(Value::as_array);
    for effect in effects.into_iter().flatten() {
        let (function, outcome) = (text(effect, "/function"), text(effect, "/outcome"));
        sheet.fact("Left", &format!("{function}: {outcome}"));
    }
    sheet.parts("Result", job.get("result"));
    last_lines(job, terminal);
    tries(&id, &status, terminal);
}

fn last_lines(job: &Value, terminal: &Terminal) {
    let lines = job.get("logs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    if !shown.is_empty() {
        terminal.say("");
    }
    for line in shown {
        let [at, level, message] = ["/timestamp", "/level", "/message"].map(|it| text(line, it));
        terminal.say(&format!("{at}  {level:5}  {message}"));
    }
}

/// What comes next for whoever looks at a job like this.
fn tries(id: &str, status: &str, terminal: &Terminal) {
    let next: &[&str] = match status {
        "queued" | "running" => &["watch ID", "cancel ID"],
        "failed" | "cancelled" => &["logs ID", "retry ID"],
        "uncertain" => {
            &["logs ID", "retry ID --resolve happened", "retry ID --resolve did_not_happen"]
        }
        _ => return,
    };
    terminal.say("\nTry next:");
    for words in next {
        terminal.say(&format!("  windlass job {}", words.replace("ID", id)));
    }
}

/// A server.
pub(super) fn server(server: &Value, terminal: &Terminal) {
    let sheet = Sheet::new(terminal);
    sheet.field("Name", server, "/name");
    sheet.field("Status", server, "/status");
    let simulated = server.get("simulated") == Some(&Value::Bool(true));
    let provider = text(server, "/provider");
    sheet.fact("Provider", &if simulated { format!("{provider} (simulated)") } else { provider });
    sheet.field("Its id", server, "/provider_id");
    for (name, pointer) in [
        ("Type", "/server_type"),
        ("Region", "/region"),
        ("Image", "/image"),
        ("IPv4", "/ipv4"),
        ("IPv6", "/ipv6"),
        ("Host key", "/ssh/host_key_fingerprint"),
    ] {
        sheet.field(name, server, pointer);
    }
    sheet.parts("App", server.get("apps"));
    sheet.parts("Setup", server.get("setup"));
    sheet.parts("DNS", server.get("dns"));
    let protected = server.get("protected") == Some(&Value::Bool(true));
    let holds = if protected { "it is protected" } else { "it is not protected" };
    sheet.fact("Protection", &format!("{}: {holds}", text(server, "/deletion_protection")));
    sheet.field("Created", server, "/created_at");
}
