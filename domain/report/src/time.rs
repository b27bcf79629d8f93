//! Times as leaves have them: `2026-07-01T00:00:00.000000Z`, UTC, exactly six digits of a second.
//!
//! There is no calendar library here: all that is asked of a time is which of two is earlier, which comparing texts
//! tells, and how far apart they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::FormatError;

const LENGTH: usize = 27;

/// A time in its one spelling. Ordered as times are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time([u8; LENGTH]);

/// Digits, and what stands between them.
const FORM: &[u8; LENGTH] = b"0000-00-00T00:00:00.000000Z";

impl Time {
    /// Reads a time. Days that a month does not have are refused, and so are leap seconds, which stores cannot keep.
    ///
    /// # Errors
    /// `Time`.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let bytes: [u8; LENGTH] = text.try_into().map_err(|_| FormatError::Time)?;
        let is_right =
            |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        // All of them, whatever the first says: so it is done in one go.
        if !bytes.iter().zip(FORM).map(is_right).fold(true, |all, is_right| all & is_right) {
            return Err(FormatError::Time);
        }
        let time = Self(bytes);
        let (year, month, day) = (time.number(0, 4), time.number(5, 7), time.number(8, 10));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            1..=12 => 31,
            _ => 0,
        };
        let clock = time.number(11, 13) < 24 && time.number(14, 16) < 60 && time.number(17, 19) < 60;
        if (1..=days).contains(&day) && clock { Ok(time) } else { Err(FormatError::Time) }
    }

    /// Microseconds since 1970, negative before.
    pub fn micros(&self) -> i64 {
        // The days of civil dates as in Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day
        // is their last.
        let (year, month, day) = (self.number(0, 4), self.number(5, 7), self.number(8, 10));
        let year = if month <= 2 { year - 1 } else { year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        let seconds =
            days * 86_400 + self.number(11, 13) * 3_600 + self.number(14, 16) * 60 + self.number(17, 19);
        seconds * 1_000_000 + self.number(20, 26)
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(&self) -> i64 {
        self.micros().div_euclid(1_000_000)
    }

    /// The time so many seconds after 1970, of the years 0 to 9999.
    ///
    /// # Errors
    /// `Time` outside those.
    pub fn from_seconds(seconds: i64) -> Result<Self, FormatError> {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let days = days.checked_add(719_468).ok_or(FormatError::Time)?;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        if !(0..=9999).contains(&year) {
            return Err(FormatError::Time);
        }
        Self::parse(
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z").as_bytes(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    fn number(&self, from: usize, to: usize) -> i64 {
        self.0[from..to].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    }
}

impl TryFrom<String> for Time {
    type Error = FormatError;

    fn try_from(text: String) -> Result<Self, FormatError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.as_str().to_owned()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_and_come_back() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.000000Z", -1),
            ("2000-02-29T12:00:00.000000Z", 951_825_600),
            ("2026-11-27T10:07:35.000000Z", 1_795_774_055),
            ("9999-12-31T23:59:59.000000Z", 253_402_300_799),
            ("0000-01-01T00:00:00.000000Z", -62_167_219_200),
        ] {
            let time = Time::parse(text.as_bytes()).expect("a time");
            assert_eq!(time.seconds(), seconds, "{text}");
            assert_eq!(Time::from_seconds(seconds).map(String::from).as_deref(), Ok(text));
        }
        assert_eq!(Time::parse(b"1970-01-01T00:00:01.000002Z").map(|t| t.micros()), Ok(1_000_002));
        assert_eq!(Time::from_seconds(i64::MAX), Err(FormatError::Time));
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "2026-07-01T00:00:00Z",
            "2026-07-01T00:00:00.000000+00:00",
            "2026-07-01t00:00:00.000000Z",
            "2026-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-01-00T00:00:00.000000Z",
            "2026-06-30T23:59:60.000000Z",
            "2026-06-30T24:00:00.000000Z",
            "2026-06-30 23:00:00.000000Z",
        ] {
            assert_eq!(Time::parse(bad.as_bytes()), Err(FormatError::Time), "{bad}");
        }
    }
}
