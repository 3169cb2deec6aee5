/** The timeline of a join that works, of the real server and a headless peer, over HTTP. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startServer } from '../browser/lib/server.js';
import { until } from '../browser/lib/until.js';

let server, peers;
after(async () => {
  await peers?.stop();
  await server?.stop();
});

test('every step on the way to media, in order, with its time', async () => {
  server = await startServer('timeline');
  peers = server.peers('timeline', ['--room', 'steps', '--count', '2', '--video', 'ball', '--video-slot', 'speaker:1']);
  const get = async (path) => (await fetch(server.url + path)).json();
  const [{ session }] = await until(20_000, 'two joins', async () => {
    const list = await get('/v1/timelines');
    return list.length === 2 && list.every((it) => it.connected) && list;
  });
  const wanted = ['answered', 'path', 'dtls_begun', 'dtls_done', 'media_in', 'media_out'];
  const told = await until(10_000, 'the steps', async () => {
    const one = await get(`/v1/timelines/${session}`);
    return wanted.every((step) => one.steps.some((it) => it.step === step)) && one;
  });
  const position = (step) => told.steps.findIndex((it) => it.step === step);
  for (const [earlier, later] of [['answered', 'path'], ['path', 'dtls_begun'], ['dtls_begun', 'dtls_done'], ['dtls_done', 'media_in']]) {
    assert.ok(position(earlier) < position(later), `${earlier} before ${later}: ${JSON.stringify(told.steps)}`);
  }
  assert.ok(position('nominated') > position('answered'));
  assert.ok(told.steps.every((step, at) => at === 0 || step.at_ms >= told.steps[at - 1].at_ms));
  assert.equal(told.diagnosis, null);
  assert.match(told.steps[0].words, /media is expected on/);
  assert.equal((await fetch(`${server.url}/v1/timelines/nobody`)).status, 404);
});
