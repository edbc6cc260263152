//! What the API shows of servers, actions and keys.

use serde_json::{Value, json};

use super::Server;
use super::keys::Key;
use super::project::{Action, Project};

pub(super) fn server(project: &Project, server: &Server) -> Value {
    let offer = &project.offer;
    let server_type = offer.server_type(&server.server_type);
    let architecture = server_type["architecture"].as_str().unwrap();
    let [a, b, c, d] = server.ipv4.octets();
    let created = project.actions_of(server.id);
    let initializing = server.status == "initializing" && !created.is_empty();
    json!({
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "created": server.created,
        "public_net": {
            "ipv4": {
                "id": server.id + 1_000_000,
                "ip": server.ipv4,
                "blocked": false,
                "dns_ptr": format!("static.{d}.{c}.{b}.{a}.clients.your-server.de"),
            },
            "ipv6": {
                "id": server.id + 2_000_000,
                "ip": format!("2001:db8:{:x}:{:x}::/64", server.id >> 16, server.id & 0xffff),
                "blocked": false,
                "dns_ptr": [],
            },
            "floating_ips": [],
            "firewalls": [],
        },
        "private_net": [],
        "server_type": server_type,
        "location": offer.location(&server.location),
        "image": offer.image(&server.image, architecture),
        "iso": null,
        "rescue_enabled": false,
        "locked": project.is_busy(server.id),
        "backup_window": null,
        "outgoing_traffic": if initializing { Value::Null } else { json!(0) },
        "ingoing_traffic": if initializing { Value::Null } else { json!(0) },
        "included_traffic": 21_990_232_555_520_u64,
        "protection": {"delete": server.protected, "rebuild": server.protected},
        "labels": server.labels,
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": server_type["disk"],
        "placement_group": null,
    })
}

pub(super) fn action(action: &Action) -> Value {
    let error = action.error.as_ref().filter(|_| action.finished.is_some());
    let status = match (&action.finished, error) {
        (None, _) => "running",
        (Some(_), None) => "success",
        (Some(_), Some(_)) => "error",
    };
    json!({
        "id": action.id,
        "command": action.command,
        "status": status,
        "started": action.started,
        "finished": action.finished,
        "progress": if action.finished.is_some() { 100 } else { 0 },
        "resources": [{"id": action.server, "type": "server"}],
        "error": error.map(|(code, message)| json!({"code": code, "message": message})),
    })
}

pub(super) fn key(key: &Key) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "labels": key.labels,
        "created": key.created,
    })
}
