//! Where and when something was measured.

use std::time::{SystemTime, UNIX_EPOCH};

use cryptflow_figures::time::utc;
use serde::Serialize;

/// A machine, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The operating system and the architecture.
    pub system: String,
    /// Processes that wanted to run during the last minute before the benchmark, on average.
    pub load: Option<f64>,
}

impl Machine {
    /// This machine, now.
    pub fn this() -> Machine {
        let file = |path| std::fs::read_to_string(path).unwrap_or_default();
        Machine {
            cpu: field(&file("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: field(&file("/proc/meminfo"), "MemTotal").and_then(|text| kilobytes(&text)),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            load: file("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()),
        }
    }
}

/// The first `name : value` of a text.
fn field(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// `24000 kB`.
fn kilobytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Processor time that a process has spent, all its threads together, in seconds; where the system
/// tells (Linux).
pub fn cpu_seconds(process: u32) -> Option<f64> {
    ticks(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?).map(|t| t as f64 / TICKS)
}

/// The same of all processes that this one, or one of these, has started, waited for, and seen the end of.
pub fn children_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    times(&stat, 13).map(|t| t as f64 / TICKS)
}

/// Linux counts in hundredths of a second, whatever its kernel's clock.
const TICKS: f64 = 100.0;

/// User and system time: fields 14 and 15.
fn ticks(stat: &str) -> Option<u64> {
    times(stat, 11)
}

/// The sum of two fields, of which the first comes so many behind the name. The name may hold anything, but ends at the
/// last parenthesis.
fn times(stat: &str, behind: usize) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(behind);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    user.checked_add(system)
}

/// Now: `2026-02-03 04:05 UTC`.
pub fn now() -> String {
    let now = utc(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    format!("{} UTC", now.get(..16).unwrap_or(&now))
}

#[cfg(test)]
#[path = "../tests/machine.rs"]
mod tests;
