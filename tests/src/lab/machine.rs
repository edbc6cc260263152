//! One machine of the lab.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use bollard::Docker;
use bollard::errors::Error;
use bollard::exec::StartExecOptions;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig, HostConfigCgroupnsModeEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures_util::TryStreamExt;

/// What a Docker engine, a firewall and cloud-init inside need.
const CAPABILITIES: [&str; 6] =
    ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "DAC_READ_SEARCH", "SYSLOG"];

/// A machine that was booted.
pub struct Machine {
    engine: Docker,
    name: String,
    /// Where it is reached from here.
    pub ip: Ipv4Addr,
}

impl Machine {
    /// Boots one with a seed for cloud-init. It may take commands some seconds later.
    pub(super) async fn boot(engine: Docker, name: &str, user_data: &str) -> Result<Self> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        engine.create_container(Some(options), request(name)).await?;
        let root = UploadToContainerOptionsBuilder::new().path("/").build();
        let seed = bollard::body_full(seed(name, user_data)?.into());
        engine.upload_to_container(name, Some(root), seed).await?;
        engine.start_container(name, None).await?;
        let ip = address(&engine, name).await?;
        Ok(Self { engine, name: name.to_owned(), ip })
    }

    /// The machine that runs under this name.
    pub(super) async fn find(engine: Docker, name: &str) -> Result<Self> {
        let ip = address(&engine, name).await?;
        Ok(Self { engine, name: name.to_owned(), ip })
    }

    /// What a command says inside, past SSH.
    pub async fn inside(&self, command: &str) -> Result<String> {
        let config = ExecConfig {
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.engine.create_exec(&self.name, config).await?;
        let started = self.engine.start_exec(&exec.id, None::<StartExecOptions>).await?;
        let StartExecResults::Attached { output, .. } = started else { return Ok(String::new()) };
        let pieces: Vec<_> = output.try_collect().await?;
        Ok(pieces.iter().map(ToString::to_string).collect())
    }

    /// Kills its sshd with all connections; it stays dead.
    pub async fn kill_sshd(&self) -> Result<()> {
        self.inside("pkill -KILL sshd").await.map(drop)
    }

    /// Starts its sshd again.
    pub async fn start_sshd(&self) -> Result<()> {
        self.inside("/usr/sbin/sshd").await.map(drop)
    }

    /// Cuts its power and boots it again; it has its address of before, as a cloud's machines have.
    pub async fn reboot_in_place(&mut self) -> Result<()> {
        let before = self.ip;
        self.reboot().await?;
        if self.ip != before {
            // Asking for the gateway with that address tells it who has the address now.
            let [a, b, c, _] = before.octets();
            self.inside(&format!(
                "ip addr add {before}/24 dev eth0; \
                 curl -s --interface {before} --max-time 1 http://{a}.{b}.{c}.1/"
            ))
            .await?;
            self.ip = before;
        }
        Ok(())
    }

    /// Cuts its power and boots it again; its address may be another one then.
    pub async fn reboot(&mut self) -> Result<()> {
        self.engine.kill_container(&self.name, None).await?;
        self.engine.start_container(&self.name, None).await?;
        self.ip = address(&self.engine, &self.name).await?;
        Ok(())
    }
}

/// Ends a machine; one that is gone is fine.
pub(super) async fn remove(engine: &Docker, name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.remove_container(name, Some(options)).await {
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn address(engine: &Docker, name: &str) -> Result<Ipv4Addr> {
    let container = engine.inspect_container(name, None).await?;
    let networks = container.network_settings.and_then(|settings| settings.networks);
    let networks = networks.unwrap_or_default();
    let mut found =
        networks.values().filter_map(|network| network.ip_address.as_ref()?.parse().ok());
    found.next().context("the machine has no address: did it end right after its start?")
}

fn request(name: &str) -> ContainerCreateBody {
    let host_config = HostConfig {
        cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()]),
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        tmpfs: Some(HashMap::from([("/run".to_owned(), "exec,mode=755".to_owned())])),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        hostname: Some(name.to_owned()),
        image: Some(super::IMAGE.to_owned()),
        volumes: Some(vec!["/var/lib/docker".to_owned()]),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

fn seed(name: &str, user_data: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let meta_data = format!("instance-id: {name}\nlocal-hostname: {name}\n");
    for (file, content) in [("user-data", user_data), ("meta-data", meta_data.as_str())] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len().try_into()?);
        let path = format!("var/lib/cloud/seed/nocloud/{file}");
        archive.append_data(&mut header, path, content.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}
