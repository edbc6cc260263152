//! What recipes deploy, looked at without a server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use windlass::stacks::policy::{self, Rules};

use super::{Entry, catalogue};

/// What `docker stack config` says against a file, if anything.
fn refusal(compose: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut docker = Command::new("docker");
    docker.args(["stack", "config", "--compose-file", "-"]);
    docker.envs(variables.keys().map(|name| (name, "some\"value: x")));
    let piped = docker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(compose.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success() || said.contains("variable is not set")).then_some(said)
}

/// Where all values of a tree are, without the values.
fn shape(tree: &Value) -> Value {
    match tree {
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), shape(value))).collect()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

fn services(compose: &Value) -> &Map<String, Value> {
    compose["services"].as_object().unwrap()
}

#[test]
fn the_catalogue_has_sixty_recipes_and_no_two_that_are_alike() {
    let entries = catalogue();
    assert!(entries.len() >= 60, "{}", entries.len());
    let names: BTreeSet<&str> = entries.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names.len(), entries.len());
    let mut prefixes = BTreeSet::from(["ptn".to_owned()]);
    for entry in &entries {
        for prefix in entry.descriptor["dns_prefixes"].as_array().unwrap() {
            let prefix = prefix.as_str().unwrap().to_owned();
            assert!(prefixes.insert(prefix.clone()), "{}: `{prefix}` is another's", entry.name);
        }
        for needed in entry.descriptor["dependencies"].as_array().unwrap() {
            let needed = needed.as_str().unwrap();
            assert!(names.contains(needed), "{} needs `{needed}`", entry.name);
        }
    }
}

#[test]
fn every_placeholder_is_filled_with_the_least_and_with_the_most_configuration() {
    for entry in catalogue() {
        for config in [entry.least(), entry.most()] {
            let (compose, rendered) = entry.rendered(&config);
            assert!(!rendered.compose.contains("{{"), "{}: {compose:#}", entry.name);
            assert!(!rendered.compose.contains("${secret:"), "{}: {compose:#}", entry.name);
            for (name, reference) in &rendered.variables {
                assert!(rendered.compose.contains(&format!("${{{name}}}")), "{name}");
                assert!(reference.starts_with("${secret:web-1/"), "{name}");
            }
        }
    }
}

#[test]
fn what_an_operator_chooses_is_a_value_and_never_a_template() {
    let entries = catalogue();
    let n8n = entries.iter().find(|entry| entry.name == "n8n").unwrap();
    let choosing = |text: &str| {
        let mut config = n8n.most();
        config.insert("smtp_sender".to_owned(), json!(text));
        config
    };
    let (plain, _) = n8n.rendered(&choosing("someone@example.com"));
    let texts = [
        "{{ secrets.redis/password }}",
        "$HOME ${PATH} $$ ${undefined:?}",
        "x\"\n    privileged: true\n    y: \"",
        "[a, {b: c}] # &anchor *alias !!tag",
        "`id` $(id) 'x' \\ \u{0}",
    ];
    for text in texts {
        let (compose, _) = n8n.rendered(&choosing(text));
        assert_eq!(shape(&compose), shape(&plain), "{text}");
        let sender = &services(&compose)["editor"]["environment"]["N8N_SMTP_SENDER"];
        // Docker makes one dollar of two, and nothing of a variable that is none.
        assert_eq!(*sender, json!(text.replace('$', "$$")), "{text}");
    }
    let stolen = n8n.recipe.preview(&choosing("${secret:web-1/redis/password}")).unwrap_err();
    assert!(stolen.message.contains("may not hold a reference to a secret"), "{}", stolen.message);
}

#[test]
fn docker_accepts_every_recipe() {
    if Command::new("docker").arg("--version").output().is_err() {
        return tests::lab::skip("docker_accepts_every_recipe", "there is no docker client");
    }
    let mut wrong = Vec::new();
    for entry in catalogue() {
        for config in [entry.least(), entry.most()] {
            let (_, rendered) = entry.rendered(&config);
            if let Some(said) = refusal(&rendered.compose, &rendered.variables) {
                wrong.push(format!("{}: {said}", entry.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_policy_for_stacks_accepts_every_recipe() {
    let mut wrong = Vec::new();
    for entry in catalogue() {
        let (compose, _) = entry.rendered(&entry.most());
        let prefixes = entry.descriptor["dns_prefixes"].as_array().unwrap();
        let host = |it: &Value| format!("{}.apps.example.com", it.as_str().unwrap());
        let hosts: Vec<String> = prefixes.iter().map(host).collect();
        let wanted = entry.descriptor["grants"]["stack"].as_array().unwrap();
        assert!(wanted.is_empty(), "{} wants {wanted:?}", entry.name);
        let rules =
            Rules { app: &entry.name, network: "livchat_network", hosts: &hosts, exceptions: &[] };
        let findings = policy::check(&compose, &rules);
        if !findings.is_empty() {
            wrong.push(format!("{}: {findings:#?}", entry.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_name_is_routed_to_a_service_by_labels() {
    for entry in catalogue() {
        let (compose, _) = entry.rendered(&entry.least());
        let labels: Vec<(&String, &Value)> = services(&compose)
            .values()
            .filter_map(|it| it["deploy"]["labels"].as_object())
            .flatten()
            .collect();
        for prefix in entry.descriptor["dns_prefixes"].as_array().unwrap() {
            let rule = format!("Host(`{}.lab.example.com`)", prefix.as_str().unwrap());
            let is_it = |value: &Value| value.as_str().unwrap().starts_with(&rule);
            assert!(labels.iter().any(|(_, it)| is_it(it)), "{}: no {rule}", entry.name);
        }
        for (key, value) in labels {
            if key.ends_with(".entryPoints") {
                assert_eq!(value, "websecure");
            } else if key.ends_with(".certResolver") {
                assert_eq!(value, "letsencrypt");
            }
        }
    }
}

#[test]
fn no_port_is_published_and_every_service_has_limits_and_a_check() {
    for entry in catalogue() {
        let (compose, _) = entry.rendered(&entry.least());
        let mut unchecked = 0;
        for (name, service) in services(&compose) {
            let limits = &service["deploy"]["resources"]["limits"];
            assert!(limits["memory"].is_string() && limits["cpus"].is_string(), "{name}");
            assert!(service.get("ports").is_none(), "{}: {name}", entry.name);
            unchecked += usize::from(service.get("healthcheck").is_none());
        }
        assert!(unchecked < 2, "{}: {unchecked} services are not checked", entry.name);
    }
}

#[test]
fn a_value_that_looks_like_a_file_changes_nothing_but_a_string() {
    let hostile = [
        "\"\n    privileged: true\n    x: \"",
        "'}, privileged: true, x: {'",
        "$HOME ${SECRETS_PASSWORD} $$x `id` {{ network }} {{ secrets.password }}",
        "\u{0}\u{1b}[2J\u{2028}",
    ];
    for entry in catalogue() {
        let plain = entry.most();
        let (expected, _) = entry.rendered(&plain);
        for value in hostile {
            let config = with_all(&entry, &plain, value);
            let (compose, rendered) = entry.rendered(&config);
            assert_eq!(shape(&compose), shape(&expected), "{}", entry.name);
            let plain = entry.rendered(&plain).1;
            assert_eq!(rendered.variables, plain.variables, "{}", entry.name);
        }
    }
}

/// A configuration whose every free text is this.
fn with_all(entry: &Entry, config: &Map<String, Value>, value: &str) -> Map<String, Value> {
    let mut config = config.clone();
    for (name, schema) in entry.properties() {
        let is_free = schema["type"] == "string" && schema.get("writeOnly").is_none();
        if is_free && name != "domain" {
            config.insert(name.clone(), json!(value));
        }
    }
    config
}

#[test]
fn a_value_may_not_be_a_reference_to_a_secret() {
    let entries = catalogue();
    let entry = entries.iter().find(|it| it.name == "n8n").unwrap();
    let config = with_all(entry, &entry.most(), "${secret:web-1/postgres/password}");
    let refused = entry.recipe.preview(&config).unwrap_err();
    assert!(refused.message.contains("may not hold a reference"), "{}", refused.message);
    let mut config = entry.most();
    config.insert("smtp_password".to_owned(), json!("not a reference"));
    assert!(entry.recipe.preview(&config).is_err());
}

#[test]
fn a_dollar_in_a_value_reaches_the_container_as_it_is() {
    let entries = catalogue();
    let entry = entries.iter().find(|it| it.name == "n8n").unwrap();
    let config = with_all(entry, &entry.most(), "a$b${C}");
    let (compose, _) = entry.rendered(&config);
    let zone = &compose["services"]["editor"]["environment"]["GENERIC_TIMEZONE"];
    assert_eq!(zone, "a$$b$${C}");
}
