//! How much one client may ask.

mod token_bucket;

pub(crate) use token_bucket::TokenBucket;
