//! Timetables: cron rules in a zone of the IANA database, whose instants are slots for posts.
//!
//! Where clocks are set forward, a time that is skipped holds at the first instant after the gap; where they are set back, a
//! time that is repeated holds once, the first time round. That is so of times that are told (`30 2,20 * * *`); what is told by
//! a star or a step (`*/15 * * * *`) goes by elapsed time, through gaps and repetitions. croner, which reads the rules, takes
//! only single values for told times, so lists and ranges are rules of their own here.

use std::{cmp::Reverse, collections::BinaryHeap, str::FromStr as _};

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{
    kernel::{clock::Timestamp, ids::TimetableId},
    publishing::{PublishingError, error::invalid},
};

/// A zone of the IANA database, as this program was built with it.
pub type Zone = Tz;

/// Longest name of a timetable, in characters.
const NAME_MAX_CHARS: usize = 200;

/// Most rules of one.
const RULES_MAX: usize = 50;

/// Longest rule, in bytes.
const RULE_MAX_BYTES: usize = 120;

/// Times of day that a rule may tell.
const TIMES_MAX: usize = 200;

/// Slots that are looked at for one plan before it is said that there is none.
const LOOKED_AT_MAX: usize = 100_000;

/// A timetable as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimetableDraft {
    /// What people call it.
    pub name: String,
    /// Name of a zone of the IANA database, as `Asia/Shanghai`.
    pub zone: String,
    /// Cron rules of five fields (minute, hour, day of month, month, day of week) or six, the first of which is the second.
    pub rules: Vec<String>,
}

/// Local times at which something may be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// Its id.
    pub id: TimetableId,
    /// What it is.
    pub draft: TimetableDraft,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts its changes.
    pub version: u32,
}

impl TimetableDraft {
    /// The same with its name trimmed, if all of it is good.
    ///
    /// # Errors
    /// `Invalid`, naming the field, and the rule.
    pub fn checked(mut self, now: Timestamp) -> Result<Self, PublishingError> {
        self.name = self.name.trim().to_owned();
        if self.name.is_empty() || self.name.chars().count() > NAME_MAX_CHARS || self.name.contains('\0') {
            return Err(invalid("name", format!("must be 1 to {NAME_MAX_CHARS} characters")));
        }
        if !self.slots()?.has_any(now) {
            return Err(invalid("rules", "must hold at some time to come; these never do"));
        }
        Ok(self)
    }

    /// The instants its rules give.
    ///
    /// # Errors
    /// `Invalid`, naming the field, and the rule.
    pub fn slots(&self) -> Result<Slots, PublishingError> {
        let zone = zone(&self.zone)?;
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return Err(invalid("rules", format!("must be 1 to {RULES_MAX}")));
        }
        let mut rules = Vec::with_capacity(self.rules.len());
        for (at, rule) in self.rules.iter().enumerate() {
            let bad = |problem: String| invalid("rules", format!("[{at}] {problem}"));
            rules.extend(crons(rule).map_err(bad)?);
        }
        Ok(Slots { zone, rules })
    }
}

/// A rule, one for each time that it tells.
fn crons(rule: &str) -> Result<Vec<Cron>, String> {
    let fields: Vec<_> = rule.split_ascii_whitespace().collect();
    let (second, rest) = match fields.as_slice() {
        [second, rest @ ..] if fields.len() == 6 => (*second, rest),
        rest if fields.len() == 5 => ("0", rest),
        _ => return Err("must be five or six fields, as \"30 18 * * MON-FRI\"".to_owned()),
    };
    if rule.len() > RULE_MAX_BYTES {
        return Err(format!("must be at most {RULE_MAX_BYTES} bytes"));
    }
    if second.parse::<u8>().is_err() {
        return Err("must be of one second, a number: no account has two slots in a minute".to_owned());
    }
    let (minutes, hours) = match (told_values(rest[0]), told_values(rest[1])) {
        (Some(minutes), Some(hours)) => (minutes, hours),
        // By elapsed time, or for croner to refuse.
        _ => (vec![rest[0].to_owned()], vec![rest[1].to_owned()]),
    };
    if minutes.len() * hours.len() > TIMES_MAX {
        return Err(format!("tells more than {TIMES_MAX} times; use a step, as */15"));
    }
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    let mut crons = Vec::with_capacity(minutes.len() * hours.len());
    for hour in &hours {
        for minute in &minutes {
            let one = [second, minute, hour, rest[2], rest[3], rest[4]].join(" ");
            let no_rule = |error| format!("is no cron rule ({error}); write it as \"30 18 * * MON-FRI\"");
            crons.push(parser.parse(&one).map_err(no_rule)?);
        }
    }
    Ok(crons)
}

/// The values of a field that tells them one by one or by ranges; `None` for any other.
fn told_values(field: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for part in field.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u8, u8) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 59 {
            return None;
        }
        values.extend((first..=last).map(|value| value.to_string()));
    }
    Some(values)
}

/// A zone by its name.
///
/// # Errors
/// `Invalid`.
pub fn zone(name: &str) -> Result<Zone, PublishingError> {
    let unknown = |_| invalid("zone", "must be the name of a zone of the IANA database, as Asia/Shanghai");
    Tz::from_str(name).map_err(unknown)
}

/// The instant of a local time.
///
/// # Errors
/// Why it is none, or two, in words that follow the field's name.
pub fn instant_of(local: NaiveDateTime, zone: Zone) -> Result<Timestamp, String> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) => Ok(at.to_utc()),
        MappedLocalTime::None => {
            Err(format!("is skipped in {zone}, where clocks are set forward; name another"))
        }
        MappedLocalTime::Ambiguous(first, second) => Err(format!(
            "comes twice in {zone}, where clocks are set back; write it with an offset, as {} or {}",
            first.to_rfc3339(),
            second.to_rfc3339()
        )),
    }
}

/// The instants of a timetable.
#[derive(Clone, Debug)]
pub struct Slots {
    zone: Tz,
    rules: Vec<Cron>,
}

impl Slots {
    fn next(&self, rule: usize, from: Timestamp) -> Option<Timestamp> {
        let next = self.rules.get(rule)?.find_next_occurrence(&from.with_timezone(&self.zone), true);
        next.ok().map(|next: DateTime<Tz>| next.to_utc())
    }

    /// Whether there is a slot at all from an instant on.
    pub fn has_any(&self, from: Timestamp) -> bool {
        (0..self.rules.len()).any(|rule| self.next(rule, from).is_some())
    }

    /// Slots from an instant on, earliest first, each once. Each rule is asked once for each of its own.
    pub fn since(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let first = |rule| Some(Reverse((self.next(rule, from)?, rule)));
        let mut coming: BinaryHeap<_> = (0..self.rules.len()).filter_map(first).collect();
        let mut last = None;
        std::iter::from_fn(move || {
            loop {
                let Reverse((slot, rule)) = coming.pop()?;
                let next = self.next(rule, slot + TimeDelta::seconds(1));
                coming.extend(next.map(|next| Reverse((next, rule))));
                if last.replace(slot) != Some(slot) {
                    return Some(slot);
                }
            }
        })
    }

    /// How an instant is written in its zone: RFC 3339 with the zone's offset then.
    pub fn local(&self, at: Timestamp) -> String {
        at.with_timezone(&self.zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
    }
}

/// Which slots a plan takes for each of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDraft {
    /// The timetable.
    pub timetable: TimetableId,
    /// The first instant that is thought of; `None` for now.
    pub from: Option<Timestamp>,
    /// The last is before; `None` for no end but the number.
    pub until: Option<Timestamp>,
    /// How many for each account, at most; `None` for all there are until the end, or for one when there is no end.
    pub occurrences: Option<u32>,
}

impl SlotDraft {
    /// Whether it says what can be done.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self, most: usize) -> Result<(), PublishingError> {
        let wrong = |count: u32| count == 0 || usize::try_from(count).is_ok_and(|count| count > most);
        if self.occurrences.is_some_and(wrong) {
            return Err(invalid("slots.occurrences", format!("must be 1 to {most}")));
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until <= from
        {
            return Err(invalid("slots.until", "must be after `from`"));
        }
        Ok(())
    }

    /// How many an account gets at most.
    fn wanted(&self, most: usize) -> usize {
        match (self.occurrences, self.until) {
            (Some(count), _) => usize::try_from(count).unwrap_or(most).min(most),
            (None, Some(_)) => most,
            (None, None) => 1,
        }
    }
}

/// Whether an account can have a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRoom {
    /// It is taken now.
    Taken,
    /// It has another post then.
    Clash,
    /// It has no room before that instant.
    FullUntil(Timestamp),
}

/// The slots of one plan, found once for all of its accounts, as far as any of them looks.
pub struct SlotList<'a> {
    draft: SlotDraft,
    known: Vec<Timestamp>,
    coming: Box<dyn Iterator<Item = Timestamp> + Send + 'a>,
}

impl<'a> SlotList<'a> {
    /// Slots from an instant on and before another, within what is wanted.
    pub fn new(slots: &'a Slots, draft: SlotDraft, (from, end): (Timestamp, Timestamp)) -> Self {
        let end = draft.until.map_or(end, |until| until.min(end));
        let coming = slots.since(from).take_while(move |slot| *slot < end).take(LOOKED_AT_MAX);
        Self { draft, known: Vec::new(), coming: Box::new(coming) }
    }

    fn at(&mut self, place: usize) -> Option<Timestamp> {
        while self.known.len() <= place {
            self.known.push(self.coming.next()?);
        }
        self.known.get(place).copied()
    }

    /// The slots one account gets: `count` of them where that is given, or as many as are wanted of each; `most` at most.
    pub fn take(
        &mut self,
        count: Option<usize>,
        most: usize,
        mut room: impl FnMut(Timestamp) -> SlotRoom,
    ) -> Vec<Timestamp> {
        let wanted = count.unwrap_or_else(|| self.draft.wanted(most)).min(most);
        let (mut taken, mut place) = (Vec::new(), 0);
        while taken.len() < wanted
            && let Some(slot) = self.at(place)
        {
            place += 1;
            match room(slot) {
                SlotRoom::Taken => taken.push(slot),
                SlotRoom::Clash => {}
                SlotRoom::FullUntil(until) => {
                    while self.at(place).is_some_and(|slot| slot < until) {
                        place += 1;
                    }
                }
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).expect("an instant").to_utc()
    }

    fn draft(zone: &str, rules: &[&str]) -> TimetableDraft {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        TimetableDraft { name: " Evenings ".to_owned(), zone: zone.to_owned(), rules }
    }

    fn locals(zone: &str, rules: &[&str], from: &str, count: usize) -> Vec<String> {
        let slots = draft(zone, rules).slots().expect("good rules");
        slots.since(at(from)).take(count).map(|slot| slots.local(slot)).collect()
    }

    #[test]
    fn slots_of_all_rules_come_in_order_and_once() {
        let rules = ["30 18 * * *", "15 0 9 * * MON-FRI", "30 18 * * FRI"];
        assert_eq!(
            locals("Asia/Shanghai", &rules, "2026-11-27T00:00:00Z", 4),
            [
                "2026-11-27T09:00:15+08:00",
                "2026-11-27T18:30:00+08:00",
                "2026-11-28T18:30:00+08:00",
                "2026-11-29T18:30:00+08:00"
            ]
        );
        // An instant that is a slot is the first.
        assert_eq!(locals("UTC", &["0 12 * * *"], "2026-11-27T12:00:00Z", 1), ["2026-11-27T12:00:00+00:00"]);
        assert_eq!(locals("UTC", &["0 12 * * *"], "2026-11-27T12:00:01Z", 1), ["2026-11-28T12:00:00+00:00"]);
        assert_eq!(
            draft("UTC", &["0 12 * * *"]).checked(at("2026-11-27T00:00:00Z")).expect("good").name,
            "Evenings"
        );
    }

    /// In Berlin clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
    #[test]
    fn a_skipped_time_holds_after_the_gap_and_a_repeated_one_once() {
        let half_past_two = ["30 2 * * *"];
        assert_eq!(
            locals("Europe/Berlin", &half_past_two, "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        assert_eq!(
            locals("Europe/Berlin", &half_past_two, "2026-10-24T12:00:00Z", 3),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00", "2026-10-27T02:30:00+01:00"]
        );
        // Every hour is every hour, also the one that comes twice.
        assert_eq!(
            locals("Europe/Berlin", &["0 * * * *"], "2026-10-25T00:00:00Z", 3),
            ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]
        );
        // Two rules that fall on one instant behind a gap are one slot.
        assert_eq!(
            locals("Europe/Berlin", &["30 2 * * *", "0 3 * * *"], "2026-03-29T00:00:00Z", 2),
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        // Lists and ranges tell times as well.
        assert_eq!(
            locals("Europe/Berlin", &["0,30 2-3 * * *"], "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"]
        );
        assert_eq!(
            locals("Europe/Berlin", &["30 2,20 * * *"], "2026-10-24T22:00:00Z", 3),
            ["2026-10-25T02:30:00+02:00", "2026-10-25T20:30:00+01:00", "2026-10-26T02:30:00+01:00"]
        );
        // Half an hour, in a zone that is set by half an hour.
        assert_eq!(
            locals("Australia/Lord_Howe", &["15 2 * * *"], "2026-10-03T00:00:00Z", 2),
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
        );
    }

    #[test]
    fn a_local_time_is_one_instant_or_says_why_not() {
        let berlin = zone("Europe/Berlin").expect("a zone");
        let of = |text: &str| instant_of(text.parse().expect("a local time"), berlin);
        assert_eq!(of("2026-03-29T01:59:59"), Ok(at("2026-03-29T00:59:59Z")));
        assert!(of("2026-03-29T02:30:00").is_err_and(|why| why.contains("skipped")));
        assert!(of("2026-10-25T02:30:00").is_err_and(|why| why.contains("2026-10-25T02:30:00+01:00")));
    }

    #[test]
    fn what_is_no_timetable_is_told_by_its_field() {
        let many = vec!["0 0 * * *"; 51];
        let long = format!("0 0 {} * *", "1,".repeat(100));
        for (zone, rules, field) in [
            ("Asia/Nowhere", ["0 0 * * *"].as_slice(), "zone"),
            ("UTC", &[], "rules"),
            ("UTC", &many, "rules"),
            ("UTC", &["0 0 * * *", "0 25 * * *"], "rules"),
            ("UTC", &["@daily"], "rules"),
            ("UTC", &["0 0 * * * * *"], "rules"),
            ("UTC", &["soon"], "rules"),
            ("UTC", &["* * * * * *"], "rules"),
            ("UTC", &["*/30 0 9 * * *"], "rules"),
            ("UTC", &["0-59 0-23 * * *"], "rules"),
            // A day that never comes.
            ("UTC", &["0 0 30 2 *"], "rules"),
            ("UTC", &[long.as_str()], "rules"),
        ] {
            match draft(zone, rules).checked(at("2026-11-27T00:00:00Z")) {
                Err(PublishingError::Invalid { field: told, .. }) => assert_eq!(told, field, "{rules:?}"),
                other => panic!("{rules:?} is {other:?}"),
            }
        }
        let unnamed = TimetableDraft { name: "  ".to_owned(), ..draft("UTC", &["0 0 * * *"]) };
        assert!(matches!(
            unnamed.checked(at("2026-11-27T00:00:00Z")),
            Err(PublishingError::Invalid { field: "name", .. })
        ));
        // One that never comes is in no other's way.
        let rules = ["0 0 30 2 *", "* * * * *"];
        assert_eq!(locals("UTC", &rules, "2026-01-01T00:00:00Z", 3_000).len(), 3_000);
    }

    #[test]
    fn an_account_gets_free_slots_up_to_its_end() {
        let slots = draft("UTC", &["0 9 * * *"]).slots().expect("good rules");
        let from = at("2026-11-27T00:00:00Z");
        let mut wanted = SlotDraft {
            timetable: TimetableId::from_uuid(uuid::Uuid::nil()),
            from: None,
            until: None,
            occurrences: None,
        };
        let busy = at("2026-11-27T09:00:00Z");
        let end = at("2027-11-27T00:00:00Z");
        let get = |draft: SlotDraft| {
            let room = |slot| if slot == busy { SlotRoom::Clash } else { SlotRoom::Taken };
            SlotList::new(&slots, draft, (from, end)).take(None, 5, room)
        };
        assert_eq!(get(wanted), [at("2026-11-28T09:00:00Z")]);
        wanted.occurrences = Some(3);
        assert_eq!(get(wanted).len(), 3);
        wanted.until = Some(at("2026-11-29T09:00:00Z"));
        assert_eq!(get(wanted).len(), 1, "the end comes first, and is not in it");
        (wanted.occurrences, wanted.until) = (None, Some(at("2027-11-29T09:00:00Z")));
        assert_eq!(get(wanted).len(), 5, "never more than there may be");
        // A full day is stepped over whole, and a second account looks at the same list.
        let often = draft("UTC", &["* * * * *"]).slots().expect("good rules");
        let mut list = SlotList::new(&often, wanted, (from, end));
        let tomorrow = at("2026-11-28T00:00:00Z");
        let mut asked = 0;
        let late = list.take(Some(2), 5, |slot| {
            asked += 1;
            if slot < tomorrow { SlotRoom::FullUntil(tomorrow) } else { SlotRoom::Taken }
        });
        assert_eq!((late, asked), (vec![tomorrow, at("2026-11-28T00:01:00Z")], 3));
        assert_eq!(list.take(Some(1), 5, |_| SlotRoom::Taken), [from]);
        for (draft, field) in [
            (SlotDraft { occurrences: Some(0), ..wanted }, "slots.occurrences"),
            (SlotDraft { occurrences: Some(501), ..wanted }, "slots.occurrences"),
            (SlotDraft { from: Some(busy), until: Some(busy), ..wanted }, "slots.until"),
        ] {
            assert!(
                matches!(draft.check(500), Err(PublishingError::Invalid { field: told, .. }) if told == field)
            );
        }
    }
}
