//! Waiting for conditions, and figures.

use std::time::{Duration, Instant};

/// Waits until a condition holds; fails at the deadline with `what` in the error.
pub async fn until<T, F>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> Result<T, String>
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            return Err(format!("waited {deadline:?} in vain for {what}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prints a figure in the form that the test runner collects.
pub fn figure(name: &str, value: impl std::fmt::Display, unit: &str) {
    println!("FIGURE {name} {value} {unit}");
}

/// The median of some numbers; 0 of none.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
