//! Files and other large things, from one participant to another: in chunks, with flow control by the receiver, progress and
//! cancellation. They travel on a reliable topic of their own. The messages are specified in `docs/protocol.md`.

mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::topic::{Message, Outgoing, Topic, TopicOptions};
use crate::{ClientError, ParticipantNumber, SlowReceiver};
pub(crate) use wire::TOPIC;
use wire::{CHUNK_BYTES, Description, Part, WINDOW_BYTES};

/// How the topic of all transfers is opened: nobody is cut off, as what is under way is bounded by its receiver.
pub(crate) fn topic_options() -> TopicOptions {
    TopicOptions::reliable().slow(SlowReceiver::Wait)
}

/// How long an offer waits for an answer, and a transfer for its next sign of life.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long without the next piece it is asked for again: a carrier may have been lost with what was on it.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// What all transfers together send at most: three quarters of what the server takes from one participant.
const BYTES_PER_SECOND: f64 = 3.0 * 1024.0 * 1024.0;
/// What was not used of it for so long may be used at once.
const BURST: Duration = Duration::from_millis(50);
/// How long what somebody said last may take beyond the word that it left.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Offers from one sender that wait at a time.
const OFFERS: usize = 16;

/// How far a transfer is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// What has arrived.
    pub transferred: u64,
    /// All of it.
    pub size: u64,
}

/// Sending and receiving of large things. Clones are the same.
#[derive(Debug, Clone)]
pub struct Files {
    topic: Topic,
    transfers: Arc<Mutex<Transfers>>,
    offers: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<IncomingFile>>>,
}

#[derive(Debug)]
struct Transfers {
    next_id: u32,
    /// When the next chunk may be sent.
    due: Instant,
    /// By receiver and id: what it says of ours.
    outgoing: HashMap<(u32, u32), mpsc::UnboundedSender<Part>>,
    /// By sender and id: what comes from it.
    incoming: HashMap<(u32, u32), mpsc::UnboundedSender<Part>>,
    offers: mpsc::UnboundedSender<IncomingFile>,
}

/// Something on its way to somebody. Dropping it cancels.
#[derive(Debug)]
pub struct OutgoingFile {
    files: Files,
    /// The receiver, and the transfer's id.
    name: (u32, u32),
    done: tokio::task::JoinHandle<Result<(), ClientError>>,
    progress: watch::Receiver<Progress>,
}

/// Something that somebody offers. Dropping it refuses.
#[derive(Debug)]
pub struct IncomingFile {
    /// Who offers it.
    pub from: ParticipantNumber,
    /// What it is called: the sender's words, not to be used as a path.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its media type, as the sender says.
    pub media_type: String,
    id: u32,
    files: Files,
    parts: mpsc::UnboundedReceiver<Part>,
    is_over: bool,
}

impl Files {
    pub(crate) fn new(topic: Topic) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let transfers = Transfers {
            next_id: rand::random(),
            due: Instant::now(),
            outgoing: HashMap::new(),
            incoming: HashMap::new(),
            offers: sender,
        };
        let files = Self {
            topic,
            transfers: Arc::new(Mutex::new(transfers)),
            offers: Arc::new(tokio::sync::Mutex::new(receiver)),
        };
        tokio::spawn(files.clone().follow());
        files
    }

    /// The next thing that somebody offers. `None` once the room is closed.
    pub async fn next_offer(&self) -> Option<IncomingFile> {
        self.offers.lock().await.recv().await
    }

    /// Offers something to somebody, and sends it as soon as it is wanted.
    pub fn send(
        &self,
        to: ParticipantNumber,
        name: &str,
        media_type: &str,
        content: Vec<u8>,
    ) -> Result<OutgoingFile, ClientError> {
        let size = content.len() as u64;
        let (sender, parts) = mpsc::unbounded_channel();
        let id = {
            let mut transfers = self.transfers();
            transfers.next_id = transfers.next_id.wrapping_add(1);
            let id = transfers.next_id;
            transfers.outgoing.insert((to.0, id), sender);
            id
        };
        let description = Description { name: name.to_owned(), size, media_type: media_type.to_owned() };
        let offer = Part::Offer(description);
        self.tell(to.0, id, &offer)?;
        let (told, progress) = watch::channel(Progress { transferred: 0, size });
        let (files, name) = (self.clone(), (to.0, id));
        let done = tokio::spawn(async move {
            let outcome = files.pump(name, &offer, &content, parts, &told).await;
            files.transfers().outgoing.remove(&name);
            if outcome.is_err() {
                let _ = files.tell(to.0, id, &Part::Cancel("cancelled".to_owned()));
            }
            outcome
        });
        Ok(OutgoingFile { files: self.clone(), name, done, progress })
    }

    /// Somebody is gone.
    pub(crate) fn forget(&self, participant: ParticipantNumber) {
        let files = self.clone();
        tokio::spawn(async move {
            // That it has everything may still be on its way.
            sleep(LAST_WORDS).await;
            let transfers = files.transfers();
            for ((peer, _), sender) in transfers.outgoing.iter().chain(&transfers.incoming) {
                if *peer == participant.0 {
                    let _ = sender.send(Part::Cancel("the participant left the room".to_owned()));
                }
            }
        });
    }

    /// Sends as the receiver asks for it.
    async fn pump(
        &self,
        (to, id): (u32, u32),
        offer: &Part,
        content: &[u8],
        mut parts: mpsc::UnboundedReceiver<Part>,
        told: &watch::Sender<Progress>,
    ) -> Result<(), ClientError> {
        let size = content.len() as u64;
        let mut sent = 0_usize;
        let (offered, mut is_answered) = (Instant::now(), false);
        loop {
            let patience = if is_answered { PATIENCE } else { ASK_AGAIN };
            let (received, is_again) = match timeout(patience, parts.recv()).await {
                Ok(Some(Part::Ack(received))) => (received, false),
                Ok(Some(Part::Accept(received))) => (received, true),
                Ok(Some(Part::Cancel(reason))) => return Err(ClientError::Cancelled(reason)),
                Ok(Some(_)) => continue,
                Ok(None) => return Err(ClientError::Closed("the room")),
                // The other side may not have opened the topic yet.
                Err(_) if !is_answered && offered.elapsed() < PATIENCE => {
                    self.tell(to, id, offer)?;
                    continue;
                }
                Err(_) => {
                    return Err(ClientError::Timeout { what: "the receiver".to_owned(), waited: PATIENCE });
                }
            };
            let Some(had) = usize::try_from(received).ok().filter(|had| *had <= sent) else { continue };
            is_answered = true;
            // What was on its way is lost.
            if is_again {
                sent = had;
            }
            told.send_replace(Progress { transferred: received, size });
            if received == size {
                return Ok(());
            }
            let allowed = usize::try_from(received + WINDOW_BYTES).unwrap_or(usize::MAX).min(content.len());
            while sent < allowed {
                let end = (sent + CHUNK_BYTES).min(content.len());
                let Some(chunk) = content.get(sent..end) else { break };
                self.topic.ready().await?;
                self.pace(chunk.len()).await;
                self.tell(to, id, &Part::Chunk(sent as u64, chunk.to_vec()))?;
                sent = end;
            }
        }
    }

    /// Waits for what all transfers together may send: what is more would be dropped by the server.
    async fn pace(&self, bytes: usize) {
        let now = Instant::now();
        let due = {
            let mut transfers = self.transfers();
            let due = transfers.due.max(now.checked_sub(BURST).unwrap_or(now));
            transfers.due = due + Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
            due
        };
        sleep(due.saturating_duration_since(now)).await;
    }

    async fn follow(self) {
        while let Some(message) = self.topic.next().await {
            self.receive(&message);
        }
        let mut transfers = self.transfers();
        transfers.outgoing.clear();
        transfers.incoming.clear();
        // Whoever waits for an offer hears that there will be none.
        transfers.offers = mpsc::unbounded_channel().0;
    }

    fn receive(&self, message: &Message) {
        let Some((id, part)) = Part::read(&message.payload).filter(|_| message.is_targeted) else { return };
        let name = (message.sender, id);
        let mut transfers = self.transfers();
        match part {
            Part::Offer(description) => {
                let waiting =
                    transfers.incoming.keys().filter(|(sender, _)| *sender == message.sender).count();
                if waiting >= OFFERS || transfers.incoming.contains_key(&name) {
                    return;
                }
                let (sender, parts) = mpsc::unbounded_channel();
                transfers.incoming.insert(name, sender);
                let file = IncomingFile {
                    from: ParticipantNumber(message.sender),
                    name: description.name,
                    size: description.size,
                    media_type: description.media_type,
                    id,
                    files: self.clone(),
                    parts,
                    is_over: false,
                };
                let _ = transfers.offers.send(file);
            }
            Part::Chunk(..) => {
                transfers.incoming.get(&name).map(|sender| sender.send(part));
            }
            Part::Accept(_) | Part::Ack(_) => {
                transfers.outgoing.get(&name).map(|sender| sender.send(part));
            }
            Part::Cancel(_) => {
                for sender in
                    [transfers.outgoing.get(&name), transfers.incoming.get(&name)].into_iter().flatten()
                {
                    let _ = sender.send(part.clone());
                }
            }
        }
    }

    fn tell(&self, to: u32, id: u32, part: &Part) -> Result<(), ClientError> {
        self.topic.send(Outgoing::bytes(part.write(id)).to([to])).map(|_| ())
    }

    fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutgoingFile {
    /// How far it is; changes as the receiver tells.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until all has arrived.
    pub async fn done(mut self) -> Result<(), ClientError> {
        match (&mut self.done).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Cancelled("cancelled here".to_owned())),
        }
    }
}

impl Drop for OutgoingFile {
    fn drop(&mut self) {
        self.done.abort();
        let is_under_way = self.files.transfers().outgoing.remove(&self.name).is_some();
        if is_under_way {
            let (to, id) = self.name;
            let _ = self.files.tell(to, id, &Part::Cancel("cancelled".to_owned()));
        }
    }
}

impl IncomingFile {
    /// Takes it, and gives its pieces to `take` as they come. The sender is asked for more as they are taken.
    pub async fn receive(mut self, mut take: impl FnMut(&[u8])) -> Result<(), ClientError> {
        self.tell(&Part::Accept(0))?;
        let (mut received, mut acknowledged) = (0_u64, 0_u64);
        let (mut heard, mut is_asked) = (Instant::now(), true);
        while received < self.size {
            let chunk = match timeout(ASK_AGAIN, self.parts.recv()).await {
                Ok(Some(Part::Chunk(at, chunk))) if at == received => chunk,
                Ok(Some(Part::Chunk(at, _))) => {
                    if at > received && !std::mem::replace(&mut is_asked, true) {
                        self.tell(&Part::Accept(received))?;
                    }
                    continue;
                }
                Ok(Some(Part::Cancel(reason))) => {
                    self.is_over = true;
                    return Err(ClientError::Cancelled(reason));
                }
                Ok(Some(_)) => continue,
                Ok(None) => return Err(ClientError::Closed("the room")),
                Err(_) if heard.elapsed() < PATIENCE => {
                    is_asked = true;
                    self.tell(&Part::Accept(received))?;
                    continue;
                }
                Err(_) => {
                    return Err(ClientError::Timeout { what: "the sender".to_owned(), waited: PATIENCE });
                }
            };
            (heard, is_asked) = (Instant::now(), false);
            received += chunk.len() as u64;
            if received > self.size {
                return Err(ClientError::TooLong { what: "what came", most: self.size as usize });
            }
            take(&chunk);
            if received - acknowledged >= WINDOW_BYTES / 4 && received < self.size {
                acknowledged = received;
                self.tell(&Part::Ack(received))?;
            }
        }
        self.is_over = true;
        self.tell(&Part::Ack(self.size))
    }

    /// Takes it as a whole.
    pub async fn bytes(self) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        self.receive(|chunk| bytes.extend_from_slice(chunk)).await?;
        Ok(bytes)
    }

    fn tell(&self, part: &Part) -> Result<(), ClientError> {
        self.files.tell(self.from.0, self.id, part)
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        self.files.transfers().incoming.remove(&(self.from.0, self.id));
        if !self.is_over {
            let _ = self.tell(&Part::Cancel("refused".to_owned()));
        }
    }
}
