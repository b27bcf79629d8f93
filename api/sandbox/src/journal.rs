//! The journal: every step in the order it was made, one JSON object a line, written before the step is made.
//!
//! A step that was answered is in the file, so a killed process loses none; replaying the lines leads to the same state,
//! because steps are told all they depend on. What is not survived is a machine that loses what it had not yet put on
//! its disk.
//!
//! A line that could be written in part alone is cut off again; where even that fails nothing more is written, and no
//! step is made any more.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Error, ErrorKind, Result, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{platform::hooks::Outcome, wire::call::Call};

/// The shape of the lines, and what steps mean; another one can't be replayed.
const FORMAT: u32 = 2;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    seed: u64,
}

/// One step.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) wall_ms: i64,
    #[serde(flatten)]
    pub(crate) step: Step,
}

/// What is done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Call(Box<Call>),
    Delivered { number: i64, outcome: Outcome },
}

/// An open journal; its file is this process's alone.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// The length of the lines that are whole.
    good_bytes: u64,
    /// What follows them is not known.
    spoilt: bool,
}

impl Journal {
    /// Opens the journal of a directory, makes both where they are not there, and says what is in it: the seed and the
    /// steps. A last line that was cut off was never answered, and is dropped.
    pub(crate) fn open(dir: &Path, seed: Option<u64>) -> Result<(Self, u64, Vec<Entry>)> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("journal.jsonl");
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        file.try_lock()
            .map_err(|_| Error::new(ErrorKind::ResourceBusy, format!("{} is in use", path.display())))?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut good, mut head, mut entries) = (Vec::new(), 0_u64, None::<Head>, Vec::new());
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            let broken = |error| {
                Error::new(ErrorKind::InvalidData, format!("{}, byte {good}: {error}", path.display()))
            };
            if head.is_none() {
                head = Some(serde_json::from_slice(&line).map_err(broken)?);
            } else {
                entries.push(serde_json::from_slice(&line).map_err(broken)?);
            }
            good += u64::try_from(length).map_err(Error::other)?;
        }
        let found = match head {
            Some(Head { format: FORMAT, seed: kept }) if seed.is_none_or(|seed| seed == kept) => kept,
            Some(Head { format: FORMAT, seed: kept }) => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{} has the seed {kept}", path.display()),
                ));
            }
            Some(Head { format, .. }) => {
                let says = format!("{} has the format {format}; begin in another directory", path.display());
                return Err(Error::new(ErrorKind::InvalidData, says));
            }
            None => seed.unwrap_or(1),
        };
        file.set_len(good)?;
        file.seek(SeekFrom::End(0))?;
        let mut journal = Self { file, good_bytes: good, spoilt: false };
        if good == 0 {
            journal.write(&Head { format: FORMAT, seed: found })?;
        }
        Ok((journal, found, entries))
    }

    /// Adds a step, whole or not at all.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<()> {
        self.write(entry)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        if self.spoilt {
            return Err(Error::other("the journal ends in half a line"));
        }
        if let Err(error) = self.file.write_all(&line) {
            self.spoilt = self.file.set_len(self.good_bytes).is_err();
            return Err(error);
        }
        self.good_bytes += u64::try_from(line.len()).map_err(Error::other)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written_and_a_torn_line_is_dropped() {
        let dir = std::env::temp_dir().join(format!("sandbox-journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let call = Call { path: "/x".to_owned(), ..Call::default() };
        {
            let (mut journal, seed, entries) = Journal::open(&dir, Some(9)).expect("a journal");
            assert_eq!((seed, entries.len()), (9, 0));
            journal.append(&Entry { wall_ms: 5, step: Step::Call(Box::new(call.clone())) }).expect("written");
            assert!(Journal::open(&dir, None).is_err(), "two at once");
            journal.file.write_all(b"{\"wall_ms\":6,\"ca").expect("written");
        }
        let (_, seed, entries) = Journal::open(&dir, None).expect("a journal");
        assert_eq!(seed, 9);
        assert!(
            matches!(entries.as_slice(), [Entry { wall_ms: 5, step: Step::Call(read) }] if **read == call)
        );
        assert!(Journal::open(&dir, Some(8)).is_err(), "another seed");
        let _ = std::fs::remove_dir_all(&dir);
    }

    #[test]
    fn a_line_torn_in_the_middle_of_a_character_is_dropped_like_any_other() {
        let dir = std::env::temp_dir().join(format!("sandbox-journal-torn-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let call = Call { path: "/林".to_owned(), ..Call::default() };
        let entry = Entry { wall_ms: 5, step: Step::Call(Box::new(call)) };
        {
            let (mut journal, ..) = Journal::open(&dir, Some(9)).expect("a journal");
            journal.append(&entry).expect("written");
            journal.append(&entry).expect("written");
        }
        let path = dir.join("journal.jsonl");
        let bytes = std::fs::read(&path).expect("read");
        let cut = bytes.windows(3).rposition(|bytes| bytes == "林".as_bytes()).expect("there") + 1;
        std::fs::write(&path, &bytes[..cut]).expect("written");
        let (_, _, entries) = Journal::open(&dir, None).expect("a journal");
        assert_eq!(entries.len(), 1);
        let _ = std::fs::remove_dir_all(&dir);
    }

    #[test]
    fn a_journal_that_can_not_be_mended_takes_nothing_more() {
        let dir = std::env::temp_dir().join(format!("sandbox-journal-spoilt-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let entry = Entry { wall_ms: 5, step: Step::Call(Box::default()) };
        let (mut journal, ..) = Journal::open(&dir, Some(9)).expect("a journal");
        // It can neither be written to nor be cut.
        let whole =
            std::mem::replace(&mut journal.file, File::open(dir.join("journal.jsonl")).expect("there"));
        assert!(journal.append(&entry).is_err());
        journal.file = whole;
        assert!(journal.append(&entry).is_err(), "what is in it is not known");
        let _ = std::fs::remove_dir_all(&dir);
    }
}
