//! The sum of what all workers counted, with what only the process knows.

use std::collections::BTreeMap;
use std::fs;

/// What the process found out at its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessFacts {
    /// UDP ports of the workers.
    pub(crate) ports: Vec<u16>,
    /// Whether every socket segments runs in the kernel.
    pub(crate) has_gso: bool,
    /// The smallest receive and send buffer that the kernel granted.
    pub(crate) buffers: (usize, usize),
}

/// A report under way.
#[derive(Debug, Default)]
pub(super) struct Report {
    sums: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn add(&mut self, counters: &[(&'static str, u64)]) {
        for (name, value) in counters {
            self.set_or_add(name, *value);
        }
    }

    /// Sorted by name, as reports are.
    pub(super) fn finish(mut self, facts: &ProcessFacts) -> Vec<(String, u64)> {
        self.set_or_add("udp_gso", u64::from(facts.has_gso));
        self.set_or_add("udp_receive_buffer_bytes", facts.buffers.0 as u64);
        self.set_or_add("udp_send_buffer_bytes", facts.buffers.1 as u64);
        self.set_or_add("workers", facts.ports.len() as u64);
        if let Some(drops) = receive_drops(&facts.ports) {
            self.set_or_add("udp_receive_drops_total", drops);
        }
        self.sums.into_iter().collect()
    }

    pub(super) fn set_or_add(&mut self, name: &str, value: u64) {
        match self.sums.get_mut(name) {
            Some(sum) => *sum += value,
            None => {
                self.sums.insert(name.to_owned(), value);
            }
        }
    }
}

/// Datagrams that the kernel dropped because a socket's receive buffer was full. Linux only; one read takes about a
/// millisecond.
fn receive_drops(ports: &[u16]) -> Option<u64> {
    let mut drops = None;
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        if let Ok(text) = fs::read_to_string(table) {
            *drops.get_or_insert(0) += parse_drops(&text, ports);
        }
    }
    drops
}

/// proc(5): the second column is the local address as `HEX:PORT`, the last one the drops.
fn parse_drops(table: &str, ports: &[u16]) -> u64 {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            let (_, port) = columns.nth(1)?.rsplit_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            let drops = columns.next_back()?.parse::<u64>().ok()?;
            ports.contains(&port).then_some(drops)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_workers_and_sorts_by_name() {
        let mut report = Report::default();
        report.add(&[("b", 1), ("a", 2)]);
        report.add(&[("a", 5)]);
        let facts = ProcessFacts { ports: vec![1], has_gso: true, buffers: (10, 20) };
        let counters = report.finish(&facts);
        assert!(counters.is_sorted());
        assert!(counters.contains(&("a".into(), 7)));
        assert!(counters.contains(&("udp_gso".into(), 1)));
        assert!(counters.contains(&("udp_receive_buffer_bytes".into(), 10)));
    }

    #[test]
    fn reads_the_drops_of_its_own_ports() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  12: 00000000:1EC8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8100 2 0000000000000000 42
  13: 0100007F:1EC9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8101 2 0000000000000000 7
  garbage
";
        assert_eq!(parse_drops(table, &[0x1EC8]), 42);
        assert_eq!(parse_drops(table, &[0x1EC8, 0x1EC9]), 49);
        assert_eq!(parse_drops(table, &[1]), 0);
        assert_eq!(parse_drops("", &[1]), 0);
    }
}
