//! Times as people write them: with an offset, or as clocks show them in a zone.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound as _};
use domain::{
    kernel::clock::Timestamp,
    publishing::model::{Zone, instant_of},
};

/// The instant that a text names, to the microsecond: what comes again must be what is there. A date alone is its first
/// moment.
///
/// # Errors
/// Why it names none, in words that follow the field's name.
pub(super) fn instant(text: &str, zone: Option<&Zone>) -> Result<Timestamp, String> {
    const FORMATS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc().trunc_subsecs(6));
    }
    let date = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    let local = FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.or_else(date).ok_or("is no time; write it as 2026-12-01T18:30:00+08:00")?;
    let zone = zone.ok_or("has no offset, and no zone is given; give either")?;
    instant_of(local, *zone)
}
