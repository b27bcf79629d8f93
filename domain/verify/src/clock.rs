//! The time that counts.

use report_bundle::time::Time;

/// By whose word certificates were checked at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBasis {
    /// A time-stamping authority's.
    Authority(Time),
    /// The caller's, who gave it.
    Given(Time),
    /// The clock's of who checks.
    Clock(Time),
    /// As the last two; there is a timestamp, and no root for it was given.
    Unchecked(Time),
}

impl TimeBasis {
    /// The time.
    pub const fn at(&self) -> Time {
        match self {
            Self::Authority(at) | Self::Given(at) | Self::Clock(at) | Self::Unchecked(at) => *at,
        }
    }

    /// The latest time that a witness can have meant: cosignatures from later do not count.
    pub(crate) fn seconds(&self) -> Option<u64> {
        u64::try_from(self.at().seconds()).ok()
    }

    pub(crate) fn says(&self) -> String {
        match self {
            Self::Authority(at) => format!("signed before {at}, says the time-stamping authority"),
            Self::Given(at) => format!("there is none; certificates are checked at {at}, as given"),
            Self::Clock(at) => format!("there is none; certificates are checked at {at}, by the clock here"),
            Self::Unchecked(at) => format!("not checked, no root given; certificates are checked at {at}"),
        }
    }

    pub(crate) fn remark(&self, remarks: &mut Vec<String>) {
        match self {
            Self::Authority(_) => {}
            Self::Given(_) | Self::Clock(_) => {
                remarks.push("when it was signed is the signer's word: it has no timestamp".to_owned());
            }
            Self::Unchecked(_) => remarks.push("its timestamp was not checked: no root was given".to_owned()),
        }
    }
}
