//! Frames of one receiver that share a message.

use bytes::Bytes;

use crate::Repetition;

/// Frames back to back. One alone is not copied: it is the same bytes for all its receivers.
#[derive(Debug, Default)]
pub(super) struct Batch {
    single: Option<Bytes>,
    bytes: Vec<u8>,
    frames: u32,
    /// Whether any of them has to arrive.
    must_arrive: bool,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether a frame would make the message longer than `most` bytes. An empty one takes any.
    pub(super) fn is_full_for(&self, frame: &Bytes, most: usize) -> bool {
        self.frames > 0 && self.len() + frame.len() > most
    }

    /// Whether nothing fits any more.
    pub(super) fn is_full(&self, most: usize) -> bool {
        self.len() >= most
    }

    pub(super) fn push(&mut self, frame: &Bytes, repetition: Repetition) {
        self.must_arrive |= repetition == Repetition::UntilItArrives;
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

    /// The message, how many frames it holds, and how often it is sent.
    pub(super) fn take(&mut self) -> (Bytes, u32, Repetition) {
        let message = self.single.take().unwrap_or_else(|| Bytes::copy_from_slice(&self.bytes));
        self.bytes.clear();
        let must_arrive = std::mem::take(&mut self.must_arrive);
        let repetition = if must_arrive { Repetition::UntilItArrives } else { Repetition::OfChannel };
        (message, std::mem::take(&mut self.frames), repetition)
    }

    /// Puts back what could not be sent.
    pub(super) fn restore(&mut self, message: Bytes, frames: u32, repetition: Repetition) {
        self.single = Some(message);
        self.frames = frames;
        self.must_arrive = repetition == Repetition::UntilItArrives;
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
        batch.push(&one, Repetition::OfChannel);
        let (message, frames, repetition) = batch.take();
        assert_eq!((message.as_ptr(), frames), (one.as_ptr(), 1), "it was copied");
        assert_eq!(repetition, Repetition::OfChannel);
        batch.push(&one, Repetition::UntilItArrives);
        assert!(!batch.is_full_for(&two, 1_100) && !batch.is_full(1_100));
        batch.push(&two, Repetition::OfChannel);
        assert!(batch.is_full(1_100) && batch.is_full_for(&two, 1_100));
        let (message, frames, repetition) = batch.take();
        assert_eq!((message.len(), frames, repetition), (1_100, 2, Repetition::UntilItArrives));
        batch.restore(message.clone(), 2, repetition);
        assert_eq!(batch.take(), (message, 2, repetition));
        assert!(batch.is_empty());
        assert!(!batch.is_full_for(&Bytes::from(vec![0; 5_000]), 1_100), "a long frame goes alone");
    }
}
