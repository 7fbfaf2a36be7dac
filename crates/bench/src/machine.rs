//! Where and when something was measured.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// Linux counts in hundredths of a second, whatever its kernel's clock.
const TICKS: f64 = 100.0;

/// User and system time: fields 14 and 15. The name before may hold anything, but ends at the last
/// parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    user.checked_add(system)
}

/// Now: `2026-02-03 04:05 UTC`.
pub fn now() -> String {
    date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// The Gregorian date of seconds since 1970, in years that begin in March: then the leap day is the
/// last one.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC", era * 400 + year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn fields_of_the_system() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\n\nmodel name\t: Other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU: fast"));
        assert_eq!(field(text, "MemTotal"), None);
        assert_eq!(kilobytes("24000 kB"), Some(24_576_000));
        assert_eq!(kilobytes("24000"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 31 0 0 20 0 1 0 123 456";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert!(Machine::this().cores > 0);
    }
}
