//! Stacks of a swarm whose manager is reached over SSH: `docker stack …`, run there.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::model::failure::Failure;
use crate::model::names::Identity;
use crate::ssh::{Command, Output, Remote};
use crate::stacks::{Service, Stack, StackName, Status};

const PREAMBLE: &str = include_str!("scripts/preamble.sh");
/// How long the engine may take to take on a stack; images are pulled afterwards.
const DEPLOYING: Duration = Duration::from_secs(300);
/// How long what is removed may take to end.
const REMOVING: Duration = Duration::from_secs(240);
/// How long a look may take.
const LOOKING: Duration = Duration::from_secs(60);

/// A swarm's manager, for one effect of a job.
pub struct Swarm {
    /// The way to it.
    pub remote: Arc<dyn Remote>,
    /// What makes a command of the effect be run once.
    pub receipt: Identity,
    /// Ends a command under way.
    pub cancel: CancellationToken,
}

/// A stack to be, its secrets in their places.
pub struct Deployment {
    /// The Compose file.
    pub compose: Zeroizing<String>,
    /// The variables in it.
    pub environment: Vec<(String, SecretString)>,
    /// What tells it from another one.
    pub digest: String,
}

impl Swarm {
    /// Makes the stack be what is wanted. May be done again.
    pub async fn deploy(&self, name: &StackName, wanted: &Deployment) -> Result<(), Failure> {
        let line = script(
            "stack-deploy",
            &[("wl_stack", name.as_str()), ("wl_digest", &wanted.digest)],
            include_str!("scripts/deploy.sh"),
        );
        self.run(line, Some(wanted.input()), DEPLOYING).await.map(drop)
    }

    /// Removes the stack, and its volumes where that is said; an absent one is success.
    pub async fn remove(&self, name: &StackName, delete_data: bool) -> Result<(), Failure> {
        let delete_data = if delete_data { "yes" } else { "no" };
        let line = script(
            "stack-remove",
            &[("wl_stack", name.as_str()), ("wl_delete_data", delete_data)],
            include_str!("scripts/remove.sh"),
        );
        self.run(line, None, REMOVING).await.map(drop)
    }

    /// The stack as it is now. May be asked again and again.
    pub async fn inspect(&self, name: &StackName) -> Result<Stack, Failure> {
        let line = script(
            "stack-inspect",
            &[("wl_stack", name.as_str())],
            include_str!("scripts/inspect.sh"),
        );
        let looked = self.run(line, None, LOOKING).await;
        // The next look is another command.
        self.remote.release(std::slice::from_ref(&self.receipt)).await?;
        Ok(stack(name, &looked?.stdout))
    }

    /// The last lines that a service said.
    pub async fn logs(&self, name: &StackName, service: &str) -> Result<Vec<String>, Failure> {
        let values = [("wl_stack", name.as_str()), ("wl_service", service)];
        let line = script("stack-logs", &values, include_str!("scripts/logs.sh"));
        let told = self.run(line, None, LOOKING).await;
        // The next service is asked by another command.
        self.remote.release(std::slice::from_ref(&self.receipt)).await?;
        Ok(told?.stdout.lines().map(str::to_owned).collect())
    }

    async fn run(
        &self,
        line: String,
        stdin: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Output, Failure> {
        let command = Command {
            receipt: self.receipt.clone(),
            line,
            stdin,
            timeout,
            cancel: self.cancel.clone(),
            lines: None,
        };
        judged(self.remote.exec(command).await?)
    }
}

/// What a script said, or the sentence with which it failed.
pub(super) fn judged(output: Output) -> Result<Output, Failure> {
    if output.exit_code == 0 {
        return Ok(output);
    }
    let said = output.stderr.lines().rev().find_map(|line| line.strip_prefix("failed: "));
    let said = said.or_else(|| output.stderr.lines().next_back()).unwrap_or("it said nothing");
    Err(Failure::safe("stack_failed", said))
}

impl Deployment {
    fn input(&self) -> Vec<u8> {
        let mut input = format!("{}\n", self.environment.len());
        for (name, value) in &self.environment {
            let value = BASE64_STANDARD.encode(value.expose_secret());
            input.extend([name.as_str(), "=", &value, "\n"]);
        }
        input.push_str(&self.compose);
        input.into_bytes()
    }
}

/// A script that is known by its first line, with these variables.
pub(super) fn script(name: &str, values: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("# windlass: {name}\n");
    for (name, value) in values {
        text.extend([name, "='", &value.replace('\'', r"'\''"), "'\n"]);
    }
    text + PREAMBLE + body
}

/// What `docker stack services` tells.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceLine {
    name: String,
    image: String,
    replicas: String,
}

/// What `docker stack ps` tells, the newest first.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskLine {
    name: String,
    image: String,
    desired_state: String,
    current_state: String,
    error: String,
}

/// The stack that the script told of.
fn stack(name: &StackName, told: &str) -> Stack {
    let lines = |kind: &'static str| {
        told.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
    };
    let tasks: Vec<TaskLine> =
        lines("task").filter_map(|line| serde_json::from_str(line).ok()).collect();
    let services = lines("service").filter_map(|line| serde_json::from_str(line).ok());
    let mut services: Vec<Service> = services.map(|line| service(name, &line, &tasks)).collect();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    let updates: Vec<&str> = lines("update").filter_map(|line| line.split(' ').nth(1)).collect();
    Stack {
        name: name.to_string(),
        status: status(&services, &updates),
        services,
        digest: lines("digest").next().map(str::to_owned),
    }
}

fn service(stack: &StackName, line: &ServiceLine, tasks: &[TaskLine]) -> Service {
    let own = format!("{}.", line.name);
    let tasks: Vec<&TaskLine> = tasks.iter().filter(|task| task.name.starts_with(&own)).collect();
    // One that still runs the image of before is not what is wanted.
    let runs = |task: &&&TaskLine| {
        task.desired_state == "Running"
            && task.current_state.starts_with("Running")
            && untied(&task.image) == untied(&line.image)
    };
    let running = u32::try_from(tasks.iter().filter(runs).count()).unwrap_or(u32::MAX);
    let wanted = line.replicas.split('/').nth(1).and_then(|it| it.split(' ').next()?.parse().ok());
    let wanted = wanted.unwrap_or(1);
    let error = tasks.iter().map(|task| task.error.trim()).find(|error| !error.is_empty());
    let short = line.name.strip_prefix(&format!("{stack}_")).unwrap_or(&line.name);
    Service {
        name: short.to_owned(),
        image: untied(&line.image).to_owned(),
        running,
        wanted,
        error: error.filter(|_| running < wanted).map(str::to_owned),
    }
}

/// An image without the digest that the engine adds.
fn untied(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

fn status(services: &[Service], updates: &[&str]) -> Status {
    let is_updating =
        updates.iter().any(|it| it.ends_with("updating") || *it == "rollback_started");
    let is_undone = updates.iter().any(|it| it.ends_with("paused") || *it == "rollback_completed");
    if services.is_empty() {
        Status::Absent
    } else if is_undone || services.iter().any(|it| it.error.is_some()) {
        Status::Failing
    } else if is_updating || services.iter().any(|it| it.running < it.wanted) {
        Status::Starting
    } else {
        Status::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(replicas: &str, tasks: &[&str], update: &str) -> Stack {
        let service = format!(
            r#"service {{"ID":"x","Image":"a:2","Mode":"replicated","Name":"s_a","Ports":"","Replicas":"{replicas}"}}"#
        );
        let update = format!("update s_a {update}");
        let lines = [&[service.as_str()], tasks, &[update.as_str()]].concat();
        stack(&"s".parse().unwrap(), &lines.join("\n"))
    }

    fn task(image: &str, state: &str, error: &str) -> String {
        format!(
            r#"task {{"CurrentState":"{state} 2 minutes ago","DesiredState":"Running","Error":"{error}","ID":"y","Image":"{image}","Name":"s_a.1","Node":"n","Ports":""}}"#
        )
    }

    #[test]
    fn a_stack_is_healthy_when_the_wanted_image_runs_and_no_update_is_under_way() {
        let new = task("a:2@sha256:00", "Running", "");
        assert_eq!(told("1/1", &[&new], "none").status, Status::Healthy);
        assert_eq!(told("1/1", &[&new], "updating").status, Status::Starting);
        assert_eq!(told("1/1", &[&new], "rollback_completed").status, Status::Failing);
        let old = task("a:1", "Running", "");
        assert_eq!(told("1/1", &[&old], "completed").status, Status::Starting);
        assert_eq!(told("1/2 (max 1 per node)", &[&new], "none").services[0].wanted, 2);
    }

    #[test]
    fn a_failing_task_is_quoted() {
        let task = task("a:2", "Rejected", "No such image: a:2");
        let stack = told("0/1", &[&task], "none");
        assert_eq!(stack.status, Status::Failing);
        assert_eq!(stack.missing(), "`a` runs 0 of 1 (No such image: a:2)");
    }

    #[test]
    fn nothing_told_is_an_absent_stack() {
        assert_eq!(stack(&"s".parse().unwrap(), "").status, Status::Absent);
    }
}
