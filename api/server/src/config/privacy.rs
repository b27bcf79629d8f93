//! What is kept about persons.

use super::sections::Reader;

/// The section `privacy` of the default file.
#[derive(Clone, Debug)]
pub struct Privacy {
    /// `backup_days`.
    pub backup_days: u32,
}

impl Privacy {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self { backup_days: r.number("privacy.backup_days", 2, 3_650) }
    }
}
