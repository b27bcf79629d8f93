//! The CSV and what stands behind its commitments, compared with the rows that the leaves give.

use std::io::{BufReader, Read};

use report_bundle::{
    columns,
    leaf::{Leaf, LeafReader},
    names,
    opening::{Disclosure, Erasure, Field, Shown},
};

use super::{Asked, Found, lines::Lines};
use crate::{Refusal, Step, container::Container};

pub(super) struct Rows<'a> {
    asked: &'a Asked<'a>,
    csv: BufReader<Box<dyn Read + Send + 'a>>,
    disclosures: Lines<'a, Disclosure>,
    erasures: Lines<'a, Erasure>,
    reader: LeafReader,
    expected: Vec<u8>,
    got: Vec<u8>,
    found: Found,
}

impl<'a> Rows<'a> {
    /// Opens the files and compares the headings.
    pub(super) fn open(bundle: &'a dyn Container, asked: &'a Asked<'a>) -> Result<Self, Refusal> {
        let csv = bundle.open(names::REPORT).map_err(Step::Rows.by())?;
        let mut rows = Self {
            asked,
            csv: BufReader::with_capacity(128 << 10, csv),
            disclosures: Lines::open(bundle, Step::Disclosures, names::DISCLOSURES)?,
            erasures: Lines::open(bundle, Step::Erasures, names::ERASURES)?,
            reader: LeafReader::default(),
            expected: Vec::new(),
            got: Vec::new(),
            found: Found::default(),
        };
        columns::push_headings(&mut rows.expected);
        rows.compare(|| "the headings are others".to_owned())?;
        Ok(rows)
    }

    /// The next row must be this leaf's.
    pub(super) fn expect(&mut self, index: u64, leaf: &[u8]) -> Result<(), Refusal> {
        let fault =
            |why: report_bundle::leaf::LeafFault| Step::Leaves.because(format!("leaf {index}: {why}"));
        let mut reader = std::mem::take(&mut self.reader);
        let leaf = reader.read(leaf).map_err(fault)?;
        leaf.check_shown().map_err(fault)?;
        let mut shown = [None, None];
        for (shown, field) in shown.iter_mut().zip(Field::ALL) {
            *shown = self.shown(index, &leaf, field)?;
        }
        self.expected.clear();
        let late = leaf.is_late(self.asked.manifest.max_lateness_s);
        let row = columns::Row { index, openings: [shown[0].as_ref(), shown[1].as_ref()], late };
        columns::push_row(&mut self.expected, row, &leaf).map_err(Step::Disclosures.by())?;
        self.compare(|| format!("the row of event {index} is missing, or another is in its place"))?;
        self.found.rows += 1;
        self.found.late += u64::from(late);
        self.reader = reader;
        Ok(())
    }

    /// What the row is to show of a commitment.
    fn shown(&mut self, index: u64, leaf: &Leaf<'_>, field: Field) -> Result<Option<Shown>, Refusal> {
        let Some(commitment) = leaf.commitment(field) else { return Ok(None) };
        if !self.asked.manifest.disclosed.contains(&field) {
            return Ok(None);
        }
        if let Some(line) = self.disclosures.take((index, field))? {
            let step = Step::Disclosures;
            if !line.opens(&commitment).map_err(step.by())? {
                return Err(
                    step.because(format!("what is disclosed of {field} of event {index} is not what it was"))
                );
            }
            let salt = line.salt().map_err(step.by())?;
            return Ok(Some(Shown::Opened { salt, value: line.value }));
        }
        let Some(line) = self.erasures.take((index, field))? else {
            let why = format!("{field} of event {index} is neither disclosed nor erased");
            return Err(Step::Disclosures.because(why));
        };
        let proven = self.asked.erasures.as_ref().map_err(Clone::clone)?;
        if proven.explains(line.by, leaf) {
            self.found.erased_by.insert(line.by);
            Ok(Some(Shown::Erased { by: line.by }))
        } else {
            let why = format!("no event that is proven erased {field} of event {index}");
            Err(Step::Erasures.because(why))
        }
    }

    /// That the CSV goes on with what is expected.
    fn compare(&mut self, why: impl FnOnce() -> String) -> Result<(), Refusal> {
        let step = Step::Rows;
        let length = u64::try_from(self.expected.len()).unwrap_or(u64::MAX);
        self.got.clear();
        (&mut self.csv).take(length).read_to_end(&mut self.got).map_err(step.by())?;
        if self.got == self.expected { Ok(()) } else { Err(step.because(why())) }
    }

    /// That nothing is left over.
    pub(super) fn finish(mut self) -> Result<Found, Refusal> {
        if self.csv.read(&mut [0]).map_err(Step::Rows.by())? != 0 {
            return Err(Step::Rows.because("something follows the last row"));
        }
        self.found.disclosures = self.disclosures.finish()?;
        self.found.erasures = self.erasures.finish()?;
        Ok(self.found)
    }
}
