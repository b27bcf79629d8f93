//! Files of lines that go along with the rows.

use std::io::{BufRead as _, BufReader, Read};

use report_bundle::opening::{Disclosure, Erasure, Field};
use report_bundle::opening::{LINE_MAX_BYTES, parse_line};

use crate::{Refusal, Step, container::Container};

/// A line about one field of one row.
pub(super) trait OfRow: Sized {
    /// Reads it in its one form.
    fn parse(what: &'static str, line: &[u8]) -> Result<Self, report_bundle::FormatError>;

    /// Row and field.
    fn key(&self) -> (u64, Field);
}

impl OfRow for Disclosure {
    fn parse(what: &'static str, line: &[u8]) -> Result<Self, report_bundle::FormatError> {
        parse_line(what, line)
    }

    fn key(&self) -> (u64, Field) {
        (self.index, self.field)
    }
}

impl OfRow for Erasure {
    fn parse(what: &'static str, line: &[u8]) -> Result<Self, report_bundle::FormatError> {
        parse_line(what, line)
    }

    fn key(&self) -> (u64, Field) {
        (self.index, self.field)
    }
}

/// Such a file, read one line ahead.
pub(super) struct Lines<'l, T> {
    step: Step,
    what: &'static str,
    file: BufReader<Box<dyn Read + Send + 'l>>,
    next: Option<T>,
    line: Vec<u8>,
    number: u64,
}

impl<'l, T: OfRow> Lines<'l, T> {
    pub(super) fn open(bundle: &'l dyn Container, step: Step, what: &'static str) -> Result<Self, Refusal> {
        let file = bundle.open(what).map_err(|fault| step.because(format!("{what}: {fault}")))?;
        let mut lines =
            Self { step, what, file: BufReader::new(file), next: None, line: Vec::new(), number: 0 };
        lines.next = lines.read()?;
        Ok(lines)
    }

    /// The line about this row and field, if it is the next.
    pub(super) fn take(&mut self, key: (u64, Field)) -> Result<Option<T>, Refusal> {
        if self.next.as_ref().is_none_or(|next| next.key() != key) {
            return Ok(None);
        }
        let next = self.read()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// How many there were. All must have been taken.
    pub(super) fn finish(self) -> Result<u64, Refusal> {
        match self.next {
            Some(next) => {
                let (index, field) = next.key();
                Err(self
                    .step
                    .because(format!("{} has a line for {field} of {index}, which shows none", self.what)))
            }
            None => Ok(self.number),
        }
    }

    fn read(&mut self) -> Result<Option<T>, Refusal> {
        let (step, what) = (self.step, self.what);
        self.line.clear();
        let limit = u64::try_from(LINE_MAX_BYTES + 1).unwrap_or(u64::MAX);
        let read = (&mut self.file).take(limit).read_until(b'\n', &mut self.line);
        if read.map_err(|fault| step.because(format!("{what}: {fault}")))? == 0 {
            return Ok(None);
        }
        let number = self.number + 1;
        let fault = |why: &str| step.because(format!("line {number} of {what}: {why}"));
        let line = self.line.strip_suffix(b"\n").ok_or_else(|| fault("does not end"))?;
        let line = T::parse(what, line).map_err(|why| fault(&why.to_string()))?;
        self.number = number;
        Ok(Some(line))
    }
}
