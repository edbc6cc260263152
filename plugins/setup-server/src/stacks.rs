//! The Compose files of what every server runs.

/// The image of Traefik. Older than 3.6 cannot talk to Docker 29.
pub(crate) const TRAEFIK: &str = "traefik:v3.6.25";
/// The image of Portainer, of its line with long-term support.
pub(crate) const PORTAINER: &str = "portainer/portainer-ce:2.39.6";
/// Its agent, of the same version.
pub(crate) const AGENT: &str = "portainer/agent:2.39.6";
/// The name of the one resolver of certificates, for every app's labels.
pub(crate) const RESOLVER: &str = "letsencrypt";
/// The service of Portainer in its swarm, as the host looks for it too.
pub(crate) const PORTAINER_SERVICE: &str = "portainer_portainer";
/// The swarm's secret with the administrator's password.
pub(crate) const SECRET: &str = "portainer_admin_password";

/// Traefik: ports 80 and 443 of the machine itself, HTTP sent to HTTPS, certificates by ACME.
pub(crate) fn traefik(network: &str, email: &str) -> String {
    format!(
        r#"version: "3.8"
services:
  traefik:
    image: {TRAEFIK}
    command:
      - --providers.swarm=true
      - --providers.swarm.endpoint=unix:///var/run/docker.sock
      - --providers.swarm.exposedByDefault=false
      - --providers.swarm.network={network}
      - --entryPoints.web.address=:80
      - --entryPoints.web.http.redirections.entryPoint.to=websecure
      - --entryPoints.web.http.redirections.entryPoint.scheme=https
      - --entryPoints.websecure.address=:443
      - --certificatesResolvers.{RESOLVER}.acme.email={email}
      - --certificatesResolvers.{RESOLVER}.acme.storage=/certificates/acme.json
      - --certificatesResolvers.{RESOLVER}.acme.httpChallenge.entryPoint=web
      - --log.level=INFO
    ports:
      - {{ target: 80, published: 80, protocol: tcp, mode: host }}
      - {{ target: 443, published: 443, protocol: tcp, mode: host }}
    networks: [public]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
      - certificates:/certificates
    deploy:
      placement:
        constraints: ["node.role == manager"]
      restart_policy: {{ condition: any, delay: 5s }}
      update_config: {{ order: stop-first }}
networks:
  public:
    external: true
    name: {network}
volumes:
  certificates: {{}}
"#
    )
}

/// Portainer and its agent. `host` is the name that Traefik publishes it under, and then no port of
/// it is open: Docker would open one past the machine's firewall. Without a name port 9443 of the
/// machine is the only way in for a person. The host itself needs neither.
pub(crate) fn portainer(network: &str, host: Option<&str>) -> String {
    let ports = match host {
        Some(_) => "",
        None => {
            "    ports:\n      - { target: 9443, published: 9443, protocol: tcp, mode: host }\n"
        }
    };
    let labels = host.map_or_else(String::new, |host| {
        format!(
            r#"      labels:
        traefik.enable: "true"
        traefik.http.routers.portainer.rule: "Host(`{host}`)"
        traefik.http.routers.portainer.entryPoints: websecure
        traefik.http.routers.portainer.tls.certResolver: {RESOLVER}
        traefik.http.services.portainer.loadbalancer.server.port: "9000"
"#
        )
    });
    format!(
        r#"version: "3.8"
services:
  agent:
    image: {AGENT}
    environment:
      AGENT_CLUSTER_ADDR: tasks.agent
    networks: [agents]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
      - /var/lib/docker/volumes:/var/lib/docker/volumes
    deploy:
      mode: global
      restart_policy: {{ condition: any, delay: 5s }}
  portainer:
    image: {PORTAINER}
    command:
      - -H
      - tcp://tasks.agent:9001
      - --tlsskipverify
      - --admin-password-file
      - /run/secrets/{SECRET}
{ports}    networks: [agents, public]
    secrets: [{SECRET}]
    volumes:
      - data:/data
    deploy:
      placement:
        constraints: ["node.role == manager"]
      restart_policy: {{ condition: any, delay: 5s }}
      update_config: {{ order: stop-first }}
{labels}networks:
  agents:
    driver: overlay
  public:
    external: true
    name: {network}
volumes:
  data: {{}}
secrets:
  {SECRET}:
    external: true
"#
    )
}
