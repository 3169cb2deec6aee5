//! Frames of one receiver that share a message.

use bytes::Bytes;

use super::limit::BATCH_BYTES;

/// Frames back to back. One alone is not copied: it is the same bytes for all its receivers.
#[derive(Debug, Default)]
pub(super) struct Batch {
    single: Option<Bytes>,
    bytes: Vec<u8>,
    frames: u32,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether a frame would make the message too long. An empty one takes any.
    pub(super) fn is_full_for(&self, frame: &Bytes) -> bool {
        self.frames > 0 && self.len() + frame.len() > BATCH_BYTES
    }

    /// Whether nothing fits any more.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= BATCH_BYTES
    }

    pub(super) fn push(&mut self, frame: &Bytes) {
        self.frames += 1;
        if self.frames == 1 {
            self.single = Some(frame.clone());
            return;
        }
        if let Some(single) = self.single.take() {
            self.bytes.extend_from_slice(&single);
        }
        self.bytes.extend_from_slice(frame);
    }

    /// The message and how many frames it holds.
    pub(super) fn take(&mut self) -> (Bytes, u32) {
        let message = self.single.take().unwrap_or_else(|| Bytes::copy_from_slice(&self.bytes));
        self.bytes.clear();
        (message, std::mem::take(&mut self.frames))
    }

    /// Puts back what could not be sent.
    pub(super) fn restore(&mut self, message: Bytes, frames: u32) {
        self.single = Some(message);
        self.frames = frames;
    }

    fn len(&self) -> usize {
        self.single.as_ref().map_or(self.bytes.len(), Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_is_shared_and_several_are_joined() {
        let mut batch = Batch::default();
        let (one, two) = (Bytes::from(vec![1; 600]), Bytes::from(vec![2; 500]));
        batch.push(&one);
        let (message, frames) = batch.take();
        assert_eq!((message.as_ptr(), frames), (one.as_ptr(), 1), "it was copied");
        batch.push(&one);
        assert!(!batch.is_full_for(&two) && !batch.is_full());
        batch.push(&two);
        assert!(batch.is_full() && batch.is_full_for(&two));
        let (message, frames) = batch.take();
        assert_eq!((message.len(), frames), (1_100, 2));
        batch.restore(message.clone(), 2);
        assert_eq!(batch.take(), (message, 2));
        assert!(batch.is_empty());
        assert!(!batch.is_full_for(&Bytes::from(vec![0; 5_000])), "a long frame goes alone");
    }
}
