// The app `my-app`.
import { plan, step } from 'windlass:plugin/job@0.1.0';
import { deleteApp, putApp } from 'windlass:plugin/inventory@0.1.0';
import { deploy as deployStack, inspect, remove as removeStack, waitHealthy } from 'windlass:plugin/stacks@0.1.0';

const COMPOSE = {
  version: '3.8',
  services: {
    web: {
      image: 'nginx:1.28.0-alpine',
      deploy: { resources: { limits: { cpus: '0.5', memory: '128M' } } },
    },
  },
};

export function deploy(text) {
  const { server, app } = JSON.parse(text);
  plan(['Deploy stack', 'Wait until healthy']);
  step('Deploy stack');
  deployStack(server, app, JSON.stringify(COMPOSE), []);
  step('Wait until healthy');
  waitHealthy(server, app, 300_000n);
  putApp(server, app, JSON.stringify({ urls: [], notes: [] }));
  return JSON.stringify({ app, server, changed: true });
}

export function undeploy(text) {
  const { server, app, delete_data: deleteData } = JSON.parse(text);
  plan(['Remove stack']);
  step('Remove stack');
  const changed = inspect(server, app).status !== 'absent';
  removeStack(server, app, deleteData ?? false);
  deleteApp(server, app);
  return JSON.stringify({ app, server, changed });
}
