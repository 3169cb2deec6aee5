//! Files and other large things, from one participant to another: in chunks, with flow control by the receiver, progress and
//! cancellation. They travel on a reliable topic of their own. The messages are specified in `docs/protocol.md`.

mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::topic::{Message, Outgoing, Topic};
use crate::{ClientError, ParticipantNumber};
pub(crate) use wire::TOPIC;
use wire::{CHUNK_BYTES, Description, Part, WINDOW_BYTES};

/// How long an offer waits for an answer, and a transfer for its next sign of life.
const PATIENCE: Duration = Duration::from_secs(60);
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
    /// By receiver and id: what it says of ours.
    outgoing: HashMap<(u32, u32), mpsc::UnboundedSender<Part>>,
    /// By sender and id: what comes from it.
    incoming: HashMap<(u32, u32), mpsc::UnboundedSender<Part>>,
    offers: mpsc::UnboundedSender<IncomingFile>,
}

/// Something on its way to somebody. Dropping it cancels.
#[derive(Debug)]
pub struct OutgoingFile {
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
        self.tell(to.0, id, &Part::Offer(description))?;
        let (told, progress) = watch::channel(Progress { transferred: 0, size });
        let files = self.clone();
        let done = tokio::spawn(async move {
            let outcome = files.pump(to.0, id, &content, parts, &told).await;
            files.transfers().outgoing.remove(&(to.0, id));
            if outcome.is_err() {
                let _ = files.tell(to.0, id, &Part::Cancel("cancelled".to_owned()));
            }
            outcome
        });
        Ok(OutgoingFile { done, progress })
    }

    /// Somebody is gone.
    pub(crate) fn forget(&self, participant: ParticipantNumber) {
        let transfers = self.transfers();
        for ((peer, _), sender) in transfers.outgoing.iter().chain(&transfers.incoming) {
            if *peer == participant.0 {
                let _ = sender.send(Part::Cancel("the participant left the room".to_owned()));
            }
        }
    }

    /// Sends as the receiver asks for it.
    async fn pump(
        &self,
        to: u32,
        id: u32,
        content: &[u8],
        mut parts: mpsc::UnboundedReceiver<Part>,
        told: &watch::Sender<Progress>,
    ) -> Result<(), ClientError> {
        let size = content.len() as u64;
        let mut sent = 0_usize;
        loop {
            let received = match timeout(PATIENCE, parts.recv()).await {
                Ok(Some(Part::Accept(received) | Part::Ack(received))) => received,
                Ok(Some(Part::Cancel(reason))) => return Err(ClientError::Cancelled(reason)),
                Ok(Some(_)) => continue,
                Ok(None) => return Err(ClientError::Closed("the room")),
                Err(_) => {
                    return Err(ClientError::Timeout { what: "the receiver".to_owned(), waited: PATIENCE });
                }
            };
            if received > sent as u64 || received > size {
                continue;
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
                self.tell(to, id, &Part::Chunk(chunk.to_vec()))?;
                sent = end;
            }
        }
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
            Part::Chunk(_) => {
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
    }
}

impl IncomingFile {
    /// Takes it, and gives its pieces to `take` as they come. The sender is asked for more as they are taken.
    pub async fn receive(mut self, mut take: impl FnMut(&[u8])) -> Result<(), ClientError> {
        self.tell(&Part::Accept(0))?;
        let (mut received, mut acknowledged) = (0_u64, 0_u64);
        while received < self.size {
            let chunk = match timeout(PATIENCE, self.parts.recv()).await {
                Ok(Some(Part::Chunk(chunk))) => chunk,
                Ok(Some(Part::Cancel(reason))) => {
                    self.is_over = true;
                    return Err(ClientError::Cancelled(reason));
                }
                Ok(Some(_)) => continue,
                Ok(None) => return Err(ClientError::Closed("the room")),
                Err(_) => {
                    return Err(ClientError::Timeout { what: "the sender".to_owned(), waited: PATIENCE });
                }
            };
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
