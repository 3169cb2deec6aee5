//! Calls that others make: the methods that answer them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchbay_protocol::{ClientRequest, ParticipantNumber, limit};

use crate::Signaling;

/// What a method brings: a payload of at most 15 KiB, or why not, in words.
pub type MethodResult = Result<String, String>;

/// Somebody calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who; `None` is the server's API.
    pub from: Option<ParticipantNumber>,
    /// With what.
    pub payload: String,
}

type Answering = Pin<Box<dyn Future<Output = MethodResult> + Send>>;
type Method = Arc<dyn Fn(Call) -> Answering + Send + Sync>;

/// Methods by name.
#[derive(Clone, Default)]
pub(crate) struct Methods {
    by_name: Arc<Mutex<HashMap<String, Method>>>,
}

impl Methods {
    pub(crate) fn register<F, A>(&self, name: &str, method: F)
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = MethodResult> + Send + 'static,
    {
        let method: Method = Arc::new(move |call| Box::pin(method(call)));
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), method);
    }

    /// Answers a call in a task of its own, unless it takes longer than the caller waits.
    pub(crate) fn answer(&self, signaling: Signaling, id: u64, name: String, call: Call, within: Duration) {
        let method = self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        tokio::spawn(async move {
            let outcome = match method {
                Some(method) => match tokio::time::timeout(within, method(call)).await {
                    Ok(outcome) => outcome,
                    Err(_) => return,
                },
                None => Err(format!("there is no method {name} here")),
            };
            let (payload, error) = match outcome {
                Ok(payload) if payload.len() <= limit::RPC_BYTES => (Some(payload), None),
                Ok(_) => (None, Some("the answer is too long".to_owned())),
                Err(error) => (None, Some(cut(error))),
            };
            let _ = signaling.request(ClientRequest::RpcReply { call: id, payload, error }).await;
        });
    }
}

fn cut(mut error: String) -> String {
    let end = (0..=error.len().min(limit::RPC_ERROR_BYTES)).rev().find(|at| error.is_char_boundary(*at));
    error.truncate(end.unwrap_or(0));
    error
}
