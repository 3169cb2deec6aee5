//! Runs a scenario over several seeds, and says which one failed.

use std::env;

/// Names the seed if the thread panics.
struct Announced<'a> {
    scenario: &'a str,
    seed: u64,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} failed; run it again with PATCHBAY_SIM_SEED={}", self.scenario, self.seed);
        }
    }
}

/// Runs a scenario with seeds 1 to `count`. `PATCHBAY_SIM_SEED` names a single one instead, `PATCHBAY_SIM_SEEDS` another
/// count; with `PATCHBAY_TEST_LONG=1` there are ten times as many.
pub fn for_seeds<T>(scenario: &str, count: u64, mut run: impl FnMut(u64) -> T) -> Vec<T> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_long = number("PATCHBAY_TEST_LONG") == Some(1);
    let count = number("PATCHBAY_SIM_SEEDS").unwrap_or(if is_long { count * 10 } else { count });
    let seeds = number("PATCHBAY_SIM_SEED").map_or(1..=count, |seed| seed..=seed);
    seeds
        .map(|seed| {
            let announced = Announced { scenario, seed };
            let result = run(seed);
            drop(announced);
            result
        })
        .collect()
}

/// Prints a figure in the form that the test run collects.
pub fn figure(name: &str, value: f64, unit: &str) {
    println!("FIGURE {name} {value:.4} {unit}");
}

/// The middle one of these values; zero if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
