//! How much memory a process holds.

/// Bytes that this process holds, where the system says so (Linux).
pub(crate) fn resident() -> Option<u64> {
    // Asked after each run: this file is a tenth of the work of `status`.
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
