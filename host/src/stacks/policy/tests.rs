//! The policy, case by case.

use serde_json::Value;

use super::*;
use crate::stacks::compose;

const GOOD: &str = r#"
version: "3.8"
x-common: { anything: goes }
services:
  web:
    image: n8nio/n8n:1.120.4
    command: ["start", "--port=${PORT:-80}"]
    environment: { PASSWORD: "${secret:web-1/n8n/key}", PORT: 80, ON: true }
    healthcheck: { test: ["CMD-SHELL", "wget -q $$HOST"], interval: 10s }
    networks: [shared, default]
    volumes: [files:/data, "files:/more:ro", { type: tmpfs, target: /tmp }]
    hostname: web
    deploy:
      replicas: 2
      labels:
        traefik.enable: true
        traefik.http.routers.n8n.rule: "Host(`edt.example.com`) && PathPrefix(`/`)"
        traefik.http.routers.n8n.entrypoints: websecure
        traefik.http.routers.n8n.tls.certresolver: letsencrypt
        traefik.http.routers.n8n.middlewares: n8n-auth
        traefik.http.middlewares.n8n-auth.basicauth.users: "admin:${secret:web-1/n8n/key.bcrypt}"
        traefik.http.services.n8n.loadbalancer.server.port: "5678"
      resources: { limits: { memory: 1.5G, cpus: "0.5" }, reservations: { memory: 64M } }
networks:
  shared: { external: true, name: livchat_network }
  inner: { driver: overlay, internal: true, driver_opts: { encrypted: "" } }
volumes:
  files:
  kept: { external: true, name: n8n_kept }
  old: { name: n8n_old }
secrets:
  key: { external: true, name: n8n_key }
"#;

fn hosts() -> Vec<String> {
    vec!["edt.example.com".to_owned(), "whk.example.com".to_owned()]
}

fn judged(text: &str, exceptions: &[&str]) -> Vec<String> {
    let exceptions: Vec<Exception> = exceptions.iter().map(|it| it.parse().unwrap()).collect();
    let hosts = hosts();
    let rules =
        Rules { app: "n8n", network: "livchat_network", hosts: &hosts, exceptions: &exceptions };
    check(&compose::tree(text).unwrap(), &rules)
}

/// The good file with something else at a place; a place whose value is `null` is made anew.
fn changed(pointer: &str, value: &str) -> String {
    let mut tree = compose::tree(GOOD).unwrap();
    let value = serde_json::to_value(compose::tree(&format!("it: {value}")).unwrap()).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let fields = tree.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    fields.insert(key.replace("~1", "/"), value["it"].clone());
    compose::normal(&tree)
}

#[track_caller]
fn refused(pointer: &str, value: &str, wanted: &str) {
    let said = judged(&changed(pointer, value), &[]);
    assert!(!said.is_empty(), "{pointer}: {value} was let through");
    assert!(said.iter().any(|it| it.contains(wanted)), "{pointer}: {value}: {said:#?}");
}

#[track_caller]
fn allowed(pointer: &str, value: &str, exceptions: &[&str]) {
    let said = judged(&changed(pointer, value), exceptions);
    assert_eq!(said, [""; 0], "{pointer}: {value}");
}

#[test]
fn an_ordinary_app_is_let_through() {
    assert_eq!(judged(GOOD, &[]), [""; 0]);
}

#[test]
fn what_reaches_out_of_the_container_is_refused() {
    for (key, value, wanted) in [
        ("privileged", "true", "`privileged`"),
        ("privileged", "\"yes\"", "`privileged`"),
        ("privileged", "1", "`privileged`"),
        ("network_mode", "host", "`host-network`"),
        ("network_mode", "\"container:abc\"", "`network_mode`"),
        ("pid", "host", "`pid`"),
        ("ipc", "host", "`ipc`"),
        ("userns_mode", "host", "`userns_mode`"),
        ("cgroupns_mode", "host", "`cgroupns_mode`"),
        ("cap_add", "[SYS_ADMIN]", "`capability:SYS_ADMIN`"),
        ("cap_add", "[cap_net_admin]", "`capability:NET_ADMIN`"),
        ("cap_add", "ALL", "no list"),
        ("devices", "[\"/dev/sda:/dev/sda\"]", "`devices`"),
        ("security_opt", "[\"seccomp:unconfined\"]", "`security_opt`"),
        ("env_file", "/etc/passwd", "`env_file`"),
        ("extends", "{ file: other.yml, service: a }", "`extends`"),
        ("build", ".", "`build`"),
        ("credential_spec", "{ file: x }", "`credential_spec`"),
        ("extra_hosts", "[\"a:host-gateway\"]", "`extra_hosts`"),
        ("dns", "1.1.1.1", "`dns`"),
        ("PRIVILEGED", "true", "`PRIVILEGED`"),
        ("x-thing", "1", "`x-thing`"),
        ("logging", "{ driver: syslog }", "`logging.driver`"),
        ("sysctls", "{ kernel.core_pattern: x }", "`sysctls.kernel.core_pattern`"),
        ("sysctls", "[kernel.msgmax=1]", "`sysctls.kernel.msgmax`"),
        ("hostname", "postgres_postgres", "`hostname`"),
        ("environment", "[PATH]", "`PATH` has no value"),
        ("environment", "{ PATH: }", "`PATH` has no value"),
        ("healthcheck", "{ interval: \"${X}\" }", "variables"),
        ("user", "\"${UID}\"", "variables"),
    ] {
        refused(&format!("/services/web/{key}"), value, wanted);
    }
}

#[test]
fn paths_of_the_server_are_refused_in_every_spelling() {
    for volume in [
        "/:/host",
        "/etc:/etc:ro",
        "./data:/data",
        "../data:/data",
        "~/data:/data",
        ".:/data",
        "/var/run/docker.sock:/var/run/docker.sock",
        "files:/data:z",
        "files:/data:ro,rslave",
        "c:/data",
        "c:\\\\data:/data",
        "files:data",
        "files:/../data",
        "unknown:/data",
        "data/../..:/x",
        "${HOME}:/data",
        "files:/data:ro:ro",
        ":/data",
        "/srv/exact/:/x",
        "/srv//exact:/x",
        "/srv/./exact:/x",
    ] {
        let said = judged(
            &changed("/services/web/volumes", &format!("[\"{volume}\"]")),
            &["host-path:/srv/exact"],
        );
        assert!(!said.is_empty(), "{volume}");
    }
    for volume in [
        "{ type: bind, source: /, target: /host }",
        "{ type: bind, source: /etc, target: /etc, bind: { propagation: shared } }",
        "{ type: volume, source: /etc, target: /etc }",
        "{ type: npipe, source: files, target: /etc }",
        "{ type: cluster, source: files, target: /etc }",
        "{ source: files, target: /etc }",
        "{ type: Volume, source: files, target: /etc }",
        "{ type: volume, source: files, target: /etc, volume: { subpath: ../x } }",
        "{ type: tmpfs, source: /etc, target: /etc }",
        "7",
    ] {
        let said = judged(&changed("/services/web/volumes", &format!("[{volume}]")), &[]);
        assert!(!said.is_empty(), "{volume}");
    }
    for volume in [
        "{ driver_opts: { type: none, o: bind, device: /etc } }",
        "{ driver: nfs }",
        "{ external: true }",
        "{ external: { name: postgres_data } }",
        "{ external: \"true\", name: postgres_data }",
        "{ external: true, name: postgres_data }",
        "{ name: postgres_data }",
        "{ name: n8n }",
        "{ name: \"n8n_${X}\" }",
        "text",
    ] {
        let said = judged(&changed("/volumes/files", volume), &[]);
        assert!(!said.is_empty(), "{volume}");
    }
}

#[test]
fn ports_are_refused_in_every_spelling() {
    for port in [
        "80",
        "\"8080:80\"",
        "\"80\"",
        "\"8080-8090:80-90\"",
        "\"127.0.0.1:8080:80\"",
        "\"8080:80/udp\"",
        "{ target: 80, published: 8080, mode: host }",
        "{ target: 80, published: \"8080\" }",
        "{ target: 80 }",
        "8080.0",
        "[]",
    ] {
        let said = judged(&changed("/services/web/ports", &format!("[{port}]")), &[]);
        assert!(said.iter().any(|it| it.contains("port")), "{port}: {said:?}");
    }
}

#[test]
fn networks_and_names_in_them_are_kept_apart() {
    for network in [
        "{ external: true }",
        "{ external: true, name: other_network }",
        "{ external: true, name: host }",
        "{ external: { name: livchat_network } }",
        "{ external: \"true\", name: other }",
        "{ external: true, name: \"${NETWORK}\" }",
        "{ driver: host }",
        "{ driver: macvlan }",
        "{ name: postgres_default }",
        "{ driver_opts: { com.docker.network.bridge.name: docker0 } }",
        "{ ipam: { config: [{ subnet: 10.0.0.0/8 }] } }",
        "{ labels: { com.docker.stack.namespace: traefik } }",
    ] {
        let said = judged(&changed("/networks/shared", network), &[]);
        assert!(!said.is_empty(), "{network}");
    }
    refused("/services/web/networks", "{ shared: { aliases: [postgres_postgres] } }", "alias");
    refused("/services/web/networks", "{ shared: { ipv4_address: 10.0.0.1 } }", "ipv4_address");
    refused("/services/web/networks", "[unknown]", "not declared");
    refused("/services/web/networks", "host", "neither");
    allowed("/services/web/networks", "{ shared: , inner: { aliases: [db] } }", &[]);
    allowed("/services/web/networks", "{ shared: { aliases: [n8n_editor] } }", &[]);
    let named = GOOD.replace("  web:\n", "  postgres_postgres:\n");
    assert!(judged(&named, &[]).iter().any(|it| it.contains("has a `_`")));
    assert_eq!(judged(&GOOD.replace("  web:\n", "  n8n_web:\n"), &[]), [""; 0]);
}

#[test]
fn limits_and_versions_are_asked_for() {
    for (limits, wanted) in [
        ("{}", "memory"),
        ("{ limits: { memory: 1G } }", "processors"),
        ("{ limits: { cpus: \"1\" } }", "memory"),
        ("{ limits: { cpus: \"0\", memory: 1G } }", "processors"),
        ("{ limits: { cpus: \"-1\", memory: 1G } }", "processors"),
        ("{ limits: { cpus: \"inf\", memory: 1G } }", "processors"),
        ("{ limits: { cpus: \"1\", memory: \"0\" } }", "memory"),
        ("{ limits: { cpus: \"1\", memory: -1 } }", "memory"),
        ("{ limits: { cpus: \"1\", memory: \"${M}\" } }", "memory"),
        ("{ limits: { cpus: \"1\", memory: 1G, devices: [] } }", "more than"),
        (
            "{ limits: { cpus: \"1\", memory: 1G }, reservations: { generic_resources: [] } }",
            "more",
        ),
    ] {
        refused("/services/web/deploy/resources", limits, wanted);
    }
    refused("/services/web/deploy", "null", "memory");
    refused("/services/web/deploy/mode", "replicated-job", "deploy.mode");
    for image in ["n8n", "n8n:latest", "n8n:LATEST", "reg:5000/n8n", "\"n8n:${V}\"", "\"\"", "7"] {
        let said = judged(&changed("/services/web/image", image), &[]);
        assert!(said.iter().any(|it| it.contains("image") || it.contains("variable")), "{image}");
    }
    for image in ["n8n:1", "reg:5000/n8n:1.2", "\"n8n@sha256:00\"", "a/b/c:v1@sha256:00"] {
        allowed("/services/web/image", image, &[]);
    }
}

#[test]
fn a_label_takes_nobodys_route() {
    for (key, value) in [
        ("traefik.http.routers.n8n.rule", "Host(`chat.example.com`)"),
        ("Traefik.HTTP.Routers.n8n.Rule", "Host(`chat.example.com`)"),
        ("traefik.http.routers.n8n.rule", "PathPrefix(`/`)"),
        ("traefik.http.routers.n8n.rule", "HostRegexp(`.*`)"),
        ("traefik.http.routers.n8n.rule", "Host(`${HOST}`)"),
        ("traefik.http.routers.n8n-b.entrypoints", "websecure"),
        ("traefik.http.routers.n8n.entrypoints", "traefik"),
        ("traefik.http.routers.n8n.middlewares", "chatwoot-auth"),
        ("traefik.http.routers.n8n.middlewares", "n8n-auth@file"),
        ("traefik.http.routers.n8n.service", "api@internal"),
        ("traefik.http.routers.n8n.tls.options", "weak"),
        ("traefik.http.routers.n8n.tls.domains[0].main", "example.com"),
        ("traefik.http.routers.n8n.rulesyntax", "v2"),
        ("traefik.http.routers.chatwoot.rule", "Host(`edt.example.com`)"),
        ("traefik.http.routers.n8nx.rule", "Host(`edt.example.com`)"),
        ("traefik.http.services.n8n.loadbalancer.server.url", "http://10.0.0.1"),
        ("traefik.http.services.chatwoot.loadbalancer.server.port", "80"),
        ("traefik.http.services.n8n.weighted.services", "x"),
        ("traefik.http.middlewares.n8n-a.forwardauth.address", "http://a"),
        ("traefik.http.middlewares.n8n-a.plugin.x.y", "z"),
        ("traefik.http.middlewares.n8n-a.basicauth.usersfile", "/etc/passwd"),
        ("traefik.http.middlewares.n8n-a.errors.service", "chatwoot"),
        ("traefik.http.serverstransports.n8n.insecureskipverify", "true"),
        ("traefik.tcp.routers.n8n.rule", "HostSNI(`*`)"),
        ("traefik.udp.routers.n8n.entrypoints", "dns"),
        ("traefik.tls.stores.default", "x"),
        ("traefik.swarm.network", "other"),
        ("traefik.docker.network", "other"),
        ("com.docker.stack.namespace", "portainer"),
        ("COM.docker.swarm.service.name", "portainer"),
        ("io.portainer.accesscontrol.public", "true"),
    ] {
        let key = key.replace('/', "~1");
        refused(&format!("/services/web/deploy/labels/{key}"), &format!("'{value}'"), "");
        let list = format!("['{key}={value}']");
        for place in ["/services/web/labels", "/services/web/deploy/labels"] {
            let said = judged(&changed(place, &list), &[]);
            assert!(!said.is_empty(), "{place} {list}");
        }
    }
    refused("/services/web/labels", "{ a: { b: c } }", "no text");
    allowed("/services/web/labels", "{ org.opencontainers.title: hello, n: 1 }", &[]);
}

#[test]
fn secrets_configs_and_unknown_parts_are_refused() {
    for value in [
        "{ a: { file: /etc/shadow } }",
        "{ a: { external: true } }",
        "{ a: { external: true, name: portainer_admin_password } }",
        "{ a: { external: \"true\", name: n8n_a } }",
        "{ a: { environment: PATH } }",
        "{ a: }",
        "[a]",
    ] {
        for section in ["secrets", "configs"] {
            let said = judged(&changed(&format!("/{section}"), value), &[]);
            assert!(!said.is_empty(), "{section} {value}");
        }
    }
    for key in ["include", "name", "plugins", "Services"] {
        refused(&format!("/{key}"), "x", "at its top");
    }
    assert!(judged("services: []", &[]).iter().any(|it| it.contains("no `services`")));
}

#[test]
fn an_exception_allows_what_it_names_and_no_more() {
    let place = "/services/web";
    allowed(&format!("{place}/privileged"), "true", &["privileged"]);
    allowed(&format!("{place}/cap_add"), "[CAP_NET_ADMIN]", &["capability:NET_ADMIN"]);
    allowed(&format!("{place}/network_mode"), "host", &["host-network"]);
    allowed(&format!("{place}/ports"), "[\"53:53/udp\"]", &["publish:53/udp"]);
    let port = "[{ target: 53, published: 53, protocol: udp, mode: host }]";
    allowed(&format!("{place}/ports"), port, &["publish:53/udp"]);
    let socket = "[\"/var/run/docker.sock:/var/run/docker.sock:ro\"]";
    allowed(&format!("{place}/volumes"), socket, &["docker-socket"]);
    allowed(&format!("{place}/volumes"), "[\"/proc:/host/proc:ro\"]", &["host-path:/proc:ro"]);
    for (key, value, exception) in [
        ("ports", "[\"53:53\"]", "publish:53/udp"),
        ("ports", "[\"54:53/udp\"]", "publish:53/udp"),
        ("volumes", "[\"/proc:/host/proc\"]", "host-path:/proc:ro"),
        ("volumes", "[\"/proc/1:/host/proc:ro\"]", "host-path:/proc:ro"),
        ("volumes", "[\"/var/run:/run\"]", "docker-socket"),
        ("cap_add", "[SYS_ADMIN]", "capability:NET_ADMIN"),
        ("network_mode", "\"service:x\"", "host-network"),
    ] {
        let said = judged(&changed(&format!("{place}/{key}"), value), &[exception]);
        assert!(!said.is_empty(), "{key} {value} by {exception}");
    }
    for text in ["", "all", "publish:0/tcp", "publish:80", "host-path:etc", "host-path:/a/../b"] {
        assert!(text.parse::<Exception>().is_err(), "{text}");
    }
}

#[test]
fn yaml_has_no_second_meaning() {
    let anchors = "services: { a: &a { image: x, privileged: true }, b: { <<: *a, image: y } }";
    let said = judged(anchors, &[]);
    let privileged = said.iter().filter(|it| it.contains("`privileged`")).count();
    assert!(privileged == 2 || said.iter().any(|it| it.contains("`<<`")), "{said:?}");
    for text in ["services: { a: 1, a: 2 }", "a: 1\n---\nb: 2\n", "services: !!binary x"] {
        let tree = compose::tree(text);
        assert!(tree.is_err() || !judged(text, &[]).is_empty(), "{text}: {tree:?}");
    }
    let tree = serde_json::json!({ "a": "x\u{85}y\u{2028}z\u{7f}\u{feff}", "b": "é\n\t" });
    let text = compose::normal(&tree);
    assert!(text.contains("x\\u0085y\\u2028z\\u007f\\ufeff"), "{text}");
    assert_eq!(compose::tree(&text).unwrap(), tree);
}

/// What the policy knows, and what breaks parsers.
const WORDS: [&str; 34] = [
    "services",
    "web",
    "image",
    "volumes",
    "ports",
    "networks",
    "external",
    "name",
    "labels",
    "deploy",
    "resources",
    "limits",
    "memory",
    "cpus",
    "secrets",
    "environment",
    "driver",
    "traefik.http.routers.n8n.rule",
    "Host(`",
    "`)",
    "||",
    "$",
    "${secret:",
    ":",
    "/",
    "é",
    "\u{0}",
    "a=b",
    "<<",
    "x-",
    "n8n_",
    "1e999",
    "cap_add",
    "",
];

/// Trees made by chance of the words that the policy knows: it must answer, whatever they are.
#[test]
fn no_tree_makes_it_panic() {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    fn tree(random: &mut StdRng, depth: u32) -> Value {
        let word = |random: &mut StdRng| {
            (0..random.random_range(1..4))
                .map(|_| WORDS[random.random_range(0..WORDS.len())])
                .collect::<String>()
        };
        match random.random_range(0..if depth > 6 { 4 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Bool(random.random()),
            2 => Value::from(random.random::<f64>() * 1e20),
            3 => Value::from(word(random)),
            4 => (0..random.random_range(0..4)).map(|_| tree(random, depth + 1)).collect(),
            _ => {
                let fields = (0..random.random_range(0..6)).map(|_| {
                    let key = WORDS[random.random_range(0..WORDS.len())].to_owned();
                    (key, tree(random, depth + 1))
                });
                Value::Object(fields.collect())
            }
        }
    }
    let mut random = StdRng::seed_from_u64(7);
    let exceptions = [Exception::HostNetwork];
    let hosts = hosts();
    let rules = Rules { app: "n8n", network: "net", hosts: &hosts, exceptions: &exceptions };
    for _ in 0..2_000 {
        let mut compose = compose::tree(GOOD).unwrap();
        let fields = compose.as_object_mut().unwrap();
        let key = WORDS[random.random_range(0..WORDS.len())].to_owned();
        fields.insert(key, tree(&mut random, 0));
        let said = check(&compose, &rules);
        assert_eq!(said, check(&compose, &rules));
        let normal = compose::normal(&compose);
        if let Ok(again) = compose::tree(&normal) {
            assert_eq!(check(&again, &rules), said, "{normal}");
        }
    }
}
