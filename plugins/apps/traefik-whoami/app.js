// An app in JavaScript: the same contract as in any other language.
import { log, plan, progress, step } from 'windlass:plugin/job@0.1.0';
import { deleteApp, getServer, putApp } from 'windlass:plugin/inventory@0.1.0';
import { deploy as deployStack, inspect, remove as removeStack, waitHealthy } from 'windlass:plugin/stacks@0.1.0';

const IMAGE = 'traefik/whoami:v1.11.0';

function composeFile(name, network) {
  const router = 'traefik.http.routers.traefik-whoami';
  return JSON.stringify({
    version: '3.8',
    services: {
      whoami: {
        image: IMAGE,
        networks: ['public'],
        deploy: {
          placement: { constraints: ['node.role == manager'] },
          resources: { limits: { cpus: '0.25', memory: '64M' } },
          labels: {
            'traefik.enable': 'true',
            'traefik.swarm.network': network,
            [`${router}.rule`]: `Host(\`${name}\`)`,
            [`${router}.entryPoints`]: 'websecure',
            [`${router}.tls.certResolver`]: 'letsencrypt',
            [`${router}.service`]: 'traefik-whoami',
            'traefik.http.services.traefik-whoami.loadbalancer.server.port': '80',
          },
        },
      },
    },
    networks: { public: { external: true, name: network } },
  });
}

function domainOf(server, config) {
  const { zone_name: zone, subdomain } = server.dns ?? {};
  const domain = config?.domain ?? (zone && subdomain ? `${subdomain}.${zone}` : zone);
  if (!domain) {
    throw { code: 'no_domain', message: `\`${server.name}\` has no zone: give the app a domain`, retrySafe: true };
  }
  return domain;
}

export function deploy(text) {
  const { server, app, config } = JSON.parse(text);
  plan(['Check server', 'Deploy stack', 'Wait until healthy']);
  step('Check server');
  const record = JSON.parse(getServer(server) ?? '{}');
  const name = `whoami.${domainOf(record, config)}`;
  step('Deploy stack');
  progress(30);
  const before = inspect(server, app).properties.find(([key]) => key === 'compose-sha256')?.[1];
  deployStack(server, app, composeFile(name, record.setup?.network ?? 'livchat_network'), []);
  step('Wait until healthy');
  const stack = waitHealthy(server, app, 300_000n);
  for (const service of stack.services) {
    log('info', `${service.name} (${service.image}): ${service.running} of ${service.wanted} run`);
  }
  const after = stack.properties.find(([key]) => key === 'compose-sha256')?.[1];
  const urls = [`https://${name}`];
  putApp(server, app, JSON.stringify({ urls, notes: [`${name} must point at the server.`] }));
  return JSON.stringify({ app, server, changed: before !== after, urls });
}

export function undeploy(text) {
  const { server, app, delete_data: deleteData } = JSON.parse(text);
  plan(['Remove stack', 'Forget app']);
  step('Remove stack');
  const changed = inspect(server, app).status !== 'absent';
  removeStack(server, app, deleteData ?? false);
  step('Forget app');
  deleteApp(server, app);
  return JSON.stringify({ app, server, changed });
}
