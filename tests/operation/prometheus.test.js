/**
 * A real Prometheus scrapes the real server while there is a call, and every query of the dashboard returns data.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT, freePort, program, start, startServer } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';

const TOKEN = 'a-token-for-metrics-alone';
const DASHBOARD = JSON.parse(readFileSync(join(ROOT, 'operation', 'grafana', 'patchbay.json'), 'utf8'));
const directory = mkdtempSync(join(tmpdir(), 'patchbay-prometheus-'));

let server;
let prometheus;
let peers;
let stopped = false;
after(async () => {
  stopped = true;
  await prometheus?.process.stop('SIGTERM');
  await peers?.stop();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function post(path, body, authorization) {
  const headers = { 'content-type': 'application/json', ...(authorization ? { authorization: `Bearer ${authorization}` } : {}) };
  const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** A session over HTTP that joins, chats, resumes, polls, and asks for what it doesn't get, again and again. */
async function chatter() {
  for (let id = 2; !stopped; id += 10) {
    const greeting = await post('/v1/hello', { id: 1, type: 'hello', version: 1 });
    const [{ result: { session, secret } }] = JSON.parse(greeting.text);
    const bearer = `${session}.${secret}`;
    await post('/v1/send', [{ id, type: 'mute', track: 1, muted: true }, { id: id + 1, type: 'join', room: 'prometheus' }], bearer);
    await post('/v1/send', { id: id + 2, type: 'chat', text: 'a line' }, bearer);
    const poll = await fetch(`${server.url}/v1/poll?wait_ms=100`, { headers: { authorization: `Bearer ${bearer}` } });
    await poll.text();
    await post('/v1/hello', { id: id + 3, type: 'hello', version: 1, resume: { session, secret, last_seq: 1 } });
    await post('/v1/send', { id: id + 4, type: 'leave' }, bearer);
  }
}

async function query(expression) {
  const response = await fetch(`${prometheus.url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expression }) });
  const answer = await response.json();
  assert.equal(answer.status, 'success', `${expression}: ${answer.error}`);
  return answer.data.result;
}

before(async () => {
  server = await startServer('prometheus', ['--metrics-token', TOKEN]);
  const port = await freePort();
  const configuration = join(directory, 'prometheus.yml');
  writeFileSync(join(directory, 'token'), TOKEN);
  // The sample's own text, with the address of this server, its token, and no patience.
  const sample = readFileSync(join(ROOT, 'operation', 'prometheus.yml'), 'utf8');
  const text = sample
    .replace('127.0.0.1:8080', new URL(server.url).host)
    .replace('15s', '1s')
    .replace('# authorization:', 'authorization:')
    .replace('#   credentials_file: /etc/prometheus/patchbay-token', `  credentials_file: ${join(directory, 'token')}`);
  writeFileSync(configuration, text);
  const args = [`--config.file=${configuration}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
  prometheus = { url: `http://127.0.0.1:${port}`, process: start('prometheus', 'prometheus', args) };
  await until(20_000, 'Prometheus', async () => (await fetch(`${prometheus.url}/-/ready`).catch(() => null))?.ok);
  const calls = ['--room', 'prometheus', '--count', '2', '--duration', '0', '--audio', 'tone', '--audio-slot', 'speaker:1', '--channel', 'lines'];
  peers = start('prometheus-peers', program('patchbay-peer'), ['--server', server.url, ...calls]);
  chatter().catch((error) => {
    if (!stopped) throw error;
  });
});

test('the sample configuration and the text pass promtool', async () => {
  const checked = spawnSync('promtool', ['check', 'config', join(ROOT, 'operation', 'prometheus.yml')], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const refused = await fetch(`${server.url}/metrics`);
  assert.equal(refused.status, 401);
  const response = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const input = await response.text();
  const linted = spawnSync('promtool', ['check', 'metrics'], { encoding: 'utf8', input });
  // It has opinions on names of counters, too; what it can't read it says so of.
  assert.doesNotMatch(linted.stderr, /error while linting|parse|invalid/i);
});

test('Prometheus scrapes', async () => {
  await until(20_000, 'the target to be up', async () => (await query('up{job="patchbay"}')).some((it) => it.value[1] === '1'));
});

test('every query of the dashboard returns data', async () => {
  const expressions = DASHBOARD.panels.flatMap((panel) => panel.targets.map((target) => [panel.title, target.expr]));
  assert.ok(expressions.length >= 30, `${expressions.length} queries`);
  let answered = 0;
  for (const [title, expression] of expressions) {
    const asked = expression.replaceAll('$__rate_interval', '20s');
    await until(60_000, `data of "${title}": ${asked}`, async () => {
      const result = await query(asked);
      return result.length > 0 && result.every((series) => Number.isFinite(Number(series.value[1])) || series.value[1] === 'NaN') && result.some((series) => series.value[1] !== 'NaN');
    });
    answered += 1;
  }
  console.log(`FIGURE dashboard_queries_answered ${answered} queries`);
});

test('numbers are what went on', async () => {
  for (const expression of [
    'patchbay_participants >= 2',
    'sum(rate(patchbay_messages_total{type="chat"}[20s])) > 0',
    'sum(rate(patchbay_errors_total{code="not_joined"}[20s])) > 0',
    'sum(rate(patchbay_resumes_total{outcome="resumed"}[20s])) > 0',
    'patchbay_chat_lines_total > 0',
    'sum(rate(patchbay_sfu_udp_received_total[20s])) > 20',
    'histogram_quantile(0.99, sum by (le) (rate(patchbay_join_duration_seconds_bucket[20s]))) < 5',
  ]) {
    await until(40_000, expression, async () => (await query(expression)).length > 0);
  }
});
