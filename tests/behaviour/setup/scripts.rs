//! The scripts' texts, for every system and architecture, before any shell that may meet them.

use std::io::Write;
use std::process::{Command, Stdio};

use windlass::stacks::compose;

#[path = "../../../plugins/setup-server/src/stacks.rs"]
pub(crate) mod stacks;
#[path = "../../../plugins/setup-server/src/scripts.rs"]
mod texts;

/// Every script, for a machine of this kind.
pub(super) fn all(distribution: &str, codename: &str, architecture: &str) -> Vec<(String, String)> {
    let machine =
        [("DISTRIBUTION", distribution), ("CODENAME", codename), ("ARCHITECTURE", architecture)];
    let port = [("WHAT", "Traefik"), ("SCHEME", "http"), ("IPV4", "192.0.2.1"), ("PORT", "80")];
    let inside = [("WHAT", "Portainer"), ("PORT", "9443"), ("SERVICE", stacks::PORTAINER_SERVICE)];
    let scripts: [(texts::Script, &[(&str, &str)]); 8] = [
        (texts::PROBE, &[]),
        (texts::PACKAGES, &[]),
        (texts::SYSTEM, &[("SERVER", "it's"), ("TIMEZONE", "Etc/UTC")]),
        (texts::INSTALL_DOCKER, &machine),
        (texts::SWARM, &[("IPV4", "192.0.2.1"), ("NETWORK", "a_network")]),
        (texts::PORTAINER_SECRET, &[("SECRET", stacks::SECRET)]),
        (texts::ANSWERING, &port),
        (texts::PORTAINER_ANSWERING, &inside),
    ];
    scripts
        .map(|(script, values)| {
            assert!(script.minutes > 0);
            (script.name.to_owned(), script.text(values))
        })
        .to_vec()
}

/// What a checker says of a text; none when it is content.
fn complaint(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut checker = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checker.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_script_is_sound_for_every_system_and_architecture() {
    let has_shellcheck = Command::new("shellcheck").arg("--version").output().is_ok();
    if !has_shellcheck {
        tests::lab::skip("every_script_is_sound", "shellcheck is not installed");
    }
    for (distribution, codename) in
        [("debian", "bookworm"), ("debian", "trixie"), ("ubuntu", "jammy"), ("ubuntu", "noble")]
    {
        for architecture in ["amd64", "arm64"] {
            for (name, text) in all(distribution, codename, architecture) {
                let mark = format!("# windlass: {name}\n");
                assert!(text.starts_with(&mark), "{text}");
                assert!(!text.contains("${secret:"), "{name} would be refused as a command");
                for shell in ["sh", "bash"] {
                    assert_eq!(complaint(shell, &["-n"], &text), None, "{name}");
                }
                if has_shellcheck {
                    let options = ["--shell=sh", "--severity=warning", "-"];
                    assert_eq!(complaint("shellcheck", &options, &text), None, "{name}");
                }
            }
        }
    }
}

#[test]
fn docker_comes_from_the_repository_of_the_machines_own_system() {
    for (distribution, codename, architecture) in
        [("debian", "trixie", "arm64"), ("ubuntu", "noble", "amd64")]
    {
        let (_, text) = all(distribution, codename, architecture).swap_remove(3);
        let values = format!(
            "DISTRIBUTION='{distribution}'\nCODENAME='{codename}'\nARCHITECTURE='{architecture}'\n"
        );
        assert!(text.contains(&values), "{text}");
        assert!(text.contains("linux/$DISTRIBUTION") && text.contains("arch=$ARCHITECTURE"));
    }
}

#[test]
fn both_stacks_are_compose_files_with_pinned_images() {
    let traefik = stacks::traefik("a_network", "admin@example.com");
    let portainer = stacks::portainer("a_network", Some("ptn.example.com"));
    let services = [traefik, portainer, stacks::portainer("a_network", None)]
        .map(|text| compose::services(&text).unwrap());
    let images: Vec<&str> =
        services.iter().flatten().map(|service| service.image.as_str()).collect();
    for image in [stacks::TRAEFIK, stacks::PORTAINER, stacks::AGENT] {
        assert!(images.contains(&image), "{images:?}");
    }
    assert!(images.iter().all(|image| !image.ends_with("latest") && image.contains(':')));
}

#[test]
fn portainer_has_an_open_port_only_where_it_has_no_name() {
    assert!(stacks::portainer("a_network", None).contains("published: 9443"));
    assert!(!stacks::portainer("a_network", Some("ptn.example.com")).contains("published"));
    assert_eq!(stacks::PORTAINER_SERVICE, windlass::stacks::portainer::SERVICE);
}
