//! Days as the platform counts them: in Beijing, which is eight hours ahead of UTC all year round.

pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// The last second of the year 9999.
pub(crate) const LAST_S: i64 = 253_402_300_799;
const BEIJING_MS: i64 = 8 * HOUR_MS;

/// The Beijing day of an instant, counted from 1970-01-01.
pub(crate) const fn day_of(at_ms: i64) -> i64 {
    (at_ms + BEIJING_MS).div_euclid(DAY_MS)
}

/// When a Beijing day begins.
pub(crate) const fn day_start_ms(day: i64) -> i64 {
    day * DAY_MS - BEIJING_MS
}

/// The period that call quotas are counted in: it begins at 08:00 in Beijing.
pub(crate) const fn quota_day_of(at_ms: i64) -> i64 {
    day_of(at_ms - 8 * HOUR_MS)
}

/// When the figures of a day are ready: 10:00 in Beijing, the day after.
pub(crate) const fn figures_ready_ms(day: i64) -> i64 {
    day_start_ms(day + 1) + 10 * HOUR_MS
}

/// `yyyy-MM-dd`.
pub(crate) fn date(day: i64) -> String {
    chrono::DateTime::from_timestamp_millis(day * DAY_MS)
        .map_or_else(|| "1970-01-01".to_owned(), |at| at.format("%Y-%m-%d").to_string())
}

/// RFC 3339, to the millisecond, in UTC.
pub(crate) fn instant(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(|| at_ms.to_string(), |at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The instant that RFC 3339 text says.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_turn_in_beijing() {
        let at = |text| parse_instant(text).expect("an instant");
        assert_eq!(date(day_of(at("2026-01-01T15:59:59.999Z"))), "2026-01-01");
        assert_eq!(date(day_of(at("2026-01-01T16:00:00Z"))), "2026-01-02");
        assert_eq!(instant(day_start_ms(day_of(at("2026-01-01T16:00:00Z")))), "2026-01-01T16:00:00.000Z");
        assert_eq!(quota_day_of(at("2026-01-01T23:59:59Z")) + 1, quota_day_of(at("2026-01-02T00:00:00Z")));
        assert_eq!(instant(figures_ready_ms(day_of(at("2026-01-01T00:00:00Z")))), "2026-01-02T02:00:00.000Z");
    }
}
