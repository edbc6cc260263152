//! A machine as the engine should make it, and as the engine tells of it.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HostConfig,
    HostConfigCgroupnsModeEnum, RestartPolicy, RestartPolicyNameEnum,
};

use crate::model::names::{Identity, ServerName};
use crate::providers::{Machine, MachineStatus, NewMachine};

/// What a Docker engine, a firewall and cloud-init inside need. Not everything: never `privileged`.
const CAPABILITIES: [&str; 6] =
    ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "DAC_READ_SEARCH", "SYSLOG"];

/// A made-up size.
pub(super) struct Size {
    /// Its name.
    pub(super) name: &'static str,
    /// Processors.
    pub(super) cores: u32,
    /// Memory in GiB.
    pub(super) memory: u32,
}

/// What can be had.
pub(super) const SIZES: [Size; 3] = [
    Size { name: "small", cores: 1, memory: 1 },
    Size { name: "medium", cores: 2, memory: 4 },
    Size { name: "large", cores: 4, memory: 8 },
];

/// The container of a server.
pub(super) fn container_name(server: &ServerName) -> String {
    format!("windlass-{server}")
}

/// The request that makes a machine; its labels are in it.
pub(super) fn request(wanted: &NewMachine, size: &Size, image: &str) -> ContainerCreateBody {
    let memory = i64::from(size.memory) * 1024 * 1024 * 1024;
    let host_config = HostConfig {
        memory: Some(memory),
        memory_swap: Some(memory),
        cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        tmpfs: Some(HashMap::from([("/run".to_owned(), "exec,mode=755".to_owned())])),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        hostname: Some(wanted.name.to_string()),
        image: Some(image.to_owned()),
        labels: Some(labels(&wanted.identity)),
        // An engine inside cannot lay its layers over this container's own.
        volumes: Some(vec!["/var/lib/docker".to_owned()]),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

/// What marks a machine as this effect's.
pub(super) fn labels(identity: &Identity) -> HashMap<String, String> {
    HashMap::from([
        (Identity::JOB_LABEL.to_owned(), identity.job.to_string()),
        (Identity::EFFECT_LABEL.to_owned(), identity.effect.to_string()),
    ])
}

/// The machine that a container is. None when it is somebody else's container.
pub(super) fn machine(container: &ContainerInspectResponse) -> Option<Machine> {
    let labels = container.config.as_ref()?.labels.clone().unwrap_or_default();
    let labels: BTreeMap<String, String> = labels.into_iter().collect();
    if !labels.contains_key(Identity::JOB_LABEL) {
        return None;
    }
    let name = container.name.as_deref().unwrap_or_default();
    let name = name.trim_start_matches('/');
    Some(Machine {
        id: container.id.clone()?,
        name: name.strip_prefix("windlass-").unwrap_or(name).to_owned(),
        status: status(container),
        ipv4: address(container),
        ipv6: None,
        ssh_port: 22,
        labels,
        actions: Vec::new(),
    })
}

/// Whether it was made and never started: its keys may not be in it yet.
pub(super) fn is_half_made(container: &ContainerInspectResponse) -> bool {
    state(container) == Some(ContainerStateStatusEnum::CREATED)
}

fn state(container: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    container.state.as_ref().and_then(|state| state.status)
}

fn status(container: &ContainerInspectResponse) -> MachineStatus {
    match state(container) {
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::RESTARTING) => {
            MachineStatus::Booting
        }
        Some(ContainerStateStatusEnum::RUNNING) => MachineStatus::Running,
        Some(
            ContainerStateStatusEnum::PAUSED
            | ContainerStateStatusEnum::EXITED
            | ContainerStateStatusEnum::DEAD,
        ) => MachineStatus::Off,
        Some(ContainerStateStatusEnum::REMOVING) => MachineStatus::Deleting,
        _ => MachineStatus::Unknown,
    }
}

fn address(container: &ContainerInspectResponse) -> Option<Ipv4Addr> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    networks.values().find_map(|network| network.ip_address.as_ref()?.parse().ok())
}
