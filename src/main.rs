//! wiring
fn main(){}
