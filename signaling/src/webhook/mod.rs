//! Webhooks: what happens, posted to whoever the operator named.
//!
//! Each target has a task and a place in the journal, so that a slow one delays nobody. Events go in order, many in one call;
//! a call that fails is made again, with the same events and growing pauses, until they are too old. What the journal forgets
//! meanwhile is lost and counted: it is the bounded queue of all targets.

mod breaker;
mod client;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::auth::Secret;
use crate::journal::{EventKind, Filter, Journal, Place, Record};
use crate::metric::{Metrics, WebhookOutcome};
use crate::rooms::now;
use breaker::Breaker;
use client::{Client, Endpoint};

/// Events in one call.
const EVENTS: usize = 100;
/// Bytes of one call, about.
const BYTES: usize = 256 * 1024;
/// How long a target has for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an event is worth a call.
const OLDEST: Duration = Duration::from_secs(3_600);

/// Why a webhook can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not a URL that can be posted to.
    #[error("{0:?} is no http:// or https:// URL of a host")]
    Url(String),
    /// What stands behind the `#` is not understood.
    #[error("{0:?}: behind the # stands types=a,b with names of events")]
    Types(String),
}

/// Whom to tell of which events.
#[derive(Debug, Clone)]
pub struct Webhook {
    endpoint: Endpoint,
    filter: Filter,
}

impl Webhook {
    /// Reads `https://example.org/hook`, or `https://example.org/hook#types=room_created,room_closed`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, WebhookError> {
        let (url, fragment) = text.split_once('#').map_or((text, None), |(url, rest)| (url, Some(rest)));
        let endpoint = Endpoint::parse(url).ok_or_else(|| WebhookError::Url(text.to_owned()))?;
        let unknown = || WebhookError::Types(text.to_owned());
        let mut filter = Filter::default();
        if let Some(fragment) = fragment {
            let names = fragment.strip_prefix("types=").ok_or_else(unknown)?.split(',');
            filter.kinds = names.map(EventKind::read).collect::<Option<_>>().ok_or_else(unknown)?;
        }
        Ok(Self { endpoint, filter })
    }
}

/// Everybody who is told.
pub(crate) struct Webhooks {
    tasks: JoinSet<()>,
    ending: watch::Sender<bool>,
}

impl Webhooks {
    /// Starts telling, from the journal's first event on.
    pub(crate) fn start(
        hooks: &[Webhook],
        secret: Option<&Secret>,
        journal: &Journal,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (ending, is_ending) = watch::channel(false);
        let client = (!hooks.is_empty()).then(Client::new);
        for hook in hooks {
            let (Some(secret), Some(client)) = (secret, &client) else { continue };
            let target = Target {
                hook: hook.clone(),
                secret: secret.clone(),
                client: client.clone(),
                metrics: metrics.clone(),
                ending: is_ending.clone(),
                breaker: Breaker::default(),
            };
            tasks.spawn(target.run(journal.beginning()));
        }
        Self { tasks, ending }
    }

    /// Tells what is left, for as long as that works and at most so long.
    pub(crate) async fn end(mut self, patience: Duration) {
        self.ending.send_replace(true);
        let _ = timeout(patience, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

struct Target {
    hook: Webhook,
    secret: Secret,
    client: Client,
    metrics: Arc<Metrics>,
    ending: watch::Receiver<bool>,
    breaker: Breaker,
}

impl Target {
    async fn run(mut self, mut place: Place) {
        loop {
            let next = place.take(&self.hook.filter, EVENTS, BYTES);
            self.count_lost(next.missed);
            if next.records.is_empty() {
                if *self.ending.borrow() {
                    return;
                }
                tokio::select! {
                    () = place.changed() => {}
                    _ = self.ending.changed() => {}
                }
            } else if !self.deliver(next.records).await {
                return;
            }
        }
    }

    /// Posts events until they are taken, or too old. False if the server ends before.
    async fn deliver(&mut self, mut records: Vec<Arc<Record>>) -> bool {
        loop {
            let before = records.len();
            let oldest = now().unix_ms.saturating_sub(OLDEST.as_millis() as u64);
            records.retain(|record| record.at_ms >= oldest);
            self.count_lost((before - records.len()) as u64);
            if records.is_empty() {
                return true;
            }
            match self.post(&records).await {
                Ok(()) => {
                    self.metrics.webhook(WebhookOutcome::Delivered);
                    if self.breaker.succeed() {
                        self.metrics.webhook_breaks.dec();
                        info!(target = %self.hook.endpoint, "the webhook's target is back");
                    }
                    return true;
                }
                Err(reason) => {
                    if *self.ending.borrow() {
                        self.count_lost(records.len() as u64);
                        return false;
                    }
                    self.metrics.webhook(WebhookOutcome::Retried);
                    let (pause, has_opened) = self.breaker.fail(rand::random());
                    if has_opened {
                        self.metrics.webhook_breaks.inc();
                        warn!(target = %self.hook.endpoint, reason, "the webhook's target is left alone for a while");
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        // Once more, and then no more.
                        _ = self.ending.changed() => {}
                    }
                }
            }
        }
    }

    async fn post(&self, records: &[Arc<Record>]) -> Result<(), String> {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let body = format!("{{\"events\":[{}]}}", texts.join(","));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = format!("t={time},v1={}", sign(&self.secret, time, &body));
        match timeout(PATIENCE, self.client.post(&self.hook.endpoint, &signature, body)).await {
            Ok(answered) => answered,
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    fn count_lost(&self, events: u64) {
        for _ in 0..events {
            self.metrics.webhook(WebhookOutcome::Dropped);
        }
    }
}

/// HMAC-SHA256 of the time, a point and the body, in hexadecimal digits.
fn sign(secret: &Secret, time: u64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_str().as_bytes()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(format!("{time}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let hook = Webhook::parse("https://example.org/hook?a=b#types=chat,room_closed").unwrap();
        assert_eq!(hook.filter.kinds, [EventKind::Chat, EventKind::RoomClosed]);
        assert_eq!(hook.endpoint.to_string(), "https://example.org/hook");
        assert!(Webhook::parse("http://127.0.0.1:9000").unwrap().filter.kinds.is_empty());
        for bad in ["", "ftp://example.org", "/hook", "http://", "http://me:secret@example.org/"] {
            assert_eq!(Webhook::parse(bad).unwrap_err(), WebhookError::Url(bad.into()), "{bad}");
        }
        for bad in ["http://a/#x", "http://a/#types=", "http://a/#types=cinema"] {
            assert_eq!(Webhook::parse(bad).unwrap_err(), WebhookError::Types(bad.into()), "{bad}");
        }
    }

    /// The signature that `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret` prints.
    #[test]
    fn signatures_are_what_others_compute() {
        let expected = "b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(sign(&Secret::new("secret"), 1_700_000_000, "{}"), expected);
    }
}
