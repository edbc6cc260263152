//! Images of the lab's own engine, beside that of the machines; the engine keeps them between runs.

use std::process::{Command, Stdio};

use super::{IMAGE, Lab, SOCKET};

impl Lab {
    /// What `docker` answers of the lab's engine, asked past the host. Fails the test when it fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = docker().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{complained}");
        said
    }

    /// Sees that the engine has an image of this name: a machine's with these packages of Debian's.
    pub fn have_image_with(&self, packages: &[&str], image: &str) {
        if !self.docker(&["images", "-q", image]).trim().is_empty() {
            return;
        }
        let install = format!(
            "apt-get update -q && DEBIAN_FRONTEND=noninteractive \
             apt-get install -y -q --no-install-recommends {} \
             && apt-get clean && rm -rf /var/lib/apt/lists/*",
            packages.join(" ")
        );
        let id = self.docker(&["run", "-d", IMAGE, "sh", "-c", &install]);
        let id = id.trim();
        let code = self.docker(&["wait", id]);
        assert_eq!(code.trim(), "0", "{}", self.docker(&["logs", "--tail", "5", id]));
        self.docker(&["commit", id, image]);
        self.docker(&["rm", "-fv", id]);
    }

    /// Gives an image to the engine that runs in a machine.
    pub fn give_image(&self, image: &str, machine: &str) {
        let mut save = docker().args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
        let mut load = docker();
        load.args(["exec", "-i", machine, "docker", "load", "-q"]);
        let loaded = load.stdin(save.stdout.take().unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&[loaded.stdout, loaded.stderr].concat()).into_owned();
        assert!(save.wait().unwrap().success() && loaded.status.success(), "{image}: {said}");
    }
}

fn docker() -> Command {
    let mut docker = Command::new("docker");
    docker.args(["-H", &format!("unix://{SOCKET}")]);
    docker
}
