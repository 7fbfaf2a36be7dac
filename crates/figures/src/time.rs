//! Times for people.

use ::time::OffsetDateTime;

/// Seconds since 1970 as a date and a time in UTC: `2026-02-03 04:05:06`. Beyond the year 9999 they
/// stay seconds.
pub fn utc(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    time.map_or_else(
        || format!("{seconds} s"),
        |time| format!("{} {:02}:{:02}:{:02}", time.date(), time.hour(), time.minute(), time.second()),
    )
}
