//! Commands and databases in the containers of apps: real containers of the lab's engine, reached
//! over a real sshd on this machine, that look like a swarm's.

mod commands;
mod databases;
mod policy;

use std::sync::Arc;
use std::time::Duration;

use tests::bench::AppJob;
use tests::lab::Lab;
use tests::sshd::Sshd;
use windlass::effects::containers::RunInContainer;
use windlass::effects::ssh::JobLog;

/// The image of the lab's machines, which has a shell and not much more.
const IMAGE: &str = "windlass-machine:debian-12";

/// An sshd whose commands use the lab's engine.
fn sshd(lab: &Lab, test: &str) -> Option<Sshd> {
    Sshd::start_with(test, &format!("DOCKER_HOST=unix://{}", lab.socket()))
}

/// A container as a swarm makes it for a service; it ends with this value.
struct Container<'a> {
    lab: &'a Lab,
    id: String,
}

impl<'a> Container<'a> {
    fn start(lab: &'a Lab, service: &str, image: &str, command: &[&str]) -> Self {
        let label = format!("com.docker.swarm.service.name={service}");
        let mut arguments = vec!["run", "-d", "--init", "--label", &label, image];
        arguments.extend(command);
        Self { lab, id: lab.docker(&arguments).trim().to_owned() }
    }

    /// The command lines of its processes.
    fn processes(&self) -> String {
        self.lab.docker(&["top", &self.id, "-eo", "pid,args"])
    }

    fn file(&self, path: &str) -> String {
        self.lab.docker(&["exec", &self.id, "cat", path])
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.lab.docker(&["rm", "-fv", &self.id]);
    }
}

/// A command in the container of a service of `shop`, whose lines go to the log. The lab is shared:
/// each test has a service of its own.
fn run(job: &AppJob, service: &str, arguments: &[&str], stdin: Option<&str>) -> RunInContainer {
    RunInContainer {
        server: "web-1".parse().unwrap(),
        name: "shop".parse().unwrap(),
        service: service.to_owned(),
        arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
        stdin: stdin.map(str::to_owned),
        timeout: Duration::from_secs(60),
        lines: Some(Arc::new(JobLog { job: Arc::clone(&job.context), quiet_prefix: None })),
    }
}
